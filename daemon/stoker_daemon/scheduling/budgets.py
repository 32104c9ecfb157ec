"""What was spent in the last minute, and when there is room for more: requests and tokens in sliding windows."""

from collections import deque
from dataclasses import dataclass, field

from stoker_daemon.scheduling.limits import ServerLimits

MINUTE_S = 60.0
SLACK_S = 0.5
"""A server counts a request when it arrives, which is a little after it was sent: windows are so much longer."""
CHARACTERS_A_TOKEN = 4.0
"""How long a token is taken to be until a server has counted some."""
USUAL_ANSWER = 256
"""Tokens of an answer, until there was one."""
LEARNING = 0.1
"""What a new count weighs against all before."""


@dataclass(slots=True)
class Spending:
    """One request in a window; `amount` is an estimate until the server has counted."""

    at_s: float
    amount: int


@dataclass(slots=True)
class SlidingWindow:
    """At most `budget` in any `window_s`. What is more than the whole budget goes when the window is empty."""

    budget: int
    window_s: float = MINUTE_S + SLACK_S
    _spendings: deque[Spending] = field(default_factory=deque[Spending])
    _sum: int = 0

    def delay_s(self, amount: int, now_s: float) -> float:
        """Seconds until so much may be spent, if nothing else is."""
        self._forget(now_s)
        over = self._sum + min(amount, self.budget) - self.budget
        for spending in self._spendings:
            if over <= 0:
                break
            over -= spending.amount
            if over <= 0:
                return spending.at_s + self.window_s - now_s
        return 0.0

    def spend(self, amount: int, now_s: float) -> Spending:
        """Spend so much, whether or not there is room."""
        self._forget(now_s)
        spending = Spending(now_s, amount)
        self._spendings.append(spending)
        self._sum += amount
        return spending

    def correct(self, spending: Spending, amount: int, now_s: float) -> None:
        """It was another amount, as is known now."""
        self._forget(now_s)
        if spending.at_s + self.window_s > now_s:
            self._sum += amount - spending.amount
            spending.amount = amount

    def _forget(self, now_s: float) -> None:
        while self._spendings and self._spendings[0].at_s + self.window_s <= now_s:
            self._sum -= self._spendings.popleft().amount


class TokenEstimates:
    """How many tokens a request will cost, learned from what requests have cost."""

    def __init__(self) -> None:
        self._characters_a_token = CHARACTERS_A_TOKEN
        self._answer: float | None = None

    def of(self, characters: int, most_tokens: int | None) -> int:
        """Tokens of a prompt so long and its answer, which is cut at `most_tokens`: that many until there was one."""
        if self._answer is None:
            expected = USUAL_ANSWER if most_tokens is None else most_tokens
        else:
            expected = self._answer if most_tokens is None else min(self._answer, most_tokens)
        return max(1, round(characters / self._characters_a_token + expected))

    def learn(self, characters: int, asked: int, answered: int) -> None:
        """A prompt so long had so many tokens, and its answer so many."""
        if asked > 0 and characters > 0:
            self._characters_a_token += LEARNING * (characters / asked - self._characters_a_token)
        self._answer = answered if self._answer is None else self._answer + LEARNING * (answered - self._answer)


class Budgets:
    """The budgets of one server, by a clock that never jumps."""

    def __init__(self, limits: ServerLimits) -> None:
        self._tokens = SlidingWindow(limits.tokens_per_min) if limits.tokens_per_min else None
        self._requests = [SlidingWindow(limits.requests_per_min)] if limits.requests_per_min else []
        if limits.requests_per_min and limits.burst:
            share = limits.burst / limits.requests_per_min
            self._requests.append(SlidingWindow(limits.burst, MINUTE_S * share))

    def delay_s(self, tokens: int, now_s: float) -> float:
        """Seconds until a request of so many tokens may be sent, if no other is."""
        waits_s = [window.delay_s(1, now_s) for window in self._requests]
        if self._tokens is not None:
            waits_s.append(self._tokens.delay_s(tokens, now_s))
        return max(waits_s, default=0.0)

    def spend(self, tokens: int, now_s: float) -> Spending | None:
        """A request of so many tokens is sent; what `correct` takes."""
        for window in self._requests:
            window.spend(1, now_s)
        return self._tokens.spend(tokens, now_s) if self._tokens is not None else None

    def correct(self, spending: Spending | None, tokens: int, now_s: float) -> None:
        """The server has counted the tokens of a request."""
        if spending is not None and self._tokens is not None:
            self._tokens.correct(spending, tokens, now_s)
