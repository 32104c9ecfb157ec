"""The configuration file: its defaults, and what it says about what makes no sense."""

import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert

from stoker_daemon.config import (
    ComfyConfig,
    CommandConfig,
    Config,
    ConfigError,
    ExecutionConfig,
    ModelConfig,
    OllamaConfig,
    OpenAIConfig,
    ProfileConfig,
    PythonConfig,
    load,
)
from stoker_daemon.recipes.command import Command, CommandParameter
from stoker_daemon.scheduling.limits import PRESETS, ServerLimits


def _load(folder: Path, text: str) -> Config:
    path = folder / "stoker.toml"
    path.write_text(text)
    return load(path)


def test_no_file() -> None:
    """Without a file the engine `sprites` is there, on the daemon's own interpreter, and local callers may do all."""
    config = load(None)
    assert (config.local_role, list(config.engines), config.execution) == ("admin", ["sprites"], ExecutionConfig())
    assert config.engines["sprites"] == PythonConfig(
        model="stoker_worker.models.sprites:Sprites", python=sys.executable, lane="gpu"
    )


def test_empty_file(tmp_path: Path) -> None:
    """An empty file means the same as none."""
    assert _load(tmp_path, "") == load(None)


def test_everything_said(tmp_path: Path) -> None:
    """What a file says holds, engines keep their order, and relative paths begin at its folder."""
    config = _load(
        tmp_path,
        """
        local_role = "view"
        [engines.zebra]
        model = "my.models:Zebra"
        python = "venv/bin/python"
        python_path = ["src", "/opt/models"]
        lane = "cpu"
        start_timeout_s = 5
        options = { depth = { layers = [1, 2] } }
        [engines.ant]
        cache_mb = 24000
        memory_limit_mb = 32000
        models = { red = { model = "ants:Ant" }, "fire-1.0" = { model = "ants:Ant", options = { hot = true } } }
        [execution]
        timeout_s = 1.5
        crash_limit = 1
        """,
    )
    assert config == Config(
        local_role="view",
        engines={
            "zebra": PythonConfig(
                model="my.models:Zebra",
                python=str(tmp_path / "venv/bin/python"),
                python_path=(str(tmp_path / "src"), "/opt/models"),
                lane="cpu",
                start_timeout_s=5.0,
                options={"depth": {"layers": [1, 2]}},
            ),
            "ant": PythonConfig(
                models={
                    "red": ModelConfig(model="ants:Ant"),
                    "fire-1.0": ModelConfig(model="ants:Ant", options={"hot": True}),
                },
                cache_mb=24_000,
                memory_limit_mb=32_000,
            ),
        },
        execution=ExecutionConfig(timeout_s=1.5, crash_limit=1),
    )
    assert list(config.engines) == ["zebra", "ant"]


def test_a_comfyui_server(tmp_path: Path) -> None:
    """A server is an engine like others, with profiles and recipes of one's own beside it."""
    config = _load(
        tmp_path,
        """
        recipes = "mine"
        [engines.studio]
        kind = "comfyui"
        url = "http://studio:8188"
        output_dir = "out"
        delete_outputs = true
        restart_command = ["systemctl", "restart", "comfyui"]
        [profiles.sketch]
        batch_size = 2
        params = { steps = 6 }
        """,
    )
    assert config == Config(
        recipes=str(tmp_path / "mine"),
        engines={
            "studio": ComfyConfig(
                url="http://studio:8188",
                output_dir=str(tmp_path / "out"),
                delete_outputs=True,
                restart_command=("systemctl", "restart", "comfyui"),
            )
        },
        profiles={"sketch": ProfileConfig(batch_size=2, params={"steps": 6})},
    )


def _limits(preset: str, **others: Any) -> ServerLimits:
    return convert({**PRESETS[preset], **others}, ServerLimits)


def test_servers_of_language_models(tmp_path: Path) -> None:
    """The page about language models shows a configuration that can be used; a key's file lies beside it."""
    page = (Path(__file__).parents[2] / "docs" / "llm.md").read_text(encoding="utf-8")
    shown = page.partition("```toml\n")[2].partition("```")[0]
    assert _load(tmp_path, shown).engines == {
        "llm": OpenAIConfig(url="http://127.0.0.1:8080/v1", lane="gpu", limits=ServerLimits(concurrency=4)),
        "ollama": OllamaConfig(url="http://127.0.0.1:11434", lane="gpu"),
        "cloud": OpenAIConfig(
            url="https://api.openai.com/v1",
            api_key_env="OPENAI_API_KEY",
            model="gpt-4o-mini",
            limits=_limits("openai", requests_per_min=5000, tokens_per_min=2_000_000),
        ),
    }
    beside = '[engines.a]\nkind = "openai"\nurl = "http://h/v1"\napi_key_file = "key"\n'
    assert _load(tmp_path, beside).engines == {"a": OpenAIConfig(url="http://h/v1", api_key_file=str(tmp_path / "key"))}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_of_limits(preset: str, tmp_path: Path) -> None:
    """What suits a provider is there by its name, and what else is said goes before it."""
    table = f'[engines.a]\nkind = "openai"\nurl = "http://h/v1"\n[engines.a.limits]\npreset = "{preset}"\n'
    engine = _load(tmp_path, table + "concurrency = 7\nmax_concurrency = 9\nbackoff_factor = 3").engines["a"]
    assert isinstance(engine, OpenAIConfig)
    assert engine.limits == _limits(preset, concurrency=7, max_concurrency=9, backoff_factor=3.0)


def test_commands(tmp_path: Path) -> None:
    """Commands keep their order, those that are ready-made can be changed in part, and paths begin at the file."""
    config = _load(
        tmp_path,
        """
        [engines.tools]
        kind = "command"
        max_parallel = 2
        [engines.tools.commands.test]
        kind = "test"
        cwd = "src"
        exit_codes = { "2" = "retry" }
        [engines.tools.commands.check]
        argv = ["check", "{file}"]
        parameters.file = { max_length = 10 }
        """,
    )
    (tools,) = config.engines.values()
    assert isinstance(tools, CommandConfig)
    assert (tools.max_parallel, list(tools.commands)) == (2, ["test", "check"])
    test, check = tools.commands.values()
    assert (test.argv, test.cwd) == (("pytest", "-q", "{module}"), str(tmp_path / "src"))
    assert test.exit_codes == {"2": "retry"}
    assert check == Command(argv=("check", "{file}"), parameters={"file": CommandParameter(max_length=10)})


def test_a_server_by_its_address_alone() -> None:
    """A server named on the command line comes first, and the others stay."""
    config = load(None).with_comfyui("http://127.0.0.1:8188")
    assert config.engines == {"comfyui": ComfyConfig(url="http://127.0.0.1:8188"), **load(None).engines}
    assert next(iter(config.engines)) == "comfyui"
    with pytest.raises(ConfigError, match=r"--comfyui: url = '127.0.0.1' is not of the form http://host:port"):
        load(None).with_comfyui("127.0.0.1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[engines.a]\nkind = "comfyui"', "engines.a.url is missing"),
        ('[engines.a]\nkind = "comfyui"\nurl = "ftp://x"', "engines.a: url = 'ftp://x' is not of the form http://"),
        ('[engines.a]\nkind = "openai"\nurl = "http://me:secret@h/v1"', "engines.a: the url holds a password"),
        (
            '[engines.a]\nkind = "openai"\nurl = "h:80"',
            "engines.a: url = 'h:80' is not of the form http://host:port/v1",
        ),
        (
            '[engines.a]\nkind = "openai"\nurl = "http://h/v1"\nlimits.concurrency = 0',
            "engines.a.limits.concurrency = 0",
        ),
        (
            '[engines.a]\nkind = "openai"\nurl = "http://h/v1"\nlimits.request_per_min = 9',
            "there is no key engines.a.limits.request_per_min; did you mean requests_per_min or tokens_per_min?",
        ),
        ('[engines.a]\nkind = "ollama"\nurl = "http://me:x@h"', "engines.a: url = 'http://me:x@h' is not of the form"),
        ('[engines.a]\nkind = "ollama"\nkeep_alive = "long"', "engines.a.keep_alive = 'long': expected `str` matching"),
        ('[engines.a]\nkind = "ollama"\nlimits.preset = "x"', "engines.a.limits.preset = 'x': not one of anthropic"),
        (
            '[engines.a]\nkind = "openai"\nurl = "http://h/v1"\nlimits.preset = "opnai"',
            "engines.a.limits.preset = 'opnai': not one of anthropic, openai, google, ollama, vllm",
        ),
        (
            '[engines.a]\nkind = "openai"\nurl = "http://h/v1"\nlimits = { mode = "adaptive", concurrency = 65 }',
            "engines.a.limits: concurrency = 65 is not between min_concurrency and max_concurrency",
        ),
        (
            '[engines.a]\nkind = "openai"\nurl = "http://h/v1"\napi_key = "sk"',
            "there is no key engines.a.api_key; did you mean api_key_",
        ),
        (
            '[engines.a]\nkind = "openai"\nurl = "http://h/v1"\napi_key_env = "A"\napi_key_file = "k"',
            "engines.a: api_key_env and api_key_file: one of them, please",
        ),
        ('[engines.a]\nkind = "comfyui"\nmodl = ""', "there is no key engines.a.modl; did you mean model?"),
        (
            '[engines.a]\nkind = "comfyui"\nurl = "http://x"\ndelete_outputs = true',
            "engines.a: delete_outputs needs output_dir",
        ),
        ('[engines.a]\nkind = "command"', "engines.a.commands is missing"),
        ('[engines.a]\nkind = "command"\ncommands = {}', "engines.a.commands = {}: expected a table of length >= 1"),
        ('[engines.a]\nkind = "command"\ncommands.b = 3', "engines.a.commands.b: expected a table, got `int`"),
        ('[engines.a]\nkind = "command"\n[engines.a.commands.b]', "engines.a.commands.b.argv is missing"),
        (
            '[engines.a]\nkind = "command"\n[engines.a.commands.b]\nargv = ["{x}"]',
            "engines.a.commands.b: argv: there is no parameter 'x'",
        ),
        (
            '[engines.a]\nkind = "command"\n[engines.a.commands.b]\nkind = "tests"',
            "engines.a.commands.b.kind = 'tests': not one of validate, test",
        ),
        (
            '[engines.a]\nkind = "command"\n[engines.a.commands.b]\nkind = "test"\nparameters.module.patern = "x"',
            "there is no key engines.a.commands.b.parameters.module.patern; did you mean pattern?",
        ),
        (
            '[engines.a]\nkind = "command"\n[engines.a.commands."B b"]\nargv = ["x"]',
            "engines.a: commands: 'B b' is not a name",
        ),
        ("[profiles.a]\nbatch = 3", "there is no key profiles.a.batch; did you mean batch_size?"),
        ('[profiles."A b"]', "profiles: 'A b' is not a name"),
        ('local_rol = "view"', "there is no key local_rol; did you mean local_role?"),
        ("[executon]", "there is no key executon; did you mean execution?"),
        ("[execution]\ntimeout = 3", "there is no key execution.timeout; did you mean timeout_s?"),
        ("[execution]\nq = 3", "there is no key execution.q; known: timeout_s, no_progress_s, "),
        ('[engines.a]\nmodell = "a:B"', "there is no key engines.a.modell; did you mean model or models?"),
        ('local_role = "root"', "local_role = 'root': not one of view, submit, admin"),
        (
            '[engines.a]\nmodel = "a:B"\nkind = "pithon"',
            "engines.a.kind = 'pithon': not one of python, comfyui, openai",
        ),
        ("[engines.a]", "engines.a: model or models: one of them, please"),
        ('[engines.a]\nmodel = "a:B"\nmodels = {b = {model = "b:B"}}', "engines.a: model or models: one of them"),
        (
            '[engines.a]\nmodel = "a.B"',
            "engines.a: model = 'a.B' is not of the form package.module:Class, nor the name of an installed one",
        ),
        (
            '[engines.a]\noptions = {x = 1}\nmodels = {b = {model = "b:B"}}',
            "engines.a: options are of the one model class; those of models stand with each of them",
        ),
        ("[engines.a.models.b]\noptions = {x = 1}", "engines.a.models.b.model is missing"),
        (
            '[engines.a.models.b]\nmodel = "b:B"\noption = 1',
            "there is no key engines.a.models.b.option; did you mean options?",
        ),
        ('[engines.a.models."b c"]\nmodel = "b:B"', "engines.a: models: 'b c' is not a name of letters, digits and"),
        ('[engines.a]\nmodel = "a:B"\ncache_mb = -1', "engines.a.cache_mb = -1: expected `int` >= 0"),
        ('[engines.a]\nmodel = "a:B"\nlane = "x/y"', "engines.a: lane: 'x/y' is not a name of lower-case letters"),
        ('[engines."A b"]\nmodel = "a:B"', "engines: 'A b' is not a name of lower-case letters"),
        ('[engines.a]\nmodel = "a:B"\npython_path = [1]', "engines.a.python_path = [1]: expected `str`, got `int`"),
        (
            '[engines.a]\nkind = "agent"\nchat = "b"\ntools = ["b"]\n[engines.b]\nkind = "openai"\nurl = "http://h/v1"',
            "engines.a.tools: 'b' is no engine for that; there is no such engine",
        ),
        (
            '[engines.a]\nkind = "agent"\nchat = "c"\n[engines.b]\nkind = "openai"\nurl = "http://h/v1"',
            "engines.a.chat: 'c' is no engine for that; such engines: b",
        ),
        ("[engines]", "engines = {}: expected a table of length >= 1"),
        ("[engines]\na = 3", "engines.a: expected a table, got `int`"),
        ("engines = 3", "engines = 3: expected a table, got `int`"),
        ("execution = 3", "execution: expected a table, got `int`"),
        ('[execution]\ntimeout_s = "5"', "execution.timeout_s = '5': expected `float`, got `str`"),
        ("[execution]\ntimeout_s = 0", "execution.timeout_s = 0: expected `float` > 0.0"),
        ("[execution]\ntimeout_s = nan", "execution.timeout_s = nan: expected `float` > 0.0"),
        ("[execution]\ncrash_limit = 0", "execution.crash_limit = 0: expected `int` >= 1"),
        ("x = = 3", "not TOML: "),
    ],
)
def test_nonsense(text: str, expected: str, tmp_path: Path) -> None:
    """What can't be is refused with file, key, value, and what would do."""
    with pytest.raises(ConfigError) as refused:
        _load(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 'stoker.toml'}: {expected}")


def test_unreadable(tmp_path: Path) -> None:
    """A file that is not there, or no text, is refused by name."""
    with pytest.raises(ConfigError, match=r"absent\.toml: no such file"):
        load(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary\.toml: not TOML"):
        load(tmp_path / "binary.toml")
