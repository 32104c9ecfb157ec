"""The benchmarks run: how fast is for a quiet machine to say."""

import json
import subprocess
import sys
from pathlib import Path

from tests.system.daemons import REPOSITORY


def test_core_beside_the_bare_limit(tmp_path: Path) -> None:
    """We expect a quick round to end with a ratio for each measure."""
    output = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks.core", "--quick", "--folder", str(tmp_path), "--output", str(output)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(output.read_text())["results"]
    assert len(results) == 4
    assert all(row["ratio"] > 0 and row["measure"] in done.stdout for row in results)
