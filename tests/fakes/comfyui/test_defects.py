"""The switches of the fake do what they say, and nothing survives a restart but files."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.conformance.comfyui_client import (
    Client,
    held_graph,
    image_graph,
    in_loop,
    model_graph,
    new_client,
    view,
)
from tests.fakes.comfyui.harness import REPOSITORY, ComfyProcess

CHECKPOINT = "random_sd15.safetensors"


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[ComfyProcess]:
    """A fake of its own for each test."""
    with ComfyProcess(tmp_path / "comfyui") as process:
        yield process


@in_loop
async def test_the_history_can_come_late(fake: ComfyProcess) -> None:
    """With a gap, the success is told first, then the entry is there, then the end is told."""
    fake.defects(history_gap_s=0.5)
    async with Client(fake.url) as client:
        me = new_client()
        socket = await client.connect(me)
        prompt_id = await client.submit(image_graph(), me)
        await socket.wait_for("execution_success", prompt_id=prompt_id)
        assert await client.history(prompt_id) is None
        await socket.wait_for_end(prompt_id)
        assert await client.history(prompt_id) is not None


@in_loop
async def test_the_worker_can_be_dead_behind_http(fake: ComfyProcess) -> None:
    """Nothing runs any more, prompts are taken and counted; a restart heals it."""
    fake.defects(worker_dead=True)
    async with Client(fake.url) as client:
        await wait_until(lambda: not fake.state()["worker_alive"])
        prompt_id = await client.submit(image_graph())
        assert (await client.queued(), await client.queued("queue_running")) == ([prompt_id], [])
        assert (await client.get("/prompt"))["exec_info"]["queue_remaining"] == 1
    fake.restart()
    async with Client(fake.url) as client:
        healed = await client.submit(image_graph())
        await client.wait_for_history(healed)
        assert fake.executions() == [healed]


@in_loop
async def test_equal_numbers_and_ids_kill_the_worker(fake: ComfyProcess) -> None:
    """The second of two such prompts is queued although the answer is a 500, and then nothing runs any more."""
    async with Client(fake.url) as client:
        held = await client.submit(held_graph())
        fake.wait_until_held()
        await client.submit(image_graph(), prompt_id="same", number=600)
        status, _ = await client.post("/prompt", {"prompt": image_graph(), "prompt_id": "same", "number": 600})
        assert status == 500
        assert await client.queued() == ["same", "same"]
        await client.submit(image_graph(), prompt_id="lost")
        fake.release()
        await client.wait_for_history(held)
        await wait_until(lambda: not fake.state()["worker_alive"])
        await client.submit(image_graph(), prompt_id="vain")
        assert sorted(await client.queued()) == ["same", "same", "vain"]
        assert await client.queued("queue_running") == []


@in_loop
async def test_equal_numbers_and_ids_can_be_harmless(fake: ComfyProcess) -> None:
    """With the switch off, both prompts run in the order in which they came."""
    fake.defects(kill_worker_on_duplicate=False)
    async with Client(fake.url) as client:
        await client.submit(held_graph(), prompt_id="held")
        fake.wait_until_held()
        for _ in range(2):
            await client.submit(image_graph(), prompt_id="same", number=600)
        fake.release()
        await wait_until(lambda: fake.executions() == ["held", "same", "same"])


@in_loop
async def test_an_interrupt_can_be_heard_late(fake: ComfyProcess) -> None:
    """The interruption comes no sooner than the latency."""
    fake.defects(interrupt_latency_s=0.3)
    async with Client(fake.url) as client:
        held = await client.submit(held_graph())
        fake.wait_until_held()
        since = time.monotonic()
        await client.post("/interrupt", {"prompt_id": held})
        assert (await client.wait_for_history(held))["status"]["status_str"] == "error"
        assert time.monotonic() - since >= 0.3


@in_loop
async def test_an_interrupt_can_be_ignored(fake: ComfyProcess) -> None:
    """The prompt goes on and succeeds."""
    fake.defects(ignore_interrupt=True)
    async with Client(fake.url) as client:
        held = await client.submit(held_graph())
        fake.wait_until_held()
        await client.post("/interrupt", {"prompt_id": held})
        fake.release()
        assert (await client.wait_for_history(held))["status"]["status_str"] == "success"


@in_loop
async def test_the_stream_can_freeze_while_http_goes_on(fake: ComfyProcess) -> None:
    """Nothing is told of a prompt that runs and ends; when the stream thaws, all of it is."""
    async with Client(fake.url) as client:
        me = new_client()
        socket = await client.connect(me)
        fake.defects(stream_frozen=True)
        prompt_id = await client.submit(image_graph(), me)
        await client.wait_for_history(prompt_id)
        assert socket.kinds == ["status"]
        fake.defects(stream_frozen=False)
        assert (await socket.wait_for_end(prompt_id))[0]["type"] == "execution_start"


@in_loop
async def test_events_can_be_late(fake: ComfyProcess) -> None:
    """Each event comes no sooner than the lag after it happened."""
    fake.defects(ws_lag_s=0.3)
    async with Client(fake.url) as client:
        me = new_client()
        socket = await client.connect(me)
        started = (await client.run(socket, me, image_graph()))[0]
        assert time.time() * 1000 - started["data"]["timestamp"] >= 300


@in_loop
async def test_a_post_can_take_long(fake: ComfyProcess) -> None:
    """The answer to a prompt comes no sooner than the latency."""
    fake.defects(post_latency_s=0.3)
    async with Client(fake.url) as client:
        since = time.monotonic()
        await client.submit(image_graph())
        assert time.monotonic() - since >= 0.3


@in_loop
async def test_the_reply_to_a_post_can_get_lost(fake: ComfyProcess) -> None:
    """The connection is cut, and the prompt runs; the next reply arrives."""
    fake.defects(post_lost_reply=1)
    async with Client(fake.url) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.submit(image_graph(), prompt_id="lost")
        await client.wait_for_history("lost")
        await client.submit(image_graph(), prompt_id="kept")
        await client.wait_for_history("kept")
        assert fake.executions() == ["lost", "kept"]


@in_loop
async def test_a_post_can_be_refused_and_then_taken(fake: ComfyProcess) -> None:
    """So many connections are cut before anything is queued, and then all is well."""
    fake.defects(post_refused_then_ok=2)
    async with Client(fake.url) as client:
        for _ in range(2):
            with pytest.raises(aiohttp.ClientConnectionError):
                await client.submit(image_graph())
        prompt_id = await client.submit(image_graph())
        await client.wait_for_history(prompt_id)
        assert fake.executions() == [prompt_id]


@in_loop
async def test_http_can_freeze(fake: ComfyProcess) -> None:
    """Connections are taken and nothing is answered until it thaws."""
    fake.defects(http_frozen=True)
    async with Client(fake.url) as client:
        asked = asyncio.create_task(client.get("/prompt"))
        await wait_until(lambda: fake.state()["requests"] == {"GET /prompt": 1})
        assert not asked.done()
        fake.defects(http_frozen=False)
        assert (await asked)["exec_info"]["queue_remaining"] == 0


@in_loop
async def test_files_can_come_cut_wrong_or_not(fake: ComfyProcess) -> None:
    """A file breaks off, has other bytes, or is a server error: as often as asked for."""
    async with Client(fake.url) as client:
        entry = await client.wait_for_history(await client.submit(image_graph()))
        path = view(entry["outputs"]["2"]["images"][0])
        _, content = await client.get_bytes(path)
        fake.defects(view_truncated=1)
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.get_bytes(path)
        fake.defects(view_corrupt=1)
        status, corrupt = await client.get_bytes(path)
        assert (status, len(corrupt)) == (200, len(content))
        assert corrupt != content
        fake.defects(view_500=1)
        assert (await client.get_bytes(path))[0] == 500
        assert await client.get_bytes(path) == (200, content)


@in_loop
async def test_any_run_can_be_held(fake: ComfyProcess) -> None:
    """With the switch on, a prompt runs until it is released; a release that comes first counts, too."""
    fake.defects(hold=True)
    async with Client(fake.url) as client:
        held = await client.submit(image_graph())
        fake.wait_until_held()
        assert await client.queued("queue_running") == [held]
        fake.release(2)
        await client.wait_for_history(held)
        await client.wait_for_history(await client.submit(image_graph()))


@in_loop
async def test_loading_takes_its_time_once(fake: ComfyProcess) -> None:
    """A model is loaded when it is not cached, and not again as long as it is."""
    fake.defects(load_s=0.3)
    async with Client(fake.url) as client:
        me = new_client()
        socket = await client.connect(me)
        since = time.monotonic()
        await client.run(socket, me, model_graph(CHECKPOINT))
        assert time.monotonic() - since >= 0.3
        again = await client.run(socket, me, model_graph(CHECKPOINT))
        assert "4" not in [event["data"]["node"] for event in again if event["type"] == "executing"]


@in_loop
async def test_the_history_has_an_end(fake: ComfyProcess) -> None:
    """When it is full, the oldest entries are forgotten."""
    fake.defects(max_history=2)
    async with Client(fake.url) as client:
        ids = [await client.submit(image_graph()) for _ in range(5)]
        await client.wait_for_history(ids[-1])
        assert list(await client.get("/history")) == ids[-3:]


@in_loop
async def test_an_object_as_client_ends_the_server(fake: ComfyProcess) -> None:
    """A client id that can't be a key ends the whole process."""
    async with Client(fake.url) as client:
        await client.submit(image_graph(), client_id={"an": "object"})
        await wait_until(lambda: is_refused(fake.url))


@in_loop
async def test_a_restart_forgets_all_but_files(fake: ComfyProcess) -> None:
    """After a kill the socket closes abnormally and nobody listens; queue, history, numbers and temp are lost."""
    async with Client(fake.url) as client:
        me = new_client()
        socket = await client.connect(me)
        graph = image_graph()
        graph["5"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
        done = await client.submit(graph, me)
        outputs = (await client.wait_for_history(done))["outputs"]
        running, queued = [await client.submit(held_graph(), me) for _ in range(2)]
        fake.wait_until_held()
        fake.kill()
        await wait_until(lambda: socket.socket.closed)
        assert socket.socket.close_code == 1006
        assert is_refused(fake.url)
        fake.start()
        assert await client.get("/queue") == {"queue_running": [], "queue_pending": []}
        assert await client.get("/history") == {}
        assert (await client.get_bytes(view(outputs["2"]["images"][0])))[0] == 200
        assert (await client.get_bytes(view(outputs["5"]["images"][0])))[0] == 404
        assert (await client.post("/prompt", {"prompt": image_graph()}))[1]["number"] == 0
        assert (fake.executions()[:2], queued in fake.executions()) == ([done, running], False)


@in_loop
async def test_previews_are_off_unless_asked_for(fake: ComfyProcess) -> None:
    """By default a sampler's steps have no previews; a prompt can ask for them."""
    async with Client(fake.url) as client:
        me = new_client()
        socket = await client.connect(me)
        await client.run(socket, me, model_graph(CHECKPOINT))
        assert "preview" not in socket.kinds
        await client.run(socket, me, model_graph(CHECKPOINT), extra_data={"preview_method": "latent2rgb"})
        assert "preview" in socket.kinds


@in_loop
async def test_bodies_have_a_limit(fake: ComfyProcess) -> None:
    """Ten megabytes are taken, and more than a hundred are not."""
    async with Client(fake.url) as client:
        content = json.dumps({"prompt": image_graph()}).encode()
        for size, expected in ((10 << 20, 200), (101 << 20, 413)):
            async with client.session.post("/prompt", data=io.BytesIO(content.ljust(size))) as reply:
                assert reply.status == expected
                text = await reply.text()
        assert text.startswith("Maximum request body size 104857600 exceeded")


@in_loop
async def test_older_servers_have_no_jobs_and_no_times(tmp_path: Path) -> None:
    """A fake of 0.3.64 knows no jobs, keeps no time of creation, and calls an unknown class an invalid prompt."""
    with ComfyProcess(tmp_path, version="0.3.64") as old:
        async with Client(old.url) as client:
            entry = await client.wait_for_history(await client.submit(image_graph()))
            assert "create_time" not in entry["prompt"][3]
            assert (await client.get_bytes("/api/jobs"))[0] == 404
            graph = image_graph()
            graph["1"]["class_type"] = "NoSuchNode"
            assert (await client.post("/prompt", {"prompt": graph}))[1]["error"]["type"] == "invalid_prompt"
            assert (await client.get("/system_stats"))["system"]["comfyui_version"] == "0.3.64"


def test_unknown_switches_are_refused(fake: ComfyProcess) -> None:
    """A switch that there isn't, or a value that it can't have, is an error, and nothing is switched."""
    for values in ({"no_such_switch": 1}, {"ws_lag_s": 1, "hold": "perhaps"}):
        with pytest.raises(urllib.error.HTTPError, match="400"):
            fake.defects(**values)
    assert fake.state()["defects"]["ws_lag_s"] == 0


def test_the_fake_ends_with_its_parent(tmp_path: Path) -> None:
    """When the process that started it is killed, the fake ends by itself."""
    program = (
        "import pathlib, sys; from tests.fakes.comfyui.harness import ComfyProcess;"
        "print(ComfyProcess(pathlib.Path(sys.argv[1])).url, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=REPOSITORY, text=True, **pipes) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert not is_refused(url)
        os.kill(parent.pid, signal.SIGKILL)
    asyncio.run(wait_until(lambda: is_refused(url)))


async def wait_until(condition: Any) -> None:
    """Wait for what must come about."""
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        await asyncio.sleep(0.01)


def is_refused(url: str) -> bool:
    """Whether nobody listens."""
    try:
        with urllib.request.urlopen(f"{url}/prompt", timeout=5) as reply:
            json.load(reply)
    except urllib.error.URLError as error:
        return isinstance(error.reason, ConnectionError)
    except OSError:
        return False
    return False
