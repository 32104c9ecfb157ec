"""Starts, kills and restarts a fake Ollama server in a process of its own, for tests."""

from tests.fakes.openai.harness import OpenAIProcess


class OllamaProcess(OpenAIProcess):
    """A fake server; its `url` has no version."""

    MODULE = "tests.fakes.ollama"

    def evict(self) -> None:
        """Have it throw out what is loaded."""
        self._ask("/fake/evict", {})
