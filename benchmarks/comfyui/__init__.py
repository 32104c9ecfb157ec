"""What Stoker adds to the time of a ComfyUI server itself."""
