"""How answers of servers with OpenAI's API are put together, and what they mean."""

import json
from typing import Any

import pytest

from stoker_daemon.engines.openai.answers import Assembly, Unusable, explain, failure_of, made_of
from stoker_daemon.engines.openai.asking import ask_of
from stoker_protocol.errors import FailureKind

CHAT = ask_of({"prompt": "a"}, "")
JSON = ask_of({"prompt": "a", "response_format": {"type": "json_object"}}, "")
LINE = ask_of({"body": {"messages": [{}]}}, "")


def assembled(*choices: dict[str, Any]) -> dict[str, Any]:
    """The answer that such pieces make."""
    assembly = Assembly()
    for choice in choices:
        assembly.add({"id": "1", "object": "chat.completion.chunk", "choices": [choice]})
    return assembly.whole()


def answer(text: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """An answer in one piece."""
    return {"choices": [{"index": 0, "message": {"content": text, **message}, "finish_reason": finish}]}


def test_tool_calls_are_put_together() -> None:
    """Parts of several calls are joined by their index, texts grow, and what is repeated is not doubled."""
    call = {"index": 0, "id": "c0", "type": "function", "function": {"name": "look", "arguments": ""}}
    other = {"index": 1, "id": "c1", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    whole = assembled(
        {"index": 0, "delta": {"role": "assistant", "content": None, "tool_calls": [call]}, "finish_reason": None},
        {"index": 0, "delta": {"role": "assistant", "tool_calls": [{"index": 0, "function": {"arguments": '{"q"'}}]}},
        {"index": 0, "delta": {"tool_calls": [other, {"index": 0, "function": {"arguments": ":1}"}}]}},
        {"index": 0, "delta": {}, "finish_reason": "tool_calls"},
    )
    message = whole["choices"][0]["message"]
    assert whole["object"] == "chat.completion"
    assert message["role"] == "assistant"
    assert [(each["id"], each["function"]) for each in message["tool_calls"]] == [
        ("c0", {"name": "look", "arguments": '{"q":1}'}),
        ("c1", {"name": "read", "arguments": "{}"}),
    ]


def test_pieces_without_a_word_are_no_tokens() -> None:
    """Only pieces with text, or with a part of a call, count as tokens."""
    assembly = Assembly()
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {"refusal": "b"},
        {"tool_calls": [{}]},
        {},
    ]
    for delta in deltas:
        assembly.add({"choices": [{"index": 0, "delta": delta}]})
    assembly.add({"choices": [{"index": 0, "text": "c"}]})
    assert assembly.tokens == 4


def test_several_choices_are_kept_apart() -> None:
    """Pieces of several answers to one prompt, in any order, become one each."""
    whole = assembled(
        {"index": 1, "delta": {"content": "b"}},
        {"index": 0, "delta": {"content": "a"}},
        {"index": 1, "delta": {"content": "d"}, "finish_reason": "stop"},
        {"index": 0, "delta": {"content": "c"}, "finish_reason": "stop"},
    )
    assert [choice["message"]["content"] for choice in whole["choices"]] == ["ac", "bd"]


@pytest.mark.parametrize("pieces", [[], [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]])
def test_a_cut_answer_is_none(pieces: list[dict[str, Any]]) -> None:
    """An answer that never said why it ended is not taken for whole."""
    with pytest.raises(Unusable, match="cut") as cut:
        assembled(*pieces)
    assert cut.value.kind is FailureKind.SERVER_ERROR


NONSENSE: list[dict[str, Any]] = [
    {"choices": 3},
    {"choices": [3]},
    {"choices": [{"delta": 3}]},
    {"choices": [{"index": []}]},
]


@pytest.mark.parametrize("piece", NONSENSE)
def test_nonsense_is_a_fault_of_the_server(piece: dict[str, Any]) -> None:
    """A piece of another shape fails the item as the server's fault."""
    with pytest.raises(Unusable) as nonsense:
        Assembly().add(piece)
    assert nonsense.value.kind is FailureKind.SERVER_ERROR


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "no", "code": "bad"}}, ("bad", "no")),
        ({"error": {"message": "no", "type": "odd", "code": None}}, ("odd", "no")),
        ({"error": "no"}, ("", "no")),
        ({"object": "error", "message": "no", "code": 40}, ("40", "no")),
        ({"detail": "no"}, ("", "no")),
        (["no"], ("", "['no']")),
    ],
)
def test_errors_in_all_their_forms(body: Any, said: tuple[str, str]) -> None:
    """Code and message are found in each form that servers have for errors."""
    assert explain(json.dumps(body).encode()) == said


def test_errors_that_are_no_json() -> None:
    """A proxy's page is told as it is, even if it is no UTF-8."""
    assert explain(b"<h1>Bad \xff Gateway</h1>\n") == ("", "<h1>Bad \N{REPLACEMENT CHARACTER} Gateway</h1>")


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (400, "context_length_exceeded", "too long", FailureKind.INVALID),
        (404, "model_not_found", "", FailureKind.INVALID),
        (413, "", "", FailureKind.INVALID),
        (400, "content_filter", "", FailureKind.REFUSED),
        (400, "content_policy_violation", "", FailureKind.REFUSED),
        (408, "", "", FailureKind.TIMEOUT),
        (504, "", "", FailureKind.TIMEOUT),
        (500, "", "CUDA out of memory", FailureKind.OOM),
        (500, "", "", FailureKind.SERVER_ERROR),
        (302, "", "", FailureKind.SERVER_ERROR),
    ],
)
def test_what_a_refusal_means(status: int, code: str, message: str, kind: FailureKind) -> None:
    """A refusal is for ever, or for another time, as its status and code say."""
    failure = failure_of(status, code, message)
    assert failure.kind is kind
    assert f"HTTP {status}" in failure.message


@pytest.mark.parametrize(
    ("given", "suffix", "data"),
    [
        (answer("hi"), ".txt", b"hi"),
        (answer(None), ".txt", b""),
        (answer("hi", "length"), ".txt", b"hi"),
    ],
)
def test_a_text_is_kept_as_it_is(given: dict[str, Any], suffix: str, data: bytes) -> None:
    """An answer in words is a text file, and its record says why it ended."""
    made = made_of(CHAT, given)
    assert (made.suffix, made.data) == (suffix, data)
    assert made.record["finish_reason"] == given["choices"][0]["finish_reason"]


def test_json_is_kept_as_such() -> None:
    """Structured output is a JSON file with what the model said, to the letter."""
    made = made_of(JSON, answer('{"a":  1}'))
    assert (made.suffix, made.media_type, made.data) == (".json", "application/json", b'{"a":  1}')


def test_lines_and_tool_calls_are_kept_whole() -> None:
    """Where a text would not tell all, the file is the server's answer."""
    for ask, given in ((LINE, answer("hi")), (CHAT, answer(None, "tool_calls", tool_calls=[{"id": "c"}]))):
        made = made_of(ask, given)
        assert (made.suffix, json.loads(made.data)) == (".json", given)


@pytest.mark.parametrize(
    ("given", "kind", "told"),
    [
        (answer("", refusal="I can't"), FailureKind.REFUSED, "I can't"),
        (answer("half", "content_filter"), FailureKind.REFUSED, "content filter"),
        (answer("half", "error"), FailureKind.SERVER_ERROR, "finish"),
        (answer('{"a":', "length"), FailureKind.INVALID, "max_tokens"),
        (answer("prose"), FailureKind.SERVER_ERROR, "prose"),
        ({"choices": []}, FailureKind.SERVER_ERROR, "no choices"),
        ({}, FailureKind.SERVER_ERROR, "no sense"),
        ({"choices": [{"message": {"content": 3}}]}, FailureKind.SERVER_ERROR, "no text"),
    ],
)
def test_answers_that_are_outcomes(given: dict[str, Any], kind: FailureKind, told: str) -> None:
    """A refusal, a filter, a cut or broken JSON fail the item, each as what it is."""
    with pytest.raises(Unusable, match=told) as unusable:
        made_of(JSON, given)
    assert unusable.value.kind is kind
