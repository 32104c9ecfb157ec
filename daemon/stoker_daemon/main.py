"""Brings the rooms together: reads the config, builds every part, runs until it is told to stop, and takes it down."""

import asyncio
import json
import os
import random
import secrets
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import structlog
import zmq

from stoker_daemon import handlers
from stoker_daemon.admin.check import glance
from stoker_daemon.admin.surroundings import Surroundings, survey
from stoker_daemon.building import (
    build_doors,
    build_engines,
    build_lanes,
    build_smoke,
    build_thresholds,
    in_force,
    lane_settings,
    named_files,
    reader_ahead,
)
from stoker_daemon.chronicle import Chronicle
from stoker_daemon.clock import Jumps, SystemClock
from stoker_daemon.config import Config, ConfigError, applied, compare
from stoker_daemon.config import load as load_config
from stoker_daemon.config import markdown as config_reference
from stoker_daemon.config import template as config_template
from stoker_daemon.execution.cleaning import OutputCleaning
from stoker_daemon.execution.housekeeping import Housekeeping
from stoker_daemon.execution.lanes import Lanes
from stoker_daemon.execution.learning import Learner, Learning
from stoker_daemon.execution.planning import Planner
from stoker_daemon.execution.recovery import settle_interrupted
from stoker_daemon.execution.retention import Retention
from stoker_daemon.execution.summaries import Summaries
from stoker_daemon.execution.waiting import end_tasks
from stoker_daemon.execution.watch import Watch, watch
from stoker_daemon.execution.world import World
from stoker_daemon.gpu.probe import Probe
from stoker_daemon.greeting import say_ready
from stoker_daemon.library import LibraryError, load_library
from stoker_daemon.log import is_searched
from stoker_daemon.outputs.blobs import BlobStore
from stoker_daemon.outputs.tree import OutputTree
from stoker_daemon.ports import Caller, Engine, Services
from stoker_daemon.process import raise_file_limit, stay_prompt
from stoker_daemon.scheduling.deciding import InWaves
from stoker_daemon.sqlite.database import StoreError
from stoker_daemon.sqlite.store import Store
from stoker_daemon.systemd import Condition, Notifier, Pulse, status_line
from stoker_daemon.zmq.doors import Doors
from stoker_daemon.zmq.endpoints import check_free
from stoker_daemon.zmq.frontend import Frontend
from stoker_daemon.zmq.keyring import KeyringError
from stoker_daemon.zmq.publisher import Publisher
from stoker_daemon.zmq.security import EndpointError
from stoker_protocol import jobs as words
from stoker_protocol.changes import ConfigChange
from stoker_protocol.codec import pack
from stoker_protocol.errors import ErrorCode, Refused
from stoker_protocol.events import DAEMON_TOPIC, DaemonStarted, DaemonStopping
from stoker_protocol.replies import AnyReply, Finding
from stoker_protocol.requests import AnyRequest, GetSnapshot

ENDPOINTS_FILE = "endpoints.json"
HANGS_S = 30.0
"""What takes longer hangs: even a disk that is asleep or a busy network file system answers sooner."""
FACTS_WAIT_S = 5.0
"""How long the start waits for engines to say what they offer, so that the first job can be checked against it."""
SUMMARIES_WAIT_S = 5.0
"""How long the stop waits for the summaries of jobs that have just ended; the next daemon writes what is left."""

logger = structlog.get_logger()

__all__ = ["CannotStart", "Options", "StokerDaemon", "config_reference", "config_template", "describe_config", "run"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    data_dir: Path
    control: Sequence[str]
    events: Sequence[str]
    insecure: bool
    config: Path | None = None
    comfyui: str | None = None


class CannotStart(Exception):
    """What a daemon needs is not as it must be; the exit code says what kind of thing that is."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run(options: Options) -> None:
    """Be the daemon until it is told to stop.

    Raises:
        CannotStart: 2: the configuration makes no sense; 4: the data directory can't be used; 5: an endpoint can't be.
    """
    try:
        config = _read_config(options.config, options.comfyui)
        endpoints = [*options.control, *options.events]
        doors = build_doors(config, options.data_dir, endpoints, insecure=options.insecure)
        check_free(endpoints)
        options.data_dir.mkdir(parents=True, exist_ok=True)
        raise_file_limit()
        asyncio.run(StokerDaemon(options, config, doors).run())
    except (ConfigError, LibraryError, KeyringError) as error:
        raise CannotStart(2, str(error)) from error
    except (StoreError, OSError, Refused) as error:
        raise CannotStart(4, _complaint(error)) from error
    except EndpointError as error:
        raise CannotStart(5, str(error)) from error


def describe_config(path: Path | None, comfyui: str | None) -> str:
    """What a configuration comes to, with all defaults, as indented JSON. Raises CannotStart: 2."""
    try:
        return msgspec.json.format(msgspec.json.encode(_read_config(path, comfyui)), indent=2).decode()
    except ConfigError as error:
        raise CannotStart(2, str(error)) from error


def _read_config(path: Path | None, comfyui: str | None) -> Config:
    config = load_config(path)
    return config if comfyui is None else config.with_comfyui(comfyui)


class StokerDaemon:
    """All parts of one daemon, from its start to its end."""

    def __init__(self, options: Options, config: Config, doors: Doors) -> None:
        """Take the data directory and build what needs no loop.

        Raises:
            StoreError: The data directory or its database can't be used.
            LibraryError: A recipe can't be used.
        """
        self._options = options
        self._config = config
        self._doors = doors
        self._clock = SystemClock()
        self._jumps = Jumps(self._clock.now_ms)
        self._boot = secrets.token_hex(4)
        self._library = load_library(
            None if config.recipes is None else Path(config.recipes),
            [words.Profile(name, p.summary, p.batch_size, pack(p.params)) for name, p in config.profiles.items()],
        )
        self._checking = asyncio.Lock()
        self._endpoints_file = options.data_dir / ENDPOINTS_FILE
        self._store = Store(
            options.data_dir,
            self._clock,
            self._boot,
            max_pending=config.execution.max_pending,
            by_client=config.scheduling.fair_share,
        )
        self._notifier = Notifier.from_environment(os.environ)
        self._house: _House | None = None
        self._stop_reason: asyncio.Future[str] | None = None

    async def run(self) -> None:
        """Serve until a signal or a `shutdown`, then stop gracefully.

        Raises:
            EndpointError: A socket can't be bound.
        """
        loop = asyncio.get_running_loop()
        self._stop_reason = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop, f"told to by {number.name}")
        hangup = asyncio.Event()
        if not sys.stdout.isatty():  # at a terminal it says that this was closed, and nobody would be left to end us
            loop.add_signal_handler(signal.SIGHUP, hangup.set)
        async with AsyncExitStack() as stack:
            stack.callback(self._notifier.close)
            house = self._house = self._build(stack)
            await self._settle(house, stack)
            tasks = [*self._open_doors(house, stack), asyncio.create_task(self._reload_at(hangup), name="reload")]
            stack.push_async_callback(end_tasks, tasks[-1:])
            stay_prompt()
            self._notifier.ready()
            await self._until_stopped(tasks)
            self._notifier.stopping()
            await house.lanes.stop(self._config.execution.stop_grace_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(SUMMARIES_WAIT_S):
                    await house.learning.keep()
                    await house.summaries.write_due()

    def stop(self, reason: str) -> None:
        """Begin a graceful stop."""
        if self._stop_reason is not None and not self._stop_reason.done():
            self._stop_reason.set_result(reason)

    async def reload(self) -> list[ConfigChange]:
        """Read the configuration again; what differs, some of which needs a restart.

        Raises:
            Refused: `bad_request`: it makes no sense, and the old one stays in force.
        """
        assert self._house is not None  # requests and signals come later
        try:
            fresh = await asyncio.to_thread(self._read_again)
        except ConfigError as error:
            logger.error("the configuration is not used", why=str(error))
            hint = "correct it and reload again; the old one stays in force"
            raise Refused(ErrorCode.BAD_REQUEST, str(error), hint=hint) from None
        changes = compare(self._config, fresh)
        config = self._config = applied(self._config, fresh)
        self._house.lanes.adopt(lane_settings(config))
        self._house.housekeeping.idle_s = config.execution.open_idle_s
        kept = config.retention
        self._house.retention.keep(kept.events_days, kept.events_max, kept.jobs_days)
        for change in changes:
            logger.info("the configuration has changed", **msgspec.structs.asdict(change))
        return changes

    def _read_again(self) -> Config:
        return _read_config(self._options.config, self._options.comfyui)

    async def _reload_at(self, hangup: asyncio.Event) -> None:
        """Do so whenever SIGHUP came, and let systemd know."""
        while True:
            await hangup.wait()
            hangup.clear()
            self._notifier.reloading()
            with suppress(Refused):  # the log says why
                await self.reload()
            self._notifier.ready()

    def _build(self, stack: AsyncExitStack) -> "_House":
        """Make all parts; the stack takes them down in the opposite order."""
        stack.callback(self._store.close)
        self._store.start()
        self._endpoints_file.unlink(missing_ok=True)  # that of a daemon which was killed would mislead
        artifacts = OutputTree(self._options.data_dir, self._clock)
        stack.push_async_callback(artifacts.close)
        blobs = BlobStore(self._options.data_dir)
        stack.push_async_callback(blobs.close)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        stack.callback(context.destroy, linger=1000)
        stack.callback(self._doors.open(context).close)
        publisher = Publisher(
            context,
            self._options.events,
            clock=self._clock,
            instance_id=self._store.instance_id,
            boot=self._boot,
            head=self._store.head(),
            admission=self._doors.admission,
            secret_for=self._doors.secret_for,
        )
        stack.callback(publisher.close)
        engines = build_engines(self._config, self._options.data_dir, self._library, blobs)
        for engine in engines.values():
            stack.push_async_callback(engine.stop)
        watched = self._build_watch(engines, publisher, stack)
        lanes, learning = self._build_lanes(engines, watched, artifacts, publisher)
        summaries = Summaries(self._store, artifacts)
        tell = Chronicle(in_full=is_searched()).tell
        for listener in (publisher.committed, lanes.committed, summaries.committed, tell):
            self._store.subscribe(listener)
        cleaning = OutputCleaning(self._store, artifacts, self._clock)
        frontend = self._build_frontend(context, engines, artifacts, blobs, cleaning, lanes, watched, publisher)
        stack.push_async_callback(frontend.close)
        return _House(
            artifacts,
            blobs,
            publisher,
            engines,
            watched,
            lanes,
            learning,
            summaries,
            frontend,
            Housekeeping(self._store, cleaning, self._config.execution.open_idle_s),
            self._build_retention(cleaning, blobs),
        )

    async def _settle(self, house: "_House", stack: AsyncExitStack) -> None:
        """Put in order what an earlier daemon left, and learn what the engines offer."""
        await house.learning.recall()
        interrupted = await settle_interrupted(self._store, house.artifacts, house.lanes.take_back)
        house.publisher.start()
        await self._store.tell(
            DAEMON_TOPIC, DaemonStarted(version=version("stoker"), boot=self._boot, interrupted=interrupted)
        )
        starts: list[asyncio.Task[Any]] = [asyncio.create_task(engine.start()) for engine in house.engines.values()]
        starts.append(asyncio.create_task(house.watch.monitor.look()))
        stack.push_async_callback(end_tasks, starts)
        await asyncio.wait(starts, timeout=FACTS_WAIT_S)

    def _open_doors(self, house: "_House", stack: AsyncExitStack) -> "list[asyncio.Task[None]]":
        """Let work and requests in, and make the endpoints known."""
        tasks = [
            *house.lanes.start(),
            asyncio.create_task(house.learning.serve(), name="learning"),
            asyncio.create_task(house.summaries.serve(), name="summaries"),
            asyncio.create_task(house.retention.serve(), name="retention"),
            asyncio.create_task(house.housekeeping.serve(), name="housekeeping"),
            asyncio.create_task(house.watch.monitor.serve(), name="monitor"),
            *(asyncio.create_task(work, name="keys") for work in self._doors.watch(house.publisher.drop)),
        ]
        if self._notifier.is_heard:
            tasks.append(asyncio.create_task(Pulse(self._notifier, partial(self._look, house)).serve(), name="pulse"))
        stack.push_async_callback(end_tasks, tasks)
        if self._config.metrics.listen:
            self._open_metrics(stack)
        house.frontend.start()
        text = json.dumps({"control": house.frontend.endpoints[0], "events": house.publisher.endpoints[0]})
        fresh = self._endpoints_file.with_suffix(".new")
        fresh.write_text(text + "\n")
        fresh.replace(self._endpoints_file)
        stack.callback(self._endpoints_file.unlink, missing_ok=True)
        say_ready(
            house.frontend.endpoints, house.publisher.endpoints, text, data_dir=self._options.data_dir, boot=self._boot
        )
        return tasks

    def _open_metrics(self, stack: AsyncExitStack) -> None:
        """Answer HTTP; who asked for no metrics does not even load what they are made with."""
        from stoker_daemon.metrics import Endpoint, Figures, look

        figures = Figures(version("stoker"))
        self._store.subscribe(figures.committed)
        host, _, port = self._config.metrics.listen.rpartition(":")
        endpoint = Endpoint(host.strip("[]"), int(port), figures, partial(look, self._services))
        stack.callback(endpoint.close)
        endpoint.start()
        logger.info("metrics", url=f"http://{host}:{endpoint.port}/metrics")

    async def _look(self, house: "_House") -> Condition:
        """What systemd is to know. A loop that hangs does not come here, and so tells of itself."""
        ailments: list[str] = []
        if self._store.stalled_s() > HANGS_S:
            ailments.append(f"a commit has taken {self._store.stalled_s():.0f} s so far")
        if house.publisher.late_s() > HANGS_S:
            ailments.append(f"no event has gone out for {house.publisher.late_s():.0f} s")
        snapshot = await self._store.snapshot(GetSnapshot(id="", limit=1))
        return Condition(status_line(snapshot.queue, house.lanes.lanes()), ailments)

    def _build_retention(self, cleaning: OutputCleaning, blobs: BlobStore) -> Retention:
        kept = self._config.retention
        return Retention(
            self._store,
            cleaning,
            blobs,
            self._clock,
            self._jumps.jumped_s,
            events_days=kept.events_days,
            events_max=kept.events_max,
            jobs_days=kept.jobs_days,
        )

    async def _until_stopped(self, tasks: "list[asyncio.Task[None]]") -> None:
        """Wait for a reason to stop.

        Raises:
            BaseException: What ended one of the tasks, which should never end by themselves.
        """
        assert self._stop_reason is not None  # set by run
        await asyncio.wait({self._stop_reason, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                await task
        reason = self._stop_reason.result()
        logger.info("stopping", reason=reason)
        with suppress(Refused):
            await self._store.tell(DAEMON_TOPIC, DaemonStopping(boot=self._boot, reason=reason))

    async def _check(self) -> list[Finding]:
        """Look through what is on disk and around it, once at a time: each look reads a lot."""
        assert self._house is not None  # requests come later
        around = Surroundings(
            self._options.data_dir,
            [*self._house.frontend.endpoints, *self._house.publisher.endpoints],
            self._doors.locks,
            named_files(self._config),
            partial(in_force, self._config, self._options.config, self._read_again),
            self._jumps.jumped_s,
            self._clock.now_ms,
        )
        async with self._checking:
            return await asyncio.to_thread(lambda: [*glance(around.data_dir), *survey(around)])

    def _build_watch(self, engines: dict[str, Engine], publisher: Publisher, stack: AsyncExitStack) -> Watch:
        probe = Probe(self._options.data_dir, self._clock.now_ms)
        stack.push_async_callback(probe.close)
        every_s, limits = self._config.gpu.sample_s, build_thresholds(self._config)
        return watch(probe, engines, publisher.announce, self._clock, every_s=every_s, limits=limits)

    def _build_lanes(
        self, engines: dict[str, Engine], watched: Watch, artifacts: OutputTree, publisher: Publisher
    ) -> tuple[Lanes, Learning]:
        wants, reads = publisher.wants_previews, reader_ahead(self._config, engines)
        smoke = build_smoke(self._config)
        world = World(self._store, artifacts, publisher.announce, self._clock, random.random, wants, reads, smoke)
        lanes = build_lanes(self._config, engines, world, watched)
        learners: dict[str, Learner] = {}
        learners |= {f"costs of {lane.name}": lane.decider for lane in lanes if isinstance(lane.decider, InWaves)}
        learners |= {f"sizes of {lane.name}": lane.room for lane in lanes if lane.room.engines}
        return Lanes(lanes), Learning(self._store, learners)

    def _build_frontend(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        engines: dict[str, Engine],
        artifacts: OutputTree,
        blobs: BlobStore,
        cleaning: OutputCleaning,
        lanes: Lanes,
        watched: Watch,
        publisher: Publisher,
    ) -> Frontend:
        services = Services(
            clock=self._clock,
            store=self._store,
            artifacts=artifacts,
            blobs=blobs,
            profiles=list(self._library.profiles.values()),
            cleaning=cleaning,
            engines=engines,
            default_engine=next(iter(engines)),
            lanes=lanes,
            planning=Planner(self._store, lanes.all, engines, self._clock),
            gpu=watched.monitor,
            holdings=watched.occupancy.holdings,
            preflight=watched.preflight.on_gpu,
            daemon=words.Daemon(
                version=version("stoker"),
                instance_id=self._store.instance_id,
                boot=self._boot,
                started_at_ms=self._clock.now_ms(),
                pid=os.getpid(),
            ),
            event_endpoints=lambda: publisher.endpoints,
            check=self._check,
            reload=self.reload,
            shut_down=self.stop,
        )

        self._services = services

        async def answer(request: AnyRequest, body: bytes, caller: Caller) -> AnyReply:
            return await handlers.handle(request, body, caller, services)

        return Frontend(
            context,
            self._options.control,
            answer,
            admission=self._doors.admission,
            secret_for=self._doors.secret_for,
            share=self._doors.share,
        )


@dataclass(frozen=True, slots=True)
class _House:
    """The parts of a running daemon."""

    artifacts: OutputTree
    blobs: BlobStore
    publisher: Publisher
    engines: dict[str, Engine]
    watch: Watch
    lanes: Lanes
    learning: Learning
    summaries: Summaries
    frontend: Frontend
    housekeeping: Housekeeping
    retention: Retention


def _complaint(error: Exception) -> str:
    """What is wrong; the system's own errors begin with a number that helps nobody."""
    if not isinstance(error, OSError) or not error.filename:
        return str(error)
    return f"{error.filename}: {(error.strerror or str(error)).lower()}; name another directory with --data-dir"
