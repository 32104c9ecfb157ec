"""Writes tiny language models of random weights in the format of llama.cpp, to try its server for real."""

import random
import struct
from array import array
from collections.abc import Iterator
from itertools import product
from pathlib import Path

# The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

WIDTH, HEADS, LAYERS, HIDDEN, CONTEXT = 64, 4, 2, 128, 512
ALIGNMENT = 32
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
"""Kinds of tokens."""
UINT32, INT32, FLOAT32, STRING, ARRAY = 4, 5, 6, 8, 9
"""Kinds of values."""
SYLLABLES = [f"▁{a}{b}" for a, b in product("bdfgklmnprst", "aeiou")]
TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant:"


def write_model(path: Path, seed: int = 0) -> None:
    """Make a model of some 100 000 weights: it answers in syllables without meaning, the same ones for each seed."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *SYLLABLES]
    kinds = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * (1 + len(SYLLABLES))]
    tensors = dict(_tensors(random.Random(seed), kinds))
    facts = [*_facts(path.stem), *_vocabulary(tokens, kinds)]
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(facts)) + b"".join(facts)
    offset = 0
    for name, (shape, weights) in tensors.items():
        head += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset)  # 0: 32-bit floats
        offset += _aligned(4 * len(weights))
    with path.open("wb") as file:
        file.write(head.ljust(_aligned(len(head)), b"\0"))
        for _, weights in tensors.values():
            data = weights.tobytes()
            file.write(data.ljust(_aligned(len(data)), b"\0"))


def _facts(name: str) -> Iterator[bytes]:
    yield _fact("general.architecture", STRING, _text("llama"))
    yield _fact("general.name", STRING, _text(name))
    numbers = {
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "block_count": LAYERS,
        "feed_forward_length": HIDDEN,
        "attention.head_count": HEADS,
        "attention.head_count_kv": HEADS,
        "rope.dimension_count": WIDTH // HEADS,
    }
    for key, number in numbers.items():
        yield _fact(f"llama.{key}", UINT32, struct.pack("<I", number))
    yield _fact("llama.attention.layer_norm_rms_epsilon", FLOAT32, struct.pack("<f", 1e-5))


def _vocabulary(tokens: list[str], kinds: list[int]) -> Iterator[bytes]:
    yield _fact("tokenizer.ggml.model", STRING, _text("llama"))
    yield _fact("tokenizer.ggml.tokens", ARRAY, _array(STRING, [_text(token) for token in tokens]))
    yield _fact("tokenizer.ggml.scores", ARRAY, _array(FLOAT32, [struct.pack("<f", -n) for n in range(len(tokens))]))
    yield _fact("tokenizer.ggml.token_type", ARRAY, _array(INT32, [struct.pack("<i", kind) for kind in kinds]))
    for word, number in (("unknown", 0), ("bos", 1), ("eos", 2)):
        yield _fact(f"tokenizer.ggml.{word}_token_id", UINT32, struct.pack("<I", number))
    yield _fact("tokenizer.chat_template", STRING, _text(TEMPLATE))


def _tensors(dice: random.Random, kinds: list[int]) -> Iterator[tuple[str, tuple[tuple[int, ...], "array[float]"]]]:
    def drawn(*shape: int) -> tuple[tuple[int, ...], "array[float]"]:
        count = shape[0] * shape[1]
        return shape, array("f", (dice.gauss(0, 0.2) for _ in range(count)))

    ones = (WIDTH,), array("f", [1.0] * WIDTH)
    yield "token_embd.weight", drawn(WIDTH, len(kinds))
    yield "output_norm.weight", ones
    shape, weights = drawn(WIDTH, len(kinds))
    for token, kind in enumerate(kinds):  # of which the likeliest is taken: never the end, nor a byte
        if kind != NORMAL:
            weights[token * WIDTH : (token + 1) * WIDTH] = array("f", [0.0] * WIDTH)
    yield "output.weight", (shape, weights)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        for name in ("attn_norm", "ffn_norm"):
            yield f"{block}.{name}.weight", ones
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"{block}.{name}.weight", drawn(WIDTH, WIDTH)
        for name in ("ffn_gate", "ffn_up"):
            yield f"{block}.{name}.weight", drawn(WIDTH, HIDDEN)
        yield f"{block}.ffn_down.weight", drawn(HIDDEN, WIDTH)


def _fact(key: str, kind: int, value: bytes) -> bytes:
    return _text(key) + struct.pack("<I", kind) + value


def _array(kind: int, values: list[bytes]) -> bytes:
    return struct.pack("<IQ", kind, len(values)) + b"".join(values)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
