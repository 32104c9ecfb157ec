"""Runs are as large as memory allows, and people are told when that is less than it was."""

from tests.system.daemons import Rig

from stoker_protocol.events import BatchReduced, RunStarted


def test_memory_that_does_not_suffice(rig: Rig) -> None:
    """We expect a batch that ran out of memory to be tried one by one, the next to be half as large, and one word."""
    failing = {"do": "oom", "above": 4}
    job = rig.run(*({"prompt": f"first {number}", **failing} for number in range(8)))
    assert (job.state, job.items.succeeded) == ("succeeded", 8)
    after = rig.run(*({"prompt": f"second {number}", **failing} for number in range(8)))
    assert (after.state, after.items.succeeded) == ("succeeded", 8)
    sizes = [event.run.batch_size for event in rig.events(RunStarted)]
    assert sizes == [8, *[1] * 8, 4, 4]
    (told,) = rig.events(BatchReduced)
    assert (told.engine, told.model, told.reason) == ("faults", "one", "a batch of 8 ran out of memory")
