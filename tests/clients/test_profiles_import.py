"""Profiles from a YAML file: what is understood, what is refused, and what the daemon makes of the result."""

import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker_client.cli.profiles_import import BadProfiles, ImportedProfile, NoYaml, as_toml, read_profiles
from stoker_daemon.config import load

BATCH_PROFILES = """\
profiles:
  speed:
    name: "Speed"
    description: "Many \\"drafts\\""
    batch_size: 8
    steps: 15
    cfg_scale: 7.0
    sampler: "euler_ancestral"
    scheduler: "karras"
  Pixel Art:
    batchSize: "4"
    num-inference-steps: 12
    CFG: 6
    samplerName: dpmpp_2m
    enable_xformers: true
hardware:
  max_vram_gb: 119
"""


def test_a_profile_file_is_understood() -> None:
    """Profiles under `profiles` are read, in several spellings, and keys without a counterpart are named."""
    speed = {"steps": 15, "cfg": 7.0, "sampler": "euler_ancestral", "scheduler": "karras"}
    assert read_profiles(BATCH_PROFILES) == [
        ImportedProfile("speed", 'Many "drafts"', 8, speed),
        ImportedProfile(
            "pixel-art", "", 4, {"steps": 12, "cfg": 6.0, "sampler": "dpmpp_2m"}, left_out=("enable_xformers",)
        ),
    ]


def test_profiles_may_be_the_whole_file() -> None:
    """A map of profiles needs no `profiles` around it."""
    assert [profile.name for profile in read_profiles("a: {steps: 1}\nb: {steps: 2}")] == ["a", "b"]


def test_the_daemon_reads_what_comes_out(tmp_path: Path) -> None:
    """The printed tables are configuration that the daemon takes as they are."""
    path = tmp_path / "stokerd.toml"
    path.write_text(as_toml(read_profiles(BATCH_PROFILES)), encoding="utf-8")
    profiles = load(path).profiles
    assert {name: (profile.summary, profile.batch_size) for name, profile in profiles.items()} == {
        "speed": ('Many "drafts"', 8),
        "pixel-art": ("", 4),
    }
    assert profiles["pixel-art"].params == {"steps": 12, "cfg": 6.0, "sampler": "dpmpp_2m"}


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_any_text_survives(summary: str, negative: str) -> None:
    """Whatever letters a text has, TOML gives it back, and a list of keys left out stays a comment."""
    profile = ImportedProfile("p", summary, 0, {"negative": negative}, left_out=(summary,))
    table = tomllib.loads(as_toml([profile]))["profiles"]["p"]
    assert (table.get("summary", ""), table["params"]) == (summary, {"negative": negative})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "there are no profiles"),
        ("- a\n- b", "there are no profiles"),
        ("profiles: {}", "there are no profiles"),
        ("a: [1, 2", "not YAML: while parsing a flow sequence"),
        ("a: 5", "a: 5 is no map of settings"),
        ("a: {}", "a: none of its keys is known here: it has none"),
        ("a: {xformers: true}", "a: none of its keys is known here: xformers"),
        ("a: {steps: many}", "a.steps = 'many': expected a whole number"),
        ("a: {steps: 7.5}", "a.steps = 7.5: expected a whole number"),
        ("a: {steps: true}", "a.steps = True: expected a whole number"),
        ("a: {steps: [1]}", "a.steps = [1]: expected a whole number"),
        ("a: {cfg: .nan}", "a.cfg = nan: expected a number"),
        ("a: {cfg: .inf}", "a.cfg = inf: expected a number"),
        ("a: {cfg: 7, cfg_scale: 8}", "a.cfg_scale: cfg is said twice"),
        ("a: {steps: 1, batch_size: 5000}", "a.batch_size = 5000: expected 0 to 1024"),
        ("'!!': {steps: 1}", "'!!' is no name for a profile"),
        ("{a b: {steps: 1}, A-B: {steps: 1}}", "two profiles would be called 'a-b'"),
    ],
)
def test_what_is_unusable_is_named(text: str, complaint: str) -> None:
    """What can't be used is refused with the profile, the key, the value and what would do."""
    with pytest.raises(BadProfiles) as refused:
        read_profiles(text)
    assert str(refused.value).startswith(complaint)


def test_without_pyyaml_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML is missing, the message is the command that installs it."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(NoYaml, match=r'pip install "stoker\[yaml\]"'):
        read_profiles("a: {steps: 1}")
