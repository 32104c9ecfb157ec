"""Stoker's part: a real daemon of its own that runs the same prompts as one job."""

import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from benchmarks.comfyui.graphs import Graph
from benchmarks.core.load import ask
from stoker_client import Client
from stoker_client.private_daemon import PrivateDaemon
from stoker_protocol import codec
from stoker_protocol.jobs import JobState
from stoker_protocol.requests import ItemSpec, Submit

TIMEOUT_S = 600.0


def stoker_job(url: str, graphs: Sequence[Graph], folder: Path) -> None:
    """Run the prompts as items of one job, whose workflow they share but for the colour."""
    daemon = PrivateDaemon(folder / f"data-{uuid.uuid4().hex[:8]}", args=["--comfyui", url])
    daemon.start()
    try:
        _run(daemon.control, graphs)
    finally:
        daemon.stop()


def _run(endpoint: str, graphs: Sequence[Graph]) -> None:
    colors = [graph["1"]["inputs"]["color"] for graph in graphs]
    items = [ItemSpec(params=codec.pack({"1.color": color})) for color in colors]
    job_id = uuid.uuid4().hex
    submit = Submit(id="1", job_id=job_id, engine="comfyui", workflow=codec.pack(graphs[0]), items=items)
    reply = codec.decode_reply(ask(endpoint, codec.encode(submit)))
    assert getattr(reply, "job_id", None) == job_id, reply
    with Client(endpoint) as client:
        until_s = time.monotonic() + TIMEOUT_S
        while not (job := client.job(job_id)).state.is_final:
            assert time.monotonic() < until_s, job
            time.sleep(0.2)
        assert job.state is JobState.SUCCEEDED, job
