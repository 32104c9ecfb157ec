"""How people feed a ComfyUI server without Stoker: a script that submits and polls, and the server's own queue."""

import time
import uuid
from collections.abc import Sequence
from typing import Any

import httpx

from benchmarks.comfyui.graphs import Graph

POLL_S = 1.0
"""Between two looks of a script, as such scripts are mostly written."""
LOOK_S = 0.05
TIMEOUT_S = 3600.0


def submit_and_poll(url: str, graphs: Sequence[Graph]) -> list[str]:
    """One prompt after the other, the next one when a look at the history finds the last one; their ids."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        return [_until_done(http, _post(http, graph), POLL_S) for graph in graphs]


def fill_the_queue(url: str, graphs: Sequence[Graph]) -> list[str]:
    """All prompts at once into the server's own queue, then wait for all; their ids."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        ids = [_post(http, graph) for graph in graphs]
        return [_until_done(http, prompt_id, LOOK_S) for prompt_id in ids]


def _post(http: httpx.Client, graph: Graph) -> str:
    prompt_id = str(uuid.uuid4())
    http.post("/prompt", json={"prompt": graph, "prompt_id": prompt_id, "client_id": prompt_id}).raise_for_status()
    return prompt_id


def _until_done(http: httpx.Client, prompt_id: str, look_s: float) -> str:
    until_s = time.monotonic() + TIMEOUT_S
    while True:
        found: dict[str, Any] = http.get(f"/history/{prompt_id}").json()
        if found:
            return prompt_id
        assert time.monotonic() < until_s, prompt_id
        time.sleep(look_s)
