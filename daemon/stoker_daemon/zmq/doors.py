"""The way in: at which endpoints keys are asked for, who is let in, and what of that changes while the daemon runs."""

from collections.abc import Callable, Coroutine, Iterable, Set
from pathlib import Path
from typing import Any

import structlog
import zmq

from stoker_daemon.zmq import keyring
from stoker_daemon.zmq.admission import Admission, LocalRules
from stoker_daemon.zmq.keywatch import KeyWatch, warn_of_strangers
from stoker_daemon.zmq.security import Locks
from stoker_daemon.zmq.shares import Share
from stoker_daemon.zmq.zap import ZapHandler

log = structlog.get_logger()


class Doors:
    """What the sockets have to know of it. `rules` hold for those without a key, `share` for each client."""

    def __init__(self, data_dir: Path, locks: Locks, rules: LocalRules, share: Share) -> None:
        clients, faults = keyring.read_clients(data_dir)
        for fault in faults:
            log.warning("A key lets nobody in", fault=fault)
        self.admission = Admission(rules, clients)
        self.locks = locks
        self.secret_for = locks.secret_for
        self.share = share
        self._data_dir = data_dir
        self._has_strangers = rules.lets_strangers_in

    def open(self, context: zmq.Context[zmq.Socket[bytes]]) -> ZapHandler:
        """Let peers in at the sockets of a context that are bound from now on; to be closed after those."""
        handler = ZapHandler(context, self.admission)
        handler.start()
        return handler

    def watch(self, revoked: Callable[[Set[str]], None]) -> Iterable[Coroutine[Any, Any, None]]:
        """What has to run meanwhile; `revoked` hears the user ids of those who are put out."""
        yield KeyWatch(self._data_dir, self.admission, revoked).serve()
        if self._has_strangers:
            yield warn_of_strangers()
