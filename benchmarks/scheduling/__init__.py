"""Policies on a simulated GPU, beside each other and on recorded traces: python -m benchmarks.scheduling --help."""
