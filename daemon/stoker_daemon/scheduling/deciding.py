"""Who decides for one lane what runs next: by a sort key, or in waves, learning from all that it loads and runs."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from stoker_daemon.jobs.records import Arrival, Choice, Head, Reads, Run, Signature
from stoker_daemon.scheduling import waves
from stoker_daemon.scheduling.costs import UNKNOWN_LOAD_S, Costs
from stoker_daemon.scheduling.dials import Dials
from stoker_daemon.scheduling.estimating import NOTHING, Estimator, Keeps, Kind
from stoker_daemon.scheduling.forecasting import Outlook
from stoker_daemon.scheduling.patience import OfferedLoad, patience
from stoker_daemon.scheduling.plan import PlannedRun, as_decision, is_cut_in
from stoker_daemon.scheduling.residency import NO_PINS, Gpu, Key, Pins
from stoker_daemon.scheduling.script import Script
from stoker_daemon.scheduling.turns import Turns, take_turn
from stoker_daemon.scheduling.wording import why_chosen

MAX_DECIDED = 256
"""Decisions remembered until their runs begin; those of claims that came to nothing would stay for ever."""

LOOK_AHEAD_MS = 1_000
"""Between two looks at what comes next, each of which costs as much as a decision."""

Went = Literal["well", "out of memory", "badly"]
"""How a run ended: with all of its items made, for want of memory, or otherwise."""


class Decider(Protocol):
    """What a lane asks and tells. Choices are made in the store's thread, the rest is called on the loop."""

    def choose(self, heads: Sequence[Head], run_id: str, now_ms: int, /) -> Choice | None:
        """What the run of that id takes, or None: there is nothing."""
        ...

    def choose_alike(self, run_id: str, first: str, /) -> None:
        """Let one run more take of what was chosen for another."""
        ...

    def arrive(self, arrivals: Sequence[Arrival], now_ms: int, /, *, idle: bool) -> None:
        """Items came into the queue; `idle`: the lane had nothing to do."""
        ...

    def see(self, free_gb: Mapping[str, float], /) -> None:
        """What runs of an engine may need of the GPU's memory now, in GB; without an entry nobody knows."""
        ...

    def expected_s(self, run_id: str, /) -> float:
        """How long a run that was chosen should take, with its load; 0: nobody knows."""
        ...

    def loaded(self, run: Run, seconds: float, now_ms: int, /) -> str:
        """The model of a run is there, after so many seconds (0: it was, or is loaded within the run); why it is."""
        ...

    def ended(
        self, run: Run, seconds: float, went: Went, peak_gb: float | None = None, reads: Reads | None = None, /
    ) -> str:
        """A run ended after so many seconds, and needed so much memory, and of model files so much, if that is known.

        What people should hear about the size of its like is returned, mostly nothing.
        """
        ...

    def upcoming(self, now_ms: int, /) -> Key | None:
        """Another model, whose turn should come next; None: that is not known, the present one is not even there, or
        it was asked a moment ago.
        """
        ...

    def lost(self, engine: str, /) -> None:
        """An engine has died or was made to unload, and what it had loaded is gone."""
        ...

    def load_s(self, key: Key, /) -> float:
        """What a load of a model is believed to take."""
        ...


class ByKey:
    """Takes the head that `first` says, given what is loaded, and as many of its items as may share a run."""

    def __init__(
        self,
        first: Callable[[Sequence[Head], str, str, Turns], Head | None],
        most: Callable[[Signature], int],
        *,
        one_job: bool = True,
    ) -> None:
        """`most(signature)` is how many items may share a run, and `one_job` that these are of the first job."""
        self._one_job = one_job
        self._first = first
        self._most = most
        self._turns: Turns = ()
        self._engine, self._residency = "", ""

    def choose(self, heads: Sequence[Head], _run_id: str, _now_ms: int, /) -> Choice | None:
        head = self._first(heads, self._engine, self._residency, self._turns)
        if head is None:
            return None
        self._turns = take_turn(self._turns, head.client)
        return Choice(((head, max(1, self._most(head.signature))),), one_job=self._one_job)

    def choose_alike(self, run_id: str, first: str, /) -> None: ...

    def arrive(self, arrivals: Sequence[Arrival], now_ms: int, /, *, idle: bool) -> None: ...

    def see(self, free_gb: Mapping[str, float], /) -> None: ...

    def expected_s(self, _run_id: str, /) -> float:
        return 0.0

    def loaded(self, run: Run, _seconds: float, _now_ms: int, /) -> str:
        self._engine, self._residency = run.signature.engine, run.signature.residency
        return ""

    def ended(self, *_told: object) -> str:
        return ""

    def upcoming(self, _now_ms: int, /) -> Key | None:
        return None

    def lost(self, engine: str, /) -> None:
        if engine == self._engine:
            self._engine, self._residency = "", ""

    def load_s(self, _key: Key, /) -> float:
        return UNKNOWN_LOAD_S


class InWaves:
    """The policy of `waves` with all that it remembers; for lanes that hold models on a GPU."""

    def __init__(
        self,
        dials: Dials,
        most: Callable[[Signature], int],
        loaded: Callable[[], Sequence[Key]],
        now_ms: int,
        lock: AbstractContextManager[object],
        slots: int = 0,
        pins: Pins = NO_PINS,
        keeps: Callable[[], Mapping[str, Keeps]] = dict,
    ) -> None:
        """`most(signature)` is how many items may share a run, `loaded()` what its engines hold, as far as they know.

        So many `slots` for models are there (0: as many as were seen loaded), and those with `pins` give way last.
        `keeps()` is what the engines keep besides, so that it comes back sooner.
        The store's thread and the loop both come here, each for less than a millisecond, and hold the lock meanwhile.
        """
        self.dials = dials
        self._most = most
        self._loaded = loaded
        self._keeps = keeps
        self._gpu = Gpu(slots=slots or 1 + len(pins.models), pinned=pins)
        self._script = Script()
        self._estimator = Estimator(Costs())
        self._offered = OfferedLoad(now_ms / 1000)
        self._turns: Turns = ()
        self._free_gb: Mapping[str, float] = {}
        self._largest: dict[Key, int] = {}
        self._decided: dict[str, waves.Decision] = {}
        self._cold: set[Key] = set()
        self._missing: dict[Key, Key] = {}
        self._unpriced: dict[Key, _First] = {}
        self._said: dict[int, str] = {}
        self._seen: Sequence[waves.Waiting] = ()
        self._looked_ahead_ms = 0
        self._lock = lock

    def choose(self, heads: Sequence[Head], run_id: str, now_ms: int, /) -> Choice | None:
        with self._lock:
            self._look({head.signature_id: head.signature for head in heads}, now_ms)
            seen = self._seen = [_seen(head) for head in heads]
            decision = waves.decide(seen, self._gpu, self._estimator, self.dials, now_ms / 1000)
            if decision is None:
                return None
            by_seen = dict(zip(seen, heads, strict=True))
            takes = tuple((by_seen[each], number) for each, number in decision.takes)
            choice = Choice(takes, strict=self.dials.grouping == "strict")
            if self._script and not is_cut_in(decision, self._script.first):
                planned = self._script.next_run({(head.signature_id, head.priority.rank): head for head in heads})
                if planned is not None:
                    run, choice = planned
                    takes = ((_seen(head), number) for head, number in choice.takes)
                    decision = as_decision(run, takes, decision, self._gpu, self._estimator)
            self._remember(run_id, decision)
            self._turns = take_turn(self._turns, decision.takes[0][0].client)
            return choice

    def choose_alike(self, run_id: str, first: str, /) -> None:
        with self._lock:
            self._remember(run_id, self._decided[first])

    def follow(self, planned: Sequence[PlannedRun]) -> None:
        """Choose exactly these runs first, as far as their items are there; something urgent may still cut in."""
        with self._lock:
            self._script = Script(planned)

    def outlook(self, signatures: dict[int, Signature], now_ms: int) -> Outlook:
        """What it knows now, about these signatures too."""
        with self._lock:
            self._look(signatures, now_ms)
            return Outlook(self._gpu, self._estimator.copy(), self.dials, self._script.left)

    def see(self, free_gb: Mapping[str, float], /) -> None:
        with self._lock:
            self._free_gb = free_gb

    def expected_s(self, run_id: str, /) -> float:
        with self._lock:
            decision = self._decided.get(run_id)
            return decision.load_s + decision.run_s if decision else 0.0

    def arrive(self, arrivals: Sequence[Arrival], now_ms: int, /, *, idle: bool) -> None:
        with self._lock:
            self._know({each.signature_id: each.signature for each in arrivals})
            for each in arrivals:
                size = self._estimator.batch(each.signature_id, 1_000, self.dials.batch_s)
                work_s = self._estimator.run_s(each.signature_id, size) * each.items / size
                self._offered.arrive(now_ms / 1000, _key(each.signature), work_s, idle=idle)

    def loaded(self, run: Run, seconds: float, now_ms: int, /) -> str:
        key = _key(run.signature)
        with self._lock:
            decision = self._decided.get(run.run_id)
            missing = self._missing[key] = key.missing(self._gpu.residents)
            if seconds or key not in self._gpu.residents:
                self._cold.add(key)
                self._largest.pop(key, None)
            if seconds:
                self._estimator.loaded(missing, seconds)
            if decision is not None:
                self._gpu = waves.after(self._gpu, decision, now_ms / 1000, 0.0)
            elif self._gpu.residents[-1:] != (key,):  # a run of an earlier daemon goes on
                self._gpu = replace(self._gpu, residents=(key,), worked_s=0.0)
            if not seconds and key in self._cold:
                self._unpriced[key] = _First(missing, self._keeps().get(key.engine, Keeps()))
            return why_chosen(decision.reason, self.dials) if decision else ""

    def ended(
        self, run: Run, seconds: float, went: Went, peak_gb: float | None = None, reads: Reads | None = None, /
    ) -> str:
        key, items = _key(run.signature), len(run.members)
        with self._lock:
            decision = self._decided.pop(run.run_id, None)
            self._script.began(run)
            if self._gpu.residents[-1:] == (key,):
                self._gpu = replace(self._gpu, worked_s=self._gpu.worked_s + seconds)
            if decision is None:
                return ""
            signature = decision.takes[0][0].signature
            if went == "out of memory":
                self._estimator.ran_out(signature, items)
            elif went == "well":
                self._note_reads(key, reads, seconds)
                self._learn(key, signature, items, seconds, peak_gb)
            return self._news(signature)

    def upcoming(self, now_ms: int, /) -> Key | None:
        with self._lock:
            present = self._gpu.residents[-1:]
            if abs(now_ms - self._looked_ahead_ms) < LOOK_AHEAD_MS or not present or present[0] in self._cold:
                return None
            self._looked_ahead_ms = now_ms
            others = [each for each in self._seen if each.key != present[0]]
            decision = waves.decide(others, self._gpu, self._estimator, self.dials, now_ms / 1000)
            return decision.key if decision else None

    def lost(self, engine: str, /) -> None:
        with self._lock:
            left = tuple(key for key in self._gpu.residents if key.engine != engine)
            self._gpu = replace(self._gpu, residents=left, worked_s=0.0)

    def load_s(self, key: Key, /) -> float:
        with self._lock:
            return self._estimator.load_s(key)

    def learned(self) -> bytes:
        """What was learned, to be kept."""
        with self._lock:
            return self._estimator.costs.encoded()

    def recall(self, costs: bytes) -> None:
        """Know what an earlier one has learned. Raises ValueError: it makes no sense."""
        with self._lock:
            self._estimator.costs = Costs.decoded(costs)

    def _look(self, signatures: dict[int, Signature], now_ms: int) -> None:
        """Take in what is there now: what may come, what is loaded, and how much work arrives."""
        self._know(signatures)
        now_s = now_ms / 1000
        self._estimator.look(now_s, self._free_gb)
        self._estimator.keep(self._keeps())
        there = set(self._loaded())
        known = tuple(key for key in self._gpu.residents if key in there)
        residents = (*sorted(there.difference(known)), *known)
        self._gpu = replace(
            self._gpu,
            residents=residents,
            slots=max(self._gpu.slots, len(residents)),  # so many did fit
            worked_s=self._gpu.worked_s if residents[-1:] == self._gpu.residents[-1:] else 0.0,
            patience=patience(self._offered.rho(now_s), self.dials.max_patience),
            demand=self._offered.shares(),
            turns=self._turns,
        )

    def _remember(self, run_id: str, decision: waves.Decision) -> None:
        while len(self._decided) >= MAX_DECIDED:
            del self._decided[next(iter(self._decided))]
        self._decided[run_id] = decision

    def _know(self, signatures: dict[int, Signature]) -> None:
        """Let the estimator answer for these; what their engines allow may have changed."""
        kinds = self._estimator.kinds
        for signature_id, signature in signatures.items():
            most, known = max(1, self._most(signature)), kinds.get(signature_id)
            if known is None or known.most != most:
                family, controls = f"{signature.residency}\n{signature.merge}", len(signature.controls)
                kinds[signature_id] = Kind(_key(signature), family, most, controls=controls)

    def _note_reads(self, key: Key, reads: Reads | None, seconds: float) -> None:
        """See to it that a run counts as the first after a load if, and only if, its engine says that it was."""
        keeps, missing = self._keeps().get(key.engine, Keeps()), self._missing.get(key, key)
        if keeps.mode == NOTHING:
            self._cold.discard(key)
            self._unpriced.pop(key, None)
        elif reads is not None and reads.files:
            self._cold.add(key)
            if reads.heavy:
                # much of a load may come after its files were read
                guess_s = max(reads.seconds, min(seconds, UNKNOWN_LOAD_S))
                self._estimator.costs.guess_load(key, guess_s, keeps.mode)
            elif missing == key:  # what was read is but a part, of whose price nothing is known
                self._unpriced.pop(key, None)
                return
            missing = key if reads.heavy else missing
            self._unpriced[key] = _First(missing, replace(keeps, kept=frozenset()))
        elif reads is not None and key in self._cold:
            if key.residency in keeps.kept or missing != key:
                self._unpriced[key] = _First(missing, keeps)
            else:
                self._cold.discard(key)
                self._unpriced.pop(key, None)

    def _learn(self, key: Key, signature: int, items: int, seconds: float, peak_gb: float | None) -> None:
        """Take in what a run took. The first after a load is slower, and may have had the load in it."""
        is_warm = key not in self._cold
        self._cold.discard(key)
        if not is_warm and key in self._unpriced:
            self._unpriced[key] = replace(self._unpriced[key], signature=signature, items=items, seconds=seconds)
        if items < self._largest.get(key, 0):
            peak_gb = None  # an engine keeps what its largest run took: this one needed less than it holds
        self._largest[key] = max(items, self._largest.get(key, 0))
        self._estimator.ran(signature, items, seconds, warm=is_warm, peak_gb=peak_gb)
        first = self._unpriced.get(key)
        if is_warm and first is not None and self._estimator.is_trusted(signature):
            del self._unpriced[key]
            if first.signature == signature:
                load_s = max(0.0, first.seconds - self._estimator.run_s(signature, first.items))
                self._estimator.loaded(first.missing, load_s, first.keeps.price_of(first.missing.residency))

    def _news(self, signature: int) -> str:
        """What the last run changed about the size of the next, if people have not heard it."""
        trials = self._estimator.trials.get(signature)
        said = trials.said if trials else ""
        is_new = said != self._said.get(signature, "")
        self._said[signature] = said
        return said if is_new else ""


@dataclass(frozen=True, slots=True)
class _First:
    """The first run after a load of what was `missing`, which had that in it; `keeps`: what its engine kept before."""

    missing: Key
    keeps: Keeps
    signature: int = 0
    items: int = 0
    seconds: float = 0.0


def _key(signature: Signature) -> Key:
    return Key(signature.engine, signature.residency)


def _seen(head: Head) -> waves.Waiting:
    """A head as the policy looks at it."""
    rank = head.priority.rank
    return waves.Waiting(_key(head.signature), head.signature_id, rank, head.ready, head.came_ms / 1000, head.client)
