"""What a changed configuration comes to: which keys, from what to what, and whether it takes a restart."""

from pathlib import Path

from stoker_daemon.config import Config, applied, compare, load
from stoker_protocol.changes import ConfigChange


def config(folder: Path, text: str) -> Config:
    """The configuration that a file says."""
    (folder / "stokerd.toml").write_text(text)
    return load(folder / "stokerd.toml")


def test_nothing_changed(tmp_path: Path) -> None:
    """We expect no change between two readings of one file."""
    text = "[execution]\ntimeout_s = 3\n[engines.a]\nmodel = 'm:M'\noptions = { x = 1 }\n"
    assert compare(config(tmp_path, text), config(tmp_path, text)) == []


def test_what_holds_now_and_what_later(tmp_path: Path) -> None:
    """We expect each key that differs with both values, new and gone ones with nothing on one side."""
    before = config(tmp_path, "[execution]\ntimeout_s = 3\n[engines.a]\nmodel = 'm:M'\n")
    after = config(
        tmp_path,
        "[execution]\ntimeout_s = 4\nmax_pending = 7\n[retention]\njobs_days = 1\n"
        "[engines.b]\nmodel = 'm:M'\nlane = 'b'\n",
    )
    changes = {change.key: change for change in compare(before, after)}
    assert changes["execution.timeout_s"] == ConfigChange("execution.timeout_s", "3.0", "4.0", is_applied=True)
    assert changes["retention.jobs_days"].is_applied
    assert not changes["execution.max_pending"].is_applied
    assert (changes["engines.a.model"].before, changes["engines.a.model"].after) == ('"m:M"', "")
    assert changes["engines.b.lane"] == ConfigChange("engines.b.lane", "", '"b"', is_applied=False)
    now = applied(before, after)
    assert (now.execution.timeout_s, now.retention.jobs_days) == (4, 1)
    assert (now.execution.max_pending, now.engines) == (before.execution.max_pending, before.engines)
    assert {change.key for change in compare(now, after)} == {key for key in changes if not changes[key].is_applied}


def test_what_may_be_a_secret_is_not_shown(tmp_path: Path) -> None:
    """We expect the options of a model and variables of a command to be said to differ, without their values."""
    text = (
        "[engines.a]\nmodel = 'm:M'\noptions = {{ token = '{0}' }}\n"
        "[engines.b]\nkind = 'command'\n[engines.b.commands.x]\nargv = ['x']\nenv = ['T={0}']\n"
    )
    changes = compare(config(tmp_path, text.format("s1")), config(tmp_path, text.format("s2")))
    assert {change.key for change in changes} == {"engines.a.options", "engines.b.commands.x.env"}
    assert {change.before for change in changes} | {change.after for change in changes} == {"..."}
