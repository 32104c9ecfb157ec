"""The output tree: what engines made, each file with its provenance record, on disk for good."""
