"""What docs/operations.md says: its commands, its metrics, and the figure about the unit."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.daemon.metrics.test_figures import CALM
from tests.system.daemons import REPOSITORY, a_rig
from tests.system.test_service import UNIT, exposure
from tests.worker.processes import BOUND_S

from stoker_daemon.metrics import Figures

PAGE = (REPOSITORY / "docs/operations.md").read_text(encoding="utf-8")


def test_metrics_of_the_page_exist() -> None:
    """We expect each metric that the page names to be there under that name."""
    text = Figures("1").text(CALM).decode()
    named = set(re.findall(r"`(stoker_\w+)", PAGE))
    assert len(named) > 12
    assert not [name for name in named if not re.search(rf"^# TYPE {name}( |$)", text, re.MULTILINE)]


def test_commands_for_the_host(tmp_path: Path) -> None:
    """We expect the page's `stokerd` commands to work, beside a daemon that runs."""
    commands = re.findall(r"^stokerd (.*?)(?:  +#.*)?$", PAGE, re.MULTILINE)
    assert len(commands) == 3
    (tmp_path / "stokerd.toml").write_text("")
    with a_rig(tmp_path) as rig:
        rig.run("a")
        for command in commands:
            told = command.replace("/etc/stoker", str(tmp_path)).replace("/var/lib/stoker", str(rig.data_dir))
            argv = [sys.executable, "-m", "stoker_daemon", *shlex.split(told.split("#")[0])]
            done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=BOUND_S, check=False)
            assert done.returncode == 0, f"{told}: {done.stdout}{done.stderr}"
    assert (tmp_path / "today.sqlite3").exists()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (Debian: systemd)")
def test_figure_about_the_unit() -> None:
    """We expect the page to say what `systemd-analyze security` says."""
    assert f"says {exposure(UNIT)} of 10" in PAGE


def test_links_of_the_page() -> None:
    """We expect each file that the page links to, or installs from, to be there."""
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE)
    assert len(links) >= 5
    assert not [link for link in links if not (REPOSITORY / "docs" / link).exists()]
