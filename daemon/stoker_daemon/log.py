"""Sets up the daemon's log: JSON lines for machines, fields for the journal, colours for people at a terminal."""

import logging
import os
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import structlog

from stoker_daemon.journal import Journal, is_connected

LEVELS = ("debug", "info", "warning", "error")
TALKATIVE = ("httpx", "httpcore", "websockets")
"""Libraries that tell of each request, with addresses that may hold secrets."""


def is_kept_by_journal() -> bool:
    """Whether the log goes to systemd's journal, where it is searched by what it is about."""
    return is_connected(os.environ, sys.stderr.fileno())


def is_searched() -> bool:
    """Whether lines of plain work are wanted: where the journal finds them by job, or where all is asked for."""
    return is_kept_by_journal() or structlog.get_logger().is_enabled_for(logging.DEBUG)


def configure(level: str = "info") -> None:
    """Send what is logged from `level` on to stderr, the standard library's loggers (asyncio) included."""
    stream = cast("TextIO", _Unfailing(Journal() if is_kept_by_journal() else sys.stderr))
    is_terminal = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _stamp,
    ]
    to_line = (
        [structlog.dev.ConsoleRenderer(colors=True)]
        if is_terminal
        else [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ]
    )
    structlog.configure(
        processors=[*shared, *to_line],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
    )
    handler = logging.StreamHandler(stream)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *to_line]
    )
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for library in TALKATIVE:
        logging.getLogger(library).setLevel(logging.WARNING)


class _Unfailing:
    """A stream that loses what can't be written: a log on a full disk must not end what it tells of."""

    def __init__(self, stream: TextIO | Journal) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def _stamp(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"at": now, **event}
