"""Measures Stoker beside some of its peers and prints their rates, each beside Stoker's of the same round."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.core.figures import Setting
from benchmarks.document import OURS
from benchmarks.peers.comparing import compare, makers


@click.command()
@click.argument("names", nargs=-1)
@click.option("--rounds", default=5, show_default=True, help="Rounds, each with all peers in turns.")
@click.option("--quick", is_flag=True, help="As little as possible: whether it works, not how fast it is.")
@click.option("--folder", type=click.Path(path_type=Path), help="On the disk to measure [default: here].")
@click.option("--environments", type=click.Path(path_type=Path), default=Path(".venv-peers"), show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Also write the findings there as JSON.")
def main(
    names: tuple[str, ...], rounds: int, quick: bool, folder: Path | None, environments: Path, output: Path | None
) -> None:
    """Measure NAMES (beanstalkd, redis, huey, rq, celery, procrastinate, bluesky; by default all) beside Stoker."""
    setting = Setting(folder or Path.cwd(), 1 if quick else rounds, quick, environments)
    known = makers(setting)
    if unknown := set(names) - set(known):
        raise click.BadParameter(f"{', '.join(sorted(unknown))}; one of: {', '.join(known)}", param_hint="NAMES")
    wanted = {name: make for name, make in known.items() if not names or name in (*names, "limit", "stoker")}
    findings = compare(wanted, setting)
    for comparison in findings.comparisons:
        print(*comparison.rows(OURS), sep="\n")
    for figure in findings.figures:
        print(figure.row())
    for name, reason in findings.left_out.items():
        print(f"left out: {name}: {reason}")
    if output:
        output.write_text(json.dumps(asdict(findings), indent=2) + "\n")


if __name__ == "__main__":
    main()
