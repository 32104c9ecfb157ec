"""What is counted and measured, as Prometheus expects it: what happened from committed events, the rest as it is."""

# Source of the naming: prometheus.io/docs/practices/naming: base units, `_total` for counters, one unit a metric.

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from stoker_daemon.jobs.records import Commit
from stoker_daemon.metrics.arrivals import Arrivals
from stoker_protocol import codec
from stoker_protocol.events import (
    EngineDown,
    JobAppended,
    JobSubmitted,
    ModelLoaded,
    RunEscalated,
    RunFinished,
    RunStarted,
)
from stoker_protocol.gpus import Gpu
from stoker_protocol.jobs import Engine, ItemState, Lane, Priority, Queue
from stoker_protocol.replies import HealthReport

SECONDS = (0.005, 0.02, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600, 14400)
SYNC_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30)
MAX_RUNS = 1_000
"""Runs whose start is remembered: those that never end would stay for ever."""


@dataclass(frozen=True, slots=True)
class Moment:
    """How things are at a scrape; `ready` are the items that could run now, `disk_free` is in bytes."""

    queue: Queue
    ready: Mapping[Priority, int]
    lanes: Sequence[Lane]
    engines: Sequence[Engine]
    health: HealthReport
    disk_free: int
    gpus: Sequence[Gpu] = ()


class Figures:
    """All metrics of one daemon: `committed` feeds those that count, `text` is what a scrape gets."""

    def __init__(self, version: str) -> None:
        registry = self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        Gauge("stoker_build", "Always 1; the version is a label.", ["version"], registry=registry).labels(version).set(
            1
        )
        self._count(registry)
        self._gauge(registry)
        self._began_ms: OrderedDict[str, int] = OrderedDict()
        self._claimed_ms: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._arrivals = Arrivals()

    def _count(self, registry: CollectorRegistry) -> None:
        """What events tell of."""

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"stoker_{name}", about, labels, registry=registry)

        def histogram(name: str, about: str, *labels: str, buckets: Sequence[float] = SECONDS) -> Histogram:
            return Histogram(f"stoker_{name}_seconds", about, labels, registry=registry, buckets=buckets)

        self._jobs = counter("jobs_accepted", "Jobs taken in.", "priority")
        self._items = counter("items_accepted", "Items taken in.", "priority")
        self._outcomes = counter("item_outcomes", "Attempts by what they came to.", "engine", "outcome", "kind")
        self._loads = counter("model_loads", "Models loaded.", "lane", "engine")
        self._load_s = counter("model_load_seconds", "Seconds that loads took.", "lane", "engine")
        self._downs = counter("engine_deaths", "Engines that died or could not be reached.", "engine")
        self._rungs = counter("run_escalations", "Runs that did not stop by themselves.", "engine", "rung")
        self._events = counter("events", "Committed events.")
        self._commits = counter("commits", "Commits that told of something.")
        self._waits = histogram(
            "item_wait", "From an item's acceptance to its run, of those done at the first attempt.", "priority"
        )
        self._runs = histogram("run", "From the claim of a run to its record.", "engine")
        self._syncs = histogram("commit", "Making a commit durable.", buckets=SYNC_SECONDS)

    def _gauge(self, registry: CollectorRegistry) -> None:
        """What is looked at when it is scraped."""

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(f"stoker_{name}", about, labels, registry=registry)

        self._ready = gauge("queue_ready_items", "Items that could run now.", "priority")
        self._pending = gauge("queue_pending_items", "Items that wait, for their turn or a retry.")
        self._running = gauge("queue_running_items", "Items at work.")
        self._active = gauge("queue_active_jobs", "Jobs that are not final.")
        self._paused = gauge("queue_paused", "1 while the whole queue is held back.")
        self._busy = gauge("lane_busy", "1 while a lane loads or runs.", "lane")
        self._held_up = gauge("lane_held_up", "1 while a lane waits for what is in its way.", "lane")
        self._up = gauge("engine_up", "1 while an engine is ready.", "engine", "kind")
        self._space = gauge("disk_free_bytes", "Free on the disk of queue and outputs.")
        self._well = gauge("health_ok", "1 where a part lets jobs make progress.", "part")
        self._utilisation = gauge("gpu_utilisation_ratio", "How busy the GPU is, 0 to 1.", "gpu")
        self._memory = gauge("gpu_memory_used_bytes", "Memory of the GPU in use.", "gpu")
        self._total = gauge("gpu_memory_bytes", "Memory of the GPU.", "gpu")
        self._celsius = gauge("gpu_temperature_celsius", "Temperature of the GPU.", "gpu")
        self._watts = gauge("gpu_power_watts", "Power that the GPU draws.", "gpu")

    def committed(self, commit: Commit) -> None:
        """Count what a commit tells of."""
        self._commits.inc()
        if commit.sync_s:
            self._syncs.observe(commit.sync_s)
        self._events.inc(len(commit.events))
        for event in commit.events:
            self._take(codec.decode_event(event.body))

    def _take(self, event: object) -> None:
        match event:
            case JobSubmitted(job=job):
                self._jobs.labels(job.priority.value).inc()
                self._items.labels(job.priority.value).inc(job.items.total)
            case JobAppended(job=job, count=count):
                self._arrivals.note(event)
                self._items.labels(job.priority.value).inc(count)
            case RunStarted(at_ms=at_ms, job=job, run=run):
                self._began_ms[run.run_id] = self._claimed_ms[run.run_id, job.job_id] = at_ms
                for remembered in (self._began_ms, self._claimed_ms):
                    while len(remembered) > MAX_RUNS:
                        remembered.popitem(last=False)
            case RunFinished(at_ms=at_ms, job=job, run_id=run_id, outcomes=outcomes):
                began_ms = self._began_ms.pop(run_id, None)
                if began_ms is not None:  # one that takes items of several jobs ends with an event for each
                    self._runs.labels(job.engine).observe(max(0, at_ms - began_ms) / 1000)
                self._take_waits(event, self._claimed_ms.pop((run_id, job.job_id), None))
                for each in outcomes:
                    kind = each.error.kind if each.error else ""
                    self._outcomes.labels(job.engine, each.state.value, kind).inc()
            case ModelLoaded(lane=lane, engine=engine, seconds=seconds):
                self._loads.labels(lane, engine).inc()
                self._load_s.labels(lane, engine).inc(seconds)
            case EngineDown(engine=engine):
                self._downs.labels(engine).inc()
            case RunEscalated(engine=engine, rung=rung):
                self._rungs.labels(engine, rung).inc()
            case _:
                pass

    def _take_waits(self, event: RunFinished, claimed_ms: int | None) -> None:
        """Of items that are done at their first attempt: another one tells of the failure, not of the queue."""
        job = event.job
        for each in event.outcomes:
            if claimed_ms is not None and each.attempt == 1 and each.state is not ItemState.PENDING:
                waited_ms = max(0, claimed_ms - self._arrivals.came_ms(job, each.index))
                self._waits.labels(job.priority.value).observe(waited_ms / 1000)
        if job.state.is_final:
            self._arrivals.forget(job)

    def text(self, moment: Moment) -> bytes:
        """The exposition, in Prometheus' text format."""
        self._look(moment)
        return generate_latest(self._registry)

    def _look(self, moment: Moment) -> None:
        queue = moment.queue
        for priority in Priority:
            self._ready.labels(priority.value).set(moment.ready.get(priority, 0))
        self._pending.set(queue.pending)
        self._running.set(queue.running)
        self._active.set(queue.active_jobs)
        self._paused.set(queue.paused is not None)
        for lane in moment.lanes:
            self._busy.labels(lane.name).set(lane.state in ("loading", "running"))
            self._held_up.labels(lane.name).set(bool(lane.held_up))
        for engine in moment.engines:
            self._up.labels(engine.name, engine.kind).set(engine.state == "ready")
        self._space.set(moment.disk_free)
        for finding in moment.health.findings:
            self._well.labels(finding.part).set(finding.ok)
        for gpu in moment.gpus:
            self._look_at(gpu)

    def _look_at(self, gpu: Gpu) -> None:
        """What the driver does not tell is not there; a 0 would be a lie."""
        shares = gpu.utilisation / 100 if gpu.utilisation is not None else None
        for gauge, value in (
            (self._utilisation, shares),
            (self._memory, gpu.memory_used),
            (self._total, gpu.memory_total),
            (self._celsius, gpu.temperature_c),
            (self._watts, gpu.power_w),
        ):
            if value is not None:
                gauge.labels(gpu.uuid).set(value)
