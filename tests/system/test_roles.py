"""What callers on this machine may do is what the config says, verb by verb."""

from pathlib import Path

import pytest
from tests.system.daemons import a_rig, config

from stoker_protocol.codec import REQUEST_TYPES, pack
from stoker_protocol.jobs import JobState
from stoker_protocol.replies import ErrorReply
from stoker_protocol.requests import (
    AnyRequest,
    Cancel,
    ItemSpec,
    PauseWork,
    Reload,
    ResumeWork,
    Retry,
    Role,
    Shutdown,
    Submit,
)

CHANGES: list[AnyRequest] = [
    Submit(id="1", job_id="new", items=[ItemSpec(params=pack({"prompt": "a"}))]),
    Submit(id="1", job_id="new", items=[ItemSpec(params=pack({"prompt": "a"}))], dry_run=True),
    Cancel(id="1", scope="all"),
    Cancel(id="1", job_ids=["nobody"]),
    Retry(id="1", job_id="nobody", rev=0),
    PauseWork(id="1"),
    ResumeWork(id="1"),
    Reload(id="1"),
    Shutdown(id="1"),
]


def test_who_may_look_may_not_touch(tmp_path: Path) -> None:
    """We expect each verb that changes something to be refused before anything else of it is looked at."""
    with a_rig(tmp_path, config(head='local_role = "view"')) as rig:
        for request in CHANGES:
            reply = rig.ask(request)
            assert isinstance(reply, ErrorReply)
            assert (reply.code, reply.retryable) == ("forbidden", False)
            assert reply.hint == f"it takes the role {type(request).role.name.lower()}, local has view"
        assert rig.client.hello().role == "view"
        assert list(rig.client.jobs()) == []
        assert rig.client.snapshot().queue.paused is None
        assert rig.client.health().ready


def test_who_may_submit_may_not_end_the_daemon(tmp_path: Path) -> None:
    """We expect `submit` to be enough for work, and `shutdown` to take an admin."""
    with a_rig(tmp_path, config(head='local_role = "submit"')) as rig:
        assert rig.run("a").state is JobState.SUCCEEDED
        reply = rig.ask(Shutdown(id="1"))
        assert isinstance(reply, ErrorReply)
        assert reply.code == "forbidden"
        assert rig.run("b").state is JobState.SUCCEEDED


@pytest.mark.parametrize("op", ["submit", "append", "seal", "cancel", "retry", "move", "pause", "resume"])
def test_changes_need_more_than_a_look(op: str) -> None:
    """We expect no verb that changes work to be open to those who may only look."""
    assert REQUEST_TYPES[op].role >= Role.SUBMIT
