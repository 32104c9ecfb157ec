"""Run a fake Ollama server: `python -m tests.fakes.ollama --port 0`; its URL is the first line."""

from tests.fakes.ollama.defects import OllamaDefects
from tests.fakes.ollama.http import Ollama
from tests.fakes.openai.__main__ import serve

if __name__ == "__main__":
    serve("python -m tests.fakes.ollama", OllamaDefects(), Ollama, path="")
