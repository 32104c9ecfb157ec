"""What items have in common that differ in nothing but their seeds."""

import hashlib

from stoker_protocol import codec


def likeness(template: bytes | None, shared: bytes, own: bytes) -> str:
    """Equal for those that do: a digest of the workflow and of all parameters, the job's under the item's own."""
    params = {**codec.unpack_map(shared), **codec.unpack_map(own)}
    params.pop("seed", None)
    digest = hashlib.blake2b(codec.pack({name: params[name] for name in sorted(params)}), digest_size=16)
    digest.update(template or b"")
    return digest.hexdigest()
