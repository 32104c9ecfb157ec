"""Prints policies beside each other on generated traces, or replays a recorded one."""

import json
from pathlib import Path

import click

from benchmarks.core.figures import Figure
from benchmarks.scheduling.comparing import Belief, compare, figures, step_times, table_head, table_row
from benchmarks.scheduling.outcome import outcome
from benchmarks.scheduling.policies import POLICIES
from benchmarks.scheduling.simulator import simulate
from benchmarks.scheduling.trace import parse
from benchmarks.scheduling.traces import LONG, TRACES


@click.command()
@click.argument("traces", nargs=-1, type=click.Choice(list(TRACES)))
@click.option("--quick", is_flag=True, help="Two seeds of each trace.")
@click.option("--seeds", default=20, show_default=True, help="Seeds of each trace; half as many of the long ones.")
@click.option("--first-seed", default=1, show_default=True)
@click.option("--loads-believed", default=1.0, help="Stoker takes loads to last so many times what they do.")
@click.option("--runs-believed", default=1.0, help="Stoker takes runs to last so many times what they do.")
@click.option("--trace", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Replay this file.")
@click.option("--policy", type=click.Choice(list(POLICIES)), help="What replays it.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="For scripts: one object for each policy.")
def main(
    traces: tuple[str, ...],
    quick: bool,
    seeds: int,
    first_seed: int,
    loads_believed: float,
    runs_believed: float,
    file: Path | None,
    policy: str | None,
    as_json: bool,
) -> None:
    """Compare policies on TRACES, by default all; about a minute."""
    if file:
        replay(file, [policy] if policy else list(POLICIES), as_json=as_json)
        return
    seeds = 2 if quick else seeds
    belief = Belief(loads_believed, runs_believed)
    met: list[Figure] = []
    print(table_head())
    for name in traces or TRACES:
        number = max(2, seeds // 2) if name in LONG else seeds
        outcomes = compare(name, range(first_seed, first_seed + number), belief)
        for each, rows in outcomes.items():
            print(table_row(name, each, rows), flush=True)
        met += figures(name, outcomes)
    for figure in [*met, *step_times(50 if quick else 500)]:
        print(figure.row())


def replay(file: Path, names: list[str], *, as_json: bool) -> None:
    """Print what policies make of a recorded trace."""
    try:
        with file.open(encoding="utf-8") as lines:
            trace = parse(lines)
    except (KeyError, ValueError) as wrong:
        raise click.ClickException(f"{file} is no trace: {wrong!r}") from wrong
    for number, name in enumerate(names):
        result = outcome(name, trace, simulate(trace, POLICIES[name](trace)))
        if as_json:
            print(json.dumps(result))
        else:
            print(*([] if number else [table_head()]), table_row(file.name[:15], name, [result]), sep="\n")


if __name__ == "__main__":
    main()
