"""The profiles that everybody has."""

from stoker_protocol.codec import pack
from stoker_protocol.jobs import Profile


def _profile(name: str, summary: str, batch_size: int, steps: int, cfg: float, sampler: str) -> Profile:
    params = {"steps": steps, "cfg": cfg, "sampler": sampler, "scheduler": "karras"}
    return Profile(name, summary, batch_size, pack(params))


BUILT_IN = (
    _profile("speed", "Many quick drafts", 8, 15, 7.0, "euler_ancestral"),
    _profile("balanced", "Good pictures in fair time", 4, 20, 8.0, "euler_ancestral"),
    _profile("quality", "Few pictures, as good as they get", 1, 30, 8.5, "dpmpp_2m"),
    _profile("animation", "Frames that belong together", 8, 20, 8.0, "euler_ancestral"),
    _profile("tileset", "Tiles of one set", 8, 18, 7.5, "euler_ancestral"),
)
