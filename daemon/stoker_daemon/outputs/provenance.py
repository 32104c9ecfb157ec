"""Where an output comes from: the record beside each file, and the texts inside a PNG."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from stoker_daemon.jobs.records import Member, Output, Run
from stoker_daemon.outputs import png
from stoker_daemon.outputs.layout import rfc3339
from stoker_daemon.outputs.plain_json import json_file, json_line


class Origin(NamedTuple):
    """How an output was made. `output` counts those of the item; `facts` are the lane's: timings, versions ..."""

    run: Run
    member: Member
    output: int
    made: Output
    facts: Mapping[str, Any]
    saved_ms: int

    @property
    def model(self) -> str:
        """The model that made it, by the name that its job goes by."""
        return next(job.model for job in self.run.jobs if job.job_id == self.member.job_id)


class Finished(NamedTuple):
    """What goes to disk of an output: the file, its SHA-256, and its record."""

    data: bytes
    sha256: str
    record: bytes


def finish(origin: Origin) -> Finished:
    """Put the texts into a PNG and write the record; a PNG that is damaged stays as it is, and the record says so.

    An output that is to stay as it is gets no texts, but for those that it has in another form.
    """
    data, damage = origin.made.data, {}
    if origin.made.media_type == "image/png" and (origin.made.texts or not origin.made.verbatim):
        try:
            data = _with_texts(origin)
        except png.MalformedPng as error:
            damage = {"malformed": f"stored without text chunks: {error}"}
    sha256 = hashlib.sha256(data).hexdigest()
    record = {**origin.facts, **_record(origin), **damage, "bytes": len(data), "sha256": sha256}
    return Finished(data, sha256, json_file(record))


def _record(origin: Origin) -> dict[str, Any]:
    run, member, made = origin.run, origin.member, origin.made
    known = {"custom_id": member.custom_id, "seed": member.params.get("seed")}
    return {
        "job_id": member.job_id,
        "index": member.index,
        "output": origin.output,
        "attempt": member.attempt,
        "run_id": run.run_id,
        "position": member.position,
        "batch_size": len(run.members),
        "engine": run.signature.engine,
        "model": origin.model,
        "params": member.params,
        "record": made.record,
        "media_type": made.media_type,
        "created_at": rfc3339(origin.saved_ms),
        **{name: value for name, value in known.items() if value is not None},
    }


def _with_texts(origin: Origin) -> bytes:
    """The PNG file with its texts. Raises MalformedPng."""
    data = origin.made.data
    if origin.made.verbatim:
        return png.with_other_text(data, origin.made.texts)
    return png.with_text(data, _texts(origin, png.size_of(data)))


def _texts(origin: Origin, size: png.Size) -> dict[str, str]:
    """`parameters` as image tools show it, and `stoker`, from which the item can be run again."""
    recipe = {
        "job_id": origin.member.job_id,
        "index": origin.member.index,
        "engine": origin.run.signature.engine,
        "model": origin.model,
        "params": origin.member.params,
    }
    return {"parameters": _in_words(origin, size), "stoker": json_line(recipe)}


def _in_words(origin: Origin, size: png.Size) -> str:
    """The prompt, then a line of settings: the convention of AUTOMATIC1111's web UI that gallery tools read."""
    params = origin.member.params
    settings = {
        "Steps": params.get("steps"),
        "Seed": params.get("seed"),
        "Size": f"{size.width}x{size.height}",
        "Model": origin.model,
    }
    line = ", ".join(f"{name}: {value}" for name, value in settings.items() if value is not None)
    return f"{params['prompt']}\n{line}" if "prompt" in params else line
