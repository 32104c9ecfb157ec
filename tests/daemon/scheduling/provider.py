"""A provider in simulated time: it answers so many requests at a time, keeps budgets, and may refuse for a while."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from stoker_daemon.scheduling.concurrency import Ending
from stoker_daemon.scheduling.limits import ServerLimits
from stoker_daemon.scheduling.throttle import Throttle, Ticket

MINUTE_S = 60.0
REFUSAL_S = 0.05
"""How long a refusal takes."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, and how many tokens it and its answer have, which only the provider knows."""

    characters: int = 400
    most_tokens: int | None = None
    asked: int = 100
    answered: int = 100

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.asked + self.answered


@dataclass(slots=True)
class Provider:
    """Answers `at_once` requests, each within `seconds(now)`; more of them wait, or are refused if it `refuses_more`.

    No minute has more requests or tokens than its budgets; 0: as many as there are. During the `storm` it refuses all.
    """

    seconds: Callable[[float], float]
    at_once: int = 1000
    refuses_more: bool = False
    requests_per_min: int = 0
    tokens_per_min: int = 0
    storm: tuple[float, float] = (0.0, 0.0)
    taken: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    """When each request was taken, and its tokens."""
    refused: int = 0
    _busy_until: list[float] = field(default_factory=list[float])

    def take(self, request: Request, now_s: float) -> float | None:
        """When the answer is there, or None: it is refused."""
        while self._busy_until and self._busy_until[0] <= now_s:
            heapq.heappop(self._busy_until)
        if not self._admits(request, now_s) or (self.refuses_more and len(self._busy_until) >= self.at_once):
            self.refused += 1
            return None
        self.taken.append((now_s, request.tokens))
        begins_s = now_s if len(self._busy_until) < self.at_once else heapq.heappop(self._busy_until)
        ends_s = begins_s + self.seconds(now_s)
        heapq.heappush(self._busy_until, ends_s)
        return ends_s

    def _admits(self, request: Request, now_s: float) -> bool:
        if self.storm[0] <= now_s < self.storm[1]:
            return False
        if not self.requests_per_min and not self.tokens_per_min:
            return True
        minute = [tokens for at_s, tokens in reversed(self.taken[-10_000:]) if at_s > now_s - MINUTE_S]
        too_many = 0 < self.requests_per_min < len(minute) + 1
        return not too_many and not 0 < self.tokens_per_min < sum(minute) + request.tokens


@dataclass(frozen=True, slots=True)
class Log:
    """What became of it: when answers came, and how many requests were allowed at a time."""

    answered_s: list[float]
    limits: list[tuple[float, int]]

    def answers(self, since_s: float, until_s: float) -> int:
        """How many came in that time."""
        return sum(since_s <= at_s < until_s for at_s in self.answered_s)

    def limit(self, since_s: float, until_s: float) -> float:
        """The mean of what was allowed in that time."""
        within = [limit for at_s, limit in self.limits if since_s <= at_s < until_s]
        return sum(within) / len(within)


def work_through(provider: Provider, limits: ServerLimits, requests: Callable[[], Request], until_s: float) -> Log:
    """Ask the provider for as much as a throttle with these limits allows, of requests that never run out."""
    throttle, log = Throttle(limits), Log([], [])
    ends: list[tuple[float, int, float, Request, Ticket, bool]] = []
    now_s, number, request = 0.0, 0, requests()
    while now_s < until_s:
        delay_s = throttle.delay_s(request.characters, request.most_tokens, now_s)
        if delay_s == 0:
            ticket = throttle.begin(request.characters, request.most_tokens, now_s)
            done_s = provider.take(request, now_s)
            number += 1
            end_s = now_s + REFUSAL_S if done_s is None else done_s
            heapq.heappush(ends, (end_s, number, now_s, request, ticket, done_s is not None))
            request = requests()
        elif delay_s is not None and (not ends or now_s + delay_s < ends[0][0]):
            now_s += max(delay_s, 1e-6)
        else:
            now_s, _, sent_s, ended, ticket, is_good = heapq.heappop(ends)
            _end(throttle, ticket, ended if is_good else None, now_s - sent_s, now_s)
            if is_good:
                log.answered_s.append(now_s)
            log.limits.append((now_s, throttle.limit))
    return log


def _end(throttle: Throttle, ticket: Ticket, answered: Request | None, latency_s: float, now_s: float) -> None:
    if answered is None:
        throttle.hold.begin("429", None, now_s)
        throttle.end(ticket, Ending.REFUSED, latency_s)
    else:
        throttle.count(ticket, answered.asked, answered.answered, now_s)
        throttle.end(ticket, Ending.GOOD, latency_s)


def most_in_a_minute(spent: list[tuple[float, int]]) -> int:
    """The largest sum of what was spent in any sixty seconds."""
    most, total, first = 0, 0, 0
    for at_s, amount in spent:
        total += amount
        while spent[first][0] <= at_s - MINUTE_S:
            total -= spent[first][1]
            first += 1
        most = max(most, total)
    return most
