"""The durable core beside the least that could do the same work: `python -m benchmarks.core --help`."""
