"""What models were seen to hold of a card, in bytes; known to the next daemon, too."""

from dataclasses import dataclass, field

import msgspec

from stoker_daemon.scheduling.residency import Key

_ENGINE_ENDS = "\x1f"


class _Kept(msgspec.Struct):
    """Sizes by engine and model, and the card that they are of."""

    card: str
    bytes: dict[str, int]


@dataclass(slots=True)
class Sizes:
    """The largest that was seen of each model counts; what an earlier daemon saw counts until this one has."""

    _card: str = ""
    _seen: dict[Key, int] = field(default_factory=dict[Key, int])
    _recalled: dict[Key, int] = field(default_factory=dict[Key, int])

    def of(self, key: Key, card: str) -> int | None:
        """What a model holds of a card, by its unique name; None: nobody has seen it there."""
        return self._seen.get(key, self._recalled.get(key)) if card == self._card else None

    def learn(self, key: Key, size: int, card: str) -> None:
        """A model holds so much of a card; of another one than so far, nothing is known any more."""
        if card != self._card:
            self._card, self._seen, self._recalled = card, {}, {}
        self._seen[key] = max(size, self._seen.get(key, 0))

    def encoded(self) -> bytes:
        """As JSON."""
        sizes = {_ENGINE_ENDS.join(key): size for key, size in {**self._recalled, **self._seen}.items()}
        return msgspec.json.encode(_Kept(self._card, sizes))

    @classmethod
    def decoded(cls, text: bytes) -> "Sizes":
        """What `encoded` gave, as that of an earlier daemon. Raises ValueError."""
        kept = msgspec.json.decode(text, type=_Kept)
        keys = {Key(*name.split(_ENGINE_ENDS, 1)): size for name, size in kept.bytes.items() if _ENGINE_ENDS in name}
        return cls(kept.card, {}, keys)
