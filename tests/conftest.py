"""What all tests share: how Hypothesis searches, and what the last lines of a test run say."""

import os

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, database=None, deadline=None, max_examples=100)
settings.register_profile("explore", deadline=None, max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let several processes share the tests."""
    parser.addoption("--part", metavar="I/N", help="Run only the I-th of N parts of the test files: `python -m tests`.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what other parts run; the tests of a file stay together, since they may share what is dear to make."""
    part = config.getoption("--part")
    if part is None:
        return
    number, parts = map(int, part.split("/"))
    files = sorted({item.path for item in items})
    mine = set(files[number - 1 :: parts])
    config.hook.pytest_deselected(items=[item for item in items if item.path not in mine])
    items[:] = [item for item in items if item.path in mine]


IS_CI = "CI" in os.environ


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded by `record_property`, and in CI that nothing may be left out."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")
    if IS_CI and terminalreporter.getreports("skipped"):
        terminalreporter.write_line("in CI a skipped test fails the run")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in CI that left something out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IS_CI and reporter is not None and reporter.getreports("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
