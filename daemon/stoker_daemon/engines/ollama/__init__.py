"""The engine `ollama`: Ollama's own API for what its models are and hold, OpenAI's for what they are asked."""

from stoker_daemon.engines.ollama.engine import OllamaEngine

__all__ = ["OllamaEngine"]
