"""The engine in torch: ViewParams -> pixels, in batches, on any device, with gradients; the core is the same in C."""
