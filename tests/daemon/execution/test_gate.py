"""A lane's way through the checks."""

import asyncio

import pytest
from tests.conformance.bench import until, within_bound

from stoker_daemon.execution import gate as module
from stoker_daemon.execution.gate import Gate
from stoker_protocol.replies import Finding


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often."""
    monkeypatch.setattr(module, "LOOK_S", 0.001)


def test_an_open_gate() -> None:
    """We expect no wait and no word while all is well."""

    async def scenario() -> None:
        told: list[str] = []
        gate = Gate("gpu", lambda: [Finding("memory", ok=True)], lambda: told.append("told"))
        assert gate.is_open()
        assert await within_bound(gate.passed(asyncio.Event())) is True
        assert (gate.reason, told) == ("", [])

    asyncio.run(scenario())


def test_no_go_lifts_by_itself() -> None:
    """We expect a lane to wait with the reason as it is at the moment, to be told of it twice, and to go on."""

    async def scenario() -> None:
        findings = [Finding("memory", ok=False, detail="too little")]
        told: list[str] = []
        gate = Gate("gpu", lambda: findings, lambda: told.append(gate.reason))
        passing = asyncio.create_task(gate.passed(asyncio.Event()))
        await until(lambda: gate.reason)
        assert gate.reason == "memory: too little"
        assert not gate.is_open()
        findings[:] = [Finding("memory", ok=True), Finding("GPU", ok=False, detail="full")]
        await until(lambda: gate.reason == "GPU: full")
        assert not passing.done()
        findings.clear()
        assert await within_bound(passing) is True
        assert (gate.reason, told) == ("", ["memory: too little", ""])

    asyncio.run(scenario())


def test_a_stop_does_not_wait() -> None:
    """We expect a daemon that stops not to wait for a go."""

    async def scenario() -> None:
        stopping = asyncio.Event()
        gate = Gate("gpu", lambda: [Finding("memory", ok=False, detail="too little")], lambda: None)
        passing = asyncio.create_task(gate.passed(stopping))
        await until(lambda: gate.reason)
        stopping.set()
        assert await within_bound(passing) is False
        assert gate.reason == ""

    asyncio.run(scenario())
