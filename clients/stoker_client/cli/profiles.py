"""`stoker profiles`: named sets of defaults, and how those of another program become some."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stoker_client.cli import complete
from stoker_client.cli.render import clean, plural, table
from stoker_client.cli.verb import Shared, verb
from stoker_protocol import codec
from stoker_protocol.jobs import Profile

if TYPE_CHECKING:
    from stoker_client.cli.profiles_import import ImportedProfile

_USAGE = "Either nothing more, or a file: stoker profiles import profiles.yaml"


@verb(
    "stoker profiles",
    "stoker profiles import profiles.yaml                  # look at what it would be here",
    "stoker profiles import profiles.yaml >> stokerd.toml  # for the daemon's --config; restart it then",
)
@click.argument("words", nargs=-1, metavar="[import FILE]", shell_complete=complete.imports)
def profiles(shared: Shared, words: tuple[str, ...]) -> None:
    """List the profiles, or turn a YAML file of them into configuration.

    A profile says what holds where a job says nothing itself. Those of your own are tables [profiles.NAME] in the
    daemon's configuration file, which `import` prints.
    """
    if words:
        if words[0] != "import" or len(words) != 2:
            raise click.UsageError(_USAGE)
        _import(shared, Path(words[1]))
        return
    with shared.client() as client:
        found = client.profiles()
    shared.answer({"profiles": [_shape(profile) for profile in found]}, _table(found))


def _import(shared: Shared, file: Path) -> None:
    from stoker_client.cli.profiles_import import BadProfiles, NoYaml, as_toml, read_profiles

    try:
        found = read_profiles(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise click.UsageError(f"Can't read {file}: {(error.strerror or str(error)).lower()}.") from None
    except (BadProfiles, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file}: {error}") from None
    except NoYaml as error:
        raise click.UsageError(str(error)) from None
    toml = as_toml(found)
    shared.answer({"profiles": found, "toml": toml}, toml)
    if not shared.json:
        click.echo(_advice(found), err=True)


def _advice(found: list[ImportedProfile]) -> str:
    lost = sum(len(profile.left_out) for profile in found)
    told = f"{plural(len(found), 'profile')}, for the file that stokerd gets by --config."
    return f"{told} {plural(lost, 'key')} not known here, named in the comments." if lost else told


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
        [one.name, str(one.batch_size or "auto"), *(clean(str(said.get(name, ""))) for name in names), one.summary]
        for one, said in zip(found, params, strict=True)
    ]
    return table(("profile", "batch>", *names, "what it is for"), rows)
