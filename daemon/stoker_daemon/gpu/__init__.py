"""Looks at the GPUs and the host: NVML by nvidia-ml-py, psutil."""
