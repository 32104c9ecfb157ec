"""What a real Prometheus makes of a real daemon, and whether its alerts come when they should."""

import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.system.daemons import FAULTS, REPOSITORY, Rig, a_rig, config
from tests.worker.processes import BOUND_S, wait_for

RULES = REPOSITORY / "systemd/examples/stoker-alerts.yml"
TESTS = Path(__file__).with_name("stoker-alerts-test.yml")
METRICS = '[metrics]\nlisten = "127.0.0.1:0"\n'
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="needs prometheus and promtool (Debian: apt install prometheus)"
)


@pytest.fixture
def rig(tmp_path: Path) -> Generator[Rig]:
    """A daemon that answers HTTP."""
    with a_rig(tmp_path, config(engines=METRICS + FAULTS)) as rig:
        yield rig


def url(rig: Rig) -> str:
    """Where it does, as its log says."""
    for line in (rig.data_dir / "stokerd.log").read_text().splitlines():
        if '"event": "metrics"' in line:
            return json.loads(line)["url"].removesuffix("/metrics")
    raise AssertionError("the log says nothing of metrics")


def get(rig: Rig, path: str) -> tuple[int, str]:
    """Status and text of a page."""
    try:
        with urllib.request.urlopen(url(rig) + path, timeout=BOUND_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_pages(rig: Rig) -> None:
    """We expect metrics of the work done, `alive`, `ready`, and a 503 that names the part that is not well."""
    rig.run("a", "b")
    status, text = get(rig, "/metrics")
    assert status == 200
    assert 'stoker_item_outcomes_total{engine="faults",kind="",outcome="succeeded"} 2.0' in text
    assert 'stoker_lane_busy{lane="gpu"} 0.0' in text
    assert get(rig, "/healthz") == (200, "alive\n")
    assert get(rig, "/readyz") == (200, "ready\n")
    assert get(rig, "/else")[0] == 404


def test_not_ready(tmp_path: Path) -> None:
    """We expect /readyz to name the engine that can't start, while /healthz says that the daemon lives."""
    broken = '[engines.broken]\nmodel = "tests.models.nowhere:Nothing"\n'
    with a_rig(tmp_path, config(engines=METRICS + broken)) as rig:
        wait_for(lambda: get(rig, "/readyz")[0] == 503)
        assert "engine broken" in get(rig, "/readyz")[1]
        assert get(rig, "/healthz") == (200, "alive\n")


@needs_prometheus
def test_names_are_conventional(rig: Rig) -> None:
    """We expect promtool to find nothing wrong with names, types and help texts."""
    rig.run("a")
    _, text = get(rig, "/metrics")
    assert text.count("\n# TYPE stoker_") > 20
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=BOUND_S, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@needs_prometheus
def test_alerts(tmp_path: Path) -> None:
    """We expect the rules to be right, and to fire when work stands still and not while it goes on."""
    for file in (RULES, TESTS):
        shutil.copy(file, tmp_path)
    for command in (["check", "rules", str(RULES)], ["test", "rules", str(tmp_path / TESTS.name)]):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True, timeout=BOUND_S, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
def test_real_scrape(rig: Rig, tmp_path: Path) -> None:
    """We expect a Prometheus to find the daemon up, and its counter of outcomes as it is."""
    rig.run("a", "b", "c")
    with prometheus(tmp_path, url(rig).removeprefix("http://")) as ask:
        query = 'sum(stoker_item_outcomes_total{outcome="succeeded"})'
        wait_for(lambda: ask('up{job="stoker"}') == "1" and ask(query) == "3")


@contextmanager
def prometheus(folder: Path, target: str):
    """A Prometheus that scrapes this each second; how to ask it."""
    settings = folder / "prometheus.yml"
    scrape = f"scrape_configs: [{{job_name: stoker, scrape_interval: 1s, static_configs: [{{targets: ['{target}']}}]}}]"
    settings.write_text(f"rule_files: ['{RULES}']\n{scrape}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        "prometheus",
        f"--config.file={settings}",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address={address}",
    ]

    def ask(query: str) -> str:
        """The value of a query, empty while there is none."""
        where = f"http://{address}/api/v1/query?query={urllib.parse.quote(query)}"
        try:
            with urllib.request.urlopen(where, timeout=BOUND_S) as answer:
                (result,) = json.load(answer)["data"]["result"]
                return result["value"][1]
        except (OSError, ValueError):
            return ""

    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield ask
        finally:
            process.kill()
