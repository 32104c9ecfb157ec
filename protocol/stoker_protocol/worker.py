"""What the daemon and a model process say to each other over their socketpair."""

from typing import Annotated, Any

from msgspec import Meta, Raw, Struct

from stoker_protocol.errors import FailureKind
from stoker_protocol.jobs import ModelFacts, Parameter

MAX_BATCH = 1024


class Hosted(Struct, frozen=True):
    """A model class that a worker hosts, and what its models are made with; under a `name` it is one model.

    `model` is `package.module:Class`, or the name of an installed class.
    """

    model: str
    options: dict[str, Any] = {}
    name: str = ""


class ModelFamily(Struct, frozen=True):
    """What a model class offers: its models, the parameters of an item, and how many items share a call at most.

    `bytes` tells of models what they will hold once they are loaded, where that is known.
    """

    family: str
    models: list[ModelFacts]
    parameters: list[Parameter]
    max_batch: int
    bytes: dict[str, int] = {}


class Holding(Struct, frozen=True):
    """A loaded model and the memory that it took: on GPUs, or else of the process; None: unknown."""

    model: str
    bytes: int | None = None
    on_gpu: bool = False


class Command(Struct, frozen=True, tag_field="do", kw_only=True):
    """What the daemon tells the worker."""


class Load(Command, frozen=True, tag="load", kw_only=True):
    """Load a model beside those that are loaded."""

    model: str


class Unload(Command, frozen=True, tag="unload", kw_only=True):
    """Give back what a model holds; without a name, what all hold."""

    model: str = ""


class WorkItem(Struct, frozen=True):
    """One item of a run: `position` is its place in the batch, `params` its checked parameters."""

    position: int
    params: Raw


class RunBatch(Command, frozen=True, tag="run", kw_only=True):
    """Run a loaded model over a batch: the last loaded unless another is named.

    `previews` asks for unfinished pictures on the way.
    """

    run_id: str
    items: Annotated[list[WorkItem], Meta(min_length=1, max_length=MAX_BATCH)]
    previews: bool = False
    model: str = ""


class Interrupt(Command, frozen=True, tag="interrupt", kw_only=True):
    """Stop the named run at its next step; ignored when it is not the one at work."""

    run_id: str


class Say(Struct, frozen=True, tag_field="say", kw_only=True):
    """What the worker tells the daemon."""


class Ready(Say, frozen=True, tag="ready", kw_only=True):
    """The first word of a worker: it imported its model classes and knows what each offers."""

    pid: int
    family: ModelFamily
    versions: dict[str, str]
    others: list[ModelFamily] = []


class Loaded(Say, frozen=True, tag="loaded", kw_only=True):
    """The model is loaded, which took `seconds`; `holdings` are all that are loaded now."""

    model: str
    seconds: float
    holdings: list[Holding] = []


class Unloaded(Say, frozen=True, tag="unloaded", kw_only=True):
    """The model is gone, or all are; `holdings` are those that are loaded still."""

    model: str = ""
    holdings: list[Holding] = []


class Report(Say, frozen=True, tag="report", kw_only=True):
    """A run is at `step` of `steps` of a phase; perhaps with a picture of the item at `position` so far."""

    run_id: str
    phase: str
    step: int
    steps: int
    position: int | None = None
    preview: bytes | None = None


class Produced(Say, frozen=True, tag="produced", kw_only=True):
    """One output of the item at `position`, its last unless `more` follow; `record` goes into its provenance."""

    run_id: str
    position: int
    data: bytes
    media_type: str
    suffix: str
    record: dict[str, Any]
    more: bool = False


class ItemDone(Say, frozen=True, tag="item_done", kw_only=True):
    """The item at `position` succeeded, without a file or with those that came before."""

    run_id: str
    position: int


class ItemFailed(Say, frozen=True, tag="item_failed", kw_only=True):
    """The item at `position` has no result, the others may have."""

    run_id: str
    position: int
    kind: FailureKind
    message: str


class RunEnded(Say, frozen=True, tag="run_ended", kw_only=True):
    """The run is over: `done`, `interrupted`, or `failed` as a whole for the reason given."""

    run_id: str
    how: str
    kind: FailureKind | None = None
    message: str = ""


class LoadFailed(Say, frozen=True, tag="load_failed", kw_only=True):
    """The model could not be loaded."""

    model: str
    kind: FailureKind
    message: str


AnyCommand = Load | Unload | RunBatch | Interrupt
AnySay = Ready | Loaded | Unloaded | Report | Produced | ItemDone | ItemFailed | RunEnded | LoadFailed
