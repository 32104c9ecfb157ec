"""How a fake is started: which version it stands for, what it keeps, what it sends, and what was installed into it."""

from dataclasses import dataclass
from typing import Literal

Version = Literal["0.33.0", "0.12.1", "0.3.64"]
CacheMode = Literal["default", "classic", "lru", "ram", "none"]


@dataclass(frozen=True)
class Options:
    """The real server's flags that matter here."""

    version: Version = "0.12.1"
    cache: CacheMode = "default"
    previews: bool = False
    stoker_nodes: bool = False

    @property
    def keeps(self) -> CacheMode:
        """What it keeps; servers that go by their memory keep no more than this on a host of usual size."""
        return "classic" if self.cache == "default" else self.cache

    @property
    def argv(self) -> list[str]:
        """How it was started."""
        flags = {"default": [], "lru": ["--cache-lru", "20"]}
        return ["main.py", "--cpu", *flags.get(self.cache, [f"--cache-{self.cache}"])]

    @property
    def old(self) -> bool:
        """Before `/api/jobs`, `create_time`, previews chosen by the prompt, and `missing_node_type`."""
        return self.version == "0.3.64"

    @property
    def new(self) -> bool:
        """Cycles are told (since 0.20), ids must be UUIDs (0.25), jobs are cancelled (0.26), savers have outputs."""
        return self.version == "0.33.0"

    @property
    def hides_cached(self) -> bool:
        """What was cached is shown to nobody without a client, not even in the history (mended in 0.28)."""
        return self.version == "0.12.1"
