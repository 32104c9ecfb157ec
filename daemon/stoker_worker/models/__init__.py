"""The embedded default models: `sprites`, a procedural pixel-art generator."""
