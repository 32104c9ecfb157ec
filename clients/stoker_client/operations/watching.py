"""The verbs that follow: watch and wait, over lost events, cut links and restarts of the daemon."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from stoker_client.errors import BadReply, DaemonUnavailable, NotFound, ShuttingDown
from stoker_client.operations.calling import Caller
from stoker_client.operations.effects import Effect, Emit, NextEvent, Now, OpenEvents, Operation, Sleep
from stoker_client.operations.verbs import hello, snapshot
from stoker_protocol import codec
from stoker_protocol.events import (
    DAEMON_TOPIC,
    SYNC_TOPIC,
    AnyEvent,
    JobProgress,
    Preview,
    Synced,
    Tick,
    topic_of_job,
    topic_of_preview,
)
from stoker_protocol.jobs import Job
from stoker_protocol.replies import EventsPage, Welcome
from stoker_protocol.requests import EventsSince
from stoker_protocol.session import Advice, Follower

SILENCE_S = 3.5
"""Without even a tick for this long, the daemon or the link to it is in doubt."""
JOIN_S = 2.0
"""How long a subscription may take to be in force before it is made again."""
RETRY_S = (0.2, 0.4, 0.8, 1.6, 2.0)
"""Between tries to reach a daemon that is away."""


class Update(NamedTuple):
    """What a watcher is told: an event, and the job as it is now where the event is about one.

    Without an event it is the state of a job as the watch begins or begins anew, or a word about the `link`: the daemon
    is `away` (and the watch waits for it), or `back`.
    """

    event: AnyEvent | None = None
    job: Job | None = None
    link: str = ""


class Watch:
    """One watch: what it wants, what it knows, and where it is in the sequence."""

    def __init__(self, caller: Caller, job_ids: Sequence[str] | None, *, previews: bool, progress: bool) -> None:
        self._caller = caller
        self._job_ids = list(dict.fromkeys(job_ids)) if job_ids is not None else None
        self._previews = previews
        self._progress = progress
        self._jobs: dict[str, Job] = {}
        self._instance_id = ""
        topics = [""] if self._job_ids is None else [topic_of_job(job_id) for job_id in self._job_ids]
        self._followers = [Follower(topic) for topic in topics]

    def run(self) -> Operation[None]:
        """Emit Updates until all named jobs are final; without names, for ever.

        Raises:
            NotFound: One of the named jobs is not there.
            DaemonUnavailable: The daemon can't be reached when the watch begins; later absences are waited out.
        """
        welcome = yield from hello(self._caller)
        while True:
            try:
                early = yield from self._join(welcome)
                if early is not None:
                    yield from self._begin(welcome)
                    yield from self._follow(early)
            except (DaemonUnavailable, ShuttingDown):
                pass  # it went away while it was asked: what was missed is asked for again when it is back
            if self._is_over():
                return
            welcome = yield from self._find_again()

    def _join(self, welcome: Welcome) -> Operation[list[tuple[str, AnyEvent]] | None]:
        """Subscribe and wait until that is in force: what came meanwhile, or None if it did not work."""
        sync = SYNC_TOPIC + self._caller.next_id()
        endpoint = events_endpoint(self._caller.endpoint, welcome.events)
        yield OpenEvents(endpoint, (*self._topics(), sync))
        early: list[tuple[str, AnyEvent]] = []
        until_s = (yield Now()) + JOIN_S
        while (left_s := until_s - (yield Now())) > 0:
            arrived = yield NextEvent(left_s)
            if arrived is None:
                return None
            topic, event = arrived[0], codec.decode_event(arrived[1])
            if isinstance(event, Synced):
                return early
            early.append((topic, event))
        return None

    def _topics(self) -> Iterator[str]:
        yield DAEMON_TOPIC
        if self._job_ids is None:
            yield from ("job/", "queue/", "lane/", "engine/", "gpu/")
            yield from ["preview/"] if self._previews else []
            return
        for job_id in self._job_ids:
            yield topic_of_job(job_id)
            yield from [topic_of_preview(job_id)] if self._previews else []

    def _begin(self, welcome: Welcome) -> Operation[None]:
        """Know the state as of a seq: all of it at first and in another database, else what happened since."""
        if welcome.daemon.instance_id == self._instance_id:
            complete = True
            for follower in self._followers:
                complete = (yield from self._catch_up(follower)) and complete
            if complete:
                return
        yield from self._take_snapshot()

    def _take_snapshot(self) -> Operation[None]:
        page = yield from snapshot(self._caller, self._job_ids, include_final=self._job_ids is not None)
        if self._job_ids is not None:
            missing = set(self._job_ids) - {job.job_id for job in page.jobs}
            if missing:
                text = f"there is no job {', '.join(sorted(missing))}"
                raise NotFound("not_found", text, field="job_id", hint="`stoker status --all` lists them")
        self._instance_id = page.daemon.instance_id
        for follower in self._followers:
            follower.restart(page.seq, page.daemon.instance_id, page.daemon.boot)
        for job in page.jobs:
            self._jobs[job.job_id] = job
            yield Emit(Update(job=job))

    def _follow(self, early: list[tuple[str, AnyEvent]]) -> Operation[None]:
        """Pass on what comes, until the jobs are over or the stream is in doubt."""
        for topic, event in early:
            yield from self._receive(topic, event)
        while not self._is_over():
            arrived = yield NextEvent(SILENCE_S)
            if arrived is None:
                return
            topic, event = arrived[0], codec.decode_event(arrived[1])
            if isinstance(event, Tick) and event.instance_id != self._instance_id:
                return
            yield from self._receive(topic, event)

    def _receive(self, topic: str, event: AnyEvent) -> Operation[None]:
        if isinstance(event, Preview | JobProgress):
            if self._progress or isinstance(event, Preview):
                yield Emit(Update(event, self._jobs.get(event.job_id)))
            return
        is_news = False
        for follower in self._followers:
            advice = follower.receive(topic, event)
            is_news = is_news or advice is Advice.APPLY
            if advice is Advice.CATCH_UP and not (yield from self._catch_up(follower)):
                yield from self._take_snapshot()
        if is_news:
            yield from self._apply(event)

    def _catch_up(self, follower: Follower) -> Operation[bool]:
        """Ask for what was missed; False: it is gone, and only a snapshot helps."""
        while True:
            request = EventsSince(id=self._caller.next_id(), seq=follower.through, topic=follower.topic)
            page = yield from self._caller.call(request, EventsPage)
            advice, news = follower.catch_up(page)
            for event in news:
                yield from self._apply(event)
            if advice is not Advice.CATCH_UP:
                return advice is not Advice.RESYNC

    def _apply(self, event: AnyEvent) -> Operation[None]:
        job: Job | None = getattr(event, "job", None)
        if job is not None:
            self._jobs[job.job_id] = job
            if self._job_ids is None and job.state.is_final:
                del self._jobs[job.job_id]
        yield Emit(Update(event, job))

    def _find_again(self) -> Operation[Welcome]:
        """Wait until the daemon answers, however long that takes, and tell both."""
        told_away, tries = False, 0
        while True:
            try:
                welcome = yield from hello(self._caller)
            except (DaemonUnavailable, ShuttingDown):
                if not told_away:
                    yield Emit(Update(link="away"))
                    told_away = True
                yield Sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1
                continue
            if told_away:
                yield Emit(Update(link="back"))
            return welcome

    def _is_over(self) -> bool:
        if self._job_ids is None:
            return False
        return all(job_id in self._jobs and self._jobs[job_id].state.is_final for job_id in self._job_ids)


def wait(caller: Caller, job_id: str, timeout_s: float | None) -> Operation[Job]:
    """The job when it is final.

    Raises:
        NotFound: There is no such job.
        TimeoutError: It was not final in time.
    """
    until_s = None if timeout_s is None else (yield Now()) + timeout_s
    watch = Watch(caller, [job_id], previews=False, progress=False).run()
    last: Job | None = None
    answer: Any = None
    while True:
        try:
            effect: Effect = watch.send(answer)
        except StopIteration:
            break
        if isinstance(effect, Emit):
            last, answer = effect.value.job or last, None
            continue
        if until_s is not None and isinstance(effect, NextEvent | Sleep):
            left_s = until_s - (yield Now())
            if left_s <= 0:
                raise TimeoutError(f"job {job_id} is not final after {timeout_s:g} s")
            effect = _shorter(effect, left_s)
        answer = yield effect
    if last is None:
        raise BadReply(f"the watch of job {job_id} ended without its state")
    return last


def events_endpoint(control: str, offered: Sequence[str]) -> str:
    """Where the events are for a client that reached the daemon at `control`.

    Over TCP the host that was dialled is kept and only the port taken: the daemon may be behind a tunnel, or bound to a
    wildcard.
    """
    transport = control.partition("://")[0]
    for endpoint in offered:
        if endpoint.startswith(f"{transport}://"):
            if transport != "tcp":
                return endpoint
            return f"{control.rpartition(':')[0]}:{endpoint.rpartition(':')[2]}"
    raise BadReply(f"the daemon offers no events over {transport}, only {', '.join(offered)}")


def _shorter(effect: NextEvent | Sleep, seconds: float) -> NextEvent | Sleep:
    if isinstance(effect, Sleep):
        return Sleep(min(effect.seconds, seconds))
    return NextEvent(min(effect.timeout_s, seconds))
