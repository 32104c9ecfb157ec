"""`stoker selftest`: kills a private daemon again and again, then counts whether this disk kept what was promised."""

import shutil
import tempfile
from pathlib import Path
from random import Random, SystemRandom

import click

from stoker_client.cli.proof import Claim
from stoker_client.cli.render import coloured, plural, table
from stoker_client.cli.verb import Shared, verb


@verb(
    "stoker selftest --crash",
    "stoker selftest --crash --dir /srv/stoker --json",
    "stoker selftest --crash --seed 7",
    asks_daemon=False,
)
@click.option("--crash", is_flag=True, help="Kill the daemon and its models at chosen moments; else it just works.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=".",
    help="A folder on the disk to test; all happens in a new one below it.  [default: here]",
)
@click.option("--seed", type=click.IntRange(min=0), help="Of an earlier test, to kill at the same events again.")
def selftest(shared: Shared, crash: bool, directory: Path, seed: int | None) -> None:
    """Prove in a minute that nothing is lost on this disk.

    A daemon of its own works off some hundred items while it is killed with kill -9; then each is counted. Exits with 1
    if anything is missing, doubled or changed, and keeps the folder to look at.
    """
    from stoker_client.cli.ordeal import endure

    seed = SystemRandom().randrange(1_000_000) if seed is None else seed
    place = Path(tempfile.mkdtemp(prefix="stoker-selftest-", dir=directory.resolve()))
    endured = endure(place, Random(seed), crash=crash, say=(lambda _: None) if shared.json else click.echo)  # noqa: S311  it must come out the same again
    holds = all(claim.holds for claim in endured.claims)
    if holds:
        shutil.rmtree(place)
    shape = {
        "ok": holds,
        "seed": seed,
        "directory": None if holds else str(place),
        "seconds": round(endured.seconds, 1),
        "kills": endured.kills,
        "claims": [claim._asdict() for claim in endured.claims],
    }
    shared.answer(shape, _text(endured.claims, endured.kills, seed, None if holds else place))
    if not holds:
        click.get_current_context().exit(1)


def _text(claims: list[Claim], kills: dict[str, int], seed: int, kept: Path | None) -> str:
    rows = [(coloured("yes" if claim.holds else "NO"), claim.text, claim.figures) for claim in claims]
    daemon, mid_submit, worker = (kills[victim] for victim in ("daemon", "submit", "worker"))
    what = (
        f"The daemon was killed {plural(daemon + mid_submit, 'time')}, {mid_submit} of them in the middle of a submit,"
    )
    what += f" its model process {plural(worker, 'time')} (seed {seed})."
    if not any(kills.values()):
        what = "Nobody was killed: --crash does that."
    where = f"Something is wrong; all of it is in {kept}" if kept else "All was kept."
    return "\n\n".join([table(("", "claim", "counted"), rows), f"{what}\n{where}"])
