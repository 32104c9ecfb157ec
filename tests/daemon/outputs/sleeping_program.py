"""A program that tells its process id in a file of its folder and then does nothing until it is killed."""

import os
import sys
from pathlib import Path
from threading import Event

if __name__ == "__main__":
    pid_file = Path(sys.argv[1]) / "pid"
    pid_file.with_suffix(".new").write_text(str(os.getpid()))
    pid_file.with_suffix(".new").rename(pid_file)
    Event().wait()
