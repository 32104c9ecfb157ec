"""The engine `comfyui`: a ComfyUI server, whose queue, stream and files are watched from here."""

from stoker_daemon.engines.comfyui.engine import ComfyEngine

__all__ = ["ComfyEngine"]
