"""One run on a ComfyUI server: its prompts, one at work and at most one waiting behind it."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from stoker_daemon.engines.comfyui.answers import (
    Entry,
    Posted,
    blamed_by_end,
    blamed_by_refusal,
    explain_end,
    explain_refusal,
)
from stoker_daemon.engines.comfyui.caching import found_by
from stoker_daemon.engines.comfyui.inputs import Inputs
from stoker_daemon.engines.comfyui.messages import Previewed
from stoker_daemon.engines.comfyui.parts import Part, Ready, fill, name_files, parts_of, prompt_id
from stoker_daemon.engines.comfyui.progress import Advance
from stoker_daemon.engines.comfyui.prompts import Lost, Prompt, Prompts
from stoker_daemon.engines.comfyui.results import Place, Results, Text, places_of
from stoker_daemon.engines.comfyui.server import Faulty, Server, TooLarge, Unreachable
from stoker_daemon.engines.comfyui.sharing import Sharing
from stoker_daemon.engines.comfyui.telling import info_of_all, record_of, texts_of
from stoker_daemon.execution.waiting import end_tasks
from stoker_daemon.jobs.records import EngineFailure, Member, Output
from stoker_daemon.ports import RunObserver
from stoker_daemon.recipes.merging import item_of
from stoker_daemon.recipes.weights import are_heavy
from stoker_protocol.errors import FailureKind, Refused

AT_SERVER = 2
"""Prompts that the server has at once: what waits there can't be put in another order, and is lost when it restarts."""
SENDS = 3
"""How often a prompt is sent that did not get there."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a run works with; `engine` and `version` are for the records.

    `saw` hears of each prompt whether the model files that it reads were there when it began.
    """

    engine: str
    version: str
    server: Server
    prompts: Prompts
    inputs: Inputs
    results: Results
    sharing: Sharing
    saw: Callable[[Mapping[str, bool]], None]


class Batch:
    """Call `run` once. `stop` ends it early: what waits is taken back, what is at work is interrupted."""

    def __init__(
        self, bench: Bench, run_id: str, members: Sequence[Member], observer: RunObserver, there: Collection[str]
    ) -> None:
        """`there`: the names of those prompts that the server has already; the run was begun before."""
        self._bench = bench
        self._run_id = run_id
        self._members = members
        self._observer = observer
        self._there = there
        self._room = asyncio.Semaphore(AT_SERVER)
        self._waiting: deque[Part] = deque()
        self._endings: list[asyncio.Task[None]] = []
        self._prompts: dict[str, tuple[Part, Prompt]] = {}
        self._fractions: dict[int, float] = {}
        self._refused: set[str] = set()
        self._adopted: set[str] = set()
        self._stopping = False
        self.has_shared = False
        """Whether a prompt was of several members."""
        self.fetched: list[Place] = []
        """The files that were stored here."""
        self.last_error = ""

    async def run(self) -> bool:
        """True: to its end; False: it was stopped. Raises EngineFailure."""
        try:
            self._waiting += parts_of(self._fill(), self._bench.sharing.most, self._there)
            while (part := await self._next()) is not None:
                prompt = await self._begin(part)
                if prompt is None:
                    self._room.release()
                else:
                    self._endings.append(asyncio.create_task(self._finish(*self._prompts[part.name])))
            await asyncio.gather(*self._endings)
        finally:
            await end_tasks(self._endings)
            for _, prompt in self._prompts.values():
                self._bench.prompts.forget(prompt)
        return not self._stopping

    async def stop(self) -> None:
        """End the run, as far as the server does what it is told; the prompts are asked again until they are gone."""
        self._stopping = True
        prompts = [prompt for _, prompt in self._prompts.values()]
        for prompt in prompts:
            prompt.is_unwanted = True
            prompt.news.set()
        left = [prompt.prompt_id for prompt in prompts if not prompt.has_ended]
        for waiting_first in reversed(left):
            await self._bench.prompts.stop(waiting_first)

    # The prompts, one after another

    def _fill(self) -> list[Ready]:
        """The members whose workflows can be put together."""
        ready: list[Ready] = []
        for member in self._members:
            try:
                ready.append(fill(member))
            except KeyError as error:
                self.last_error = f"the workflow can't be put together: {error}"
                self._observer.on_item_failed(member.position, FailureKind.INVALID, self.last_error)
        return ready

    async def _next(self) -> Part | None:
        """The part whose turn it is once the server has room; None: there are no more, or no more are to begin."""
        await self._room.acquire()
        while not self._waiting and (going_on := [task for task in self._endings if not task.done()]):
            await asyncio.wait(going_on, return_when=asyncio.FIRST_COMPLETED)
        has_failed = any(task.done() and task.exception() for task in self._endings)
        return None if self._stopping or has_failed or not self._waiting else self._waiting.popleft()

    async def _begin(self, part: Part) -> Prompt | None:
        """Bring a prompt to the server; None: nothing is to be waited for."""
        others = bool(self._there) or any(not task.done() for task in self._endings)
        try:
            is_there = await self._is_there(part)
            if not is_there:
                part = part.without(self._observer.unwanted)
            part = part.without(await self._place_inputs(part))
        except Unreachable as away:
            raise _away(away, adrift=others) from None
        if self._stopping or not part.ready:
            return None
        if not is_there and self._has_too_many(part):
            return None
        for one in part.ready:
            name_files(one, self._run_id)
        prompt = self._new_prompt(part)
        if is_there:
            self._adopted.add(part.name)
            return prompt
        try:
            return await self._send(part, prompt)
        except Unreachable as away:
            raise _away(away, adrift=others or not away.untouched) from None

    async def _is_there(self, part: Part) -> bool:
        """Whether the server has a prompt; of one that was made smaller, it has not been asked yet."""
        if not self._there or not part.depth:
            return part.name in self._there
        return bool(await self._bench.prompts.find([prompt_id(self._run_id, part.name)]))

    async def _place_inputs(self, part: Part) -> set[int]:
        """Send the files that members read; the positions of those whose files can't be sent. Raises Unreachable."""
        failed: set[int] = set()
        for one in part.ready:
            try:
                await self._bench.inputs.place(one.graph)
            except Refused as refused:
                self._fail([one], FailureKind.INVALID, refused.message)
                failed.add(one.member.position)
            except Faulty as error:
                self._fail([one], FailureKind.SERVER_ERROR, f"an input file can't be sent: {error}")
                failed.add(one.member.position)
        return failed

    def _has_too_many(self, part: Part) -> bool:
        """Whether fewer may share a prompt now than when the run began; then smaller ones wait in its place."""
        most = self._bench.sharing.most(part.ready[0].key)
        if not part.is_shared or (len(part.ready) <= most and most > 1):
            return False
        self._waiting.extendleft(reversed(part.cut(most)))
        return True

    async def _send(self, part: Part, prompt: Prompt) -> Prompt | None:
        info = info_of_all(self._bench.engine, self._run_id, part)
        for _ in range(SENDS):
            try:
                posted = await self._bench.prompts.send(prompt, info, previews=self._observer.wants_previews)
            except Lost:
                if self._stopping:
                    return None
                continue
            except Faulty as error:
                self._fail(part.ready, FailureKind.SERVER_ERROR, f"ComfyUI can't take the prompt: {error}")
                return None
            return self._refuse(part, prompt, posted) if posted and posted.is_refused else prompt
        self._fail(part.ready, FailureKind.SERVER_ERROR, "ComfyUI did not take the prompt")
        return None

    def _refuse(self, part: Part, prompt: Prompt, posted: Posted) -> Prompt | None:
        """Tell a refusal. A graph that is only partly wrong was queued all the same, so its end is seen to."""
        message = f"ComfyUI refuses the workflow: {explain_refusal(posted)}"
        self._try_smaller(part, part.ready, FailureKind.INVALID, message, blamed_by_refusal(posted))
        if posted.error is not None:
            return None
        prompt.is_unwanted = True
        prompt.news.set()
        self._refused.add(part.name)
        return prompt

    async def _finish(self, part: Part, prompt: Prompt) -> None:
        """Wait for the end of a prompt, then fetch what it made, while the next one is at work."""
        try:
            entry = await self._bench.prompts.end(prompt)
        except Lost as lost:
            if not prompt.is_unwanted:
                self._fail(part.ready, FailureKind.LOST, str(lost))
            return
        except (Unreachable, Faulty) as away:
            raise _away(away, adrift=True) from None
        finally:
            self._room.release()
        if part.name in self._refused:
            return
        try:
            await self._conclude(part, prompt, entry)
        except Unreachable as away:
            raise _away(away, adrift=True) from None

    async def _conclude(self, part: Part, prompt: Prompt, entry: Entry) -> None:
        """Store what the members' parts of the prompt made, and see to those that have not got all of theirs."""
        how, _ = explain_end(entry.status)
        if how == "interrupted":
            if not prompt.is_unwanted:
                self._fail(part.ready, FailureKind.SERVER_ERROR, "somebody interrupted it at the ComfyUI server")
            return
        found, left = part.of_each(entry), list[Ready]()
        if how == "success":
            self._tell_weights(prompt, entry)
            self._advance(part, Advance("saving", 0, 1, 1.0))
            part = self._made(part, found)
        for one in part.ready:
            mine = found.get(one.member.position, Entry())
            is_whole = how == "success" or (part.is_shared and one.ends <= mine.outputs.keys())
            if one.member.position in self._observer.unwanted:
                continue
            if is_whole and (made := places_of(mine)):
                await self._store(part, one, prompt, made)
            else:
                left.append(one)
        if how == "success":
            self._fail(left, FailureKind.INVALID, "the workflow ended without an output: did a node block it?")
        elif left:
            self._see_to(part, left, entry)

    def _tell_weights(self, prompt: Prompt, entry: Entry) -> None:
        """Pass on which model files had to be read, if the server says that."""
        if found := found_by(prompt.graph, entry.status):
            read = [reader for reader, was_there in found.items() if not was_there]
            heavy = bool(read) and are_heavy(read, prompt.graph)
            self._observer.on_weights(len(read), prompt.progress.loading_s, heavy=heavy)
            self._bench.saw(found)

    def _made(self, part: Part, found: Collection[int]) -> Part:
        """A prompt as it was begun, perhaps for fewer members than would share it now; the others are still to come."""
        if not part.is_shared or part.name not in self._adopted:
            return part
        others = [one for one in part.ready if one.member.position not in found]
        self._waiting += part.of(others).cut(self._bench.sharing.most(part.ready[0].key))
        return part.of([one for one in part.ready if one.member.position in found])

    def _see_to(self, part: Part, left: Sequence[Ready], entry: Entry) -> None:
        """What becomes of the members that got nothing of a prompt that failed."""
        how, message = explain_end(entry.status)
        if how == "oom":
            self._bench.sharing.ran_out(part.ready[0].key, len(part.ready))
            self._observer.on_out_of_memory()
        kind = FailureKind.OOM if how == "oom" else FailureKind.SERVER_ERROR
        self._try_smaller(part, left, kind, message, blamed_by_end(entry.status))

    def _try_smaller(
        self, part: Part, left: Sequence[Ready], kind: FailureKind, message: str, blamed: Collection[str]
    ) -> None:
        """Members whose shared prompt failed go on without each other; one that was alone has failed.

        The nodes that are to blame may tell whose fault it is; otherwise that is found by halving.
        """
        self.last_error = message
        if len(part.ready) > 1:
            positions = {position for _, position in map(item_of, blamed) if position is not None}
            self._waiting += part.of(left).split(positions)
        else:
            self._fail(left, kind, message)

    async def _store(self, part: Part, one: Ready, prompt: Prompt, made: Sequence[Place | Text]) -> None:
        """Fetch all outputs of a member, then hand them on together: half of them would not do."""
        outputs: list[Output] = []
        texts = texts_of(self._bench.engine, one) if part.is_shared else {}
        for number, output in enumerate(made, start=1):
            try:
                data, media_type, suffix = await self._bytes(output)
            except (Faulty, TooLarge) as error:
                kind = FailureKind.INVALID if isinstance(error, TooLarge) else FailureKind.SERVER_ERROR
                self._fail([one], kind, f"an output can't be fetched: {error}")
                return
            record = {
                "comfyui": self._bench.version,
                "server": self._bench.server.url,
                "prompt_id": prompt.prompt_id,
                **record_of(part, one, output),
            }
            more, position = number < len(made), one.member.position
            outputs.append(Output(position, data, media_type, suffix, record, more=more, verbatim=True, texts=texts))
        for output in outputs:
            self._observer.on_output(output)
        self.fetched += [output for output in made if isinstance(output, Place)]

    async def _bytes(self, one: Place | Text) -> tuple[bytes, str, str]:
        if isinstance(one, Text):
            return one.text.encode(), "text/plain", ".txt"
        return await self._bench.results.fetch(one), one.media_type, one.suffix or ".bin"

    def _new_prompt(self, part: Part) -> Prompt:
        prompt = self._bench.prompts.new(
            prompt_id(self._run_id, part.name),
            part.graph(),
            on_advance=lambda advance: self._advance(part, advance),
            on_preview=lambda previewed: self._preview(part, previewed),
            on_waiting=self._observer.on_waiting,
            is_wanted=lambda: not set(part.positions) <= set(self._observer.unwanted),
        )
        self._prompts[part.name] = part, prompt
        self.has_shared |= part.is_shared
        return prompt

    def _advance(self, part: Part, advance: Advance) -> None:
        self._fractions |= dict.fromkeys(part.positions, advance.fraction)
        whole = sum(self._fractions.values()) / len(self._members)
        self._observer.on_progress(advance.phase, advance.step, advance.steps, whole)

    def _preview(self, part: Part, previewed: Previewed) -> None:
        """Pass a preview on, which the server makes of the first image of a batch only."""
        first = part.ready[0].member.position
        if self._observer.wants_previews and first not in self._observer.unwanted:
            now = self._prompts[part.name][1].progress.now()
            self._observer.on_preview(first, now.step, now.steps, previewed.image, previewed.media_type)

    def _fail(self, members: Iterable[Ready], kind: FailureKind, message: str) -> None:
        self.last_error = message
        for one in members:
            if one.member.position not in self._observer.unwanted:
                self._observer.on_item_failed(one.member.position, kind, message)


def _away(error: Exception, *, adrift: bool) -> EngineFailure:
    return EngineFailure(FailureKind.SERVER_ERROR, str(error), unavailable=True, adrift=adrift)
