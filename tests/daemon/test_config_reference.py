"""What is written down about the configuration is what is checked."""

import re
import tomllib
from pathlib import Path

from stoker_daemon.config import Config, load, markdown, template
from stoker_daemon.config.reference import tables

PAGE = Path(__file__).parents[2] / "docs/configuration.md"


def test_page_is_current() -> None:
    """We expect `docs/configuration.md` to be what `stokerd config --reference` prints."""
    assert PAGE.read_text(encoding="utf-8") == markdown()


def test_every_key_says_what_it_is_for() -> None:
    """We expect a sentence for each key, and that keys of all sections and all kinds of engines are there."""
    assert not [(table.heading, key.name) for table in tables() for key in table.keys if key.says[-1:] != "."]
    kinds = {table.kind for table in tables() if table.heading == "engines.NAME"}
    assert {"python", "comfyui", "openai", "command"} <= kinds
    assert {key.name for table in tables() if table.heading == "execution" for key in table.keys} == set(
        type(Config().execution).__struct_fields__
    )


def test_template_says_the_defaults(tmp_path: Path) -> None:
    """We expect the template to change nothing as it is, nor with every default of its sections uncommented."""
    file = tmp_path / "stokerd.toml"
    file.write_text(template())
    assert load(file) == Config()
    lines = re.sub(r"^#(?=\[|\w+ = (?!\.\.\.))", "", template(), flags=re.MULTILINE)
    uncommented = tomllib.loads(lines)
    del uncommented["preflight"]["smoke"]  # which is by names, as engines and profiles are
    sections = {name: table for name, table in uncommented.items() if name not in ("engines", "profiles")}
    assert len(sections) >= 3
    file.write_text("".join(_as_toml(name, value) for name, value in sorted(sections.items(), key=_tables_last)))
    assert load(file) == Config()


def _tables_last(pair: tuple[str, object]) -> bool:
    return isinstance(pair[1], dict)


def _as_toml(name: str, value: object) -> str:
    """Sections of the template hold plain values and tables of plain values only."""
    if isinstance(value, dict):
        pairs = "".join(_as_toml(str(key), each) for key, each in value.items())  # pyright: ignore
        return f"[{name}]\n{pairs}"
    literal = {True: "true", False: "false"}.get(value, repr(value)) if isinstance(value, bool) else repr(value)
    return f"{name} = {literal}\n"
