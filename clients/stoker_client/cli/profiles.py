"""`stoker profiles`: named sets of defaults."""

from stoker_client.cli.render import clean, table
from stoker_client.cli.verb import Shared, verb
from stoker_protocol import codec
from stoker_protocol.jobs import Profile


@verb("stoker profiles", "stoker profiles --json")
def profiles(shared: Shared) -> None:
    """List the profiles: what each says where a job says nothing itself."""
    with shared.client() as client:
        found = client.profiles()
    shared.answer({"profiles": [_shape(profile) for profile in found]}, _table(found))


def _shape(profile: Profile) -> dict[str, object]:
    params = codec.unpack(profile.params)
    return {"name": profile.name, "summary": profile.summary, "batch_size": profile.batch_size, "params": params}


def _table(found: list[Profile]) -> str:
    """A column for each parameter that any of them says."""
    if not found:
        return "There are no profiles."
    params = [codec.unpack_map(profile.params) for profile in found]
    names = list(dict.fromkeys(name for one in params for name in one))
    rows = [
        [
            profile.name,
            str(profile.batch_size or "auto"),
            *(clean(str(one.get(name, ""))) for name in names),
            profile.summary,
        ]
        for profile, one in zip(found, params, strict=True)
    ]
    return table(("profile", "batch>", *names, "what it is for"), rows)
