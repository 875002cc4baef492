"""The renderer of ViewParams in torch, for batches on any device; the core has its own in C."""
