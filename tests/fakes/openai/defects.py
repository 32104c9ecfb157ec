"""What can be made to go wrong in the fake at any time; what goes wrong for one prompt is in `words.py`."""

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass
class Defects:
    """The switches. Those that count say how many requests more."""

    limited: int = 0  # 429
    loading: int = 0  # 503, as a server says while it loads a model
    broken: int = 0  # 500
    retry_after: str = ""  # said with 429 and 503
    broke: bool = False  # 429 with the code that says: pay first
    no_list: bool = False  # there is no list of models
    no_stream: bool = False  # answers come in one piece, whatever was asked
    load_s: float = 0.0  # what it takes to load a model, where another is
    token_s: float = 0.0  # what a token takes

    def change(self, values: dict[str, Any]) -> None:
        """Set switches by name. Raises KeyError: there is no such switch."""
        kinds: dict[str, type] = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        for name, value in values.items():
            setattr(self, name, kinds[name](value))

    def take(self, name: str) -> bool:
        """Whether a counted defect is to happen now; this counts as one time."""
        left: int = getattr(self, name)
        setattr(self, name, max(0, left - 1))
        return left > 0

    def shown(self) -> dict[str, Any]:
        return asdict(self)
