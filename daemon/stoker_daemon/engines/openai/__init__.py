"""The engine `openai`: a server that speaks OpenAI's API, here or in a cloud."""

from stoker_daemon.engines.openai.engine import OpenAIEngine

__all__ = ["OpenAIEngine"]
