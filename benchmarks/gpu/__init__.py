"""What is measured on a GPU that can be had for a quarter of an hour: see `python -m benchmarks.gpu --help`."""
