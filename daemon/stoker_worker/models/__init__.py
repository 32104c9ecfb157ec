"""The models that ship with Stoker: `sprites`, which needs nothing, and adapters to libraries that have models."""
