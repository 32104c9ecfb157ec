"""What a ComfyUI server answers over HTTP, as far as it matters here, and what its refusals mean to people."""

import json
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Struct

T = TypeVar("T")

MAX_MESSAGE = 500
"""Characters of a server's message that go into ours."""


class NodeError(Struct):
    """What is wrong with an input of a node."""

    type: str = ""
    message: str = ""
    details: str = ""
    extra_info: dict[str, Any] = {}


class NodeErrors(Struct):
    """All that is wrong with a node."""

    class_type: str = ""
    errors: list[NodeError] = []


class GraphError(Struct):
    """What is wrong with a graph as a whole."""

    type: str = ""
    message: str = ""
    details: str = ""
    extra_info: dict[str, Any] = {}


class Posted(Struct):
    """The answer to a prompt, taken or refused. Node errors in an answer with 200 are of branches that will not run."""

    prompt_id: str = ""
    error: GraphError | None = None
    node_errors: dict[str, NodeErrors] | list[Any] = {}

    @property
    def is_refused(self) -> bool:
        """Whether any part of the graph is not what the server takes."""
        return self.error is not None or bool(self.node_errors)


class Listed(Struct, array_like=True):
    """A prompt in the queue; what follows in the array, the graph first, is skipped."""

    number: float
    prompt_id: str


class Queue(Struct):
    """The prompts at work and those that wait, in no order."""

    queue_running: list[Listed] = []
    queue_pending: list[Listed] = []

    @property
    def running(self) -> set[str]:
        """The ids of those at work."""
        return {listed.prompt_id for listed in self.queue_running}

    @property
    def pending(self) -> set[str]:
        """The ids of those that wait."""
        return {listed.prompt_id for listed in self.queue_pending}


class Status(Struct):
    """How a prompt ended; `messages` are pairs of a word and its facts."""

    status_str: str = ""
    messages: list[tuple[str, dict[str, Any]]] = []


class Entry(Struct):
    """What the history has of a prompt: outputs by node, and by kind of output."""

    outputs: dict[str, dict[str, Any]] = {}
    status: Status | None = None


class Uploaded(Struct):
    """Where an image is that was sent."""

    name: str
    subfolder: str = ""


class System(Struct):
    """The server about itself."""

    comfyui_version: str = "unknown"
    argv: list[str] = []
    python_version: str = ""
    pytorch_version: str = ""


class DeviceStats(Struct):
    """A device; bytes. Of `torch_vram_total`, which the server took of it, `torch_vram_free` are in no use now."""

    name: str
    type: str = ""
    vram_total: int = 0
    vram_free: int = 0
    torch_vram_total: int = 0
    torch_vram_free: int = 0


class SystemStats(Struct):
    """What `/system_stats` says."""

    system: System
    devices: list[DeviceStats] = []


def decode(content: bytes, type_: type[T]) -> T:
    """An answer as one of the types above. Raises msgspec.DecodeError.

    Numbers that are none, which JSON does not know, come with prompts of people whose client is written in Python.
    """
    try:
        return msgspec.json.decode(content, type=type_)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        try:
            return msgspec.convert(json.loads(content), type_)
        except (ValueError, RecursionError) as error:
            raise msgspec.DecodeError(str(error)) from None


def decode_entry(content: bytes, prompt_id: str) -> Entry | None:
    """What an answer of the history has of a prompt. One that can't be read is a failure of that prompt."""
    try:
        return decode(content, dict[str, Entry]).get(prompt_id)
    except msgspec.DecodeError as error:
        message = f"what ComfyUI has of it can't be read: {error}"
        return Entry(status=Status("error", [("execution_error", {"exception_message": message})]))


def explain_refusal(posted: Posted) -> str:
    """Why a graph was refused, in one line that names nodes, inputs and values.

    Source: recordings of ComfyUI 0.3.64 and 0.12.1: `error.details` is often empty, the node errors say it all.
    """
    nodes = posted.node_errors if isinstance(posted.node_errors, dict) else {}
    said = [_explain_node(node_id, node, error) for node_id, node in nodes.items() for error in node.errors]
    if not said and posted.error is not None:
        said = [_explain_graph(posted.error)]
    return "; ".join(said)[:MAX_MESSAGE] or "the server does not say why"


def explain_end(status: Status | None) -> tuple[str, str]:
    """How a prompt ended: `success`, `interrupted`, `oom` or `error`, and the message of the last two."""
    if status is None or status.status_str == "success":
        return "success", ""
    said = dict(status.messages)
    if "execution_interrupted" in said:
        return "interrupted", ""
    facts = said.get("execution_error", {})
    message = str(facts.get("exception_message", "")).strip() or "the server does not say why"
    kind = str(facts.get("exception_type", ""))
    where = f"node {facts['node_id']} ({facts.get('node_type', '')}): " if "node_id" in facts else ""
    text = f"{where}{kind}: {message}" if kind else f"{where}{message}"
    is_oom = "OutOfMemory" in kind or "out of memory" in message.lower() or "not enough memory" in message.lower()
    return ("oom" if is_oom else "error"), text[:MAX_MESSAGE]


def blamed_by_refusal(posted: Posted) -> list[str]:
    """The nodes for which a graph was refused, as far as the server says."""
    return list(posted.node_errors) if isinstance(posted.node_errors, dict) else []


def blamed_by_end(status: Status | None) -> list[str]:
    """The node at which a prompt failed, if the server says that."""
    facts = dict(status.messages if status else ()).get("execution_error", {})
    return [str(facts["node_id"])] if "node_id" in facts else []


def _explain_graph(error: GraphError) -> str:
    match error.type:
        case "prompt_no_outputs":
            return "the workflow has no node that saves or shows anything"
        case "prompt_outputs_failed_validation":
            return "the links of the workflow go round in a circle"
        case "missing_node_type" if class_type := error.extra_info.get("class_type"):
            return f"node {error.extra_info.get('node_id')} ({class_type}): {error.message}"
        case _:
            return f"{error.message} {error.details}".strip()


def _explain_node(node_id: str, node: NodeErrors, error: NodeError) -> str:
    name = str(error.extra_info.get("input_name", ""))
    place = f"node {node_id} ({node.class_type}){f', input {name}' if name else ''}"
    given = error.extra_info.get("received_value")
    value = "" if given is None else f": {given!r:.80}"
    said = error.details if error.details and error.type not in ("value_not_in_list",) else ""
    match error.type:
        case "required_input_missing":
            return f"{place} is missing"
        case "value_bigger_than_max" | "value_smaller_than_min" | "value_not_in_list" | "invalid_input_type":
            return f"{place}{value}: {error.message[:1].lower()}{error.message[1:]}{_range(error)}"
        case "exception_during_validation" | "exception_during_inner_validation":
            return f"{place}: can't be checked; is one of its links to a node that there is not?"
        case _:
            return f"{place}: {error.message}{f' ({said})' if said else ''}"


def _range(error: NodeError) -> str:
    """What an input would take, from the copy of its declaration that comes with the error."""
    config = error.extra_info.get("input_config")
    if not isinstance(config, list) or not config:
        return ""
    declared, *rest = cast("list[Any]", config)
    if isinstance(declared, list):
        return f"; there are: {', '.join(map(str, cast('list[Any]', declared)[:20]))}"
    options = cast("dict[str, Any]", rest[0]) if rest and isinstance(rest[0], dict) else {}
    limits = [f"{word} {options[word]}" for word in ("min", "max") if word in options]
    return f" ({', '.join(limits)})" if limits else ""
