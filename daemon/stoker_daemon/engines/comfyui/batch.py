"""One run on a ComfyUI server: a prompt for each member, one at work and at most one waiting behind it."""

import asyncio
import hashlib
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stoker_daemon.engines.comfyui.answers import Entry, Posted, explain_end, explain_refusal
from stoker_daemon.engines.comfyui.inputs import Inputs
from stoker_daemon.engines.comfyui.messages import Previewed
from stoker_daemon.engines.comfyui.progress import Advance
from stoker_daemon.engines.comfyui.prompts import Lost, Prompt, Prompts
from stoker_daemon.engines.comfyui.results import Place, Results, Text, places_of
from stoker_daemon.engines.comfyui.server import Faulty, Server, TooLarge, Unreachable
from stoker_daemon.execution.waiting import end_tasks
from stoker_daemon.jobs.records import EngineFailure, Member, Output
from stoker_daemon.ports import RunObserver
from stoker_daemon.recipes import template as templates
from stoker_daemon.recipes.template import Graph, Template
from stoker_protocol.errors import FailureKind, Refused
from stoker_protocol.jobs import MAX_SEED

AT_SERVER = 2
"""Prompts that the server has at once: what waits there can't be put in another order, and is lost when it restarts."""
SENDS = 3
"""How often a prompt is sent that did not get there."""
ITEMS_A_FOLDER = 1_000
"""The server lists the folder at each save."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a run works with; `engine` and `version` are for the records."""

    engine: str
    version: str
    server: Server
    prompts: Prompts
    inputs: Inputs
    results: Results


class Batch:
    """Call `run` once. `stop` ends it early: what waits is taken back, what is at work is interrupted."""

    def __init__(
        self, bench: Bench, run_id: str, members: Sequence[Member], observer: RunObserver, there: Collection[str]
    ) -> None:
        """`there`: the ids of those prompts that the server has already; the run was begun before."""
        self._bench = bench
        self._run_id = run_id
        self._members = members
        self._observer = observer
        self._there = there
        self._room = asyncio.Semaphore(AT_SERVER)
        self._prompts: dict[int, Prompt] = {}
        self._parts: dict[int, float] = {}
        self._refused: set[int] = set()
        self._stopping = False
        self.fetched: list[Place] = []
        """The files that were stored here."""
        self.last_error = ""

    async def run(self) -> bool:
        """True: to its end; False: it was stopped. Raises EngineFailure."""
        endings: list[asyncio.Task[None]] = []
        try:
            for member in self._members:
                await self._room.acquire()
                if self._stopping or any(task.done() and task.exception() for task in endings):
                    break
                prompt = await self._begin(member, others=any(not task.done() for task in endings))
                if prompt is None:
                    self._room.release()
                else:
                    endings.append(asyncio.create_task(self._finish(member, prompt)))
            await asyncio.gather(*endings)
        finally:
            await end_tasks(endings)
            for prompt in self._prompts.values():
                self._bench.prompts.forget(prompt)
        return not self._stopping

    async def stop(self) -> None:
        """End the run, as far as the server does what it is told; the prompts are asked again until they are gone."""
        self._stopping = True
        for prompt in self._prompts.values():
            prompt.is_unwanted = True
            prompt.news.set()
        left = [prompt.prompt_id for prompt in self._prompts.values() if not prompt.has_ended]
        for waiting_first in reversed(left):
            await self._bench.prompts.stop(waiting_first)

    # One member, step by step

    async def _begin(self, member: Member, *, others: bool) -> Prompt | None:
        """Bring a prompt to the server; None: nothing is to be waited for. `others`: some of the run is there."""
        try:
            template = templates.decode(member.template)
            params = _params_of(template, member)
            graph = templates.fill(template, params)
            await self._bench.inputs.place(graph)
        except Refused as refused:
            self._fail(member, FailureKind.INVALID, refused.message)
            return None
        except KeyError as error:
            self._fail(member, FailureKind.INVALID, f"the workflow can't be put together: {error}")
            return None
        except Faulty as error:
            self._fail(member, FailureKind.SERVER_ERROR, f"an input file can't be sent: {error}")
            return None
        except Unreachable as away:
            raise _away(away, adrift=others or bool(self._there)) from None
        if self._stopping:
            return None
        _name_files(graph, member, self._run_id)
        prompt = self._new_prompt(member, graph)
        if prompt.prompt_id in self._there:
            return prompt
        try:
            return await self._send(member, prompt, self._info(member, template, params))
        except Unreachable as away:
            raise _away(away, adrift=others or bool(self._there) or not away.untouched) from None

    async def _send(self, member: Member, prompt: Prompt, info: Mapping[str, Any]) -> Prompt | None:
        for _ in range(SENDS):
            try:
                posted = await self._bench.prompts.send(prompt, info, previews=self._observer.wants_previews)
            except Lost:
                if self._stopping:
                    return None
                continue
            except Faulty as error:
                self._fail(member, FailureKind.SERVER_ERROR, f"ComfyUI can't take the prompt: {error}")
                return None
            return self._refuse(member, prompt, posted) if posted and posted.is_refused else prompt
        self._fail(member, FailureKind.SERVER_ERROR, "ComfyUI did not take the prompt")
        return None

    def _refuse(self, member: Member, prompt: Prompt, posted: Posted) -> Prompt | None:
        """Tell a refusal. A graph that is only partly wrong was queued all the same, so its end is seen to."""
        self._fail(member, FailureKind.INVALID, f"ComfyUI refuses the workflow: {explain_refusal(posted)}")
        if posted.error is not None:
            return None
        prompt.is_unwanted = True
        prompt.news.set()
        self._refused.add(member.position)
        return prompt

    async def _finish(self, member: Member, prompt: Prompt) -> None:
        """Wait for the end of a prompt, then fetch what it made, while the next one is at work."""
        try:
            entry = await self._bench.prompts.end(prompt)
        except Lost as lost:
            if not prompt.is_unwanted:
                self._fail(member, FailureKind.LOST, str(lost))
            return
        except (Unreachable, Faulty) as away:
            raise _away(away, adrift=True) from None
        finally:
            self._room.release()
        self._advance(member, Advance("saving", 0, 1, 1.0))
        if member.position in self._refused:
            return
        try:
            await self._conclude(member, prompt, entry)
        except Unreachable as away:
            raise _away(away, adrift=True) from None

    async def _conclude(self, member: Member, prompt: Prompt, entry: Entry) -> None:
        how, message = explain_end(entry.status)
        made = places_of(entry)
        if how == "interrupted":
            if not self._stopping:
                self._fail(member, FailureKind.SERVER_ERROR, "somebody interrupted it at the ComfyUI server")
        elif how != "success":
            self._fail(member, FailureKind.OOM if how == "oom" else FailureKind.SERVER_ERROR, message)
        elif not made:
            self._fail(member, FailureKind.INVALID, "the workflow ended without an output: did a node block it?")
        else:
            await self._store(member, prompt, made)

    async def _store(self, member: Member, prompt: Prompt, made: Sequence[Place | Text]) -> None:
        """Fetch all outputs of a member, then hand them on together: half of them would not do."""
        outputs: list[Output] = []
        for number, one in enumerate(made, start=1):
            try:
                data, media_type, suffix = await self._bytes(one)
            except (Faulty, TooLarge) as error:
                kind = FailureKind.INVALID if isinstance(error, TooLarge) else FailureKind.SERVER_ERROR
                self._fail(member, kind, f"an output can't be fetched: {error}")
                return
            record = self._record(member, prompt, one)
            more = number < len(made)
            outputs.append(Output(member.position, data, media_type, suffix, record, more=more, verbatim=True))
        for output in outputs:
            self._observer.on_output(output)
        self.fetched += [one for one in made if isinstance(one, Place)]

    async def _bytes(self, one: Place | Text) -> tuple[bytes, str, str]:
        if isinstance(one, Text):
            return one.text.encode(), "text/plain", ".txt"
        return await self._bench.results.fetch(one), one.media_type, one.suffix or ".bin"

    def _record(self, member: Member, prompt: Prompt, one: Place | Text) -> dict[str, Any]:
        file = {"file": f"{one.subfolder}/{one.filename}".lstrip("/")} if isinstance(one, Place) else {}
        return {
            "comfyui": self._bench.version,
            "server": self._bench.server.url,
            "prompt_id": prompt.prompt_id,
            "node": one.node,
            **file,
            "recipe": templates.decode(member.template).recipe,
            "workflow": prompt.graph,
        }

    def _new_prompt(self, member: Member, graph: Graph) -> Prompt:
        prompt = self._bench.prompts.new(
            prompt_id(self._run_id, member.position),
            graph,
            on_advance=lambda advance: self._advance(member, advance),
            on_preview=lambda previewed: self._preview(member, previewed),
            on_waiting=self._observer.on_waiting,
        )
        self._prompts[member.position] = prompt
        return prompt

    def _advance(self, member: Member, advance: Advance) -> None:
        self._parts[member.position] = advance.fraction
        whole = sum(self._parts.values()) / len(self._members)
        self._observer.on_progress(advance.phase, advance.step, advance.steps, whole)

    def _preview(self, member: Member, previewed: Previewed) -> None:
        if self._observer.wants_previews:
            now = self._prompts[member.position].progress.now()
            self._observer.on_preview(member.position, now.step, now.steps, previewed.image, previewed.media_type)

    def _fail(self, member: Member, kind: FailureKind, message: str) -> None:
        self.last_error = message
        self._observer.on_item_failed(member.position, kind, message)

    def _info(self, member: Member, template: Template, params: Mapping[str, Any]) -> dict[str, Any]:
        """What the server writes into PNG files beside the graph: from it the item can be run again."""
        facts = {"job_id": member.job_id, "index": member.index, "engine": self._bench.engine}
        said = template.values(params)
        model = said.pop("model", "")
        return {"stoker": {**facts, "model": model, "recipe": template.recipe, "params": said}}


def prompt_id(run_id: str, position: int) -> str:
    """The id of a member's prompt on the server, the same whenever it is asked for: newer servers take UUIDs only."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"stoker:{run_id}/{position}"))


def _params_of(template: Template, member: Member) -> dict[str, Any]:
    """The parameters of an item; who gives no seed has one all the same, at each attempt this one."""
    params = template.numbered(member.params, member.index)
    seeds = [binding.parameter for binding in template.bindings if binding.parameter.name == "seed"]
    if not seeds or "seed" in params:
        return params
    first = template.defaults.get("seed", seeds[0].default)
    if first is None:
        first = int.from_bytes(hashlib.sha256(member.job_id.encode()).digest()[:3], "big") // 2
    further = 0 if template.one_seed else member.index
    return {**params, "seed": (first + further) % (MAX_SEED + 1)}


def _name_files(graph: Graph, member: Member, run_id: str) -> None:
    """Let each item save its own files, even where it is the same as another, in a folder that does not grow large."""
    folder = f"stoker/{member.job_id}/{member.index // ITEMS_A_FOLDER:03}"
    for node in graph.values():
        if "filename_prefix" in node["inputs"]:
            node["inputs"]["filename_prefix"] = f"{folder}/{member.index:05}-{run_id}"


def _away(error: Exception, *, adrift: bool) -> EngineFailure:
    return EngineFailure(FailureKind.SERVER_ERROR, str(error), unavailable=True, adrift=adrift)
