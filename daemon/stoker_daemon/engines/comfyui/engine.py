"""The port `Engine` for a ComfyUI server."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from msgspec import structs

from stoker_daemon.engines.comfyui.ahead import Ahead
from stoker_daemon.engines.comfyui.batch import Batch, Bench
from stoker_daemon.engines.comfyui.caching import Caching
from stoker_daemon.engines.comfyui.catalogue import Catalogue
from stoker_daemon.engines.comfyui.inputs import Inputs
from stoker_daemon.engines.comfyui.memory import Memory
from stoker_daemon.engines.comfyui.messages import Message
from stoker_daemon.engines.comfyui.parts import MAX_DEPTH, names_of, prompt_id
from stoker_daemon.engines.comfyui.progress import NodeTimes
from stoker_daemon.engines.comfyui.prompts import SURE_S, Prompts, Stuck
from stoker_daemon.engines.comfyui.restarting import restart
from stoker_daemon.engines.comfyui.results import Place, Results
from stoker_daemon.engines.comfyui.server import Faulty, Server, Unreachable
from stoker_daemon.engines.comfyui.sharing import Sharing, level_of
from stoker_daemon.engines.comfyui.stream import Stream
from stoker_daemon.engines.fitting import check_items, choose_model
from stoker_daemon.execution.waiting import end_tasks
from stoker_daemon.jobs.records import EngineFailure, Interrupted, Member, Placement, Resident, Signature
from stoker_daemon.ports import Blobs, RunObserver
from stoker_daemon.recipes import object_info
from stoker_daemon.recipes import template as templates
from stoker_daemon.recipes.checking import check_graph, check_shared
from stoker_daemon.recipes.describing import parameters_of
from stoker_daemon.recipes.library import Library
from stoker_daemon.recipes.merging import MOST_ITEMS
from stoker_daemon.recipes.template import Template
from stoker_daemon.recipes.weights import levels_of, model_kind
from stoker_daemon.scheduling.estimating import Keeps
from stoker_daemon.scheduling.residency import AND, JOIN, Key
from stoker_protocol import jobs as words
from stoker_protocol.codec import pack, unpack_map
from stoker_protocol.errors import FailureKind, Refused
from stoker_protocol.requests import Submit

ATTEND_S = 5.0
"""Between two looks at the server."""
LEARN_S = 60.0
"""Between two looks at what it offers."""
RUN_S = 1.0
"""A run takes as many short prompts as fit into this: between two runs the server waits for a commit here."""
MAX_BATCH = 32
SEEN_S = 5.0
"""A server that answered so lately needs not be asked whether it is there."""
ASIDE_S = 5.0
"""Bounds what is asked of the server beside a run."""

log = structlog.get_logger()


class ComfyEngine:
    """Runs workflows on the ComfyUI server at `url`.

    Jobs that name no recipe mean `default_recipe`, those without a model `default_model` or the server's first
    checkpoint. Outputs are read from `output_dir` if given, and with `delete_outputs` removed there once they are
    stored. `restart_command` is the last rung for a server that hangs; it has `start_timeout_s` to answer again.
    With `read_ahead` the files of the next model are read from `models_dir`, or from where the server has them.
    """

    remembers = True

    def __init__(
        self,
        name: str,
        *,
        url: str,
        lane: str,
        library: Library,
        blobs: Blobs,
        default_recipe: str = "txt2img",
        default_model: str = "",
        output_dir: Path | None = None,
        delete_outputs: bool = False,
        restart_command: Sequence[str] = (),
        max_output_bytes: int = 512 << 20,
        start_timeout_s: float = 60.0,
        batch_size: int = 8,
        models_dir: Path | None = None,
        read_ahead: bool = True,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._lane = lane
        self._library = library
        self._default_recipe = default_recipe
        self._default_model = default_model
        self._delete_outputs = delete_outputs
        self._restart_command = restart_command
        self._start_timeout_s = start_timeout_s
        self._now_s = now_s
        self._server = Server(url)
        self._stream = Stream(url, self._hear, self._look_now)
        self._prompts = Prompts(self._server, self._stream, NodeTimes(), now_s)
        self._inputs = Inputs(self._server, blobs)
        self._results = Results(self._server, output_dir, max_output_bytes)
        self._catalogue = Catalogue()
        self._memory = Memory(self._server)
        self._caching = Caching()
        self._ahead = Ahead(url, models_dir, is_on=read_ahead)
        self._needed = ""
        self._sharing = Sharing(batch_size, now_s)
        self._state, self._detail = "starting", ""
        self._seen_s = self._learned_s = float("-inf")
        self._queue = (0, 0)
        self._last_error = ""
        self._prompt_s = RUN_S
        self._look = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._batch: tuple[str, Batch] | None = None
        self._given_up: asyncio.Future[str] | None = None
        self._found: dict[str, set[str]] = {}
        self._unwanted: dict[str, float] = {}
        self._stored: list[tuple[RunObserver, list[Place]]] = []
        self._first_model = default_model
        self._parameters: list[words.Parameter] = []
        self._recipes = self._described()

    def facts(self) -> words.Engine:
        ours, others = self._queue
        return words.Engine(
            name=self.name,
            kind="comfyui",
            state=self._state,
            lane=self._lane,
            default_model=self._first_model,
            models=self._catalogue.models,
            parameters=self._parameters,
            max_batch=max(self._short_prompts(), self._sharing.most("close")),
            detail=self._detail,
            server=words.Server(
                url=self._server.url,
                version=self._catalogue.version,
                devices=self._catalogue.devices,
                ours=ours,
                others=others,
                caching=self._caching.words() if self._catalogue.version else "",
                node_packs=self._catalogue.node_packs,
                levels=self._sharing.levels() if self._catalogue.info else [],
                last_error=self._last_error,
            ),
        )

    async def start(self) -> None:
        self._state, self._detail = "starting", ""
        self._server.open()
        await self._attend()
        self._tasks = [
            asyncio.create_task(self._stream.serve(), name=f"{self.name} stream"),
            asyncio.create_task(self._watch(), name=f"{self.name} watch"),
        ]

    async def stop(self) -> None:
        if self._batch is not None:
            await _aside(self._batch[1].stop())
        await self._give_up("the daemon stops")
        await end_tasks(self._tasks)
        self._tasks = []
        await self._server.close()
        self._ahead.stop()
        self._memory.forget()
        self._state, self._detail = "down", "stopped"

    def subscribe(self, listener: Callable[[], None], /) -> None:
        self._listeners.append(listener)

    # What jobs are checked against

    def recipes(self) -> list[words.Recipe]:
        return self._recipes

    def place(self, request: Submit) -> Placement:
        template = self._library.template(request, self._default_recipe)
        check_shared(template, request)
        shared = unpack_map(request.params)
        model = ""
        if "model" in {binding.parameter.name for binding in template.bindings}:
            asked = request.model or str(template.values(shared).get("model") or "")
            model = self._model_meant(asked, model_kind(template))
            template = structs.replace(template, defaults={**template.defaults, "model": model})
        graph = templates.fill(template, shared)
        heavy, light = levels_of(graph)
        residency = JOIN.join([AND.join(heavy), *light])
        profile = self._library.profile(request.profile)
        batch_size = request.batch_size or (profile.batch_size if profile else 0)
        level, key = level_of(graph, request.level or ("exact" if batch_size == 1 else "close"))
        return Placement(
            model,
            Signature(engine=self.name, residency=residency or "no model", merge=key),
            template.recipe,
            templates.encode(structs.replace(template, level=level)),
            profile.batch_size if profile else 0,
        )

    async def check(self, request: Submit, placement: Placement) -> None:
        template = templates.decode(placement.template)
        try:
            await self._check(request, template)
        except Refused:
            if not await self._learn():
                raise
            await self._check(request, template)  # somebody may have put a new model there

    async def _check(self, request: Submit, template: Template) -> None:
        info = self._catalogue.info
        if info is not None:
            check_graph(template, request, info)
        await check_items(parameters_of(template, info, with_inputs=True), request)
        await self._inputs.check(request)

    # Runs

    def max_batch(self, signature: Signature, /) -> int:
        shared = self._sharing.most(signature.merge)
        return shared if shared > 1 else self._short_prompts()

    async def load(self, residency: str, /) -> float:
        """The server loads within a prompt: it only has to be there."""
        self._needed = residency
        await self._tidy()
        if self._now_s() - self._seen_s > SEEN_S and not await self._attend():
            raise EngineFailure(FailureKind.SERVER_ERROR, self._detail, unavailable=True)
        return 0.0

    def residents(self) -> list[Resident]:
        return self._memory.residents()

    async def unload(self, residency: str) -> None:
        """The server frees all of its memory or nothing."""
        if self._state == "ready" and residency in ("", *(each.residency for each in self.residents())):
            await self._memory.free()
            self._caching.let_go()

    def keeps(self) -> Keeps:
        """What the server keeps in the host's memory, and how: for the price of loads."""
        return self._caching.keeps()

    def read_ahead(self, residency: str) -> None:
        """Have the host read what the server will load next, if it need not be at work for that; returns at once."""
        if residency not in self._caching.keeps().kept:
            kinds = [(each.kind, each.name) for each in self._catalogue.models]
            names = Key(self.name, residency).files
            self._ahead.read([(kind, name) for kind, name in kinds if name in names])

    async def run(self, run_id: str, members: Sequence[Member], observer: RunObserver) -> bool:
        self._memory.use(self._needed)
        bench = Bench(
            self.name,
            self._catalogue.version,
            self._server,
            self._prompts,
            self._inputs,
            self._results,
            self._sharing,
            lambda found: self._caching.saw(self._needed, found),
        )
        batch = Batch(bench, run_id, members, observer, self._found.pop(run_id, ()))
        self._batch = (run_id, batch)
        self._given_up = asyncio.get_running_loop().create_future()
        began_s = self._now_s()
        work = asyncio.create_task(batch.run())
        try:
            return await self._outcome(run_id, batch, work)
        finally:
            await end_tasks([work])
            if self._delete_outputs:
                self._stored.append((observer, batch.fetched))
            self._batch = self._given_up = None
            self._last_error = batch.last_error or self._last_error
            if not batch.has_shared:
                self._prompt_s += 0.5 * ((self._now_s() - began_s) / len(members) - self._prompt_s)

    async def holds(self, run: Interrupted) -> bool:
        names = names_of([member.position for member in run.members])
        ids = {prompt_id(run.run_id, name): name for name in names}
        try:
            found = await self._prompts.find(ids)
        except (Unreachable, Faulty) as error:
            raise EngineFailure(FailureKind.SERVER_ERROR, str(error), unavailable=True) from None
        if found:
            self._found[run.run_id] = {ids[one] for one in found}
        return bool(found)

    async def interrupt(self, run_id: str) -> None:
        if self._batch is not None and self._batch[0] == run_id:
            await _aside(self._batch[1].stop())
        else:
            self._forsake(run_id)
            if self._state != "starting":
                await _aside(self._remove_unwanted())

    async def terminate(self, *, force: bool) -> None:
        if self._batch is None:
            return
        await _aside(self._batch[1].stop())
        if force and self._restart_command:
            why = await restart(self._restart_command, self._start_timeout_s)
            await self._give_up(why or "the server was restarted, because a prompt did not end")
        elif force:
            await self._give_up("a prompt does not end, and no restart_command is configured; it goes on at the server")

    async def _give_up(self, reason: str) -> None:
        if self._given_up is not None and not self._given_up.done():
            self._given_up.set_result(reason)
            await asyncio.sleep(0)

    async def _outcome(self, run_id: str, batch: Batch, work: "asyncio.Task[bool]") -> bool:
        """How a run ends; one that is cut short leaves no prompt behind, unless it may go on."""
        assert self._given_up is not None
        is_whole = is_adrift = False
        try:
            await asyncio.wait([work, self._given_up], return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise EngineFailure(FailureKind.CRASH, self._given_up.result(), died=True)
            is_whole = work.result()
            self._seen_s = self._now_s()
            return is_whole
        except EngineFailure as failure:
            batch.last_error, is_adrift = failure.message, failure.adrift
            if isinstance(failure, Stuck) and self._restart_command:
                batch.last_error += await restart(self._restart_command, self._start_timeout_s)
            raise
        finally:
            if not is_whole and not is_adrift:
                self._forsake(run_id)

    # The server, watched

    def _hear(self, message: Message) -> None:
        self._seen_s = self._now_s()
        self._prompts.hear(message)

    def _look_now(self) -> None:
        self._look.set()

    async def _watch(self) -> None:
        """Keep what is known of the server fresh."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ATTEND_S):
                    await self._look.wait()
            self._look.clear()
            await self._attend()

    async def _attend(self) -> bool:
        """Look whether the server is there, and how it is; True: it is."""
        try:
            stats = await self._server.stats()
            self._catalogue.learn_stats(stats)
            self._caching.learn(stats.system.argv, self._catalogue.version)
            self._memory.learn(stats, is_at_work=self._batch is not None)
            await self._count()
            await self._remove_unwanted()
            if self._state != "ready" or self._now_s() - self._learned_s > LEARN_S:
                await self._learn()
        except (Unreachable, Faulty) as error:
            if self._state != "down":
                log.warning("ComfyUI is away", engine=self.name, why=str(error))
            self._state, self._detail = "down", str(error)
            self._memory.forget()
            self._caching.forget()
            return False
        if self._state != "ready":
            log.info("ComfyUI is there", engine=self.name, url=self._server.url, version=self._catalogue.version)
        was_away, self._state, self._detail = self._state == "down", "ready", ""
        self._seen_s = self._now_s()
        for listener in self._listeners if was_away else ():
            listener()
        return True

    async def _learn(self) -> bool:
        """Ask what the server offers; True: that is known now."""
        try:
            body = await self._server.object_info()
            info = await asyncio.to_thread(object_info.parse, body)
            self._catalogue.learn_classes(info)
            self._sharing.learn(info)
            if self._ahead.wants_folders:
                self._ahead.learn(await self._server.folders())
        except (Unreachable, Faulty) as error:
            log.warning("what ComfyUI offers is not known", engine=self.name, why=str(error))
            return False
        self._learned_s = self._now_s()
        self._recipes = self._described()
        of_default = [recipe.parameters for recipe in self._recipes if recipe.name == self._default_recipe]
        self._parameters = of_default[0] if of_default else []
        self._first_model = self._default_model or choose_model(self._catalogue.of_kind("checkpoint"), "")
        return True

    def _described(self) -> list[words.Recipe]:
        """The recipes, with what is known of the server: many ask for them, and they change only with that."""
        found: list[words.Recipe] = []
        for recipe in self._library.recipes.values():
            parameters = parameters_of(recipe.template(), self._catalogue.info)
            # Without the parts that may be left out, which the server would refuse as they are.
            workflow = pack(templates.fill(recipe.template(()), {}))
            found.append(words.Recipe(recipe.name, self.name, recipe.summary, parameters, workflow=workflow))
        return found

    async def _count(self) -> None:
        """Whose prompts are in the queue."""
        queue = await self._server.queue()
        there = queue.running | queue.pending
        ours = len(there & self._prompts.ids)
        self._queue = (ours, len(there) - ours)

    async def _remove_unwanted(self) -> None:
        """Stop what is left of runs that nobody wants any more, until it is gone. Raises Unreachable, Faulty."""
        if not self._unwanted:
            return
        queue = await self._server.queue()
        for prompt in [*(queue.pending & self._unwanted.keys()), *(queue.running & self._unwanted.keys())]:
            await self._prompts.stop(prompt)
        for prompt in self._unwanted.keys() - queue.pending - queue.running:
            if self._now_s() - self._unwanted[prompt] > SURE_S:
                del self._unwanted[prompt]

    def _forsake(self, run_id: str) -> None:
        """Have a run's prompts removed as soon as the server can be asked."""
        names = names_of(range(MOST_ITEMS), MAX_DEPTH)
        self._unwanted |= {prompt_id(run_id, name): self._now_s() for name in names}
        self._look_now()

    async def _tidy(self) -> None:
        """Delete at the server what is recorded here; until then, who takes up the run needs it."""
        recorded = [place for observer, places in self._stored if observer.is_recorded for place in places]
        self._stored = [(observer, places) for observer, places in self._stored if not observer.is_recorded]
        for place in recorded:
            try:
                await self._results.delete(place)
            except (Faulty, OSError) as error:
                log.warning("an output could not be deleted", engine=self.name, file=place.filename, why=str(error))

    def _short_prompts(self) -> int:
        """How many prompts of their own share a run, as long as they are that short."""
        return max(1, min(MAX_BATCH, int(RUN_S / max(self._prompt_s, 0.001))))

    def _model_meant(self, asked: str, kind: str = "checkpoint") -> str:
        default = self._default_model if kind == "checkpoint" else ""
        return choose_model(self._catalogue.of_kind(kind), asked or default)


async def _aside(asked: Coroutine[Any, Any, None]) -> None:
    """Ask something of the server that it may leave undone: whoever asks goes on."""
    try:
        async with asyncio.timeout(ASIDE_S):
            await asked
    except (TimeoutError, Unreachable, Faulty) as error:
        log.warning("ComfyUI did not do what it was asked", why=str(error))
