"""What a GPU host gets done with Stoker in front of its ComfyUI, beside what it gets done without."""
