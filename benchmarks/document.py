"""docs/performance.md as a result has it: `python -m benchmarks.document [FILE]` writes it, from the newest if none."""

import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import reasons
from benchmarks.core.figures import Comparison, Figure
from benchmarks.parts import PARTS
from benchmarks.peers.comparing import PYTHON_SERVICES
from benchmarks.results import ROOT, PartResult, Result, newest

DOCUMENT = ROOT / "docs/performance.md"
PEERS = "peers"
OURS = "stoker"
NO_PEERS = frozenset({"limit", "bare PUB", "import click, zmq, msgpack"})
"""Limits of what can be reached, not peers."""
QUIET_US = 300
"""A round is quiet if the disk's anchor before it is less."""
HEAD = """\
# Performance

<!-- Made by `python -m benchmarks.document` from benchmarks/results/{name}: edit neither. -->

Stoker is measured beside its peers, on the same work, in the same run: `make bench` does it on your machine in some
twenty minutes and writes this page anew. What follows was found on {date} (UTC), commit `{commit}`, on {cores} cores of
{processor}, {memory_gib} GiB, Linux {kernel}, {file_system}, Python {python}, SQLite {sqlite}, libzmq {libzmq}.

How to read it:

- **Look at ratios.** Another disk has other rates. All contenders take turns in {rounds} rounds; a ratio is of
  one round, and what is shown is the median over the rounds, with the least and the most of them.
- What is answered **is on disk**: each contender waits for its disk before each answer. An fdatasync of 4 KiB took
  {fsync:.0f} us here (median; {fsync_low:.0f} to {fsync_high:.0f}). Whether a disk keeps its word in a power cut, no
  benchmark can tell.
- `limit` is the least that this design could do: a ROUTER, one SQLite table with a full fsync, a warm worker; no
  checks, no events, no priorities. It shows what all the rest costs.
- Peers do different work: an embedded queue has no round trip, and a log in C has less to do. So Stoker is compared
  as a service with services, and where any peer is ahead, this page says so.
"""
BUSY = """\

**The machine was busy** (load {load_before:g} before the run): figures that wait for the disk say little then.
"""
QUIET_LOAD = 0.7
BESIDE = """\
## Beside its peers

Jobs or items a second, and in brackets their ratio to Stoker's:

{rates}

{claim} With 64 clients, libraries are not
measured, since their own code in the clients would be most of it.

From a submit until the job's body begins, on an idle host and on one whose cores are all busy; memory of all processes
(PSS); and the disk's anchor. Less is better:

{costs}

{quiet}

How they were set:
"""


def document(result: Result) -> str:
    """The whole page."""
    sections = [_head(result), _targets(result), _peers(result.parts.get(PEERS)), *_parts(result), _failures(result)]
    return "\n".join(section for section in sections if section)


def comparison_table(comparisons: Sequence[Comparison]) -> str:
    """Contenders by measures as Markdown: medians, and the range of the ratios to Stoker of the same rounds."""
    names = list(dict.fromkeys(name for comparison in comparisons for name in comparison.values))
    lines = [f"| | {' | '.join(_titled(comparison) for comparison in comparisons)} |"]
    lines.append("| --- " * (1 + len(comparisons)) + "|")
    for name in names:
        lines.append(f"| {name} | {' | '.join(_cell(comparison, name) for comparison in comparisons)} |")
    return "\n".join(lines)


def _head(result: Result) -> str:
    anchors = [value for part in result.parts.values() for value in part.fsync_us]
    fsync = {"fsync": statistics.median(anchors), "fsync_low": min(anchors), "fsync_high": max(anchors)}
    facts = {**result.machine, "date": result.date.replace("T", " "), "commit": result.commit, "rounds": result.rounds}
    busy = BUSY.format(**result.machine) if result.machine["load_before"] > QUIET_LOAD else ""
    return HEAD.format(name=result.name, **facts, **fsync) + busy


def _targets(result: Result) -> str:
    """What should be reached, what was, and why not."""
    wanted = [figure for figure in result.figures if figure.target is not None]
    unmet = [figure for figure in wanted if not figure.is_met]
    lines = [f"## What was to be reached\n\n{len(wanted) - len(unmet)} of {len(wanted)} targets are met.\n"]
    lines += [*_table(wanted), ""]
    if unmet:
        lines += ["Not met, and why:\n", *(f"- {figure.name}: {reasons.unmet(figure.name)}." for figure in unmet), ""]
    return "\n".join(lines)


def _peers(part: PartResult | None) -> str:
    if part is None or not part.findings.comparisons:
        return ""
    findings = part.findings
    rates = [comparison for comparison in findings.comparisons if comparison.unit == "/s"]
    costs = [comparison for comparison in findings.comparisons if comparison.unit != "/s"]
    set_so = [f"- **{name}**: {how}" for name, how in findings.contenders.items()]
    missing = [f"- left out: {name}: {why}" for name, why in findings.left_out.items()]
    behind = (
        ["\nWhere a peer is ahead of Stoker, and why:\n", *ahead] if (ahead := list(_behind([*rates, *costs]))) else []
    )
    section = BESIDE.format(
        rates=comparison_table(rates), claim=_claim(rates), costs=comparison_table(costs), quiet=_quiet(costs)
    )
    return "\n".join([section, *set_so, *missing, *behind, ""])


def _claim(comparisons: Sequence[Comparison]) -> str:
    """What Stoker is the fastest at among services in Python, as far as it was measured."""
    leads = [
        comparison.name
        for comparison in comparisons
        if (others := {peer: found for peer, found in comparison.to(OURS).items() if peer in PYTHON_SERVICES})
        and all(high < 1 for _, _, high in others.values())
    ]
    fastest = ", ".join(leads) or "nothing"
    return f"Of the durable queue services in Python, Stoker is the fastest in each round at: {fastest}."


def _quiet(comparisons: Sequence[Comparison]) -> str:
    """Of how many turns the disk was quiet."""
    anchors = [value for one in comparisons if one.is_anchor for column in one.values.values() for value in column]
    quiet = sum(value < QUIET_US for value in anchors)
    return f"In {quiet} of {len(anchors)} turns the disk was quiet (less than {QUIET_US} us)."


def _behind(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """A line for each reason why a peer is better than ours, and in what."""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for comparison in comparisons:
        is_more_better = comparison.unit == "/s"
        for peer, (low, middle, high) in comparison.to(OURS).items():
            if peer not in NO_PEERS and (middle > 1) == is_more_better:
                ratio = f"{comparison.name} {middle:.2f} of Stoker's ({low:.2f} to {high:.2f})"
                found[peer, reasons.ahead(peer, comparison.name)].append(ratio)
    for (peer, why), ratios in found.items():
        yield f"- **{peer}**: {', '.join(ratios)}: {why}."


def _parts(result: Result) -> Iterator[str]:
    """What the other parts have found beside what has a target."""
    for name, part in result.parts.items():
        if name == PEERS or part.failed:
            continue
        rest = [figure for figure in part.findings.figures if figure.target is None]
        lines = [f"## {PARTS[name].title}\n", *(_table(rest) if rest else [])]
        lines += [comparison_table(part.findings.comparisons)] if part.findings.comparisons else []
        lines += [f"- left out: {what}: {why}" for what, why in part.findings.left_out.items()]
        if len(lines) > 1:
            yield "\n".join([*lines, ""])


def _failures(result: Result) -> str:
    lines = [f"- {PARTS[name].title}: {why}" for name, why in result.failed.items()]
    return "\n".join(["## What did not work\n", *lines, ""]) if lines else ""


def _table(figures: Sequence[Figure]) -> list[str]:
    lines = ["| | found | should be | | |", "| --- | --- | --- | --- | --- |"]
    return [*lines, *(_row(figure) for figure in figures)]


def _row(figure: Figure) -> str:
    spread = "" if figure.low is None or figure.high is None else f" ({figure.low:.2f} to {figure.high:.2f})"
    wanted = "" if figure.target is None else f"{figure.relation} {figure.target:g}"
    met = "" if figure.target is None else "yes" if figure.is_met else "**no**"
    unit = f" {figure.unit}" if figure.unit else ""
    return f"| {figure.name} | {figure.value:.2f}{unit}{spread} | {wanted} | {met} | {figure.made_of} |"


def _titled(comparison: Comparison) -> str:
    return comparison.name if comparison.unit == "/s" else f"{comparison.name}, {comparison.unit}"


def _cell(comparison: Comparison, name: str) -> str:
    values = comparison.values.get(name)
    if not values:
        return ""
    middle = statistics.median(values)
    shown = f"{middle:,.0f}" if middle >= 100 else f"{middle:.1f}"
    if name not in (ratios := comparison.to(OURS)):
        return shown
    low, ratio, high = ratios[name]
    return f"{shown} ({ratio:.2f}; {low:.2f} to {high:.2f})"


def main() -> None:
    """Write the page."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else newest()
    if file is None:
        sys.exit("there is no result yet: make bench")
    DOCUMENT.write_text(document(Result.read(file)), encoding="utf-8")


if __name__ == "__main__":
    main()
