"""What an item asks of a server with OpenAI's API, and what is refused before anything is asked."""

import asyncio
from typing import Any

import pytest
from tests.conformance.bench import submit

from stoker_daemon.engines.openai.asking import ask_of, check_items
from stoker_protocol.errors import ErrorCode, Refused

MESSAGES = [{"role": "user", "content": "a"}]
LINE: dict[str, Any] = {
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "tiny", "messages": MESSAGES},
}


@pytest.mark.parametrize(
    ("params", "recipe", "kind", "body"),
    [
        ({"prompt": "a"}, "", "chat", {"messages": MESSAGES}),
        (
            {"prompt": "a", "system": "be kind", "temperature": 0.5},
            "",
            "chat",
            {"messages": [{"role": "system", "content": "be kind"}, *MESSAGES], "temperature": 0.5},
        ),
        ({"messages": MESSAGES, "stop": ["x"], "n": 2}, "chat", "chat", {"messages": MESSAGES, "stop": ["x"], "n": 2}),
        ({"prompt": "a", "seed": 3}, "completion", "completion", {"prompt": "a", "seed": 3}),
        ({"prompt": "a", "dimensions": 4}, "embedding", "embedding", {"input": "a", "dimensions": 4}),
        ({"input": ["a", "b"]}, "", "embedding", {"input": ["a", "b"]}),
        (
            {"prompt": "a", "extra_body": {"min_p": 0.1, "messages": 1}},
            "",
            "chat",
            {"min_p": 0.1, "messages": MESSAGES},
        ),
        (LINE, "", "chat", LINE["body"]),
        ({"body": {"input": "a", "stream": True}}, "", "embedding", {"input": "a"}),
    ],
)
def test_what_is_asked(params: dict[str, Any], recipe: str, kind: str, body: dict[str, Any]) -> None:
    """Parameters become the body of a request of the kind that they or the recipe say."""
    asked = ask_of(params, recipe)
    assert (asked.kind, asked.body, asked.is_line) == (kind, body, "body" in params)


@pytest.mark.parametrize(
    ("params", "recipe", "field", "hint"),
    [
        ({}, "", "prompt", "prompt, messages"),
        ({"prompt": "a", "messages": MESSAGES}, "", "messages", "prompt, messages"),
        ({"messages": MESSAGES, "system": "x"}, "", "system", "begin them"),
        ({"prompt": "a", "system": "x"}, "completion", "system", "leave it out"),
        ({"messages": MESSAGES}, "completion", "messages", "prompt"),
        ({"messages": []}, "", "messages", "a list"),
        ({"messages": "a"}, "", "messages", "a list"),
        ({"input": 3}, "", "input", "text or a list"),
        ({"prompt": "a", "temperatur": 1}, "", "temperatur", "did you mean temperature?"),
        ({"prompt": "a", "qqqq": 1}, "", "qqqq", "extra_body"),
        ({"prompt": "a", "stream": True}, "", "stream", ""),
        ({"prompt": "a", "temperature": 3}, "", "temperature", "number from 0 to 2"),
        ({"prompt": "a", "response_format": "json"}, "", "response_format", "a map"),
        ({**LINE, "temperature": 1}, "", "temperature", "into the body"),
        ({**LINE, "method": "GET"}, "", "method", "POST"),
        ({**LINE, "url": "/v1/images"}, "", "url", "/v1/chat/completions"),
        ({**LINE, "body": []}, "", "body", "messages"),
        ({**LINE, "body": {"prompt": "a"}}, "", "body.messages", "/chat/completions"),
        (LINE, "embedding", "url", "/v1/embeddings"),
        ({"input": "a", "expect": {"min_length": 1}}, "", "expect", "leave it out"),
        ({"prompt": "a", "expect": "json"}, "", "expect", "a map"),
        ({"prompt": "a", "expect": {}}, "", "expect", '{"matches":'),
        ({"prompt": "a", "expect": {"match": "a"}}, "", "expect.match", "did you mean matches?"),
        ({"prompt": "a", "expect": {"min_length": -1}}, "", "expect.min_length", "min_length"),
        ({**LINE, "expect": {"max_length": True}}, "", "expect.max_length", "min_length"),
        ({"prompt": "a", "expect": {"matches": "(a"}}, "", "expect", "expressions"),
        ({"prompt": "a", "expect": {"lacks": "(?=a)b"}}, "", "expect", "without look-around"),
        ({"prompt": "a", "expect": {"schema": {"type": "strin"}}}, "", "expect", "a JSON Schema"),
        ({"prompt": "a", "expect": {"schema": {"$ref": "http://127.0.0.1:1/a"}}}, "", "expect", "a JSON Schema"),
    ],
)
def test_what_is_refused(params: dict[str, Any], recipe: str, field: str, hint: str) -> None:
    """Nonsense is refused by the field where it stands, with what would do."""
    with pytest.raises(Refused) as refused:
        ask_of(params, recipe, "items[3].params")
    assert (refused.value.code, refused.value.field) == (ErrorCode.BAD_REQUEST, f"items[3].params.{field}")
    assert hint in refused.value.hint


def test_lines_for_another_model() -> None:
    """A line that names another model than its job is refused: a job has one."""
    other = {**LINE, "body": {**LINE["body"], "model": "large"}}
    asyncio.run(check_items(submit(LINE, LINE), "", "tiny"))
    with pytest.raises(Refused) as refused:
        asyncio.run(check_items(submit(LINE, other), "", "tiny"))
    assert refused.value.field == "items[1].params.body.model"
    assert "tiny" in refused.value.hint


def test_a_limit_of_tokens_is_known() -> None:
    """Where an answer is to be cut is known under its new name and its old one."""
    assert ask_of({"prompt": "a"}, "").most_tokens is None
    assert ask_of({"prompt": "a", "max_tokens": 5}, "").most_tokens == 5
    assert ask_of({"prompt": "a", "max_tokens": 5, "max_completion_tokens": 7}, "").most_tokens == 7
