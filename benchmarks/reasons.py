"""Why a figure is not what it should be, or a peer is ahead: what is known of it, for the document."""

UNMET: dict[str, str] = {
    "submit one by one, to limit": "what a submit can't do without costs more than the limit has: it is read and"
    " checked, and becomes rows of a job, its items and the queue, and an event"
    " ([decision 20](decisions/0020-what-bounds-submits.md))",
    "submit by 64 clients, to limit": "as one by one, and a task of the loop for each request",
    "submit by 64 clients, to beanstalkd": "beanstalkd answers in C, and a job is bytes in its log; each of ours is a"
    " struct that is checked, and four rows",
    "submit 100 a request, to limit": "each item is checked and has a row of its own with an outcome to come",
    "submit 100 a request, to Redis Streams": "an entry of a log in C is all that it keeps of a job",
    "no-op items, to limit": "a run is a row before the engine is called, and its outcome an event",
    "submit to start, idle, to limit": "the lane is woken, chooses by its policy, and commits the run",
    "stoker status": "imports of our own, and the round trip",
    "memory of an idle daemon": "most of it are imports, as the figures of interpreters below show",
    "ping's p99": "a large request is decoded by the loop that answers, and holds Python's lock meanwhile",
    "event to": "our publisher is told on the loop after the commit; a bare PUB sends at once",
    "kill -9": "the interpreter's start and imports are most of it, as the figure with an empty queue shows",
}
"""By the beginning of a figure's name."""

AHEAD: dict[tuple[str, str], str] = {
    ("huey", "*"): "it is embedded: a submit is a call that writes a SQLite file of the caller's own process, without a"
    " round trip, and its tasks run in threads of the consumer; no server, no priorities across clients, no events",
    ("beanstalkd", "*"): "a broker in C: a job is bytes in a log, without items, outcomes, checks or events",
    ("Redis Streams", "*"): "a log in C: an entry is bytes, without items, outcomes, priorities, checks or events",
    ("rq", "one by one"): "a submit is a few commands to Redis, in C, that are one write to its log",
    ("rq", "memory"): "one Python process, which imports the jobs too; ours has its model process apart",
    ("celery", "one by one"): "a submit is one command to Redis, in C",
    ("procrastinate", "one by one"): "a submit is one INSERT, in C, on the database's own connection",
}
"""By a peer and a measure, `*` being all."""


def unmet(figure: str) -> str:
    """Why a target is not met, as far as it is known."""
    return next((why for begin, why in UNMET.items() if figure.startswith(begin)), "why, is not known yet")


def ahead(peer: str, measure: str) -> str:
    """Why a peer is ahead, as far as it is known."""
    return AHEAD.get((peer, measure)) or AHEAD.get((peer, "*")) or "why, is not known yet"
