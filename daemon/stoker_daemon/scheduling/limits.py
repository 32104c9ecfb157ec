"""What may be asked of a server: requests at a time, requests and tokens a minute, and when that changes."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Share = Annotated[float, Meta(gt=0, le=1)]
Times = Annotated[float, Meta(ge=1, le=100)]
Count = Annotated[int, Meta(ge=1, le=1024)]
Budget = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class ServerLimits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[engines.NAME.limits]`: how much may be asked of a server, for engines `openai` and `ollama`.

    With `preset = "anthropic"`, `"openai"`, `"google"`, `"ollama"` or `"vllm"` it begins with what suits such a server.
    """

    mode: Literal["fixed", "adaptive", "backpressure"] = "fixed"
    """`fixed`: always as many requests at a time. `adaptive`: more while answers are quick, fewer when they are slow or
    refused. `backpressure`: more until the server refuses some or does not answer in time."""
    concurrency: Count = 5
    """Requests at a time: always, or to begin with."""
    min_concurrency: Count = 1
    """Never fewer at a time, however slow or refused they are."""
    max_concurrency: Count = 64
    """Never more at a time, however quick they are."""
    window: Annotated[int, Meta(ge=2, le=1000)] = 20
    """After so many answers it is judged how it goes, or after as many as are under way if those are more."""
    raise_success: Share = 0.99
    """One request more at a time if so many answers are good ..."""
    latency_factor: Times = 1.2
    """... and 95 % of them began within so many times what is usual when the server has time."""
    target_latency_ms: Budget = 5000
    """A server that can begin its answers within this time is slow when it does not; 0: only in comparison."""
    success: Share = 0.9
    """Fewer requests at a time if less of the answers are good."""
    ease: Share = 0.9
    """So many of the requests at a time are left when answers are slow, or fail ..."""
    cut: Share = 0.5
    """... and so many when the server refuses (429, 503) or does not answer in time."""
    requests_per_min: Budget = 0
    """Requests in any minute; 0: as many as there are."""
    tokens_per_min: Budget = 0
    """Tokens, asked and answered, in any minute; 0: as many as there are."""
    burst: Budget = 0
    """Requests that may go at once, the others of the minute evenly after them; 0: all that the minute allows."""
    backoff_base_s: Seconds = 1.0
    """Seconds that nothing is sent after a refusal that does not say for how long ..."""
    backoff_factor: Times = 2.0
    """... so many times longer after each further one ..."""
    backoff_max_s: Seconds = 30.0
    """... and at most this."""
    retry_after_max_s: Seconds = 3600.0
    """No `Retry-After` is obeyed for longer."""

    def __post_init__(self) -> None:
        if self.min_concurrency > self.max_concurrency:
            raise ValueError(f"min_concurrency = {self.min_concurrency} is more than max_concurrency")
        if self.mode != "fixed" and not self.min_concurrency <= self.concurrency <= self.max_concurrency:
            raise ValueError(f"concurrency = {self.concurrency} is not between min_concurrency and max_concurrency")

    @property
    def most(self) -> int:
        """Requests that can ever be under way at a time."""
        return self.concurrency if self.mode == "fixed" else self.max_concurrency


PRESETS: dict[str, dict[str, Any]] = {
    "anthropic": {"mode": "adaptive", "concurrency": 4, "requests_per_min": 50, "tokens_per_min": 38_000},
    "openai": {"mode": "adaptive", "concurrency": 5, "requests_per_min": 500, "tokens_per_min": 200_000},
    "google": {"mode": "adaptive", "concurrency": 2, "requests_per_min": 10, "tokens_per_min": 250_000},
    "ollama": {"mode": "fixed", "concurrency": 1},
    "vllm": {"mode": "backpressure", "concurrency": 16, "min_concurrency": 4, "max_concurrency": 256},
}
"""Where to begin, by provider. Budgets are those of a new account's smallest paid tier, or free one at Google, as these
providers publish them for common models; whose account allows more says so in the configuration. Ollama answers one
request at a time unless it was told otherwise (`OLLAMA_NUM_PARALLEL`); vLLM batches what comes, and queues the rest."""
