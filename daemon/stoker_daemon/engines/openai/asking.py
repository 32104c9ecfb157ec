"""What an item asks of a server: its parameters, or a line of a batch file, checked and put into a request's body."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from stoker_daemon.engines.fitting import as_map
from stoker_daemon.engines.openai.expecting import Expectation, expectation_of
from stoker_daemon.jobs.parameters import by_name, check_parameters
from stoker_protocol.codec import did_you_mean
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.jobs import Parameter
from stoker_protocol.requests import Submit

PATHS = {"chat": "/chat/completions", "completion": "/completions", "embedding": "/embeddings"}
"""What can be asked for, and where; source: OpenAI's API reference."""
SUMMARIES = {
    "chat": "An answer to a prompt or to messages",
    "completion": "A text that goes on where a prompt ends",
    "embedding": "The vector of a text",
}
PARAMETERS = [
    Parameter("prompt", "string", help="what is asked; `messages` for a whole conversation"),
    Parameter("system", "string", help="what the model is told before"),
    Parameter("temperature", "number", minimum=0, maximum=2, help="0: nearly always the same answer"),
    Parameter("top_p", "number", minimum=0, maximum=1),
    Parameter("max_tokens", "integer", minimum=1, help="where an answer is cut"),
    Parameter("max_completion_tokens", "integer", minimum=1),
    Parameter("seed", "integer"),
    Parameter("n", "integer", minimum=1, maximum=128, help="answers to one prompt"),
    Parameter("presence_penalty", "number", minimum=-2, maximum=2),
    Parameter("frequency_penalty", "number", minimum=-2, maximum=2),
    Parameter("reasoning_effort", "string"),
    Parameter("dimensions", "integer", minimum=1, help="numbers in a vector"),
]
_SCALARS = by_name(PARAMETERS)
_STRUCTURED: dict[str, tuple[type, ...]] = {
    "messages": (list,),
    "input": (str, list),
    "response_format": (dict,),
    "tools": (list,),
    "tool_choice": (str, dict),
    "parallel_tool_calls": (bool,),
    "stop": (str, list),
    "logit_bias": (dict,),
    "logprobs": (bool, int),
    "top_logprobs": (int,),
    "extra_body": (dict,),
    "expect": (dict,),
}
"""Parameters that no form can show; `extra_body`, a name from OpenAI's client, holds options of the server's own."""
_OURS = frozenset({"prompt", "system", "messages", "input", "extra_body", "expect"})
_LINE = frozenset({"method", "url", "body"})
_CONTENT = {"chat": "messages", "completion": "prompt", "embedding": "input"}
_TYPES = {str: "text", list: "a list", dict: "a map", bool: "true or false", int: "an integer"}
_ITEMS_A_TURN = 256


@dataclass(frozen=True, slots=True)
class Template:
    """What a job's placement keeps for its items: the recipe that it names, and its model if that was known."""

    recipe: str = ""
    model: str = ""

    def encoded(self) -> bytes:
        """As it is kept."""
        return msgspec.json.encode(self) if self.model else self.recipe.encode()

    @staticmethod
    def decoded(kept: bytes) -> "Template":
        """As it was; of jobs from before models were kept, the recipe alone."""
        return msgspec.json.decode(kept, type=Template) if kept[:1] == b"{" else Template(kept.decode())


@dataclass(frozen=True, slots=True)
class Ask:
    """One request; with `is_line` it came from a batch file, and its answer is kept as the server gave it.

    An answer that is not what it `expects` is kept, too, but its item is rejected.
    """

    kind: str
    body: dict[str, Any]
    is_line: bool = False
    expects: Expectation | None = None

    @property
    def wants_json(self) -> bool:
        """Whether the text of the answer is to be JSON."""
        wanted = self.body.get("response_format")
        return isinstance(wanted, dict) and str(cast("dict[str, Any]", wanted).get("type")).startswith("json")

    @property
    def most_tokens(self) -> int | None:
        """Where the answer is cut, if that was said."""
        most = self.body.get("max_completion_tokens", self.body.get("max_tokens"))
        return most if isinstance(most, int) and most > 0 else None

    @property
    def characters(self) -> int:
        """How long that is which the server has to read, pictures aside."""
        return _characters(self.body.get(_CONTENT[self.kind])) + _characters(self.body.get("tools"))


async def check_items(
    request: Submit, recipe: str, model: str, whole_name: Callable[[str], str] = lambda name: name
) -> None:
    """Check what all items ask for; `whole_name` is how the server lists a model that goes by several names.

    Raises:
        Refused: `bad_request`, naming the first offending field.
    """
    shared = as_map(request.params, "params")
    _check_options(shared, "params")
    for index, item in enumerate(request.items):
        if index % _ITEMS_A_TURN == _ITEMS_A_TURN - 1:
            await asyncio.sleep(0)
        field = f"items[{index}].params"
        asked = ask_of({**shared, **as_map(item.params, field)}, recipe, field)
        other = asked.body.get("model") or model
        if model and (not isinstance(other, str) or whole_name(other) != model):
            hint = f"this job is for {model}; put the lines for {other!r:.80} into a job of their own"
            raise _bad(f"{field}.body.model", f"{other!r:.80} is another", hint)


def ask_of(params: Mapping[str, Any], recipe: str, field: str = "params") -> Ask:
    """What an item asks for; the model is named only in a line of a batch file, if there.

    Raises:
        Refused: `bad_request`, naming the offending field.
    """
    if _LINE & params.keys():
        return _ask_of_line(params, recipe, field)
    _check_options(params, field)
    kind = recipe or ("embedding" if "input" in params else "chat")
    options = {name: value for name, value in params.items() if name not in _OURS}
    body = {**params.get("extra_body", {}), **options, _CONTENT[kind]: _content(kind, params, field)}
    return Ask(kind, body, expects=_expects(kind, params, field))


def kind_of(params: Mapping[str, Any], recipe: str) -> str:
    """What an item seems to ask for, before it has been checked."""
    body = params.get("body")
    return recipe or _kind_of_body(cast("dict[str, Any]", body) if isinstance(body, dict) else params)


def named_model(params: Mapping[str, Any]) -> str:
    """The model that a line of a batch file names."""
    body = params.get("body")
    model = cast("dict[str, Any]", body).get("model") if isinstance(body, dict) else None
    return model if isinstance(model, str) else ""


def _ask_of_line(params: Mapping[str, Any], recipe: str, field: str) -> Ask:
    """A line as in OpenAI's batch files: `method`, `url`, `body`."""
    if strange := params.keys() - _LINE - {"expect"}:
        raise _bad(f"{field}.{min(strange)}", "is not known beside body", "put options into the body")
    if params.get("method", "POST") != "POST":
        raise _bad(f"{field}.method", f"{params['method']!r:.80} can't be done", "POST")
    body: Any = params.get("body")
    if not isinstance(body, dict):
        raise _bad(f"{field}.body", f"{body!r:.80} is no map", '{"model": "m", "messages": [...]}')
    said = cast("dict[str, Any]", body)
    kind = _kind_at(params.get("url"), field) or recipe or _kind_of_body(said)
    if recipe and kind != recipe:
        raise _bad(f"{field}.url", f"{params.get('url')!r:.80} is not of recipe {recipe}", f"/v1{PATHS[recipe]}")
    if _CONTENT[kind] not in said:
        raise _bad(f"{field}.body.{_CONTENT[kind]}", "is missing", f"what {PATHS[kind]} takes")
    asked = {name: value for name, value in said.items() if not name.startswith("stream")}
    return Ask(kind, asked, is_line=True, expects=_expects(kind, params, field))


def _expects(kind: str, params: Mapping[str, Any], field: str) -> Expectation | None:
    if "expect" not in params:
        return None
    if kind == "embedding":
        raise _bad(f"{field}.expect", "is not for an embedding", "leave it out")
    return expectation_of(params["expect"], f"{field}.expect")


def _kind_at(url: Any, field: str) -> str:
    if url is None:
        return ""
    for kind, path in PATHS.items():
        if url == f"/v1{path}":
            return kind
    raise _bad(f"{field}.url", f"{url!r:.80} can't be asked", ", ".join(f"/v1{path}" for path in PATHS.values()))


def _kind_of_body(body: Mapping[str, Any]) -> str:
    return next((kind for kind, content in _CONTENT.items() if content in body), "chat")


def _content(kind: str, params: Mapping[str, Any], field: str) -> Any:
    """The part of a request that is no option."""
    given = [name for name in ("prompt", "messages", "input") if name in params]
    fit = {"chat": ("prompt", "messages"), "completion": ("prompt",), "embedding": ("prompt", "input")}[kind]
    if len(given) != 1 or given[0] not in fit:
        what = f"has {' and '.join(given)}" if given else f"asks for no {kind}"
        raise _bad(f"{field}.{given[-1] if given else fit[0]}", what, f"one of: {', '.join(fit)}")
    if kind != "chat" and "system" in params:
        raise _bad(f"{field}.system", f"is not for a {kind}", "leave it out")
    if given == ["messages"] or kind != "chat":
        if "system" in params:
            raise _bad(f"{field}.system", "stands beside messages", 'begin them with {"role": "system", ...}')
        return params[given[0]]
    system = [{"role": "system", "content": params["system"]}] if "system" in params else []
    return [*system, {"role": "user", "content": params["prompt"]}]


def _check_options(params: Mapping[str, Any], field: str) -> None:
    """Check all parameters that are there."""
    for name, value in params.items():
        types = _STRUCTURED.get(name)
        if types is not None and (not isinstance(value, types) or (not value and name in _CONTENT.values())):
            accepted = " or ".join(_TYPES[each] for each in types)
            raise _bad(f"{field}.{name}", f"{value!r:.80} is not {accepted}" if value else "is empty", accepted)
        if types is None and name not in _SCALARS and name not in _LINE:
            hint = did_you_mean(name, [*_SCALARS, *_STRUCTURED]) or "options of the server's own go into extra_body"
            raise Refused(
                ErrorCode.BAD_REQUEST,
                f"{field}: there is no parameter {name!r:.80}",
                field=f"{field}.{name:.80}",
                hint=hint,
            )
    check_parameters({name: value for name, value in params.items() if name in _SCALARS}, _SCALARS, field)


def _bad(field: str, what: str, hint: str) -> Refused:
    return Refused(ErrorCode.BAD_REQUEST, f"{field} {what}", field=field, hint=hint)


def _characters(value: Any) -> int:
    """Of all texts in a value; data in a URL is no text."""
    if isinstance(value, str):
        return 0 if value.startswith("data:") else len(value)
    if isinstance(value, dict):
        return sum(map(_characters, cast("dict[str, Any]", value).values()))
    return sum(map(_characters, cast("list[Any]", value))) if isinstance(value, list) else 0
