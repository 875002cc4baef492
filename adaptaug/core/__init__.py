"""The compiled core: views in C, for the CPU without gradients. `library.load()` finds it or says why not."""
