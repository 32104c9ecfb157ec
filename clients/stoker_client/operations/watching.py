"""The verbs that follow: watch and wait, over lost events, cut links and restarts of the daemon."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET

from stoker_client.errors import BadReply, DaemonUnavailable, NotFound, ShuttingDown
from stoker_client.operations.calling import Caller
from stoker_client.operations.effects import Effect, Emit, Exchange, NextEvent, Now, OpenEvents, Operation, Sleep
from stoker_client.operations.verbs import hello, snapshot_pages
from stoker_protocol import codec
from stoker_protocol.events import (
    DAEMON_TOPIC,
    QUEUE_TOPIC,
    SYNC_TOPIC,
    AnyEvent,
    JobEvent,
    JobProgress,
    Preview,
    QueuePaused,
    QueueResumed,
    topic_of_job,
    topic_of_preview,
)
from stoker_protocol.jobs import Job
from stoker_protocol.replies import EventsPage
from stoker_protocol.requests import MAX_PAGE, EventsSince
from stoker_protocol.session import Advice, Follower

SILENCE_S = 3.0
"""Ticks come each second: without any for this long, the daemon or the link to it is in doubt."""
JOIN_S = 5.0
"""How long subscriptions may take to be in force."""
RETRY_S = 0.5
"""Between tries to reach a daemon that is away; each try itself waits for an answer."""
EVERYTHING = ("job/", "queue/", "lane/", "gpu/", "engine/", DAEMON_TOPIC)
"""All topics with lifecycle events; whoever misses one of them sees holes in the sequence."""

_AWAY = (DaemonUnavailable, ShuttingDown)


class Update(NamedTuple):
    """What a watcher is told: an event, and the job as it is now where the event is about one.

    Without an event it is the state of a job as the watch begins, or a word about the `link`: the daemon is `away` (and
    the watch waits for it), it is `back`, or there is a `gap`: events are gone for good, and the jobs as they are now
    come again; who watches all jobs gets those that ended meanwhile, too. `gone` is for a job that was known before
    and that the daemon has no more: how it ended can't be known.
    """

    event: AnyEvent | None = None
    job: Job | None = None
    link: Literal["", "away", "back", "gap", "gone"] = ""


class Watch:
    """One watch: what it wants, what it knows, and where it is in the sequence.

    The events of one job are followed on its topic. Of several they are picked out of all events, so that one question
    after a loss is enough for any number of jobs.

    `pauses`: who follows named jobs also hears when all work is held back or let go on, since their jobs are, too.
    """

    def __init__(
        self, caller: Caller, job_ids: Sequence[str] | None, *, previews: bool, progress: bool, pauses: bool = False
    ) -> None:
        self._caller = caller
        self._named = None if job_ids is None else list(dict.fromkeys(job_ids))
        self._previews = previews
        self._progress = progress
        self._pauses = pauses
        self._follower = Follower(topic_of_job(job_ids[0]) if job_ids is not None and len(job_ids) == 1 else "")
        self._advice = Advice.RESYNC
        self._has_begun = False
        self.jobs: dict[str, Job] = {}
        """The newest states that are known: of the named jobs, or of all that are not final."""
        self._seq_of_state: dict[str, int] = {}
        """Jobs whose state in the snapshot is newer than the seq that the watch began at."""

    def run(self) -> Operation[None]:
        """Emit Updates until all named jobs are final; without names, for ever.

        Raises:
            NotFound: One of the named jobs is not there.
            DaemonUnavailable: The daemon can't be reached when the watch begins; later absences are waited out.
        """
        if self._named == []:
            return
        yield from self._join()
        yield from self._go_on()
        while not self._is_over():
            try:
                yield from self._go_on()
            except _AWAY:
                yield from self._come_back()

    def _join(self) -> Operation[None]:
        """Subscribe, and when that is in force see from the daemon's word how to go on.

        What came before that word is older than it, and asked for like all that was missed.
        """
        welcome = yield from hello(self._caller)
        endpoint = events_endpoint(self._caller.endpoint, welcome.events)
        sync = SYNC_TOPIC + self._caller.next_id()
        yield OpenEvents(endpoint, (*self._topics(), sync))
        until_s = (yield Now()) + JOIN_S
        while (left_s := until_s - (yield Now())) > 0:
            topic, event = yield from _next_event(left_s)
            if topic == sync and event is not None:
                self._advice = self._follower.receive(topic, event)
                return
        port = endpoint.rpartition(":")[2]
        hint = (
            f"{self._caller.endpoint} answers, but no events come: open port {port} on the way to the daemon, or"
            " forward it too; `stoker status --watch` does without it"
        )
        raise DaemonUnavailable(f"no events from {endpoint}", hint=hint)

    def _topics(self) -> list[str]:
        """What to subscribe to: the ticks are among the daemon's topics."""
        if self._named is None:
            return [*EVERYTHING, *(["preview/"] if self._previews else [])]
        previews = [topic_of_preview(job_id) for job_id in self._named if self._previews]
        if not self._follower.topic:
            return [*EVERYTHING, *previews]
        return [self._follower.topic, DAEMON_TOPIC, *([QUEUE_TOPIC] if self._pauses else []), *previews]

    def _go_on(self) -> Operation[None]:
        """Do what was advised last, and emit what that brings before anything else can fail."""
        if self._advice is Advice.RESYNC:
            yield from self._take_snapshot()
        elif self._advice is Advice.CATCH_UP:
            yield from self._catch_up()
        else:
            yield from self._receive()

    def _take_snapshot(self) -> Operation[None]:
        since_ms = self._follower.known_ms if self._has_begun and self._named is None else None
        pages = yield from snapshot_pages(self._caller, self._named, ended_since_ms=since_ms)
        first = pages[0]
        jobs = {job.job_id: job for page in pages for job in page.jobs}
        if missing := [job_id for job_id in self._named or [] if job_id not in jobs]:
            raise NotFound("not_found", f"there is no job {', '.join(missing)}", field="job_ids")
        jobs |= yield from self._look_for([job_id for job_id in self.jobs if job_id not in jobs])
        gone = [job for job_id, job in self.jobs.items() if job_id not in jobs]
        if self._has_begun:
            yield Emit(Update(link="gap"))
        self._has_begun, self._advice = True, Advice.SKIP
        self.jobs = {job_id: job for job_id, job in jobs.items() if self._named is not None or not job.state.is_final}
        self._seq_of_state = {job.job_id: page.seq for page in pages for job in page.jobs if page.seq > first.seq}
        self._follower.restart(first.seq, first.daemon.instance_id, first.daemon.boot)
        for job in jobs.values():
            yield Emit(Update(job=job))
        for job in gone:
            yield Emit(Update(job=job, link="gone"))

    def _look_for(self, job_ids: Sequence[str]) -> Operation[dict[str, Job]]:
        """What the daemon knows of jobs that it was not seen to end: by a clock that was set back, or another one's."""
        found: dict[str, Job] = {}
        for start in range(0, len(job_ids), MAX_PAGE):
            pages = yield from snapshot_pages(self._caller, job_ids[start : start + MAX_PAGE])
            found |= {job.job_id: job for page in pages for job in page.jobs}
        return found

    def _catch_up(self) -> Operation[None]:
        request = EventsSince(id=self._caller.next_id(), seq=self._follower.through, topic=self._follower.topic)
        page = yield from self._caller.call(request, EventsPage)
        self._advice, news = self._follower.catch_up(page)
        for event in news:
            yield from self._tell(event)

    def _receive(self) -> Operation[None]:
        topic, event = yield from _next_event(SILENCE_S)
        if not topic:
            yield from self._come_back()
        elif event is not None:
            self._advice = self._follower.receive(topic, event)
            if self._advice is Advice.APPLY:
                yield from self._tell(event)
            elif self._follower.topic and self._is_pause(event):  # not on the topic that is followed
                yield Emit(Update(event))

    def _come_back(self) -> Operation[None]:
        """Wait until the daemon is there again, however long that takes, and tell both."""
        yield Emit(Update(link="away"))
        while True:
            try:
                yield from self._join()
            except _AWAY:
                yield Sleep(RETRY_S)
            else:
                yield Emit(Update(link="back"))
                return

    def _tell(self, event: AnyEvent) -> Operation[None]:
        """Emit an event if it was asked for, with the newest state of its job."""
        job_id = _job_id_of(event)
        is_foreign = self._named is not None and job_id not in self._named and not self._is_pause(event)
        is_known = event.seq is not None and event.seq <= self._seq_of_state.get(job_id, 0)
        if is_foreign or is_known or (isinstance(event, JobProgress) and not self._progress):
            return
        job = self.jobs.get(job_id)
        if isinstance(event, JobEvent):
            job = _with_metadata(event.job, job)
            self.jobs[job_id] = job
            if self._named is None and job.state.is_final:
                del self.jobs[job_id]
        yield Emit(Update(event, job))

    def _is_pause(self, event: AnyEvent) -> bool:
        return self._pauses and isinstance(event, QueuePaused | QueueResumed)

    def _is_over(self) -> bool:
        return self._named is not None and all(self.jobs[job_id].state.is_final for job_id in self._named)


def wait(caller: Caller, job_id: str, timeout_s: float | None) -> Operation[Job]:
    """The job when it is final.

    Raises:
        NotFound: There is no such job.
        TimeoutError: It was not final in time.
    """
    until_s = None if timeout_s is None else (yield Now()) + timeout_s
    watch = Watch(caller, [job_id], previews=False, progress=False)
    following = watch.run()
    answer: Any = None
    while True:
        try:
            effect = following.send(answer)
        except StopIteration:
            return watch.jobs[job_id]
        if isinstance(effect, Emit):
            answer = None
            continue
        if until_s is not None and isinstance(effect, Exchange | NextEvent | Sleep):
            left_s = until_s - (yield Now())
            if left_s <= 0:
                raise TimeoutError(f"job {job_id} is not final after {timeout_s:g} s")
            effect = _shorter(effect, left_s)
        answer = yield effect


def events_endpoint(control: str, offered: Sequence[str]) -> str:
    """Where the events are for a client that reached the daemon at `control`.

    Over TCP the host that was dialled is kept and only the port taken, that of the same address if there is one: the
    daemon may be behind a tunnel, or bound to a wildcard.
    """
    transport = control.partition("://")[0]
    dialled = control.rpartition(":")[0]
    reachable = [endpoint for endpoint in offered if endpoint.startswith(f"{transport}://")]
    for endpoint in sorted(reachable, key=lambda offer: offer.rpartition(":")[0] != dialled):
        return endpoint if transport != "tcp" else f"{dialled}:{endpoint.rpartition(':')[2]}"
    raise BadReply(f"the daemon offers no events over {transport}, only {', '.join(offered)}")


def _next_event(timeout_s: float) -> Operation[tuple[str, AnyEvent | None]]:
    """What comes next: its topic (empty: nothing came) and event (None: of a kind that this version doesn't know)."""
    arrived = yield NextEvent(timeout_s)
    if arrived is None:
        return "", None
    topic, body = arrived
    try:
        return topic, codec.decode_event(body)
    except msgspec.DecodeError:
        return topic, None


def _job_id_of(event: AnyEvent) -> str:
    """The job that an event is about, if it is about one."""
    if isinstance(event, JobEvent):
        return event.job.job_id
    return event.job_id if isinstance(event, JobProgress | Preview) else ""


def _with_metadata(job: Job, before: Job | None) -> Job:
    """Events go without the metadata, which never changes."""
    if before is None or job.metadata is not UNSET:
        return job
    return msgspec.structs.replace(job, metadata=before.metadata)


def _shorter(effect: Exchange | NextEvent | Sleep, seconds: float) -> Effect:
    if isinstance(effect, Sleep):
        return Sleep(min(effect.seconds, seconds))
    return msgspec.structs.replace(effect, timeout_s=min(effect.timeout_s, seconds))
