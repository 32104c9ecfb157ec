"""How GPUs and who holds them are put into words and bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stoker_client.cli.bars import bar, sparkline
from stoker_client.cli.render import Cell, clean, clock, size, table
from stoker_protocol.gpus import Gpu, History, Holding, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stoker_protocol.replies import GpuReport

_NO_HISTORY = History("", [], [], [], [], [])
_HOT_C = (30.0, 90.0)
"""What the heat is drawn between."""


def portrait_of_gpus(report: GpuReport) -> Iterator[str]:
    """The GPUs and the host, line by line, and what is not well."""
    sample = report.sample
    if sample is None:
        yield "The daemon has not looked yet."
        return
    histories = {history.uuid: history for history in report.history}
    for place, one in enumerate(sample.gpus):
        yield from _portrait(one, histories.get(one.uuid, _NO_HISTORY), is_executor=place == report.executor)
        if place == report.executor and report.holdings:
            yield from ("", table(("held by", "model", "memory>", "pid>"), [_row(each) for each in report.holdings]))
        yield ""
    if not sample.gpus:
        yield f"No GPU can be seen: {clean(sample.trouble)}."
    elif report.executor is None:
        yield click.style("None of these is the executor's: see [gpu] device in the configuration.", fg="red")
    yield _host(sample)
    yield from (f"{click.style('!!', fg='red')}  {clean(c.part)}: {clean(c.detail)}" for c in report.checks if not c.ok)


def _portrait(gpu: Gpu, history: History, *, is_executor: bool) -> Iterator[str]:
    part = ", a part of it" if gpu.part_of else ""
    note = ", the executor's" if is_executor else ""
    yield click.style(clean(gpu.name), bold=True) + f" (GPU {gpu.index}{part}{note})"
    if gpu.trouble:
        yield f"  {click.style(clean(gpu.trouble), fg='red')}"
    if gpu.utilisation is not None:
        yield _line("use", f"{gpu.utilisation:.0f} %", gpu.utilisation / 100, sparkline(history.utilisation, 0, 100))
    if gpu.memory_total and gpu.memory_used is not None:
        facts = f"{size(gpu.memory_used)} of {size(gpu.memory_total)}" + (", the host's own" if gpu.is_unified else "")
        seen = sparkline(history.memory_used, 0, gpu.memory_total)
        yield _line("memory", facts, gpu.memory_used / gpu.memory_total, seen)
    if gpu.temperature_c is not None:
        low, high = _HOT_C
        filled = (gpu.temperature_c - low) / (high - low)
        yield _line("heat", f"{gpu.temperature_c:.0f} °C", filled, sparkline(history.temperature_c, low, high))
    if gpu.power_w is not None:
        limit = gpu.power_limit_w or max([gpu.power_w, *(seen for seen in history.power_w if seen is not None)]) or 1
        facts = f"{gpu.power_w:.0f} W" + (f" of {gpu.power_limit_w:.0f} W" if gpu.power_limit_w else "")
        yield _line("power", facts, gpu.power_w / limit, sparkline(history.power_w, 0, limit))


def _line(name: str, facts: str, filled: float, seen: str) -> str:
    return f"  {name:<7} {bar(filled)}  {facts:<24} {seen}".rstrip()


def _row(holding: Holding) -> list[str | Cell]:
    return [
        Cell(holding.holder, "yellow" if holding.is_stranger else None),
        "not ours" if holding.is_stranger else holding.what,
        "?" if holding.bytes is None else size(holding.bytes),
        "" if holding.pid is None else str(holding.pid),
    ]


def _host(sample: Sample) -> str:
    host = sample.host
    memory = f"{size(host.memory_available)} of {size(host.memory_total)} memory available"
    return f"Host: {memory}; disk {size(host.disk_free)} of {size(host.disk_total)} free; {clock(sample.at_ms)}"
