"""`stoker submit FILE`: a file of any length becomes a job, through restarts, breaks and a full queue."""

import json
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from threading import Event, Thread

import pytest
from tests.clients.cli.running import command, environment, run_process
from tests.system.daemons import Rig, a_rig, config
from tests.worker.processes import BOUND_S, wait_for

from stoker_client import Client
from stoker_client.errors import NotFound
from stoker_protocol import codec
from stoker_protocol.jobs import MAX_ITEMS, ItemCounts, JobState

MANY = 100_000
MAX_CLIENT_KIB = 100 << 10


def test_many_lines_in_little_memory(rig: Rig) -> None:
    """We expect 100 000 lines to become a job, with little memory in the client, while others are answered."""
    rig.client.pause()
    file = rig.folder / "many.jsonl"
    write(file, range(MANY))
    peaks = [0]
    with Pings(rig.daemon.control) as pings, started(rig, str(file), "--job-id", "many", "--json") as process:
        wait_for(lambda: peaks.append(peak_kib(process.pid)) or process.poll() is not None)
    assert process.returncode == 0
    assert pings.count > 10
    assert 10 << 10 < max(peaks) < MAX_CLIENT_KIB
    job = rig.client.job("many")
    assert (job.items, job.is_open) == (ItemCounts(total=MANY, pending=MANY), False)
    assert first_and_last(rig, "many") == [{"prompt": "0"}, {"prompt": str(MANY - 1)}]
    rig.client.cancel("many")


def test_submit_goes_on_after_a_restart(rig: Rig) -> None:
    """We expect kill -9 of the daemon in the middle to cost the job nothing: each line is there once."""
    rig.client.pause()
    file = rig.folder / "many.jsonl"
    write(file, range(MANY))
    with started(rig, str(file), "--job-id", "many", "--timeout", "1") as process:
        wait_for(lambda: total(rig, "many") > MAX_ITEMS)  # so the first part was answered
        rig.kill()
        assert process.stderr is not None
        assert any(b"the daemon is away; waiting for it" in line for line in process.stderr)
        rig.restart()
        process.communicate(timeout=BOUND_S)
    assert process.returncode == 0
    assert rig.client.job("many").items.total == MANY
    custom_ids = [item.custom_id for item in rig.client.items("many")]
    assert custom_ids == [f"c{number}" for number in range(MANY)]
    rig.client.cancel("many")


def test_break_and_continue(rig: Rig) -> None:
    """We expect Ctrl+C to keep what was accepted and say how to go on, and --continue to add just the rest."""
    rig.client.pause()
    file = rig.folder / "lines.jsonl"
    write(file, range(10_500))
    with started(rig, "-", "--job-id", "broken") as process:
        assert process.stdin is not None
        process.stdin.write(b"".join(file.read_bytes().splitlines(keepends=True)[:10_002]))
        process.stdin.flush()
        wait_for(lambda: total(rig, "broken"))
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=BOUND_S)[1].decode()
    assert process.returncode == 130
    assert "10000 items" in told
    assert "stoker submit - --continue broken" in told
    rest = run_process("submit", str(file), "--continue", "broken", "--json", endpoint=rig.daemon.control)
    assert rest.json == {"job_id": "broken", "items": 10_500, "added": 500, "is_open": False, "dry_run": False}
    assert first_and_last(rig, "broken") == [{"prompt": "0"}, {"prompt": "10499"}]
    rig.client.cancel("broken")


def test_rollout_in_stages(rig: Rig) -> None:
    """We expect --limit to leave a job open that runs, and further stages to add the next lines until the file ends."""
    file = rig.folder / "lines.jsonl"
    write(file, range(12))
    stages = [
        ("--limit", "2", "--job-id", "staged"),
        ("--limit", "4", "--continue", "staged"),
        ("--continue", "staged"),
    ]
    seen: list[tuple[int, int, bool]] = []
    for stage in stages:
        said = run_process("submit", str(file), *stage, "--json", endpoint=rig.daemon.control).json
        rig.wait_until("staged", lambda job, items=said["items"]: job.items.succeeded == items)
        seen.append((said["added"], said["items"], said["is_open"]))
    assert seen == [(2, 2, True), (4, 6, True), (6, 12, False)]
    assert rig.wait("staged").state is JobState.SUCCEEDED
    again = run_process("submit", str(file), "--continue", "staged", "--json", endpoint=rig.daemon.control)
    assert (again.code, again.json["added"]) == (0, 0)


def test_continue_with_another_file_is_refused(rig: Rig) -> None:
    """We expect a file that does not begin with what the job has, or is shorter, to add nothing."""
    file, other = rig.folder / "lines.jsonl", rig.folder / "other.jsonl"
    write(file, range(4))
    run_process("submit", str(file), "--limit", "3", "--job-id", "one", endpoint=rig.daemon.control)
    for lines, code, field in ((range(1, 9), 4, "at"), (range(2), 2, "file")):
        write(other, lines)
        refused = run_process("submit", str(other), "--continue", "one", "--json", endpoint=rig.daemon.control)
        assert (refused.code, refused.error["field"]) == (code, field)
        assert "give the file" in refused.error["hint"]
    assert rig.client.job("one").items.total == 3
    rig.client.cancel("one")


@pytest.mark.parametrize(
    ("line", "field"),
    [('{"prompt": "x", "seed": "many"}', "line 10502, seed"), ("{", "line 10502"), ('{"x": 1}', "line 10502, x")],
)
def test_bad_line_late_in_a_file(rig: Rig, line: str, field: str) -> None:
    """We expect a bad line to be named by number and field, what was sent before to stay, and the mended file to do."""
    rig.client.pause()
    file = rig.folder / "lines.jsonl"
    write(file, range(10_500))
    whole = file.read_text()
    file.write_text(f"{whole}\n{line}\n")
    refused = run_process("submit", str(file), "--job-id", "bad", "--json", endpoint=rig.daemon.control)
    assert (refused.code, refused.error["field"]) == (2, field)
    assert "10000 items of job bad stay accepted" in refused.error["hint"]
    assert (rig.client.job("bad").items.total, rig.client.job("bad").is_open) == (10_000, True)
    file.write_text(whole)
    assert run_process("submit", str(file), "--continue", "bad", endpoint=rig.daemon.control).code == 0
    assert rig.client.job("bad").items.total == 10_500
    rig.client.cancel("bad")


def test_bad_line_in_a_short_file_submits_nothing(rig: Rig) -> None:
    """We expect a short file with a bad line, and any dry run, to leave no job."""
    file = rig.folder / "lines.jsonl"
    file.write_text('"a"\n\n{"prompt": "b", "sed": 1}\n')
    for dry in ((), ("--dry-run",)):
        refused = run_process("submit", str(file), "--job-id", "bad", "--json", *dry, endpoint=rig.daemon.control)
        assert (refused.code, refused.error["field"]) == (2, "line 3, sed")
        assert "did you mean seed" in refused.error["hint"]
    file.write_text('"a"\n"b"\n')
    fine = run_process("submit", str(file), "--job-id", "bad", "--dry-run", "--json", endpoint=rig.daemon.control)
    assert (fine.json["added"], fine.json["dry_run"]) == (2, True)
    with pytest.raises(NotFound):
        rig.client.job("bad")


def test_same_command_is_the_same_job(rig: Rig) -> None:
    """We expect the same file under the same id to be the same job, whole or in pieces, and to add nothing."""
    rig.client.pause()
    for name, lines in (("short", 3), ("long", 10_003)):
        file = rig.folder / name
        write(file, range(lines))
        for _ in range(2):
            assert run_process("submit", str(file), "--job-id", name, endpoint=rig.daemon.control).code == 0
        assert rig.client.job(name).items.total == lines
        rig.client.cancel(name)


def test_parameters_of_all_lines(rig: Rig) -> None:
    """We expect --set to hold for each line that says nothing else, and to be said only when a job is begun."""
    file = rig.folder / "lines.jsonl"
    file.write_text('{"prompt": "a"}\n{"prompt": "b", "steps": 2}\n')
    endpoint = rig.daemon.control
    assert (
        run_process("submit", str(file), "--job-id", "set", "--set", "steps=3", "--wait", endpoint=endpoint).code == 0
    )
    records = sorted((rig.data_dir / "outputs").glob("*/set/metadata/*.json"))
    assert [json.loads(record.read_text())["params"]["steps"] for record in records] == [3, 2]
    refused = run_process("submit", str(file), "--continue", "set", "--set", "steps=3", endpoint=endpoint)
    assert (refused.code, "--set" in refused.err) == (2, True)


def test_full_queue_holds_a_submit_up(tmp_path: Path) -> None:
    """We expect submit to wait while the queue is full, to say so, and to end when there is room."""
    with a_rig(tmp_path, config(max_pending=12_000)) as rig:
        rig.client.pause()
        file = rig.folder / "lines.jsonl"
        write(file, range(11_500))
        rig.submit(*["x"] * 1000, job_id="before")
        with started(rig, str(file), "--job-id", "full") as process:
            assert process.stderr is not None
            assert b"10,000 items accepted; the queue is full" in process.stderr.readline()
            assert total(rig, "full") == 10_000
            rig.client.cancel("before")
            process.communicate(timeout=BOUND_S)
        assert (process.returncode, total(rig, "full")) == (0, 11_500)
        rig.client.cancel("full")


class Pings:
    """Somebody who asks all the time whether the daemon is there."""

    def __init__(self, endpoint: str) -> None:
        self.count = 0
        self._client = Client(endpoint)
        self._is_over = Event()
        self._thread = Thread(target=self._ask)
        self._error: Exception | None = None

    def __enter__(self) -> "Pings":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        self._client.close()
        if self._error is not None:
            raise self._error

    def _ask(self) -> None:
        try:
            while not self._is_over.wait(0.005):
                self._client.ping()
                self.count += 1
        except Exception as error:  # noqa: BLE001
            self._error = error


def write(file: Path, numbers: Iterable[int]) -> None:
    """A line for each number."""
    lines = (json.dumps({"prompt": str(number), "custom_id": f"c{number}"}) for number in numbers)
    file.write_text("".join(f"{line}\n" for line in lines))


def started(rig: Rig, *args: str) -> subprocess.Popen[bytes]:
    """`stoker submit` at work."""
    pipe = subprocess.PIPE
    environ = environment(rig.daemon.control, {})
    return subprocess.Popen(command("submit", *args), env=environ, stdin=pipe, stdout=pipe, stderr=pipe)


def peak_kib(pid: int) -> int:
    """The most memory that a process had so far; not what its parent had when it was forked, as rusage counts."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def total(rig: Rig, job_id: str) -> int:
    """How many items a job has, 0 if there is none."""
    try:
        return rig.client.job(job_id).items.total
    except NotFound:
        return 0


def first_and_last(rig: Rig, job_id: str) -> list[dict[str, object]]:
    """The parameters of the first and the last item of a job."""
    items = list(rig.client.items(job_id, with_params=True))
    return [codec.unpack(items[place].params) for place in (0, -1)]
