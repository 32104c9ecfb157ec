"""What makes the server reject a prompt, with the error types and texts that were recorded."""

import sys
import traceback
from typing import Any

from tests.fakes.comfyui.nodes import Nodes, choices
from tests.fakes.comfyui.options import Options

Json = dict[str, Any]

_COERCE: dict[str, Any] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
_MANY_OPTIONS = 20


class Rejected(Exception):
    """Nothing of the prompt can run."""

    def __init__(self, error: Json, node_errors: Json) -> None:
        self.body = {"error": error, "node_errors": node_errors}


class Validation:
    """One look at one prompt. Values are coerced in place, as the real server does."""

    def __init__(self, graph: Json, nodes: Nodes, options: Options) -> None:
        self._graph = graph
        self._nodes = nodes
        self._options = options
        self._seen: dict[str, tuple[bool, list[Json]]] = {}
        self._node_errors: Json = {}

    def run(self, targets: Any) -> tuple[list[str], Json]:
        """The ids of the outputs that can run, in the order of a set, and what is wrong with the others.

        Raises:
            Rejected: none can run.
        """
        outputs = self._find_outputs(targets)
        good: set[str] = set()
        texts: list[str] = []
        for output in outputs:
            if self._is_valid_output(output):
                good.add(output)
            else:
                texts.extend(f"{each['message']}: {each['details']}" for each in self._seen.get(output, (False, []))[1])
        if not good:
            kind = "prompt_outputs_failed_validation"
            raise Rejected(_error(kind, "Prompt outputs failed validation", "\n".join(texts)), self._node_errors)
        return list(good), self._node_errors

    def _find_outputs(self, targets: Any) -> list[str]:
        outputs: list[str] = []
        for node_id in self._graph:
            node = self._graph[node_id]
            if "class_type" not in node:
                raise Rejected(self._no_class(node_id), {})
            if node["class_type"] not in self._nodes:
                raise Rejected(self._unknown_class(node_id, node), {})
            if self._nodes.is_output(node["class_type"]) and (targets is None or node_id in targets):
                outputs.append(node_id)
        if not outputs:
            raise Rejected(_error("prompt_no_outputs", "Prompt has no outputs"), {})
        return outputs

    def _no_class(self, node_id: str) -> Json:
        details = f"Node ID '#{node_id}'"
        if self._options.old:
            return _error(
                "invalid_prompt", "Cannot execute because a node is missing the class_type property.", details
            )
        title = self._graph[node_id].get("_meta", {}).get("title")
        name = title or f"ID #{node_id}"
        text = f"Node '{name}' has no class_type. The workflow may be corrupted or a custom node is missing."
        return _error("missing_node_type", text, details, node_id=node_id, class_type=None, node_title=title)

    def _unknown_class(self, node_id: str, node: Json) -> Json:
        name = node["class_type"]
        details = f"Node ID '#{node_id}'"
        if self._options.old:
            return _error("invalid_prompt", f"Cannot execute because node {name} does not exist.", details)
        title = node.get("_meta", {}).get("title", name)
        text = f"Node '{title}' not found. The custom node may not be installed."
        return _error("missing_node_type", text, details, node_id=node_id, class_type=name, node_title=title)

    def _is_valid_output(self, output: str) -> bool:
        """Whether an output can run; if not, its nodes' errors are noted. Of a cycle, older servers note nothing."""
        if cycle := self._find_cycle(output, ()):
            if self._options.new:
                self._note_cycle(output, cycle)
            return False
        try:
            valid = self._check(output)
        except Exception as error:  # noqa: BLE001 whatever it was, the real server reports it as this node's error
            text = "Exception when validating node"
            more = {"exception_type": type(error).__name__, "traceback": _trace()}
            self._seen[output] = (False, [_error("exception_during_validation", text, str(error), **more)])
            valid = False
        if not valid:
            self._note_errors(output)
        return valid

    def _note_errors(self, output: str) -> None:
        for node_id, (valid, errors) in self._seen.items():
            if not valid and errors:
                known = {"errors": errors, "dependent_outputs": [], "class_type": self._graph[node_id]["class_type"]}
                self._node_errors.setdefault(node_id, known)["dependent_outputs"].append(output)

    def _note_cycle(self, output: str, cycle: tuple[str, ...]) -> None:
        nodes = list(dict.fromkeys(cycle))
        details = " -> ".join(f"{node_id} ({self._graph[node_id]['class_type']})" for node_id in cycle)
        for node_id in nodes:
            text = "Dependency cycle detected"
            error = _error("dependency_cycle", text, details, node_id=node_id, cycle_nodes=nodes)
            self._seen[node_id] = (False, [error])
        self._note_errors(output)

    def _find_cycle(self, node_id: str, path: tuple[str, ...]) -> tuple[str, ...]:
        """The nodes of a cycle before this node, the first one again at the end; nothing if there is none."""
        if node_id in path:
            return (*path[path.index(node_id) :], node_id)
        inputs: Json = self._graph.get(node_id, {}).get("inputs", {})
        links: list[Any] = [value[0] for value in inputs.values() if isinstance(value, list) and value]
        cycles = (self._find_cycle(each, (*path, node_id)) for each in links if isinstance(each, str))
        return next(filter(None, cycles), ())

    def _check(self, node_id: str) -> bool:
        if node_id in self._seen:
            return self._seen[node_id][0]
        inputs: Json = self._graph[node_id]["inputs"]
        declared = self._nodes[self._graph[node_id]["class_type"]]["input"]
        errors: list[Json] = []
        valid = True
        for name, info in (declared.get("required", {}) | declared.get("optional", {})).items():
            if name not in inputs:
                if name in declared.get("required", {}):
                    errors.append(_error("required_input_missing", "Required input is missing", name, input_name=name))
            elif isinstance(inputs[name], list):
                valid = self._check_link(name, info, inputs[name], errors) and valid
            else:
                self._check_value(name, info, inputs, errors)
        errors.extend(self._check_files(node_id, inputs))
        valid = valid and not errors
        self._seen[node_id] = (valid, errors)
        return valid

    def _check_link(self, name: str, info: list[Any], link: list[Any], errors: list[Json]) -> bool:
        config = {"input_name": name, "input_config": info}
        if len(link) != 2:
            text = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            errors.append(_error("bad_linked_input", text, name, **config, received_value=link))
            return False
        source = self._nodes[self._graph[link[0]]["class_type"]]
        received = tuple(source["output"])[link[1]]
        if received != info[0] and "*" not in (received, info[0]):
            details = f"{name}, received_type({received}) mismatch input_type({info[0]})"
            more = {**config, "received_type": received, "linked_node": link}
            errors.append(_error("return_type_mismatch", "Return type mismatch between linked nodes", details, **more))
            return False
        try:
            return self._check(link[0])
        except Exception as error:  # noqa: BLE001 whatever it was, the real server reports it as that node's error
            text = "Exception when validating inner node"
            more = {**config, "exception_message": str(error), "exception_type": type(error).__name__}
            inner = _error(
                "exception_during_inner_validation", text, str(error), **more, traceback=_trace(), linked_node=link
            )
            self._seen[link[0]] = (False, [inner])
            return False

    def _check_value(self, name: str, info: list[Any], inputs: Json, errors: list[Json]) -> None:
        value = inputs[name]
        config: Json = {"input_name": name, "input_config": info}
        try:
            if isinstance(info[0], str) and info[0] in _COERCE:
                value = inputs[name] = _COERCE[info[0]](value)
        except (TypeError, ValueError) as error:
            text = f"Failed to convert an input value to a {info[0]} value"
            more = {**config, "received_value": value, "exception_message": str(error)}
            errors.append(_error("invalid_input_type", text, f"{name}, {value}, {error}", **more))
            return
        limits: Json = info[1] if len(info) > 1 else {}
        if "min" in limits and value < limits["min"]:
            text = f"Value {value} smaller than min of {limits['min']}"
            errors.append(_error("value_smaller_than_min", text, name, **config, received_value=value))
        elif "max" in limits and value > limits["max"]:
            text = f"Value {value} bigger than max of {limits['max']}"
            errors.append(_error("value_bigger_than_max", text, name, **config, received_value=value))
        offered = choices(info)
        if offered is not None and value not in offered and "image_upload" not in limits:
            few = len(offered) <= _MANY_OPTIONS
            config["input_config"] = info if few else None
            details = f"{name}: '{value}' not in {offered if few else f'(list of length {len(offered)})'}"
            errors.append(_error("value_not_in_list", "Value not in list", details, **config, received_value=value))

    def _check_files(self, node_id: str, inputs: Json) -> list[Json]:
        name = inputs.get("image")
        if self._graph[node_id]["class_type"] not in ("LoadImage", "LoadImageMask") or not isinstance(name, str):
            return []
        if self._nodes.folders.has_input(name):
            return []
        details = f"image - Invalid image file: {name}"
        return [_error("custom_validation_failed", "Custom validation failed for node", details, input_name="image")]


BAD_PROMPT_ID: Json = {
    "type": "invalid_prompt_id",
    "message": "prompt_id must be a valid UUID",
    "details": "prompt_id must be a UUID string in canonical lowercase hyphenated form; "
    "omit it to let the server generate one",
    "extra_info": {},
}

NO_PROMPT: Json = {
    "error": {"type": "no_prompt", "message": "No prompt provided", "details": "No prompt provided", "extra_info": {}},
    "node_errors": {},
}


def _error(kind: str, message: str, details: str = "", **extra: Any) -> Json:
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def _trace() -> list[str]:
    return traceback.format_tb(sys.exc_info()[2])
