"""What is checked of the other side, and how a check says that something is not as it should be."""

from typing import Any, NamedTuple


class Finding(NamedTuple):
    """One thing that was checked: what is expected, whether it is so, and if not what was seen."""

    expected: str
    ok: bool
    seen: str = ""

    def shape(self) -> dict[str, Any]:
        """What a script reads."""
        return self._asdict()


class NotSo(Exception):
    """The other side does something else; the text says what."""


def expect(holds: object, seen: str) -> None:
    """Go on only if it holds.

    Raises:
        NotSo: It does not.
    """
    if not holds:
        raise NotSo(seen)
