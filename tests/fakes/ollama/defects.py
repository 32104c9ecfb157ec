"""What can be made to go wrong in the fake Ollama, besides what can in any server."""

from dataclasses import dataclass

from tests.fakes.openai.defects import Defects


@dataclass
class OllamaDefects(Defects):
    """More switches."""

    keeps: bool = False  # what is to be unloaded stays
    card: str = ""  # the file of a simulated GPU that it shares with others (see `SharedCard`)
    drops: bool = False  # downloads end before they are whole
