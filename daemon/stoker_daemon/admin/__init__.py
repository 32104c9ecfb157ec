"""What an operator runs on the host: back up, restore, check, give ComfyUI its nodes."""
