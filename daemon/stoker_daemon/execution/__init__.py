"""The lanes: claim, load, run, save, record, and what happens to a run that does not stop by itself."""
