"""What a ComfyUI server says of prompts as jobs, and how newer ones cancel them; the fake does the same."""

import uuid

from tests.conformance.comfyui_client import Client, held_graph, image_graph, in_loop
from tests.conformance.conftest import ComfyServer

SINCE_CANCEL = (0, 26)


@in_loop
async def test_a_prompt_is_a_job_in_each_of_its_states(comfyui: ComfyServer) -> None:
    """A job is in progress, pending, completed or failed; an ended one has its outputs and times."""
    async with Client(comfyui.url) as client:
        held = await client.submit(held_graph())
        await client.wait_until_running(held)
        failed = await client.submit(image_graph(StokerTestFail={"message": "on purpose"}))
        assert await states(client, held, failed) == ["in_progress", "pending"]
        await client.post("/fake/release", {"runs": 1})
        await client.wait_for_history(failed)
        assert await states(client, held, failed) == ["completed", "failed"]
        job = await client.get(f"/api/jobs/{held}")
        assert job["outputs_count"] == 1
        assert job["preview_output"]["filename"] == job["outputs"]["2"]["images"][0]["filename"]
        assert job["create_time"] <= job["execution_start_time"] <= job["execution_end_time"]
        error = (await client.get(f"/api/jobs/{failed}"))["execution_error"]
        assert (error["node_id"], error["exception_message"]) == ("3", "on purpose\n")


@in_loop
async def test_jobs_are_filtered_and_paged(comfyui: ComfyServer) -> None:
    """A filter by status, a limit and an offset choose jobs; an unknown job is a 404, a bad filter a 400."""
    async with Client(comfyui.url) as client:
        await client.post("/history", {"clear": True})
        for _ in range(3):
            await client.wait_for_history(await client.submit(image_graph()))
        page = await client.get("/api/jobs?status=completed&limit=2&offset=1&sort_order=asc")
        assert [job["status"] for job in page["jobs"]] == ["completed"] * 2
        assert page["pagination"] == {"offset": 1, "limit": 2, "total": 3, "has_more": False}
        assert (await client.get("/api/jobs?status=failed"))["jobs"] == []
        assert (await client.get_bytes(f"/api/jobs/{uuid.uuid4()}"))[0] == 404
        for bad in ("status=bogus", "limit=0"):
            assert (await client.get_bytes(f"/api/jobs?{bad}"))[0] == 400


@in_loop
async def test_newer_servers_cancel_a_job_by_its_id(comfyui: ComfyServer) -> None:
    """A queued job is taken away, a running one interrupted, of others nothing is; older servers know no such path."""
    async with Client(comfyui.url) as client:
        running, queued = [await client.submit(held_graph()) for _ in range(2)]
        await client.wait_until_running(running)
        status, answer = await client.post(f"/api/jobs/{queued}/cancel", {})
        if comfyui.version < SINCE_CANCEL:
            assert status == 405
            await client.post("/queue", {"delete": [queued]})
            await client.interrupt(running)
            return
        assert (status, answer) == (200, {"cancelled": True})
        assert await client.queued() == []
        for prompt_id in (queued, str(uuid.uuid4())):
            assert await client.post(f"/api/jobs/{prompt_id}/cancel", {}) == (200, {"cancelled": False})
        assert (await client.post("/api/jobs/cancel", {"job_ids": ["no id"]}))[0] == 400
        assert await client.post("/api/jobs/cancel", {"job_ids": [running]}) == (200, {"cancelled": True})
        await client.interrupt(running)
        assert await states(client, running) == ["cancelled"]
        assert await client.history(queued) is None


async def states(client: Client, *prompt_ids: str) -> list[str]:
    """What the server says of jobs."""
    return [(await client.get(f"/api/jobs/{prompt_id}"))["status"] for prompt_id in prompt_ids]
