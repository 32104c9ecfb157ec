"""The durable core beside the least that could do the same work, and what it costs: `python -m benchmarks.core`."""
