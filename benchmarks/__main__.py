"""Everything that is measured, part by part: `python -m benchmarks` ends in a result file and docs/performance.md."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.core.figures import Setting
from benchmarks.document import DOCUMENT, OURS, document
from benchmarks.parts import PARTS
from benchmarks.results import RESULTS, PartResult, Result, agreement, newest, save
from benchmarks.running import run

INTERRUPTED = 130
"""The exit code after Ctrl+C."""


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--rounds", default=5, show_default=True, help="Interleaved rounds.")
@click.option("--quick", is_flag=True, help="As little as possible: whether it works, not how fast it is.")
@click.option("--folder", type=click.Path(path_type=Path), help="On the disk to measure.  [default: here]")
@click.option(
    "--environments",
    type=click.Path(path_type=Path),
    default=Path(".venv-peers"),
    show_default=True,
    help="Where peers are installed; a quick run takes those that are there.",
)
@click.option("--output", type=click.Path(path_type=Path), help="Write the result there, and no page.")
@click.option(
    "--against", type=click.Path(exists=True, path_type=Path), help="An earlier result.  [default: the newest]"
)
def main(
    parts: Sequence[str],
    rounds: int,
    quick: bool,
    folder: Path | None,
    environments: Path,
    output: Path | None,
    against: Path | None,
) -> None:
    """Measure PARTS, by default all, Stoker beside its peers; some twenty minutes on a quiet machine.

    A whole run is kept in benchmarks/results/, and docs/performance.md is written from it; a quick one, or one of some
    parts, is kept only where --output says.
    """
    names = [name for name in PARTS if name in (parts or PARTS)]
    setting = Setting((folder or Path.cwd()).absolute(), 1 if quick else rounds, quick, environments.absolute())
    earlier = Result.read(file) if (file := against or newest()) else None
    try:
        result = run(names, setting, _tell)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    if output:
        save(result, output)
    elif not quick and names == list(PARTS):
        print(f"result: {save(result, RESULTS / result.name)}")
        DOCUMENT.write_text(document(result), encoding="utf-8")
        print(f"page: {DOCUMENT}")
    if earlier and not quick:
        print(agreement(earlier, result))
    sys.exit(1 if result.failed else 0)


def _tell(name: str, part: PartResult) -> None:
    """Print what a part has found."""
    print(f"\n{PARTS[name].title} ({part.took_s:.0f} s)")
    if part.failed:
        print(f"failed: {part.failed}")
    for comparison in part.findings.comparisons:
        print(*comparison.rows(OURS), sep="\n")
    for figure in part.findings.figures:
        print(figure.row())
    for what, why in part.findings.left_out.items():
        print(f"left out: {what}: {why}")


def _interrupt(*_: object) -> None:
    """End as after Ctrl+C, which cleans up, also where a shell has put this into the background or a limit is over."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    main()
