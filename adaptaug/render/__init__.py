"""Two renderers of the same ViewParams: `torch` for batches on any device, `opencv` for one uint8 image."""
