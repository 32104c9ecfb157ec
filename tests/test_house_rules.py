"""The rules of the house that no other tool holds: sizes, docstrings, the map, and words that must not appear."""

import ast
import fnmatch
import re
import statistics
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from stoker_protocol.codec import REQUEST_TYPES

ROOT = Path(__file__).parent.parent
PRODUCT = ["protocol", "daemon", "clients"]
MAX_MODULE = 500
MAX_FUNCTION = 60
USUAL_FUNCTION = 35
MAX_IGNORES = 10
MAX_DECISION = 25

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_modules_are_short() -> None:
    """No module has more than 500 lines."""
    assert_none(at(path) for path in sources() if len(lines(path)) > MAX_MODULE)


def test_modules_open_with_one_sentence() -> None:
    """Each module opens with one sentence on one line that says what it is for."""
    docstrings = [(path, ast.get_docstring(tree(path)) or "") for path in sources()]
    assert_none(at(path) for path, text in docstrings if "\n" in text or not is_one_sentence(text))


def test_functions_are_short(record_property: Callable[[str, object], None]) -> None:
    """No function has more than 60 lines, and of those of the product 95 in 100 have at most 35."""
    assert_none(at(path, f) for path in sources() for f in functions(path) if length(f) > MAX_FUNCTION)
    lengths = sorted(length(f) for path in sources(*PRODUCT) for f in functions(path))
    middle, usual = statistics.median(lengths), lengths[len(lengths) * 95 // 100]
    record_property(f"{len(lengths)} functions", f"median {middle:g} lines, 95 % <= {usual}, longest {lengths[-1]}")
    assert usual <= USUAL_FUNCTION


def test_tests_say_what_we_expect() -> None:
    """Each test has a docstring of one sentence."""
    tests = [(path, f) for path in sources("tests") for f in functions(path) if f.name.startswith("test_")]
    assert_none(at(path, f) for path, f in tests if not is_one_sentence(ast.get_docstring(f) or ""))


def test_one_verb_one_handler() -> None:
    """Each op of the protocol has one module of its name among the handlers, and there is no other module."""
    handlers = {path.stem for path in (ROOT / "daemon/stoker_daemon/handlers").glob("*.py")}
    assert handlers - {"__init__"} == set(REQUEST_TYPES)


def test_the_map_in_the_readme_is_the_tree() -> None:
    """The README's map names what exists and every room: each top-level folder and each package.

    The map is the fenced block under the heading `## The map`. A line that is not indented begins with a path from
    the root (`daemon/stoker_daemon/zmq/`, with a slash at the end of a folder), which names the folders above it too;
    what follows the path, and indented lines, are for people.
    """
    _, _, chapter = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## The map\n")
    _, _, rest = chapter.partition("```")
    block, _, _ = rest.partition("```")
    drawn = {line.split()[0] for line in block.splitlines()[1:] if line[:1].strip()}
    assert_none(f"{path} does not exist" for path in drawn if not (ROOT / path).exists())
    assert_none(f"{room} is not on the map" for room in rooms() if not any(path.startswith(room) for path in drawn))


def test_few_rules_are_waived() -> None:
    """The product asks a linter or type checker to look away at most ten times, each time with a reason beside it."""
    waiver = re.compile(r"#\s*(?:noqa|type: ignore|pyright: ignore)(?:: [A-Z0-9, ]+\b|\[[\w, ]+\])?(?P<reason>.*)")
    waivers = list(matches(waiver, PRODUCT))
    assert_none(f"{place} without a reason" for place, m in waivers if not re.search(r"\w", m["reason"]))
    assert_none(place for place, _ in waivers[MAX_IGNORES:])


def test_tests_wait_for_conditions() -> None:
    """A test sleeps only between two looks at a condition, or where a stand-in simulates work, and says which."""
    excused = re.compile(r"time\.sleep\(.*\)\s+# (?:polls|simulated work)\b")
    sleeps = matches(re.compile(r"\btime\.sleep\(.*"), ["tests"])
    assert_none(place for place, match in sleeps if not excused.match(match[0]))


def test_nothing_is_left_unfinished() -> None:
    """The product has no note of work to be done and no function that only promises."""
    assert_none(place for place, _ in matches(re.compile(r"\b(?:TODO|FIXME|XXX|NotImplementedError)\b"), PRODUCT))


def test_folders_of_packages_are_none_themselves() -> None:
    """The folders that hold packages have no `__init__.py`: PyPI knows a `daemon`, which it would hide."""
    assert_none(folder for folder in PRODUCT if (ROOT / folder / "__init__.py").exists())


@pytest.mark.parametrize("path", sorted((ROOT / "docs/decisions").glob("*")), ids=lambda path: path.name)
def test_decisions_are_short(path: Path) -> None:
    """A decision is a numbered page of at most 25 lines with its status, context, decision and consequences."""
    text = path.read_text(encoding="utf-8")
    assert re.fullmatch(r"\d{4}(?:-[a-z0-9]+)+\.md", path.name)
    assert len(text.splitlines()) <= MAX_DECISION
    headings = re.findall(r"^\W*(Status|Context|Decision|Consequences)\b", text, re.MULTILINE)
    assert headings == ["Status", "Context", "Decision", "Consequences"]


def test_decisions_are_numbered_through() -> None:
    """Decisions are numbered from 1 on, each number once."""
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs/decisions").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_nothing_tells_of_the_workplace() -> None:
    """No file names a path of somebody's machine or a label from somebody's list."""
    telltale = re.compile(r"(?<![\w/.])/(?:work|home/\w+|Users/\w+)/|\bR\d-\d+\b")
    assert_none(place for place, _ in matches(telltale, [*PRODUCT, "tests", "docs", "."], "*"))


def assert_none(offenders: Iterable[str]) -> None:
    """Fail with the whole list if there are any."""
    if found := sorted(offenders):
        pytest.fail("\n".join(found), pytrace=False)


def rooms() -> set[str]:
    """Each top-level folder and each package of the product, as the map writes it."""
    top = {path for path in ROOT.iterdir() if path.is_dir() and not is_ignored(path)}
    packages = {path.parent for path in sources(*PRODUCT) if path.name == "__init__.py"}
    return {f"{at(path)}/" for path in top | packages}


@cache
def is_ignored(path: Path) -> bool:
    """Whether a path is hidden, or one that git ignores by its name."""
    patterns = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    return any(fnmatch.fnmatch(path.name, pattern.strip("/")) for pattern in [*patterns, ".*"])


@cache
def sources(*folders: str) -> list[Path]:
    """The Python files in some folders, or in all."""
    return list(files(folders or (*PRODUCT, "tests"), "*.py"))


def files(folders: list[str] | tuple[str, ...], pattern: str) -> Iterator[Path]:
    """The files below some folders that git doesn't ignore; of `.` only those directly in it."""
    for folder in folders:
        found = (ROOT / folder).glob(pattern) if folder == "." else (ROOT / folder).rglob(pattern)
        for path in sorted(found):
            if path.is_file() and not any(is_ignored(ROOT / part) for part in path.relative_to(ROOT).parts):
                yield path


def matches(pattern: re.Pattern[str], folders: list[str], names: str = "*.py") -> Iterator[tuple[str, re.Match[str]]]:
    """Where a pattern is found in text files, line by line."""
    for path in files(folders, names):
        for number, line in enumerate(lines(path), start=1):
            for match in pattern.finditer(line):
                yield f"{at(path)}:{number}", match


@cache
def lines(path: Path) -> list[str]:
    """The lines of a file, none if it is no text."""
    data = path.read_bytes()
    return [] if b"\0" in data else data.decode("utf-8", errors="replace").splitlines()


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(path.read_bytes())


def functions(path: Path) -> Iterator[Function]:
    """All functions of a module, methods and inner ones too."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def length(function: Function) -> int:
    """The lines of a function without its docstring."""
    whole = function.end_lineno - function.lineno + 1 if function.end_lineno else 0
    first: Any = function.body[0]
    return whole - (first.end_lineno - first.lineno + 1 if ast.get_docstring(function) else 0)


def is_one_sentence(docstring: str) -> bool:
    """Whether a docstring, or its first paragraph, is one sentence."""
    sentence = " ".join(docstring.partition("\n\n")[0].split())
    return sentence[-1:] in {".", "?"} and not re.search(r"[.?!] [A-Z]", sentence)


def at(path: Path, node: Function | None = None) -> str:
    """A place for people: the path from the root, and the line if there is one."""
    place = path.relative_to(ROOT).as_posix()
    return f"{place}:{node.lineno} {node.name}" if node else place
