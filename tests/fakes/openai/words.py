"""What the fake's model says: a few words that follow from the prompt, or what one with `!` in front asks for."""

import hashlib
import json
from typing import Any

MODELS = ("tiny", "other", "third", "fourth", "fifth")
CONTEXT = 200
"""Words that fit into a prompt."""
ORDERS = ("hold", "refuse", "filter", "policy", "cut", "garbage", "latin", "fault", "oom", "die", "huge", "notjson")
"""`!hold`: begins, and goes on when released. `!refuse`, `!filter`: the model, or a filter, would not; `!policy`: nor
the server. `!cut`: the connection ends in the middle, `!garbage`, `!latin`: what comes is no JSON, or no UTF-8.
`!fault`, `!oom`: HTTP 500. `!die`: the server ends. `!huge`: far too much. `!notjson`: prose instead of JSON."""


def order_in(text: str) -> str:
    """What a prompt asks for, if it does."""
    word = text.removeprefix("!").split(" ", 1)[0]
    return word if text.startswith("!") and word in ORDERS else ""


def answer_to(text: str, body: dict[str, Any], choice: int) -> list[str]:
    """The tokens of an answer, one word each."""
    if body.get("response_format") and order_in(text) != "notjson":
        return ["{", f'"echo": {json.dumps(text)}', "}"]
    length = 3 + len(text) % 5
    seed = f"{text}/{body.get('seed', 0)}/{choice}"
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return [f"w{digest[4 * n : 4 * n + 4]} " for n in range(length)]


def vector_of(text: str, dimensions: int) -> list[float]:
    """Numbers that follow from a text."""
    digest = hashlib.sha256(text.encode()).digest()
    return [round(digest[n % 32] / 255, 4) for n in range(dimensions)]


ROUNDS = "!rounds "
"""A prompt that begins like this is a script: for each message of the user a list of calls, `[[name, arguments], ...]`,
which the model makes one after the other before it answers."""


def next_call(messages: list[dict[str, Any]]) -> tuple[str, str] | None:
    """The tool that the script of a conversation wants called now, and the arguments as JSON; None: it answers."""
    first = next(message["content"] for message in messages if message["role"] == "user")
    rounds: list[list[tuple[str, Any]]] = json.loads(first.removeprefix(ROUNDS))
    roles = [message["role"] for message in messages]
    made = roles[::-1][: roles[::-1].index("user")].count("tool")
    round_ = roles.count("user") - 1
    if round_ >= len(rounds) or made >= len(rounds[round_]):
        return None
    name, arguments = rounds[round_][made]
    return name, arguments if isinstance(arguments, str) else json.dumps(arguments or {})
