"""A real daemon with a server that speaks OpenAI's API: batch files in and out, and what both outlast."""

import json
import re
import shlex
from collections.abc import Generator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.clients.cli.running import Ran, run_process
from tests.fakes.openai.harness import OpenAIProcess
from tests.fakes.openai.words import MODELS, vector_of
from tests.system.daemons import REPOSITORY, Rig, a_rig, config
from tests.worker.processes import wait_for

from stoker_protocol.jobs import JobState

PAGE = (REPOSITORY / "docs" / "llm.md").read_text(encoding="utf-8")
KEY = "sk-of-the-system-tests"
ENGINE = """
[engines.llm]
kind = "openai"
url = "{url}"
api_key_file = "key"
limits.concurrency = 4
"""


SWAPPING = f"{ENGINE}swaps = true\n"


@pytest.fixture(name="server")
def fixture_server() -> Generator[OpenAIProcess]:
    """A server that wants a key."""
    with OpenAIProcess(key=KEY) as server:
        yield server


@pytest.fixture
def rig(tmp_path: Path, server: OpenAIProcess) -> Generator[Rig]:
    """A daemon that has it."""
    (tmp_path / "key").write_text(KEY)
    with a_rig(tmp_path, config(engines=ENGINE.format(url=server.url))) as rig:
        yield rig


def stoker(rig: Rig, *args: str) -> Ran:
    """Run the command."""
    return run_process(*args, endpoint=rig.daemon.control)


def line(custom_id: str, text: str) -> dict[str, Any]:
    """A line of a batch file."""
    body = {"model": "other", "messages": [{"role": "user", "content": text}], "max_tokens": 9}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def questions(server: OpenAIProcess) -> list[str]:
    """What the server was asked since its start."""
    return [body["messages"][0]["content"] for body in server.state()["requests"]]


def lines_of(file: Path) -> dict[str, dict[str, Any]]:
    """The lines of a file by their ids."""
    return {said["custom_id"]: said for said in map(json.loads, file.read_text().splitlines())}


def test_a_batch_file(rig: Rig, server: OpenAIProcess) -> None:
    """A batch file becomes a job, and its outcomes come back as batch files have them; the key is nowhere."""
    lines = [line(f"r{number}", f"question {number}") for number in range(10)]
    lines[3], lines[6] = line("r3", "!refuse"), line("r6", "!filter")
    file = rig.folder / "in.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in lines))
    assert stoker(rig, "submit", str(file), "--name", "batch", "--wait").code == 1
    out = rig.folder / "out"
    assert stoker(rig, "fetch", "batch", "-o", str(out), "--batch").code == 0
    results, errors = lines_of(out / "results.jsonl"), lines_of(out / "errors.jsonl")
    assert sorted([*results, *errors]) == [f"r{number}" for number in range(10)]
    assert {name: said["error"]["code"] for name, said in errors.items()} == {"r3": "refused", "r6": "refused"}
    response = results["r0"]["response"]
    assert (response["status_code"], results["r0"]["error"]) == (200, None)
    assert response["body"]["model"] == "other"
    assert response["body"]["usage"]["prompt_tokens"] == 2
    assert re.fullmatch(r"(w[0-9a-f]{4} )+", response["body"]["choices"][0]["message"]["content"])
    assert server.state()["count"]["/v1/chat/completions"] == 10
    rig.stop()
    kept = [path for path in rig.folder.rglob("*") if path.is_file() and path != rig.folder / "key"]
    assert len(kept) > 20
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]


def test_prompts(rig: Rig) -> None:
    """Prompts become texts in files that are called by their items."""
    assert stoker(rig, "generate", "why", "how", "--name", "two", "--wait").code == 0
    out = rig.folder / "out"
    assert stoker(rig, "fetch", "two", "-o", str(out)).code == 0
    assert [path.name for path in sorted(out.iterdir())] == ["00000_0.txt", "00001_0.txt"]


def test_bad_lines(rig: Rig) -> None:
    """What no server could do is refused before anything is stored, by its place."""
    bad = line("r1", "a")
    del bad["body"]["messages"]
    file = rig.folder / "in.jsonl"
    file.write_text(json.dumps(line("r0", "a")) + "\n" + json.dumps(bad) + "\n")
    ran = stoker(rig, "submit", str(file))
    assert (ran.code, "messages" in ran.err) == (2, True)
    assert list(rig.client.jobs()) == []


def test_what_both_outlast(rig: Rig, server: OpenAIProcess) -> None:
    """Through deaths of the server and the daemon, each item is answered, and what was recorded is not asked again."""
    prompts = [f"p{number}" for number in range(6)]
    first = rig.client.submit(prompts).job_id
    assert rig.wait(first).items.succeeded == len(prompts)
    job_id = rig.client.submit(["!hold", "a", "b"]).job_id
    server.wait_until_held()
    rig.kill()
    server.wait_until_held(0)
    rig.restart()
    server.wait_until_held()
    asked = questions(server)
    server.kill()
    wait_for(lambda: rig.client.engines()[0].state == "down")
    server.start()
    wait_for(lambda: server.state()["held"] == 1)
    server.release()
    assert rig.wait(job_id).state is JobState.SUCCEEDED
    asked += questions(server)
    assert [asked.count(prompt) for prompt in prompts] == [1] * len(prompts)
    assert asked.count("!hold") == 3


def test_each_model_is_loaded_once(tmp_path: Path, server: OpenAIProcess) -> None:
    """Jobs for five models that came in any order are done model by model, so that the server loads each only once."""
    (tmp_path / "key").write_text(KEY)
    server.defects(load_s=0.05)
    with a_rig(tmp_path, config(engines=SWAPPING.format(url=server.url))) as rig:
        rig.client.pause()
        work = [(MODELS[number % 5], f"question {number}") for number in range(60)]
        Random(1).shuffle(work)
        jobs = [rig.client.submit([prompt], model=model).job_id for model, prompt in work]
        rig.client.resume()
        assert {rig.wait(job).state for job in jobs} == {JobState.SUCCEEDED}
    assert sorted(server.state()["loads"]) == sorted(MODELS)
    assert server.state()["most"] == 4


def test_jobs_at_a_time(rig: Rig, server: OpenAIProcess) -> None:
    """Jobs of one item are at the server together, as many as its limit, and the urgent one is next when one ends."""
    held = [rig.client.submit(["!hold"], model=MODELS[number]).job_id for number in range(4)]
    server.wait_until_held(4)
    later = rig.client.submit(["later"]).job_id
    urgent = rig.client.submit(["urgent"], priority="urgent").job_id
    lanes = {lane.name: lane.state for lane in rig.client.snapshot().lanes}
    assert lanes == dict.fromkeys(["llm", "llm.2", "llm.3", "llm.4"], "running")
    rig.client.cancel(held[2])
    assert rig.wait(urgent).state is rig.wait(later).state is JobState.SUCCEEDED
    assert questions(server)[4:] == ["urgent", "later"]
    assert server.state()["held"] == 3
    server.release()
    assert [rig.wait(job).state for job in held] == [JobState.SUCCEEDED] * 2 + [JobState.CANCELLED, JobState.SUCCEEDED]
    assert [each.part for each in rig.client.health().findings if each.part.startswith("lane llm")] == ["lane llm"]


def test_items_of_a_job_at_a_time(rig: Rig, server: OpenAIProcess) -> None:
    """No more items of a job are at the server than it allows, also after a kill, and those of others go on."""
    file = rig.folder / "in.jsonl"
    file.write_text('"!hold"\n' * 5)
    bound = ["--max-concurrency", "2", "--name", "few"]
    assert stoker(rig, "submit", str(file), *bound).code == 0
    server.wait_until_held(2)
    assert rig.wait(rig.client.submit(["one", "two", "three"]).job_id).state is JobState.SUCCEEDED
    assert server.state()["held"] == 2
    assert "at most 2 of its items" in stoker(rig, "status", "few").out
    rig.kill()
    server.wait_until_held(0)
    rig.restart()
    server.wait_until_held(2)
    assert rig.wait(rig.client.submit(["four"]).job_id).state is JobState.SUCCEEDED
    assert server.state()["held"] == 2
    assert "no more than 2" in stoker(rig, "why", "few").out
    for left in (2, 1):
        server.release()
        server.wait_until_held(left)
    server.release()
    assert rig.wait(rig.client.find("few").job_id).items.succeeded == 5


def test_embeddings_of_one_job_share_requests(rig: Rig, server: OpenAIProcess) -> None:
    """Two hundred texts become vectors with four requests, each at its own item."""
    job_id = rig.client.submit([{"params": {"input": f"t{number}"}} for number in range(200)]).job_id
    assert rig.wait(job_id).items.succeeded == 200
    assert server.state()["count"]["/v1/embeddings"] == 4


def test_embeddings_of_many_jobs_share_requests(rig: Rig, server: OpenAIProcess) -> None:
    """A hundred jobs of one text each need few requests; one that no server takes fails alone, and each has its own."""
    rig.client.pause()
    texts = [f"t{number}" for number in range(100)]
    texts[30] = "!policy"
    jobs = [rig.client.submit([{"params": {"input": text}}]).job_id for text in texts]
    rig.client.resume()
    ends = [rig.wait(job).state.value for job in jobs]
    assert ends == ["failed" if text == "!policy" else "succeeded" for text in texts]
    assert server.state()["count"]["/v1/embeddings"] <= 2 + 2 * 6  # the poisoned one of 64 is found by halves
    for number in (0, 29, 31, 99):
        (file,) = rig.client.fetch(jobs[number], rig.folder / jobs[number])
        assert vector_of(texts[number], 8) == pytest.approx(json.loads(file.read_text()))


def test_what_the_page_says(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command of docs/llm.md does what it should, and leaves the files that the page names."""
    monkeypatch.chdir(rig.folder)
    Path("questions.jsonl").write_text('{"messages": [{"role": "user", "content": "a"}], "temperature": 0.5}\n"b"\n')
    Path("batch.jsonl").write_text(json.dumps(line("r0", "a")) + "\n")
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    commands = [shlex.split(each, comments=True) for block in blocks for each in block.splitlines()]
    assert len(commands) == 6
    for command in commands:
        ran = stoker(rig, *command[1:])
        assert (command[0], ran.code) == ("stoker", 0), ran.err
    assert sorted(path.name for path in Path("sky").iterdir()) == ["00000_0.txt", "00001_0.txt"]
    assert set(lines_of(Path("night/results.jsonl"))) == {"r0"}
    assert Path("night/errors.jsonl").read_bytes() == b""
