"""How the Godot plugin keeps up with events, in Debian's headless Godot: `python -m benchmarks.godot`."""
