"""Why a figure is not what it should be, or a peer is ahead: what is known of it, for the page."""

_ROWS = "a job is rows that are checked, with outcomes and events to come"
_WAKES = "Redis hands a task to a worker that waits for it already; ours is committed once more before it is called"
_IN_WORKER = "tasks run in the worker itself; ours has the model in a process apart, which may die alone"

UNMET: dict[str, str] = {
    "submit one by one, to limit": "what a submit can't do without costs more than the limit has: it is read and"
    " checked, and becomes rows of a job, its items and the queue, and an event"
    " ([decision 20](decisions/0020-what-bounds-submits.md))",
    "submit by 64 clients, to limit": "as one by one, and a task of the loop for each request",
    "submit by 64 clients, to beanstalkd": f"there a job is bytes in a log, in C; here {_ROWS}",
    "submit 100 a request, to limit": "each item is checked, and has a row of its own with an outcome to come",
    "submit 100 a request, to Redis Streams": f"there a job is bytes in a log, in C; here {_ROWS}",
    "submit one by one, with keys": "encryption costs both ends CPU time",
    "submit by 16 clients, with keys": "encryption costs both ends CPU time",
    "no-op items, to": "a run is a row before the engine is called, in a process of its own, and its outcome an event"
    " ([decision 28](decisions/0028-what-bounds-runs-of-no-work.md))",
    "submit to start, idle, to limit": "the lane is woken, chooses by its policy, and commits the run",
    "submit to start, idle, to celery": _WAKES,
    "stoker status": "imports of our own, and the round trip",
    "event to": "our publisher is told on the loop after the commit; a bare PUB sends at once",
    "ping's p99": "a large request is decoded by the loop that answers, and holds Python's lock meanwhile",
    "kill -9": "the interpreter's start and imports are most of it, as the time with an empty queue shows",
    "memory of an idle daemon": "most of it are imports, as the figures of interpreters below show",
}
"""By the beginning of a figure's name."""

AHEAD: dict[tuple[str, str], str] = {
    (
        "huey",
        "*",
    ): "it is embedded: a submit is a call that writes a SQLite file of the caller, without a round trip, and"
    " tasks run in threads of the consumer",
    ("beanstalkd", "*"): "a broker in C: a job is bytes in a log, without items, outcomes, checks or events",
    ("Redis Streams", "*"): "a log in C: a job is bytes, without items, outcomes, priorities, checks or events",
    ("rq", "one by one"): "a submit is a few commands to Redis, in C, that are one write to its log",
    ("rq", "memory"): _IN_WORKER,
    ("rq", "idle start"): _WAKES,
    ("rq", "busy start"): _WAKES,
    ("celery", "one by one"): "a submit is one command to Redis, in C",
    ("celery", "memory"): _IN_WORKER,
    ("celery", "idle start"): _WAKES,
    ("celery", "busy start"): _WAKES,
    ("procrastinate", "one by one"): "a submit is one INSERT on the database's own connection, in C",
    ("procrastinate", "memory"): _IN_WORKER,
}
"""By a peer and a measure, `*` being all."""


def unmet(figure: str) -> str:
    """Why a target is not met, as far as it is known."""
    return next((why for begin, why in UNMET.items() if figure.startswith(begin)), "why, is not known yet")


def ahead(peer: str, measure: str) -> str:
    """Why a peer is ahead, as far as it is known."""
    return AHEAD.get((peer, measure)) or AHEAD.get((peer, "*")) or "why, is not known yet"
