"""Starts `stokerd`, or says what to install where only the client is."""

import sys
from importlib.util import find_spec


def main() -> None:
    """The command `stokerd`."""
    if find_spec("structlog") is None:  # the first of the daemon's own dependencies that a bare client lacks
        sys.stderr.write('stokerd needs more than the client: pip install "stoker[daemon]"\n')
        sys.exit(5)
    from stoker_daemon.cli import stokerd

    stokerd()


if __name__ == "__main__":
    main()
