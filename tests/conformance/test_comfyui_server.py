"""What a ComfyUI server answers over HTTP about prompts, its queue and history, and files; the fake does the same."""

import io
import json
import uuid
from typing import Any
from unittest.mock import ANY

import aiohttp
import pytest
from PIL import Image
from tests.conformance.comfyui_client import (
    Client,
    Graph,
    held_graph,
    image_graph,
    in_loop,
    model_graph,
    new_client,
    new_prefix,
    view,
)
from tests.conformance.conftest import ComfyServer

SERVER_ERROR = "500 Internal Server Error\n\nServer got itself in trouble"


@in_loop
async def test_a_prompt_keeps_the_id_of_its_client(comfyui: ComfyServer) -> None:
    """The id that a client gives is the id in the answer, in the queue and in the history."""
    async with Client(comfyui.url) as client:
        prompt_id = str(uuid.uuid4())
        assert await client.submit(held_graph(), prompt_id=prompt_id) == prompt_id
        await client.wait_until_running(prompt_id)
        await client.post("/fake/release", {"runs": 1})
        assert (await client.wait_for_history(prompt_id))["prompt"][1] == prompt_id


@in_loop
async def test_duplicates_of_a_queued_prompt_run_twice(comfyui: ComfyServer) -> None:
    """Nothing rejects an id that is queued: both are listed, deleting takes one away, and the last result stays."""
    async with Client(comfyui.url) as client, Held(client):
        prompt_id = str(uuid.uuid4())
        for _ in range(3):
            await client.submit(image_graph(), prompt_id=prompt_id)
        assert await client.queued() == [prompt_id] * 3
        await client.post("/queue", {"delete": [prompt_id]})
        assert await client.queued() == [prompt_id] * 2


@in_loop
async def test_a_finished_id_can_be_used_again(comfyui: ComfyServer) -> None:
    """A second prompt with the id of a finished one overwrites its entry in the history."""
    async with Client(comfyui.url) as client:
        prompt_id = await client.submit(image_graph())
        first = await client.wait_for_history(prompt_id)
        me = new_client()
        socket = await client.connect(me)
        await client.run(socket, me, image_graph(), prompt_id=prompt_id)
        assert (await client.history(prompt_id))["prompt"][0] > first["prompt"][0]


@in_loop
async def test_numbers_count_and_are_used_up_by_what_is_refused(comfyui: ComfyServer) -> None:
    """A refused prompt takes a number, one with a number of its own takes none; such a number is a float."""
    async with Client(comfyui.url) as client, Held(client):
        first = await number(client)
        await client.post("/prompt", {"prompt": {}})
        await client.post("/prompt", {})
        assert await number(client) == first + 3
        given = await number(client, number=1 << 40)
        assert (given, type(given)) == (1 << 40, float)
        assert await number(client) == first + 4
        assert await number(client, front=True) == -(first + 5)


@in_loop
async def test_the_queue_is_listed_as_a_heap_and_run_in_order(comfyui: ComfyServer) -> None:
    """What was put in front last runs first, equal numbers by their ids; the listing is in no such order."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        held = await client.submit(held_graph(), me)
        await client.wait_until_running(held)
        low, high = sorted(str(uuid.uuid4()) for _ in range(2))
        later = await client.submit(image_graph(), me, prompt_id=high, number=1 << 40)
        earlier = await client.submit(image_graph(), me, prompt_id=low, number=1 << 40)
        normal = await client.submit(image_graph(), me)
        fronts = [await client.submit(image_graph(), me, front=True) for _ in range(2)]
        order = [*reversed(fronts), normal, earlier, later]
        listed = await client.queued()
        assert (set(listed), listed[0]) == (set(order), order[0])
        assert listed != order
        await client.post("/interrupt", {"prompt_id": held})
        await socket.wait_for_end(later)
        started = [event["data"]["prompt_id"] for event in socket.events if event["type"] == "execution_start"]
        assert started == [held, *order]


@in_loop
async def test_deleted_prompts_leave_no_trace(comfyui: ComfyServer) -> None:
    """Deleting answers 200 without a body whatever the id, spares the running prompt, and leaves no history."""
    async with Client(comfyui.url) as client, Held(client) as held:
        queued = await client.submit(image_graph())
        assert await client.post("/queue", {"delete": [queued, held.prompt_id, "unknown"]}) == (200, "")
        assert await client.queued() == []
        assert await client.queued("queue_running") == [held.prompt_id]
        assert await client.history(queued) is None
        await client.submit(image_graph())
        assert await client.post("/queue", {"clear": True}) == (200, "")
        assert await client.queued() == []
        assert await client.queued("queue_running") == [held.prompt_id]


@in_loop
async def test_the_history_knows_only_what_has_ended(comfyui: ComfyServer) -> None:
    """For unknown, queued and running prompts the answer is 200 and an empty object."""
    async with Client(comfyui.url) as client, Held(client) as held:
        queued = await client.submit(image_graph())
        for prompt_id in (queued, held.prompt_id, "unknown"):
            assert await client.get(f"/history/{prompt_id}") == {}


@in_loop
async def test_the_history_is_there_when_the_end_is_told(comfyui: ComfyServer) -> None:
    """Whenever the end of a prompt has been told, its entry can be read."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        for _ in range(20):
            prompt_id = await client.submit(image_graph(), me)
            await socket.wait_for_end(prompt_id)
            entry = await client.history(prompt_id)
            assert entry["status"]["status_str"] == "success"
            assert set(entry) == {"prompt", "outputs", "status", "meta"}


@in_loop
async def test_the_history_is_read_in_pages(comfyui: ComfyServer) -> None:
    """`max_items` alone means the newest, with an offset so many from there on; zero means none."""
    async with Client(comfyui.url) as client:
        await client.post("/history", {"clear": True})
        ids = [await client.submit(image_graph()) for _ in range(4)]
        await client.wait_for_history(ids[-1])
        assert list(await client.get("/history")) == ids
        assert list(await client.get("/history?max_items=2")) == ids[2:]
        assert list(await client.get("/history?max_items=2&offset=1")) == ids[1:3]
        assert await client.get("/history?max_items=0") == {}
        assert await client.post("/history", {"delete": [ids[1], "unknown"]}) == (200, "")
        assert list(await client.get("/history")) == [ids[0], *ids[2:]]


@in_loop
async def test_an_interrupt_by_id_stops_only_that_prompt(comfyui: ComfyServer) -> None:
    """Interrupts answer 200 without a body; ids that don't run are no-ops, and the next prompt is unharmed."""
    async with Client(comfyui.url) as client:
        spared, held = [await client.submit(held_graph()) for _ in range(2)]
        queued = await client.submit(image_graph())
        await client.wait_until_running(spared)
        for prompt_id in (queued, "unknown"):
            assert await client.post("/interrupt", {"prompt_id": prompt_id}) == (200, "")
        await client.post("/fake/release", {"runs": 1})
        assert (await client.wait_for_history(spared))["status"]["status_str"] == "success"
        await client.wait_until_running(held)
        assert (await client.interrupt(held))["status"]["status_str"] == "error"
        assert (await client.wait_for_history(queued))["status"]["status_str"] == "success"


@in_loop
async def test_an_interrupted_prompt_is_an_error_with_a_reason(comfyui: ComfyServer) -> None:
    """In the history it is an error whose last message is the interruption; as a job it is cancelled."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        held = await client.submit(held_graph(), me)
        await socket.wait_for("executing", node="3")
        assert await client.post("/interrupt", b"") == (200, "")
        status = (await client.wait_for_history(held))["status"]
        assert (status["status_str"], status["completed"]) == ("error", False)
        assert status["messages"][-1][0] == "execution_interrupted"
        assert (await client.get(f"/api/jobs/{held}"))["status"] == "cancelled"


@in_loop
async def test_an_interrupt_while_nothing_runs_is_forgotten(comfyui: ComfyServer) -> None:
    """A prompt that comes after an interrupt of nothing runs."""
    async with Client(comfyui.url) as client:
        await client.post("/interrupt", {})
        entry = await client.wait_for_history(await client.submit(image_graph()))
        assert entry["status"]["status_str"] == "success"


@in_loop
async def test_an_interrupt_waits_for_a_node_that_blocks(comfyui: ComfyServer) -> None:
    """A node in one long call ends by itself; the interruption is told of the next node."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        held = await client.submit(held_graph(blocking=True), me)
        await socket.wait_for("executing", node="3")
        await client.post("/interrupt", {"prompt_id": held})
        await client.post("/fake/release", {"runs": 1})
        assert (await socket.wait_for("execution_interrupted", prompt_id=held))["data"]["node_id"] == "2"


@in_loop
async def test_one_bad_output_is_told_in_an_answer_that_is_a_success(comfyui: ComfyServer) -> None:
    """A graph with one good output is queued, the bad one is left out and named in the `node_errors` of a 200."""
    async with Client(comfyui.url) as client:
        graph = image_graph()
        bad = image_graph()
        bad["1"]["inputs"]["width"] = 0
        graph |= {"11": bad["1"], "12": bad["2"]}
        graph["12"]["inputs"]["images"] = ["11", 0]
        status, answer = await client.post("/prompt", {"prompt": graph})
        assert status == 200
        assert answer["node_errors"]["11"]["dependent_outputs"] == ["12"]
        entry = await client.wait_for_history(answer["prompt_id"])
        assert entry["status"]["status_str"] == "success"
        assert (entry["prompt"][4], list(entry["outputs"])) == (["2"], ["2"])


REJECTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "required_input_missing": ({"steps": None}, "3"),
    "value_bigger_than_max": ({"steps": 10001}, "3"),
    "value_smaller_than_min": ({"seed": -1}, "3"),
    "value_not_in_list": ({"sampler_name": "nope"}, "3"),
    "invalid_input_type": ({"steps": "many"}, "3"),
    "bad_linked_input": ({"model": ["4"]}, "3"),
    "return_type_mismatch": ({"model": ["4", 1]}, "3"),
}


@pytest.mark.parametrize("kind", REJECTIONS)
@in_loop
async def test_a_bad_input_is_refused_with_its_node_and_name(comfyui: ComfyServer, kind: str) -> None:
    """The answer is a 400 without details, and its `node_errors` have the node, the type and the input's name."""
    changes, node_id = REJECTIONS[kind]
    graph = model_graph(comfyui.checkpoint)
    graph[node_id]["inputs"] |= changes
    graph[node_id]["inputs"] = {name: value for name, value in graph[node_id]["inputs"].items() if value is not None}
    async with Client(comfyui.url) as client:
        status, answer = await client.post("/prompt", {"prompt": graph})
        assert (status, answer["error"]["type"]) == (400, "prompt_outputs_failed_validation")
        assert answer["error"]["details"] == ""
        assert list(answer["node_errors"]) == [node_id]
        error = answer["node_errors"][node_id]["errors"][0]
        assert (error["type"], error["extra_info"]["input_name"]) == (kind, next(iter(changes)))
        assert answer["node_errors"][node_id]["dependent_outputs"] == ["9"]


@in_loop
async def test_a_missing_model_is_refused_with_those_that_there_are(comfyui: ComfyServer) -> None:
    """An unknown checkpoint's error lists the files, an unknown sampler's only how many there are."""
    async with Client(comfyui.url) as client:
        _, answer = await client.post("/prompt", {"prompt": model_graph("nope.safetensors")})
        error = answer["node_errors"]["4"]["errors"][0]
        assert comfyui.checkpoint in error["details"]
        graph = model_graph(comfyui.checkpoint)
        graph["3"]["inputs"]["sampler_name"] = "nope"
        _, answer = await client.post("/prompt", {"prompt": graph})
        error = answer["node_errors"]["3"]["errors"][0]
        assert "(list of length " in error["details"]
        assert error["extra_info"]["input_config"] is None


@in_loop
async def test_broken_graphs_are_refused(comfyui: ComfyServer) -> None:
    """Unknown classes, missing nodes and images, graphs without an output and bodies without a graph: each its type."""
    unknown, missing, lost = image_graph(), image_graph(), image_graph()
    unknown["1"]["class_type"] = "NoSuchNode"
    missing["2"]["inputs"]["images"] = ["99", 0]
    lost["1"] = {"class_type": "LoadImage", "inputs": {"image": "../nope.png"}}
    async with Client(comfyui.url) as client:
        assert await refusal(client, unknown) == ("missing_node_type", [])
        assert await refusal(client, missing) == ("prompt_outputs_failed_validation", ["exception_during_validation"])
        assert await refusal(client, lost) == ("prompt_outputs_failed_validation", ["custom_validation_failed"])
        assert await refusal(client, {}) == ("prompt_no_outputs", [])
        assert await refusal(client, image_graph(), partial_execution_targets=["1"]) == ("prompt_no_outputs", [])
        assert (await client.post("/prompt", {}))[1]["error"]["type"] == "no_prompt"


@in_loop
async def test_values_are_converted_and_steps_are_not_held(comfyui: ComfyServer) -> None:
    """Numbers may be texts, any size is good whatever the step, and unknown inputs are ignored."""
    graph = model_graph(comfyui.checkpoint, width=65)
    graph["5"]["inputs"] |= {"batch_size": "1", "bogus": True}
    async with Client(comfyui.url) as client:
        entry = await client.wait_for_history(await client.submit(graph))
        assert entry["status"]["status_str"] == "success"
        assert entry["prompt"][2]["5"]["inputs"]["batch_size"] == 1


@in_loop
async def test_only_the_wanted_outputs_run(comfyui: ComfyServer) -> None:
    """With targets given, other outputs are left out."""
    graph = image_graph()
    graph["5"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    async with Client(comfyui.url) as client:
        entry = await client.wait_for_history(await client.submit(graph, partial_execution_targets=["5"]))
        assert list(entry["outputs"]) == ["5"]
        assert entry["outputs"]["5"]["images"][0]["type"] == "temp"


@pytest.mark.parametrize(
    "body",
    [b"garbage", b"", {"prompt": None}, {"prompt": [1]}, {"prompt": {"nodes": [], "last_node_id": 2, "links": []}}],
    ids=["garbage", "empty", "null", "list", "workflow of the editor"],
)
@in_loop
async def test_malformed_bodies_are_server_errors_in_plain_text(comfyui: ComfyServer, body: Any) -> None:
    """What is no prompt at all gets a 500 that is no JSON."""
    async with Client(comfyui.url) as client:
        assert await client.post("/prompt", body) == (500, SERVER_ERROR)


@in_loop
async def test_bad_numbers_and_extra_data_are_server_errors(comfyui: ComfyServer) -> None:
    """A number that is none and extra data that is no object get a 500."""
    async with Client(comfyui.url) as client:
        for more in ({"number": "abc"}, {"extra_data": None}, {"extra_data": "text"}):
            assert await client.post("/prompt", {"prompt": image_graph(), **more}) == (500, SERVER_ERROR)


@in_loop
async def test_secrets_are_listed_nowhere(comfyui: ComfyServer) -> None:
    """Extra data comes back from the history, but for keys of the vendor."""
    async with Client(comfyui.url) as client:
        extra_data = {"mine": {"job": 7}, "api_key_comfy_org": "secret"}
        entry = await client.wait_for_history(await client.submit(image_graph(), extra_data=extra_data))
        assert entry["prompt"][3]["mine"] == {"job": 7}
        assert "secret" not in json.dumps(entry)


@in_loop
async def test_files_are_counted_in_their_folder(comfyui: ComfyServer) -> None:
    """Names are the prefix and a counter from one on; a batch makes as many different files."""
    async with Client(comfyui.url) as client:
        prefix = new_prefix()
        for expected in (["picture_00001_.png"], ["picture_00002_.png"]):
            entry = await client.wait_for_history(await client.submit(image_graph(prefix=prefix)))
            assert [image["filename"] for image in entry["outputs"]["2"]["images"]] == expected
            assert entry["outputs"]["2"]["images"][0]["subfolder"] == prefix.rpartition("/")[0]
        entry = await client.wait_for_history(await client.submit(model_graph(comfyui.checkpoint, batch_size=3)))
        images = [(await client.get_bytes(view(image)))[1] for image in entry["outputs"]["9"]["images"]]
        assert len(images) == 3
        assert len({Image.open(io.BytesIO(image)).tobytes() for image in images}) == 3


@in_loop
async def test_pictures_tell_how_they_were_made(comfyui: ComfyServer) -> None:
    """A PNG holds the prompt and every key of `extra_pnginfo`, and the pixels that were asked for."""
    async with Client(comfyui.url) as client:
        graph = image_graph(color=0xFF8800)
        extra_data = {"extra_pnginfo": {"workflow": {"id": "w"}, "mine": {"job": 7}}}
        entry = await client.wait_for_history(await client.submit(graph, extra_data=extra_data))
        _, content = await client.get_bytes(view(entry["outputs"]["2"]["images"][0]))
        with Image.open(io.BytesIO(content)) as image:
            assert (image.size, image.getpixel((0, 0))) == ((64, 64), (255, 136, 0))
            assert {name: json.loads(str(text)) for name, text in image.info.items()} == {
                "prompt": graph,
                "workflow": {"id": "w"},
                "mine": {"job": 7},
            }


@in_loop
async def test_a_prefix_cannot_leave_the_output_folder(comfyui: ComfyServer) -> None:
    """Such a prefix passes as valid and fails when it runs."""
    async with Client(comfyui.url) as client:
        entry = await client.wait_for_history(await client.submit(image_graph(prefix="../../evil/picture")))
        assert entry["status"]["messages"][-1][0] == "execution_error"


@in_loop
async def test_files_are_viewed_whole_in_part_or_not_at_all(comfyui: ComfyServer) -> None:
    """Viewing answers 200, 206 for a range, 404 for what isn't there, 400 and 403 for what may not be."""
    async with Client(comfyui.url) as client:
        entry = await client.wait_for_history(await client.submit(image_graph()))
        path = view(entry["outputs"]["2"]["images"][0])
        status, content = await client.get_bytes(path)
        assert (status, content[:4]) == (200, b"\x89PNG")
        assert await client.get_bytes(path, Range="bytes=0-9") == (206, content[:10])
        for bad, expected in (
            (path.replace("type=output", "type=temp"), 404),
            (path.replace("type=output", "type=bogus"), 400),
            ("/view?type=output", 404),
            ("/view?filename=", 400),
            ("/view?filename=..%2Fx.png", 400),
            ("/view?filename=%2Fetc%2Fpasswd", 400),
            ("/view?filename=passwd&subfolder=..%2F..%2Fetc", 403),
        ):
            assert await client.get_bytes(bad) == (expected, b""), bad


@in_loop
async def test_uploads_are_renamed_unless_they_are_the_same(comfyui: ComfyServer) -> None:
    """The same bytes keep a name, others get a numbered one, overwriting replaces; a sub-folder can be loaded from."""
    red, blue = (png(colour) for colour in ("red", "blue"))
    name, folder = f"{uuid.uuid4()}.png", f"jobs/{uuid.uuid4()}"
    async with Client(comfyui.url) as client:
        assert await upload(client, name, red) == {"name": name, "subfolder": "", "type": "input"}
        assert (await upload(client, name, red))["name"] == name
        assert (await upload(client, name, blue))["name"] == name.replace(".png", " (1).png")
        assert (await upload(client, name, blue, overwrite="true"))["name"] == name
        assert await upload(client, name, red, subfolder=folder) == {"name": name, "subfolder": folder, "type": "input"}
        graph = image_graph()
        graph["1"] = {"class_type": "LoadImage", "inputs": {"image": f"{folder}/{name}"}}
        entry = await client.wait_for_history(await client.submit(graph))
        _, content = await client.get_bytes(view(entry["outputs"]["2"]["images"][0]))
        with Image.open(io.BytesIO(content)) as image:
            assert image.getpixel((0, 0)) == (255, 0, 0)


@in_loop
async def test_classes_are_described(comfyui: ComfyServer) -> None:
    """A class's inputs can be read, with the files that may be chosen; an unknown class is an empty object."""
    async with Client(comfyui.url) as client:
        described = (await client.get("/object_info/CheckpointLoaderSimple"))["CheckpointLoaderSimple"]
        assert comfyui.checkpoint in described["input"]["required"]["ckpt_name"][0]
        assert await client.get("/object_info/NoSuchNode") == {}
        assert (await client.get("/api/object_info/KSampler"))["KSampler"]["output"] == ["LATENT"]


@in_loop
async def test_unknown_paths_and_foreign_pages_get_nothing(comfyui: ComfyServer) -> None:
    """An unknown path is a 404, another method a 405, and a page of another host a 403."""
    async with Client(comfyui.url) as client:
        assert (await client.get_bytes("/nonexistent"))[0] == 404
        assert (await client.get_bytes("/prompt", Origin="http://evil.example"))[0] == 403
        async with client.session.put("/prompt") as reply:
            assert reply.status == 405


@in_loop
async def test_freeing_memory_forgets_results(comfyui: ComfyServer) -> None:
    """After `/free` with `free_memory`, which the worker obeys when it comes to it, the same graph runs anew."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        graph = image_graph()
        await client.run(socket, me, graph)
        assert await client.post("/free", {"free_memory": True}) == (200, "")
        runs = [await client.run(socket, me, graph) for _ in range(2)]
        assert {"node": "1", "prompt_id": ANY, "display_node": "1"} in [event["data"] for run in runs for event in run]


class Held:
    """The worker is busy with a prompt; at the end the queue is emptied and the prompt interrupted."""

    def __init__(self, client: Client) -> None:
        self.prompt_id = ""
        self._client = client

    async def __aenter__(self) -> "Held":
        self.prompt_id = await self._client.submit(held_graph())
        await self._client.wait_until_running(self.prompt_id)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.post("/queue", {"clear": True})
        await self._client.interrupt(self.prompt_id)


async def number(client: Client, **more: Any) -> float:
    """The number that the next prompt gets."""
    status, answer = await client.post("/prompt", {"prompt": image_graph(), **more})
    assert status == 200
    return answer["number"]


async def refusal(client: Client, graph: Graph, **more: Any) -> tuple[str, list[str]]:
    """The type of a refusal, and those of its nodes' errors."""
    status, answer = await client.post("/prompt", {"prompt": graph, **more})
    assert status == 400
    errors = [error for node in answer["node_errors"].values() for error in node["errors"]]
    return answer["error"]["type"], [error["type"] for error in errors]


async def upload(client: Client, name: str, content: bytes, **more: str) -> dict[str, str]:
    """Upload an image; how the server names it."""
    form = aiohttp.FormData(more)
    form.add_field("image", content, filename=name, content_type="image/png")
    async with client.session.post("/upload/image", data=form) as reply:
        assert reply.status == 200
        return await reply.json()


def png(colour: str) -> bytes:
    """A small picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(buffer, "PNG")
    return buffer.getvalue()
