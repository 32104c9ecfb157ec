"""A server of language models, the daemon, or both die at random while all slots are busy."""

import random
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import pytest
from tests.fakes.openai.harness import OpenAIProcess
from tests.fault.audit import audit_settled, connect
from tests.system.daemons import Rig, a_rig, config
from tests.worker.processes import wait_for

from stoker_protocol.jobs import ItemCounts

PROMPTS = [f"prompt {number}" for number in range(80)]
SLOTS = 4
DEATHS = ["the daemon", "the server", "both", "the server", "the daemon"]
ENGINE = f"""
[engines.llm]
kind = "openai"
url = "{{url}}"
limits.concurrency = {SLOTS}
"""


class Witness:
    """Looks at what the server is asked, and at what was recorded before."""

    def __init__(self, rig: Rig, server: OpenAIProcess) -> None:
        self.asked: list[str] = []
        self._rig = rig
        self._server = server
        self._seen = 0
        self._recorded: set[str] = set()

    def look(self) -> None:
        """Nothing was asked since the last look that was recorded by then."""
        recorded = self._recorded | _recorded(self._rig)
        asked = [body["messages"][0]["content"] for body in self._server.state()["requests"]][self._seen :]
        assert self._recorded.isdisjoint(asked)
        self.asked += asked
        self._seen += len(asked)
        self._recorded = recorded

    def forget_server(self) -> None:
        """It is another one, which was asked nothing yet."""
        self._seen = 0


def _recorded(rig: Rig) -> set[str]:
    with closing(connect(rig.data_dir)) as connection:
        rows = connection.execute("SELECT idx FROM items WHERE state = 'succeeded'").fetchall()
    return {PROMPTS[index] for (index,) in rows}


@pytest.fixture(name="server")
def fixture_server() -> Generator[OpenAIProcess]:
    """A server that takes its time."""
    with OpenAIProcess(token_s=0.01) as server:
        yield server


def test_at_random_moments(
    tmp_path: Path, server: OpenAIProcess, record_property: Callable[[str, object], None]
) -> None:
    """We expect each item to succeed once, and none to be asked again whose answer was recorded."""
    seed = random.randrange(1 << 32)
    record_property("seed of the deaths at a language model", seed)
    dice = random.Random(seed)
    with a_rig(tmp_path, config(crash_limit=30, engines=ENGINE.format(url=server.url))) as rig:
        job_id = rig.client.submit(PROMPTS, max_attempts=20, max_concurrency=SLOTS).job_id
        witness = Witness(rig, server)
        moments = sorted(dice.sample(range(1, len(PROMPTS) - 2 * SLOTS), len(DEATHS)))
        for moment, dying in zip(moments, dice.sample(DEATHS, len(DEATHS)), strict=True):
            wait_for(lambda moment=moment: len(_recorded(rig)) >= moment and server.state()["open"] == SLOTS)
            witness.look()
            if dying != "the server":
                rig.kill()
            if dying != "the daemon":
                server.restart()
                witness.forget_server()
            if dying != "the server":
                rig.restart()
        assert rig.wait(job_id).items == ItemCounts(total=len(PROMPTS), succeeded=len(PROMPTS))
        witness.look()
        assert witness.asked
        rig.stop()
        assert audit_settled(rig.data_dir).states == {"succeeded": len(PROMPTS)}
