"""The text of a key file: what a client has to know to be let in at a daemon that asks for keys."""

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""What a client may be called."""
KEY = r"^[0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-]{40}$"
"""32 bytes as Z85 writes them (https://rfc.zeromq.org/spec/32/): no quote and no backslash among them."""

Key = Annotated[str, Meta(pattern=KEY)]
K = TypeVar("K", bound=Struct)


def is_key(text: str) -> bool:
    """Whether this is a key, and nothing follows it: a `$` alone would let a newline pass."""
    return re.fullmatch(KEY, text) is not None


class ClientKey(Struct, frozen=True, kw_only=True):
    """A key to one daemon. Whoever has it is `name` there; it never shows its secret when it is printed."""

    name: str
    endpoint: str = ""
    """The control socket that it is for; empty: the client is told elsewhere."""
    server_key: Key
    """By this the client knows the daemon."""
    public_key: Key
    """By this the daemon knows the client."""
    secret_key: Key

    def __repr__(self) -> str:
        return f"ClientKey(name={self.name!r}, endpoint={self.endpoint!r})"


class KeyPair(Struct, frozen=True, kw_only=True):
    """What a client makes for itself, so that its secret never travels; it lacks what the host says."""

    public_key: Key
    secret_key: Key

    def __repr__(self) -> str:
        return f"KeyPair(public_key={self.public_key!r})"


def pair_to_text(pair: KeyPair) -> str:
    """The file of a pair, TOML."""
    heading = "# A key that no daemon knows yet. The secret is yours alone; the public key is for who runs the daemon."
    return f'{heading}\npublic_key = "{pair.public_key}"\nsecret_key = "{pair.secret_key}"\n'


def to_text(key: ClientKey) -> str:
    """The key file, TOML."""
    lines = [f'{field} = "{value}"' for field, value in msgspec.structs.asdict(key).items()]
    heading = f"# A key to a Stoker daemon. Whoever has this file is {key.name} there: keep it to yourself."
    return "\n".join([heading, *lines, ""])


def from_text(text: str) -> ClientKey:
    """Read a key file.

    Raises:
        ValueError: It is none; the text says which field is wrong, and never what a secret is.
    """
    return _from_toml(text, ClientKey)


def pair_from_text(text: str) -> KeyPair:
    """Read the file of a pair, or the pair in a key file. Raises ValueError as `from_text` does."""
    return _from_toml(text, KeyPair)


def _from_toml(text: str, kind: type[K]) -> K:
    import tomllib  # only who has a key needs it

    try:
        fields: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"not TOML: {error}") from None
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise ValueError(_explain(error)) from None


def _explain(error: msgspec.ValidationError) -> str:
    what, _, place = str(error).partition(" - at `$.")
    if missing := re.fullmatch(r"Object missing required field `(.*)`", what):
        return f"{missing[1]} is missing"
    field = place.removesuffix("`")
    return f"{field} is not a key of 40 characters" if field.endswith("_key") else f"{field}: {what.lower()}"
