"""Which endpoints the daemon dares to bind."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.daemon.zmq.rig import until

from stoker_daemon.zmq import keywatch
from stoker_daemon.zmq.security import EndpointError, Locks


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://127.0.0.1:5577",
        "tcp://127.0.0.1:*",
        "tcp://127.8.9.10:0",
        "tcp://localhost:0",
        "tcp://[::1]:0",
        "ipc:///run/stoker/control.sock",
        "ipc://relative.sock",
    ],
)
def test_loopback_is_fine(endpoint: str) -> None:
    """Endpoints that only this machine can reach are bound without a question."""
    Locks().check([endpoint])
    assert Locks().secret_for(endpoint) is None


BEYOND = [
    "tcp://*:5577",
    "tcp://0.0.0.0:5577",
    "tcp://[::]:5577",
    "tcp://192.168.1.5:5577",
    "tcp://[fe80::1%eth0]:5577",
    "tcp://[::ffff:127.0.0.1]:0",
    "tcp://lo:5577",
    "tcp://eth0:5577",
    "tcp://localhost.example.org:5577",
    "tcp://127.1:5577",
    "tcp://2130706433:5577",
    "tcp://eth0;127.0.0.1:5577",
]


@pytest.mark.parametrize("endpoint", BEYOND)
def test_beyond_loopback(endpoint: str) -> None:
    """Anything that others may reach, or nobody knows who, is refused by name, unless `--insecure` is said."""
    with pytest.raises(EndpointError) as refused:
        Locks().check(["tcp://127.0.0.1:0", endpoint])
    assert str(refused.value).startswith(f"{endpoint}: ")
    assert "--insecure" in str(refused.value)
    Locks(insecure=True).check([endpoint])
    assert Locks(insecure=True).lets_strangers_in([endpoint])


@pytest.mark.parametrize("insecure", [False, True])
@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "127.0.0.1:5577",
        "tcp://127.0.0.1",
        "tcp://:5577",
        "inproc://x",
        "udp://127.0.0.1:5",
        "ipc://",
        "ipc://@x",
        "ipc://*",
    ],
)
def test_no_endpoint_at_all(endpoint: str, insecure: bool) -> None:
    """What is no address with a port and no path of a file is refused whatever is said."""
    with pytest.raises(EndpointError, match=r"ADDRESS:PORT|address and port|path of a file"):
        Locks(insecure=insecure).check([endpoint])


def test_strangers_are_warned_about_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """We expect the word that anyone may come in at the start and each hour, which is here shorter."""
    assert keywatch.WARN_S == 3600
    monkeypatch.setattr(keywatch, "WARN_S", 0.01)

    async def scenario() -> None:
        with capture_logs() as log:
            warning = asyncio.create_task(keywatch.warn_of_strangers())
            await until(lambda: len(log) >= 3)
            warning.cancel()
        assert {(line["log_level"], "started with --insecure" in line["event"]) for line in log} == {("warning", True)}

    asyncio.run(scenario())
