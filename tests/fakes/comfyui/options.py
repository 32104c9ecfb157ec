"""How a fake is started: which version it stands for, what it keeps, and whether it sends previews."""

from dataclasses import dataclass
from typing import Literal

Version = Literal["0.12.1", "0.3.64"]
CacheMode = Literal["default", "lru", "none"]


@dataclass(frozen=True)
class Options:
    """The real server's flags that matter here."""

    version: Version = "0.12.1"
    cache: CacheMode = "default"
    previews: bool = False

    @property
    def old(self) -> bool:
        """Before `/api/jobs`, `create_time`, previews chosen by the prompt, and `missing_node_type`."""
        return self.version == "0.3.64"
