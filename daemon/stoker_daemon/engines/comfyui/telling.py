"""What is written down of an item: in the PNG files that the server makes, and in the record beside each output."""

import json
from typing import Any

from stoker_daemon.engines.comfyui.parts import Part, Ready
from stoker_daemon.engines.comfyui.results import Place, Text
from stoker_daemon.recipes.library import OWN_WORKFLOW
from stoker_daemon.recipes.merging import is_same_alone

KEYWORD, GRAPH_KEYWORD = "stoker", "prompt"
"""Under which a PNG file has what Stoker says of it, and the graph that the server ran."""


def info_of_all(engine: str, run_id: str, part: Part) -> dict[str, Any]:
    """What the server is to write into PNG files beside the graph; of several items only which they are."""
    if not part.is_shared:
        return {KEYWORD: _info(engine, part.ready[0])}
    items = [{"job_id": one.member.job_id, "index": one.member.index} for one in part.ready]
    return {KEYWORD: {"engine": engine, "run_id": run_id, "items": items}}


def texts_of(engine: str, one: Ready) -> dict[str, str]:
    """What a PNG file says of one item alone, in the server's own form."""
    return {KEYWORD: json.dumps(_info(engine, one)), GRAPH_KEYWORD: json.dumps(one.alone)}


def record_of(part: Part, one: Ready, output: Place | Text) -> dict[str, Any]:
    """What the record says of an output: by which node and workflow it was made, and in what company.

    `batch` says how equal it is to what the item becomes alone, in a prompt of how many it was made, and which of these
    it is; of a series, which image it is and whether it is the same when it is made alone.
    """
    batch: dict[str, Any] = {
        "level": part.level,
        "size": len(part.ready),
        "index": part.positions.index(one.member.position),
    }
    if one.is_of_series:
        batch |= {"image": one.number, "same_alone": is_same_alone(one.graph, "series")}
    file = {"file": f"{output.subfolder}/{output.filename}".lstrip("/")} if isinstance(output, Place) else {}
    return {"node": output.node, **file, "recipe": one.template.recipe, "batch": batch, "workflow": one.alone}


def _info(engine: str, one: Ready) -> dict[str, Any]:
    """From this the item can be run again; an image of a series only by its own workflow."""
    facts = {"job_id": one.member.job_id, "index": one.member.index, "engine": engine}
    if one.is_of_series:
        return {**facts, "model": "", "recipe": OWN_WORKFLOW, "params": {}}
    said = one.template.values(one.params)
    model = said.pop("model", "")
    return {**facts, "model": model, "recipe": one.template.recipe, "params": said}
