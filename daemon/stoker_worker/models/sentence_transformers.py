"""Embeddings by any model of the library Sentence Transformers: the texts of a batch become vectors in one call."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from io import BytesIO
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from stoker_worker.model import (
    BatchItem,
    Failure,
    FailureKind,
    Model,
    ModelFacts,
    ModelFamily,
    Output,
    Parameter,
    Report,
)
from stoker_worker.models.settings import Settings, bytes_of_weights, library, place, settings, word_for_dtype

_SLICE = 64
"""Texts between two looks at whether the run is to stop; the library makes its own batches of them."""


class EmbeddingSettings(Settings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options of an embedding model."""

    max_batch: Annotated[int, Meta(ge=1, le=1024)] = 256
    """Texts in one call."""
    trust_remote_code: bool = False
    """Run code that comes with the model."""


class Embeddings(Model):
    """One embedding model. An output is a JSON list, or a NumPy file of one float32 vector."""

    @classmethod
    def describe(cls, options: Mapping[str, Any], /) -> ModelFamily:
        """One model, named for its folder unless the configuration names it."""
        said = settings(options, EmbeddingSettings, "sentence_transformers", "torch")
        name = said.path.rstrip("/").rpartition("/")[2]
        size = bytes_of_weights(said.path)
        return ModelFamily(
            "sentence_transformers",
            [ModelFacts(name, said.summary or "Embeddings of texts")],
            _parameters(),
            said.max_batch,
            {} if size is None else {name: size},
        )

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        super().__init__(model, options)
        self._settings = settings(options, EmbeddingSettings, "sentence_transformers", "torch")
        self._library, self._torch = library("sentence_transformers"), library("torch")

    def load(self) -> None:
        """Read the model onto its device."""
        said = self._settings
        self._encoder = self._library.SentenceTransformer(
            said.path,
            device=place(self._torch, said.device),
            local_files_only=not said.download,
            trust_remote_code=said.trust_remote_code,
            model_kwargs={word_for_dtype("transformers", since=(5, 0)): said.dtype} if said.dtype else {},
        )
        self._versions = {name: version(name) for name in ("sentence-transformers", "transformers", "torch")}

    def run(self, batch: Sequence[BatchItem], report: Report, /) -> Iterator[Output | Failure]:
        """Encode what is alike but for its text in one go, and yield the vectors in the order of the items."""
        items, unknown = self._sorted_out(batch)
        yield from unknown
        vectors: dict[int, Any] = {}
        for start in range(0, len(items), _SLICE):
            report(phase="running", step=start, steps=len(items))
            vectors.update(self._encode(items[start : start + _SLICE]))
        report(phase="running", step=len(items), steps=max(1, len(items)))
        for item in batch:
            if item.position in vectors:
                yield self._output(item, vectors[item.position])

    def _sorted_out(self, batch: Sequence[BatchItem]) -> tuple[list[BatchItem], list[Failure]]:
        """The items by what the model sets before their texts, and those that ask for what it does not know."""
        known: Mapping[str, str] = self._encoder.prompts
        unknown = [
            Failure(
                item.position,
                FailureKind.INVALID,
                f"params.prompt_name: the model knows {', '.join(map(repr, known)) or 'none'}",
            )
            for item in batch
            if item.params["prompt_name"] and item.params["prompt_name"] not in known
        ]
        bad = {failure.position for failure in unknown}
        good = [item for item in batch if item.position not in bad]
        return sorted(good, key=_likeness), unknown

    def _encode(self, items: Sequence[BatchItem]) -> dict[int, Any]:
        vectors: dict[int, Any] = {}
        for likeness in sorted({_likeness(item) for item in items}):
            alike = [item for item in items if _likeness(item) == likeness]
            prompt_name, normalize = likeness
            made = self._encoder.encode(
                [str(item.params["prompt"]) for item in alike],
                prompt_name=prompt_name or None,
                normalize_embeddings=normalize,
                show_progress_bar=False,
            )
            vectors.update(zip((item.position for item in alike), made, strict=True))
        return vectors

    def _output(self, item: BatchItem, vector: Any) -> Output:
        record = {"model": self.model, **item.params, "dimensions": len(vector), "versions": self._versions}
        if item.params["format"] == "npy":
            file = BytesIO()
            library("numpy").save(file, vector)
            return Output(item.position, file.getvalue(), "application/octet-stream", ".npy", record)
        return Output(item.position, msgspec.json.encode(vector.tolist()), "application/json", ".json", record)


def _likeness(item: BatchItem) -> tuple[str, bool]:
    return item.params["prompt_name"], item.params["normalize"]


def _parameters() -> list[Parameter]:
    return [
        Parameter("prompt", "string", required=True, help="The text whose vector is wanted"),
        Parameter("normalize", "boolean", True, help="Scale the vector to length 1"),
        Parameter("prompt_name", "string", "", help="What the model sets before the text, if it knows any: query ..."),
        Parameter("format", "string", "json", choices=["json", "npy"], help="A JSON list, or a NumPy file (float32)"),
    ]
