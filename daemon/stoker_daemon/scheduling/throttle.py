"""When the next request may be sent to a server: what is under way, what was spent, and what the server said."""

from dataclasses import dataclass

from stoker_daemon.scheduling.budgets import Budgets, Spending, TokenEstimates
from stoker_daemon.scheduling.concurrency import Concurrency, Ending
from stoker_daemon.scheduling.limits import ServerLimits

SHORTEST_S = 0.05
"""No less is believed of a Retry-After."""
PATIENCE_S = 60.0
"""Work waits no longer than this for a server that takes nothing, so that there is room for other work."""


class Hold:
    """Whether the server says that requests are too many, and until when nothing is sent."""

    def __init__(self, limits: ServerLimits) -> None:
        self.reason = ""
        self._limits = limits
        self._since_s: float | None = None
        self._until_s = float("-inf")
        self._next_s = limits.backoff_base_s

    @property
    def is_in_doubt(self) -> bool:
        """Whether nothing that was sent since the server refused has been taken."""
        return self._since_s is not None

    def left_s(self, now_s: float) -> float:
        """For how many more seconds nothing is sent."""
        return max(0.0, self._until_s - now_s)

    def is_long(self, now_s: float) -> bool:
        """Whether waiting for it makes no sense."""
        return self.left_s(now_s) > 0 and self._since_s is not None and self._until_s - self._since_s > PATIENCE_S

    def begin(self, reason: str, retry_after_s: float | None, now_s: float) -> None:
        """The server took no request. Where many were refused together, only the first makes the next wait longer."""
        self.reason = reason
        if self._since_s is None:
            self._since_s = now_s
        if retry_after_s is not None:
            wait_s = min(self._limits.retry_after_max_s, max(SHORTEST_S, retry_after_s))
            self._until_s = max(self._until_s, now_s + wait_s)
        elif self.left_s(now_s) == 0:
            self._until_s = now_s + self._next_s
            self._next_s = min(self._limits.backoff_max_s, self._next_s * self._limits.backoff_factor)

    def end(self, sent_s: float) -> None:
        """The server takes a request that was sent then; one sent before it refused says nothing."""
        if self._since_s is not None and sent_s > self._since_s:
            self._since_s, self._next_s = None, self._limits.backoff_base_s


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request that is under way."""

    sent_s: float
    characters: int
    spending: Spending | None
    is_try: bool
    """After a refusal one request tries it for all."""


class Throttle:
    """One for all requests to a server. Times are seconds of a clock that never jumps."""

    def __init__(self, limits: ServerLimits) -> None:
        self.hold = Hold(limits)
        self.under_way = 0
        self._tries = 0
        self._concurrency = Concurrency(limits)
        self._budgets = Budgets(limits)
        self._estimates = TokenEstimates()

    @property
    def limit(self) -> int:
        """Requests that may be under way now."""
        return self._concurrency.limit

    def delay_s(self, characters: int, most_tokens: int | None, now_s: float) -> float | None:
        """Seconds until a request may be sent, 0: now, None: when another has ended.

        It asks with so many characters, for at most so many tokens.
        """
        if self.under_way >= self.limit or (self._tries and self.hold.is_in_doubt):
            return None
        tokens = self._estimates.of(characters, most_tokens)
        return max(self.hold.left_s(now_s), self._budgets.delay_s(tokens, now_s))

    def begin(self, characters: int, most_tokens: int | None, now_s: float) -> Ticket:
        """Such a request is sent."""
        self.under_way += 1
        self._tries += self.hold.is_in_doubt
        spending = self._budgets.spend(self._estimates.of(characters, most_tokens), now_s)
        return Ticket(now_s, characters, spending, is_try=self.hold.is_in_doubt)

    def end(self, ticket: Ticket, ending: Ending | None, latency_s: float) -> None:
        """A request ended; None: in a way that says nothing of the server."""
        if ending is not None:
            self._concurrency.ended(ending, latency_s, self.under_way)
        if ending is Ending.GOOD:
            self.hold.end(ticket.sent_s)
        self.under_way -= 1
        self._tries -= ticket.is_try

    def count(self, ticket: Ticket, asked: int, answered: int, now_s: float) -> None:
        """The server has counted the tokens of a request and of its answer."""
        self._estimates.learn(ticket.characters, asked, answered)
        self._budgets.correct(ticket.spending, asked + answered, now_s)
