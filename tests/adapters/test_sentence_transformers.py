"""The adapter to Sentence Transformers on a real encoder with random weights: vectors, formats, what goes wrong."""

import json
import math
import struct

from tests.adapters.studio import VECTORS, Studio

from stoker_daemon.jobs.records import Output

WIDTH = 32


def test_a_batch_gives_each_text_its_vector(studio: Studio) -> None:
    """Vectors come in the order of the items, each as it would be alone, whatever its neighbours."""
    texts = ["a red dragon", "the sea", "a small owl of the sky " * 6, "?", ""] + [f"cat {n}" for n in range(95)]
    recorder = studio.run(VECTORS, *({"prompt": text} for text in texts))
    assert recorder.positions == list(range(100))
    assert recorder.progress[-1] == ("running", 100, 100)
    for position in (0, 1, 2, 3, 4, 99):
        (alone,) = studio.run(VECTORS, {"prompt": texts[position]}).outputs
        assert math.dist(vector(recorder.outputs[position]), vector(alone)) < 1e-5
    assert math.dist(vector(recorder.outputs[0]), vector(recorder.outputs[1])) > 1e-3


def test_vectors_have_length_1_unless_told_otherwise(studio: Studio) -> None:
    """A vector is normalized by default, and as the model gives it if that is asked for, in one batch."""
    scaled, bare = studio.run(VECTORS, {"prompt": "a cat"}, {"prompt": "a cat", "normalize": False}).outputs
    assert math.isclose(math.hypot(*vector(scaled)), 1, abs_tol=1e-5)
    size = math.hypot(*vector(bare))
    assert not math.isclose(size, 1, abs_tol=0.1)
    assert math.dist(vector(scaled), [each / size for each in vector(bare)]) < 1e-5


def test_a_numpy_file_holds_the_same(studio: Studio) -> None:
    """A `.npy` has the vector as 32-bit floats, and the record its dimensions."""
    listed, packed = studio.run(VECTORS, {"prompt": "a cat"}, {"prompt": "a cat", "format": "npy"}).outputs
    assert (listed.media_type, listed.suffix, packed.suffix) == ("application/json", ".json", ".npy")
    assert packed.data[:6] == b"\x93NUMPY"
    assert struct.unpack(f"<{WIDTH}f", packed.data[-4 * WIDTH :]) == tuple(map(_as_float32, vector(listed)))
    assert packed.record["dimensions"] == WIDTH
    assert {"torch", "sentence-transformers"} <= set(packed.record["versions"])


def test_what_the_model_sets_before_a_text(studio: Studio) -> None:
    """A prompt name of the model changes the vector, and one that it does not know fails its item alone."""
    recorder = studio.run(VECTORS, *({"prompt": "a cat", "prompt_name": name} for name in ("", "query", "quarry")))
    bare, query = recorder.outputs
    assert math.dist(vector(bare), vector(query)) > 1e-4
    ((position, kind, message),) = recorder.failures
    assert (position, kind) == (2, "invalid")
    assert "'query'" in message


def test_both_models_stay_loaded(studio: Studio) -> None:
    """Neither model is loaded again when they take turns, and without a GPU neither holds any of one."""
    for model in ("pictures", "vectors"):
        studio.wait(studio.engine.load(model))
    assert {resident.residency for resident in studio.residents()} == {"pictures", "vectors"}
    for model in ("pictures", "vectors"):
        assert studio.wait(studio.engine.load(model)) == 0
    assert {resident.bytes for resident in studio.residents()} == {None}


def vector(output: Output) -> list[float]:
    """An output as numbers."""
    return json.loads(output.data)


def _as_float32(number: float) -> float:
    return struct.unpack("<f", struct.pack("<f", number))[0]
