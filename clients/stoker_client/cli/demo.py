"""`stoker demo`: what Stoker promises, shown in a minute with a daemon of one's own, and then checked."""

import shutil
import sys
import tempfile
from pathlib import Path
from textwrap import fill

import click

from stoker_client.cli.follow import view_for
from stoker_client.cli.proof import Claim
from stoker_client.cli.render import coloured, size, table
from stoker_client.cli.shapes import job_shape
from stoker_client.cli.verb import Shared, verb
from stoker_protocol.jobs import Job


@verb("stoker demo", "stoker demo --dir here", "stoker demo --json", asks_daemon=False)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where everything is kept.  [default: a new temporary directory]",
)
def demo(shared: Shared, directory: Path | None) -> None:
    """See it work in a minute: nothing to set up.

    A daemon of its own makes pictures, is killed in the middle and started again; then the results are counted. All of
    it stays in its directory, to be looked at, until you remove that.
    """
    from stoker_client.cli.story import tell_story

    place = (directory or Path(tempfile.mkdtemp(prefix="stoker-demo-"))).resolve()
    told = tell_story(place, _Stage(shared))
    holds = all(claim.holds for claim in told.claims)
    shape = {
        "ok": holds,
        "directory": str(place),
        "jobs": [job_shape(job) for job in told.jobs],
        "claims": [claim._asdict() for claim in told.claims],
    }
    shared.answer(shape, _ending(told.claims, told.jobs, place))
    if not holds:
        click.get_current_context().exit(1)


def _ending(claims: list[Claim], jobs: list[Job], place: Path) -> str:
    rows = [(coloured("yes" if claim.holds else "NO"), claim.text, claim.figures) for claim in claims]
    # In a clone the commands lie in an environment that the shell does not look into.
    activate = Path(sys.executable).parent / "activate"
    hidden = activate.exists() and not shutil.which("stokerd")
    next_steps = [
        *([(f". {activate}", "let each of your terminals find the commands")] if hidden else []),
        ("stokerd", "start a daemon that stays"),
        ('stoker generate "a teal dragon" -n 8 --wait', "make pictures with it, from another terminal"),
        ("stoker status", "see what it does"),
    ]
    made = [job for job in jobs if job.items.succeeded]
    pages = [(job.name, str(page)) for job in made for page in place.glob(f"outputs/*/{job.job_id}/index.html")]
    pictures = table(("the pictures", "open in a browser"), pages)
    kept = f"All of it is in {place} ({_size_of(place)}), to be looked at; remove it when you like."
    return "\n\n".join([table(("", "claim", "counted"), rows), pictures, kept, table(("try next", ""), next_steps)])


def _size_of(place: Path) -> str:
    return size(sum(file.stat().st_size for file in place.rglob("*") if file.is_file()))


class _Stage:
    """The terminal, or nothing where only the JSON at the end is wanted."""

    def __init__(self, shared: Shared) -> None:
        self.view = view_for(shared, events=not shared.json)
        self._is_silent = shared.json
        self._chapters = 0

    def chapter(self, heading: str, text: str) -> None:
        """Begin a chapter with its heading and what it is about."""
        self._chapters += 1
        self.say(f"\n{click.style(f'{self._chapters}. {heading}', bold=True)}\n{fill(text, 78)}")

    def say(self, text: str) -> None:
        """Tell something."""
        if not self._is_silent:
            click.echo(text)
