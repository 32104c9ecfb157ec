"""What a ComfyUI server answers is read as it was recorded, and its refusals and failures are told in plain words."""

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.comfyui.recorded import lines, noted

from stoker_daemon.engines.comfyui.answers import (
    MAX_MESSAGE,
    Entry,
    Posted,
    Queue,
    Status,
    SystemStats,
    decode,
    decode_entry,
    explain_end,
    explain_refusal,
)

REFUSALS = {
    "unknown node class": ("node 1 (NoSuchNode)", "not found"),
    "unknown node class with _meta title": ("node 1 (NoSuchNode)", "My node"),
    "node without class_type": ("#1", "class_type"),
    "missing required input": ("node 3 (KSampler)", "input steps", "missing"),
    "value too big": ("node 3 (KSampler)", "input steps", "10001", "max 10000"),
    "value too small": ("node 3 (KSampler)", "input steps", ": 0:", "min 1"),
    "seed over 2**64-1": ("input seed", "18446744073709551616", "max 18446744073709551615"),
    "seed negative": ("input seed", "-1", "min 0"),
    "wrong type: string for INT": ("input steps", "'abc'", "INT"),
    "unknown checkpoint": ("input ckpt_name", "'does_not_exist.safetensors'", "random_sd15.safetensors"),
    "unknown sampler (long list)": ("input sampler_name", "'nope'", "not in list"),
    "unknown lora": ("node 10 (LoraLoader)", "'missing_lora.safetensors'", "random_lora.safetensors"),
    "several errors in two nodes": ("node 3 (KSampler)", "node 4 (Checkpoint", "'nope.safetensors'", "node 5 (Empty"),
    "link to a node id that does not exist": ("node 2 (SaveImage)", "link"),
    "link output slot out of range": ("node 2 (SaveImage)", "link"),
    "integer node id in link": ("node 2 (SaveImage)", "link"),
    "link wrong length": ("node 2 (SaveImage)", "input images", "length-2 list"),
    "link type mismatch": ("node 9 (SaveImage)", "input images", "LATENT", "IMAGE"),
    "node without inputs": ("node 1 (EmptyImage)",),
    "LoadImage of a missing file": ("node 1 (LoadImage)", "input image", "nope.png"),
    "cycle": ("circle",),
    "no output node": ("no node that saves",),
    "empty prompt object": ("no node that saves",),
    "one good output and one bad output: 200 with node_errors, only good output executed": ("node 3 (Empty", "width"),
}
OLDER = {"unknown node class": ("#1", "NoSuchNode"), "unknown node class with _meta title": ("#1", "NoSuchNode")}


def refusals(recording: str) -> dict[str, str]:
    """What is made of each recorded refusal, by the note on it."""
    told: dict[str, str] = {}
    for note, line in noted(recording, "http"):
        if (line["method"], line["path"]) == ("POST", "/prompt") and line["status"] in (200, 400):
            posted = decode(json.dumps(line["response"]).encode(), Posted)
            if posted.is_refused:
                told[note] = explain_refusal(posted)
    return told


@pytest.mark.parametrize(
    ("recording", "expected"),
    [("04_post_prompt_rejections.jsonl", REFUSALS), ("v0.3.64_04_post_prompt_rejections.jsonl", REFUSALS | OLDER)],
)
def test_each_recorded_refusal(recording: str, expected: dict[str, tuple[str, ...]]) -> None:
    """Each refusal names the node, the input and the value, as far as the server tells them."""
    told = refusals(recording)
    assert set(expected) <= set(told)
    for note, words in expected.items():
        assert [word for word in words if word not in told[note]] == [], told[note]
        assert len(told[note]) <= MAX_MESSAGE


def test_a_cycle_as_newer_servers_tell_it() -> None:
    """A circle of links is told with the nodes in it."""
    error = {"type": "dependency_cycle", "message": "Dependency cycle detected", "details": "2 (A) -> 1 (B) -> 2 (A)"}
    posted = {"error": {"type": "x"}, "node_errors": {"2": {"class_type": "A", "errors": [error]}}}
    assert "2 (A) -> 1 (B) -> 2 (A)" in explain_refusal(decode(json.dumps(posted).encode(), Posted))


def ended(status: str, *messages: tuple[str, dict[str, Any]]) -> tuple[str, str]:
    """How a prompt with this status ended."""
    return explain_end(Status(status, list(messages)))


def test_ends() -> None:
    """Success, interruption, lack of memory and other errors are told apart, the errors by node and in their words."""
    assert explain_end(None) == ended("success") == ("success", "")
    assert ended("error", ("execution_interrupted", {"node_id": "3"})) == ("interrupted", "")
    where = {"node_id": "3", "node_type": "KSampler"}
    oom = {**where, "exception_type": "torch.OutOfMemoryError", "exception_message": "Allocation on device\n"}
    assert ended("error", ("execution_error", oom)) == (
        "oom",
        "node 3 (KSampler): torch.OutOfMemoryError: Allocation on device",
    )
    accelerator = {"exception_type": "torch.AcceleratorError", "exception_message": "CUDA error: out of memory"}
    assert ended("error", ("execution_error", accelerator))[0] == "oom"
    of_cpu = {"exception_type": "RuntimeError", "exception_message": "DefaultCPUAllocator: not enough memory: you"}
    assert ended("error", ("execution_error", of_cpu))[0] == "oom"
    plain = {**where, "exception_type": "ValueError", "exception_message": "x" * 5_000}
    how, message = ended("error", ("execution_error", plain))
    assert (how, len(message), message[:30]) == ("error", MAX_MESSAGE, "node 3 (KSampler): ValueError:")
    assert ended("error") == ("error", "the server does not say why")


def test_recorded_ends() -> None:
    """Each entry of the history that was recorded is read, and every failure has words."""
    kinds: set[str] = set()
    for line in lines("*.jsonl", "http"):
        if line["path"].startswith("/history/") and line.get("status") == 200:
            for prompt_id in line["response"]:
                entry = decode_entry(json.dumps(line["response"]).encode(), prompt_id)
                assert entry is not None
                how, message = explain_end(entry.status)
                assert (how in ("error", "oom")) == bool(message)
                assert "can't be read" not in message
                kinds.add(how)
    assert kinds >= {"success", "error", "interrupted"}


def test_recorded_queues_and_facts() -> None:
    """The queues and the facts that were recorded are read."""
    for line in lines("*.jsonl", "http"):
        if (line["method"], line.get("status")) == ("GET", 200) and "response" in line:
            content = json.dumps(line["response"]).encode()
            if line["path"] == "/queue":
                queue = decode(content, Queue)
                assert queue.pending == {listed[1] for listed in line["response"]["queue_pending"]}
            elif line["path"] == "/system_stats":
                assert decode(content, SystemStats).devices


def test_numbers_that_are_none() -> None:
    """What a stranger's client wrote that is no JSON keeps nobody from reading the queue."""
    content = b'{"queue_running": [[NaN, "a", {"1": {"inputs": {"cfg": Infinity}}}, {}, []]], "queue_pending": []}'
    assert decode(content, Queue).running == {"a"}


@pytest.mark.parametrize("content", [b'{"p": {"outputs": []}}', b'{"p": 1}', b"[]", b"{", b"\xff", b"[" * 100_000])
def test_an_entry_that_cannot_be_read(content: bytes) -> None:
    """An entry that is not as it should be fails its prompt, not the server."""
    entry = decode_entry(content, "p")
    assert entry is not None
    assert explain_end(entry.status)[0] == "error"
    assert decode_entry(b"{}", "p") is None


@given(st.binary())
def test_any_answer(content: bytes) -> None:
    """No answer raises anything but that it can't be read."""
    for kind in (Queue, Posted, SystemStats):
        with suppress(msgspec.DecodeError):
            decode(content, kind)
    assert decode_entry(content, "p") is None or isinstance(decode_entry(content, "p"), Entry)
