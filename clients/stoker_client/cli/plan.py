"""`stoker plan`: the runs to come as waves, what they gain, and carried out exactly as shown."""

from collections import Counter
from typing import Any

import click

from stoker_client.cli.render import Cell, clean, clip, clock, duration, plural, table, timestamp
from stoker_client.cli.verb import Shared, verb
from stoker_protocol.plans import Grouping, Wave
from stoker_protocol.replies import Plan


@verb(
    "stoker plan                     # what comes, in which order and why",
    "stoker plan --strict            # if only what differs in nothing but the seed shared a run",
    "stoker plan --json              # every run of it, with the token",
    "stoker plan --execute TOKEN     # exactly what was shown, if nothing has changed",
)
@click.option("--mixed", "grouping", flag_value="mixed", help="Runs of all that an engine can run together.")
@click.option("--strict", "grouping", flag_value="strict", help="Runs of what differs in nothing but the seed.")
@click.option("--execute", "token", metavar="TOKEN", help="Carry out the plan that has this token.")
def plan(shared: Shared, grouping: Grouping | None, token: str | None) -> None:
    """Show the runs to come, in waves of one model each.

    Without --mixed or --strict runs are grouped as the daemon does, by `[scheduling] grouping` of its configuration.
    Pause the queue first to have a plan carried out as it stands; its execution lets the queue go on. A plan holds the
    order, not the outcomes: what fails is tried again at its end, and something urgent may still cut in.
    """
    with shared.client() as client:
        if token is not None:
            begun = client.execute_plan(token)
            shared.answer(
                {"token": token, "runs": begun.runs, "items": begun.items},
                f"{plural(begun.runs, 'run')} over {plural(begun.items, 'item')} go on as planned.",
            )
        else:
            made = client.plan(grouping)
            shared.answer(_shape(made), _text(made))


def _shape(made: Plan) -> dict[str, Any]:
    left_out = ("v", "id", "at_ms")
    return {"at": timestamp(made.at_ms)} | {
        name: getattr(made, name) for name in made.__struct_fields__ if name not in left_out
    }


def _text(made: Plan) -> str:
    if not made.waves:
        return "Nothing waits that could run."
    rows = [_row(number, wave, made.at_ms) for number, wave in enumerate(made.waves, start=1)]
    headers = ["wave>", "start", "by", "model", "items>", "batches", "load>", "run>", "why"]
    lines = [_summary(made), "", table(headers, rows), ""]
    if not made.is_whole:
        lines.append("More waits than was looked at.")
    if made.is_paused:
        lines.append(f"The queue is held back. Exactly this order: stoker plan --execute {made.token}")
    return "\n".join(lines).rstrip()


def _summary(made: Plan) -> str:
    """What there is to do, when it is done, and what the order gains."""
    runs = [run for wave in made.waves for run in wave.runs]
    items = sum(share.items for run in runs for share in run.shares)
    ends = [clock(made.at_ms + round(1000 * seconds)) for seconds in (made.done_s.p50, made.done_s.p90)]
    grouped = ", each of items that differ in nothing but the seed" if made.grouping == "strict" else ""
    what = f"{plural(items, 'item')} in {plural(len(runs), 'run')} and {plural(len(made.waves), 'wave')}{grouped}"
    return (
        f"{what}: done in {duration(made.done_s.p50)}, at {ends[0]}; nine times in ten by {ends[1]}\n"
        f"first come, first served: {_beside(made.fifo_s, made)}; one item at a time: {_beside(made.single_s, made)}"
    )


def _beside(seconds: float, made: Plan) -> str:
    times = f"{seconds / made.done_s.p50 if made.done_s.p50 else 1.0:.1f}"
    return f"{duration(seconds)} ({'as long' if times == '1.0' else f'{times} times as long'})"


def _row(number: int, wave: Wave, at_ms: int) -> list[str | Cell]:
    sizes = [sum(share.items for share in run.shares) for run in wave.runs]
    first = wave.runs[0].start_s
    return [
        str(number),
        clock(at_ms + round(1000 * first.p50)),
        clock(at_ms + round(1000 * first.p90)),
        clip(clean(f"{wave.engine}/{wave.model}"), 32),
        str(sum(sizes)),
        clip(_batches(sizes), 24),
        duration(wave.load_s) if wave.load_s else "-",
        duration(sum(run.seconds for run in wave.runs)),
        clean(wave.reason),
    ]


def _batches(sizes: list[int]) -> str:
    """`12 x 8, 1 x 3`."""
    return ", ".join(f"{number} x {size}" for size, number in sorted(Counter(sizes).items(), reverse=True))
