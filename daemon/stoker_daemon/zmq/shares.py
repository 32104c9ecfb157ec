"""What one client may take of the daemon: requests under way, their bytes, and requests a second; pure."""

from collections import Counter
from dataclasses import dataclass

from stoker_protocol.errors import ErrorCode, Refused

BURST_S = 1.0
"""A client that was quiet may send at once what it may send in so many seconds."""


@dataclass(frozen=True, slots=True)
class Share:
    """The most that one client may have. `requests_per_s` holds for clients with a key; 0: any number."""

    requests: int = 1024
    bytes: int = 64 << 20
    requests_per_s: float = 0.0


FAIR_SHARE = Share()


@dataclass(slots=True)
class _Bucket:
    """Requests that may be made at once, as of a time."""

    tokens: float
    at_s: float


class Shares:
    """Keeps account by client; who has nothing under way is forgotten."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._requests: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._buckets: dict[str, _Bucket] = {}

    def take(self, client: str, size: int, now_s: float, *, is_paced: bool) -> None:
        """Note a request of so many bytes; `is_paced`: the limit a second holds for it.

        Raises:
            Refused: `queue_full`: the client has its share, and nothing is noted.
        """
        if self._requests[client] >= self._share.requests or self._bytes[client] + size > self._share.bytes:
            raise Refused(
                ErrorCode.QUEUE_FULL,
                f"{self._requests[client]} of your requests are at work, with {self._bytes[client]} bytes",
                hint=f"wait for answers; at most {self._share.requests} requests, {self._share.bytes} bytes at a time",
                retry_after_s=1.0,
            )
        if is_paced and self._share.requests_per_s:
            self._pace(client, now_s)
        self._requests[client] += 1
        self._bytes[client] += size

    def give_back(self, client: str, size: int) -> None:
        """Note that such a request was answered."""
        self._requests[client] -= 1
        self._bytes[client] -= size
        if not self._requests[client]:
            del self._requests[client], self._bytes[client]

    def _pace(self, client: str, now_s: float) -> None:
        rate = self._share.requests_per_s
        bucket = self._buckets.setdefault(client, _Bucket(rate * BURST_S, now_s))
        bucket.tokens = min(max(1.0, rate * BURST_S), bucket.tokens + (now_s - bucket.at_s) * rate)
        bucket.at_s = now_s
        if bucket.tokens < 1:
            raise Refused(
                ErrorCode.QUEUE_FULL,
                f"more than {rate:g} requests a second",
                hint="ask less often, or put more items into one request; `limits.requests_per_s` in the configuration",
                retry_after_s=max(0.001, (1 - bucket.tokens) / rate),
            )
        bucket.tokens -= 1
