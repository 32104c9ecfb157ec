"""What a ComfyUI server tells over its stream, to whom and in which order; the fake tells the same."""

import asyncio
from typing import Any

from tests.conformance.comfyui_client import (
    Client,
    Event,
    Socket,
    held_graph,
    image_graph,
    in_loop,
    model_graph,
    new_client,
    new_color,
)
from tests.conformance.conftest import ComfyServer

HANDSHAKE = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@in_loop
async def test_a_socket_is_greeted_with_the_status_and_its_id(comfyui: ComfyServer) -> None:
    """The first event is the status with the client's id, or with 32 hex digits for a client without one."""
    async with Client(comfyui.url) as client:
        named, unnamed = await client.connect("somebody"), await client.connect()
        assert named.events[0]["data"]["sid"] == "somebody"
        assert len(unnamed.events[0]["data"]["sid"]) == 32


@in_loop
async def test_only_the_first_json_message_can_ask_for_features(comfyui: ComfyServer) -> None:
    """Flags are answered after garbage, but not after another message."""
    async with Client(comfyui.url) as client:
        after_garbage, after_message = await client.connect(new_client()), await client.connect(new_client())
        await after_garbage.socket.send_str("garbage")
        await after_message.socket.send_json({"type": "ping"})
        for socket in (after_garbage, after_message):
            await socket.socket.send_json({"type": "feature_flags", "data": {}})
        flags = await after_garbage.wait_for("feature_flags")
        assert flags["data"]["supports_preview_metadata"]
        await run_elsewhere(client, after_message)
        assert "feature_flags" not in after_message.kinds


@in_loop
async def test_a_cold_prompt_is_told_step_by_step(comfyui: ComfyServer) -> None:
    """Each node is running, executing, executed if it shows something, finished; success, status, end."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        prompt_id = await client.submit(image_graph(), me)
        events = await socket.wait_for_end(prompt_id)
        assert [short(event) for event in events] == [
            "execution_start",
            "execution_cached []",
            "1 running",
            "executing 1",
            "1 finished",
            "1 finished, 2 running",
            "executing 2",
            "executed 2",
            "1 finished, 2 finished",
            "execution_success",
            "executing None",
        ]
        assert socket.kinds[-3:] == ["execution_success", "status", "executing"]
        assert [event["type"] for event in events if "timestamp" in event["data"]] == [
            "execution_start",
            "execution_cached",
            "execution_success",
        ]


@in_loop
async def test_a_prompt_is_told_to_be_in_the_queue_twice_and_then_gone(comfyui: ComfyServer) -> None:
    """The status counts a prompt when it comes and when it starts, and no more when it has ended."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket, bystander = await client.connect(me), await client.connect(new_client())
        await client.run(socket, me, image_graph())
        counts = [event["data"]["status"]["exec_info"]["queue_remaining"] for event in statuses(socket)]
        assert counts == [0, 1, 1, 0]
        await bystander.wait_for("status", status={"exec_info": {"queue_remaining": 0}})
        assert set(bystander.kinds) == {"status"}


@in_loop
async def test_a_cached_prompt_executes_nothing_and_names_the_same_file(comfyui: ComfyServer) -> None:
    """The second run of a graph tells the old file, and no node as executing."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        graph = image_graph()
        first, second = await client.run(socket, me, graph), await client.run(socket, me, graph)
        assert shown(second) == shown(first)
        assert [short(event) for event in second] == [
            "execution_start",
            "execution_cached ['1', '2']",
            "executed 2",
            "2 finished",
            "execution_success",
            "executing None",
        ]


@in_loop
async def test_what_is_cached_may_be_shown_to_nobody(comfyui: ComfyServer) -> None:
    """In servers before 0.28 a cached prompt without a client succeeds and has no outputs, not even in the history."""
    async with Client(comfyui.url) as client:
        graph = image_graph()
        first = await client.wait_for_history(await client.submit(graph))
        entry = await client.wait_for_history(await client.submit(graph))
        assert entry["status"]["status_str"] == "success"
        assert entry["outputs"] == ({} if (0, 4) <= comfyui.version < (0, 28) else first["outputs"])


@in_loop
async def test_only_what_changed_is_executed_again(comfyui: ComfyServer) -> None:
    """With another seed the checkpoint, latent and prompts come from the cache."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        graph = model_graph(comfyui.checkpoint)
        await client.run(socket, me, graph)
        graph["3"]["inputs"]["seed"] += 1
        again = await client.run(socket, me, graph)
        cached = next(event for event in again if event["type"] == "execution_cached")
        assert set(cached["data"]["nodes"]) == {"4", "5", "6", "7"}
        assert [event["data"]["node"] for event in again if event["type"] == "executing"] == ["3", "8", "9", None]


@in_loop
async def test_only_the_last_prompt_is_cached(comfyui: ComfyServer) -> None:
    """A prompt in between makes a graph start from nothing."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        graph = image_graph()
        await client.run(socket, me, graph)
        await client.run(socket, me, image_graph())
        again = await client.run(socket, me, graph)
        assert short(again[1]) == "execution_cached []"


@in_loop
async def test_what_is_nearest_to_an_output_runs_first(comfyui: ComfyServer) -> None:
    """Of nodes that could run, those go first whose output is shown next, wherever they stand in the graph."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        near, far = image_graph(), chain(3)
        graph = far | {"11": near["1"], "12": near["2"] | {"inputs": near["2"]["inputs"] | {"images": ["11", 0]}}}
        events = await client.run(socket, me, graph)
        order = [event["data"]["node"] for event in events if event["type"] == "executing"]
        assert order == ["11", "12", "1", "node0", "node1", "node2", "2", None]


@in_loop
async def test_a_step_is_told_as_state_preview_and_progress_to_who_reads_metadata(comfyui: ComfyServer) -> None:
    """Previews with metadata come before the plain event of a step; steps are counted from one."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me, flags=True)
        graph = model_graph(comfyui.checkpoint, steps=2)
        events = await client.run(socket, me, graph, extra_data={"preview_method": "latent2rgb"})
        steps = [event for event in events if event["type"] in ("preview", "progress")]
        assert [event["type"] for event in steps] == ["preview", "progress"] * 2
        assert [event["data"]["value"] for event in steps if event["type"] == "progress"] == [1, 2]
        assert steps[0]["data"]["image"][:2] == b"\xff\xd8"
        assert steps[0]["data"]["node_id"] == "3"
        state = events[events.index(steps[0]) - 1]["data"]["nodes"]["3"]
        assert (state["value"], state["max"], state["state"]) == (1, 2, "running")


@in_loop
async def test_a_step_is_told_as_state_progress_and_preview_to_others(comfyui: ComfyServer) -> None:
    """Previews without metadata come after the plain event of a step."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        graph = model_graph(comfyui.checkpoint, steps=2)
        await client.run(socket, me, graph, extra_data={"preview_method": "latent2rgb"})
        steps = [event["type"] for event in socket.events if event["type"] in ("preview", "progress")]
        assert steps == ["progress", "preview"] * 2
        assert next(event for event in socket.events if event["type"] == "preview")["data"]["format"] == 1


@in_loop
async def test_a_prompt_can_turn_previews_off(comfyui: ComfyServer) -> None:
    """With the preview method `none` in its extra data a prompt has no previews."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me, flags=True)
        await client.run(socket, me, model_graph(comfyui.checkpoint), extra_data={"preview_method": "none"})
        assert "preview" not in socket.kinds
        assert "progress" in socket.kinds


@in_loop
async def test_a_text_is_a_frame_of_its_own(comfyui: ComfyServer) -> None:
    """A node's text comes as a binary frame with the node's id."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me, flags=True)
        await client.run(socket, me, image_graph(StokerTestText={"text": "gr\u00fc\u00df dich"}))
        assert await socket.wait_for("text") == {"type": "text", "data": {"node": "3", "text": "gr\u00fc\u00df dich"}}


@in_loop
async def test_an_error_ends_a_prompt_and_the_next_one_runs(comfyui: ComfyServer) -> None:
    """An error is told with its node, type and message; there is no success, but the end."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        events = await client.run(socket, me, image_graph(StokerTestFail={"message": "on purpose"}))
        assert [short(event) for event in events[-2:]] == ["execution_error", "executing None"]
        error = events[-2]["data"]
        assert (error["node_id"], error["node_type"]) == ("3", "StokerTestFail")
        assert (error["exception_type"], error["exception_message"]) == ("RuntimeError", "on purpose\n")
        assert error["executed"] == ["1"]
        assert error["traceback"]
        assert short((await client.run(socket, me, image_graph()))[-2]) == "execution_success"


@in_loop
async def test_running_out_of_memory_is_an_error_of_torch(comfyui: ComfyServer) -> None:
    """Of a batch that doesn't fit the exception's type says so; a batch that fits runs."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        events = await client.run(socket, me, image_graph(batch_size=3, StokerTestOom={"fits": 2}))
        assert events[-2]["data"]["exception_type"] in ("torch.OutOfMemoryError", "torch.cuda.OutOfMemoryError")
        events = await client.run(socket, me, image_graph(batch_size=2, StokerTestOom={"fits": 2}))
        assert short(events[-2]) == "execution_success"


@in_loop
async def test_a_blocked_node_tells_an_error_and_the_prompt_succeeds(comfyui: ComfyServer) -> None:
    """A blocker with a message is told as an error without a time, which neither ends the run nor is remembered."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        prompt_id = await client.submit(image_graph(StokerTestBlocker={"message": "not today"}), me)
        events = await socket.wait_for_end(prompt_id)
        error = next(event for event in events if event["type"] == "execution_error")["data"]
        assert error["exception_type"] == "ExecutionBlocked"
        assert "not today" in error["exception_message"]
        assert (error["traceback"], error["current_inputs"], "timestamp" in error) == ([], [], False)
        assert short(events[-2]) == "execution_success"
        entry = await client.history(prompt_id)
        assert entry["status"]["status_str"] == "success"
        assert entry["outputs"] == {}
        assert "execution_error" not in [message[0] for message in entry["status"]["messages"]]


@in_loop
async def test_a_silent_blocker_leaves_outputs_out(comfyui: ComfyServer) -> None:
    """A blocker without a message is told by nothing but the missing output."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        events = await client.run(socket, me, image_graph(StokerTestBlocker={"message": ""}))
        assert "execution_error" not in [event["type"] for event in events]
        assert short(events[-2]) == "execution_success"
        assert shown(events) == []


@in_loop
async def test_nodes_that_a_node_adds_have_ids_of_their_own(comfyui: ComfyServer) -> None:
    """What an expanded node adds is told with its parent, and its output is in the history under the new id."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        prompt_id = await client.submit(image_graph(StokerTestExpand={"n": 2}), me)
        events = await socket.wait_for_end(prompt_id)
        executing = [event["data"] for event in events if event["type"] == "executing"]
        added = [("3.0.0.1", "3"), ("3.0.0.2", "3"), ("3.0.0.3", "3")]
        names = [(data["node"], data.get("display_node")) for data in executing]
        assert names == [("1", "1"), ("3", "3"), *added, ("2", "2"), (None, None)]
        entry = await client.history(prompt_id)
        assert set(entry["outputs"]) == {"3.0.0.3", "2"}
        assert entry["meta"]["3.0.0.3"]["parent_node"] == "3"


@in_loop
async def test_an_error_of_an_added_node_is_its_parents(comfyui: ComfyServer) -> None:
    """An error inside an expanded node names the node of the prompt."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        events = await client.run(socket, me, image_graph(StokerTestExpandFail={}))
        assert (events[-2]["data"]["node_id"], events[-2]["data"]["node_type"]) == ("3", "StokerTestExpandFail")


@in_loop
async def test_prompts_of_one_client_never_mix(comfyui: ComfyServer) -> None:
    """The end of a prompt comes before the start of the next."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        prompts = [await client.submit(image_graph(), me) for _ in range(5)]
        await socket.wait_for_end(prompts[-1])
        told = [event["data"]["prompt_id"] for event in socket.events if "prompt_id" in event["data"]]
        assert list(dict.fromkeys(told)) == prompts
        assert told == sorted(told, key=prompts.index)


@in_loop
async def test_without_a_client_progress_goes_to_all_and_the_rest_to_nobody(comfyui: ComfyServer) -> None:
    """Of a prompt that nobody is named for, everybody hears the states, and nobody hears the start or the end."""
    async with Client(comfyui.url) as client:
        socket = await client.connect(new_client())
        prompt_id = await client.submit(image_graph())
        entry = await client.wait_for_history(prompt_id)
        await socket.wait_for("status", status={"exec_info": {"queue_remaining": 0}})
        assert {event["type"] for event in socket.of(prompt_id)} == {"progress_state"}
        assert entry["outputs"]["2"]["images"]


@in_loop
async def test_without_a_client_an_interruption_is_told_to_all(comfyui: ComfyServer) -> None:
    """Everybody hears that a prompt that nobody is named for was interrupted."""
    async with Client(comfyui.url) as client:
        socket = await client.connect(new_client())
        prompt_id = await client.submit(held_graph())
        await client.wait_until_running(prompt_id)
        await client.interrupt(prompt_id)
        await socket.wait_for("execution_interrupted", prompt_id=prompt_id)


@in_loop
async def test_a_client_that_is_not_there_is_told_nothing(comfyui: ComfyServer) -> None:
    """A prompt of an absent client is told to others by the status only."""
    async with Client(comfyui.url) as client:
        socket = await client.connect(new_client())
        prompt_id = await client.submit(image_graph(), new_client())
        await client.wait_for_history(prompt_id)
        assert socket.of(prompt_id) == []


@in_loop
async def test_who_comes_back_hears_which_node_runs_and_nothing_of_before(comfyui: ComfyServer) -> None:
    """A new socket of a running prompt's client gets one bare event, and then what happens from there."""
    async with Client(comfyui.url) as client:
        me = new_client()
        gone = await client.connect(me)
        prompt_id = await client.submit(held_graph(), me)
        await gone.wait_for("executing", node="3")
        await gone.close()
        back = await client.connect(me)
        assert await back.wait_for("executing") == {"type": "executing", "data": {"node": "3"}}
        assert back.kinds == ["status", "executing"]
        await client.post("/fake/release", {"runs": 1})
        events = await back.wait_for_end(prompt_id)
        assert "execution_start" not in [event["type"] for event in events]
        assert short(events[-2]) == "execution_success"


@in_loop
async def test_the_end_of_an_old_socket_silences_the_new_one(comfyui: ComfyServer) -> None:
    """Of two sockets with one id the newer one gets all, until the older one closes: then it gets nothing more."""
    async with Client(comfyui.url) as client:
        me = new_client()
        older = await client.connect(me)
        newer = await client.connect(me)
        heard = await client.run(newer, me, image_graph())
        assert heard
        assert older.kinds == ["status"]
        await older.close()
        await run_elsewhere(client, None)
        before = len(newer.events)
        await client.wait_for_history(await client.submit(image_graph(), me))
        await run_elsewhere(client, None)
        assert len(newer.events) == before
        assert not newer.socket.closed


@in_loop
async def test_a_client_that_does_not_read_holds_up_all_others(comfyui: ComfyServer) -> None:
    """While one socket is stalled, prompts run and nobody hears of it; all is delivered when that one is gone."""
    async with Client(comfyui.url) as client:
        me = new_client()
        socket = await client.connect(me)
        host, _, port = comfyui.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(HANDSHAKE.encode())
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(2):
            await client.wait_for_history(await client.submit(chain(200)))
        prompt_id = await client.submit(image_graph(), me)
        assert (await client.wait_for_history(prompt_id))["status"]["completed"]
        assert socket.of(prompt_id) == []
        writer.transport.abort()
        assert short((await socket.wait_for_end(prompt_id))[-2]) == "execution_success"


async def run_elsewhere(client: Client, socket: Socket | None) -> None:
    """Run a prompt of another client to its end, so that what comes before it has come."""
    other = new_client()
    await client.run(await client.connect(other), other, image_graph())
    if socket is not None:
        await socket.wait_for("status", status={"exec_info": {"queue_remaining": 0}})


def chain(length: int) -> dict[str, Any]:
    """A graph of many nodes; its states are megabytes of events."""
    graph = image_graph(new_color())
    for number in range(length):
        source = ["1", 0] if number == 0 else [f"node{number - 1}", 0]
        graph[f"node{number}"] = {"class_type": "ImageInvert", "inputs": {"image": source}}
    graph["2"]["inputs"]["images"] = [f"node{length - 1}", 0]
    return graph


def short(event: Event) -> str:
    """An event in a word or two."""
    data = event["data"]
    match event["type"]:
        case "executing" | "executed":
            return f"{event['type']} {data['node']}"
        case "execution_cached":
            return f"execution_cached {data['nodes']}"
        case "progress_state":
            return ", ".join(f"{name} {node['state']}" for name, node in data["nodes"].items())
        case kind:
            return kind


def shown(events: list[Event]) -> list[Any]:
    """What nodes showed."""
    return [event["data"]["output"] for event in events if event["type"] == "executed"]


def statuses(socket: Socket) -> list[Event]:
    """The status events of a socket."""
    return [event for event in socket.events if event["type"] == "status"]
