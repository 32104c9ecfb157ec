"""`stoker gpu`: how the GPU is, who holds what, and how that looks."""

from msgspec import structs
from tests.clients.cli.conftest import Stoker
from tests.clients.cli.running import terminal
from tests.fakes.daemon import FakeDaemon
from tests.fakes.gpus import CARD, NO_GPU, REPORT

from stoker_client.cli.bars import bar, sparkline
from stoker_protocol.gpus import Sample


def test_for_people(stoker: Stoker) -> None:
    """We expect the readings with bars and their history, who holds what, the host, and what is not well."""
    out = stoker("gpu").out.splitlines()
    assert out[0] == "NVIDIA GeForce RTX 4090 (GPU 0, the executor's)"
    assert out[1].split() == ["use", "███████████████████▍", "97", "%", "▁▂▃▄▅▆▇█"]
    assert out[2].split()[0] == "memory"
    assert "18.0 GiB of 24.0 GiB" in out[2]
    assert "64 °C" in out[3]
    assert out[3].endswith("▁  ▅▅▅▅█")
    assert "310 W of 450 W" in out[4]
    assert [line.split() for line in out[6:10]] == [
        ["HELD", "BY", "MODEL", "MEMORY", "PID"],
        ["comfyui", "dream.safetensors", "12.0", "GiB", "4711"],
        ["blender", "not", "ours", "5.0", "GiB", "4712"],
        ["driver", "and", "unseen", "1.0", "GiB"],
    ]
    assert out[11].startswith("Host: 3.0 GiB of 64.0 GiB memory available; disk 200.0 GiB of 1000.0 GiB free")
    assert out[12] == "!!  memory: only 3.0 GiB are available"


def test_for_scripts(stoker: Stoker) -> None:
    """We expect every reading in plain numbers, bytes and time stamps."""
    shape = stoker("gpu", "--json").json
    assert shape["gpus"][0]["memory_free"] == CARD.memory_free
    assert [holding["holder"] for holding in shape["holdings"]] == ["comfyui", "blender", "driver and unseen"]
    assert (shape["executor"], shape["every_s"], shape["trouble"]) == (0, 2.0, "")
    assert shape["history"][0]["at_ms"][-1] == "2023-11-14T22:13:18.000Z"
    assert [check["ok"] for check in shape["checks"]] == [True, False]


def test_no_gpu(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect why there is none to be seen, and how the host is."""
    daemon.world.gpu = NO_GPU
    out = stoker("gpu").out.splitlines()
    assert out[0] == "No GPU can be seen: there is no NVIDIA driver on this host."
    assert out[1].startswith("Host: 8.0 GiB of 16.0 GiB")
    daemon.world.gpu = structs.replace(NO_GPU, sample=None)
    assert "not looked yet" in stoker("gpu").out


def test_gpus_that_tell_little(stoker: Stoker, daemon: FakeDaemon) -> None:
    """We expect only what is known of each, and a word where none of them is the executor's."""
    lost = structs.replace(CARD, uuid="GPU-2", index=1, trouble="GPU is lost", memory_total=None, memory_free=None)
    part = structs.replace(
        CARD, uuid="MIG-1", part_of="GPU-3", utilisation=None, temperature_c=None, power_w=None, is_unified=True
    )
    assert REPORT.sample
    daemon.world.gpu = structs.replace(REPORT, executor=None, sample=Sample(1, [lost, part], REPORT.sample.host))
    out = stoker("gpu").out
    assert "(GPU 1)\n  GPU is lost\n" in out
    assert "(GPU 0, a part of it)\n  memory" in out
    assert "of 24.0 GiB, the host's own" in out
    assert "None of these is the executor's" in out
    assert "HELD BY" not in out


def test_watch(daemon: FakeDaemon) -> None:
    """We expect the screen to follow what changes until Ctrl+C."""
    with terminal("gpu", "--watch", endpoint=daemon.control) as shown:
        shown.wait_for(lambda screen: "97 %" in screen)
        assert REPORT.sample
        card = structs.replace(CARD, utilisation=12.0)
        daemon.world.gpu = structs.replace(REPORT, sample=Sample(2, [card], REPORT.sample.host))
        shown.wait_for(lambda screen: "12 %" in screen)
        shown.interrupt()
        assert shown.end() == 130


def test_bars_and_sparklines() -> None:
    """We expect drawings to stay within their width whatever the values are."""
    assert [bar(filled).count("█") for filled in (-1, 0, 0.5, 1, 7)] == [0, 0, 10, 20, 20]
    assert sparkline([5], 0, 10) == ""
    assert sparkline([0, None, 10, 99, -5], 0, 10) == "▁ ██▁"
    assert sparkline([1.0] * 3, 1, 1) == "▁▁▁"
    long = sparkline([*[0.0] * 499, 10.0], 0, 10)
    assert (len(long), long[-1]) == (30, "█")
