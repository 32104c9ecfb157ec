-- The durable queue: jobs and their items, what waits, what ran, what came of it, and every event that told of it.
-- Times are milliseconds since the epoch. Free-form values are msgpack. Priorities: 0 urgent to 3 low.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- The pause of the whole queue: at most one row.
CREATE TABLE queue_pause (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    reason TEXT NOT NULL,
    author TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE signatures (
    signature_id INTEGER PRIMARY KEY,
    engine TEXT NOT NULL,
    residency TEXT NOT NULL,
    merge TEXT NOT NULL,
    UNIQUE (engine, residency, merge)
) STRICT;

CREATE TABLE jobs (
    job_key INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL UNIQUE,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    client TEXT NOT NULL,
    name TEXT NOT NULL,
    engine TEXT NOT NULL,
    model TEXT NOT NULL,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    state TEXT NOT NULL
        CHECK (state IN ('waiting', 'queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled')),
    params BLOB NOT NULL,
    metadata BLOB NOT NULL,
    on_interrupt TEXT NOT NULL CHECK (on_interrupt IN ('requeue', 'fail', 'ask')),
    batch_size INTEGER NOT NULL CHECK (batch_size >= 0),
    max_attempts INTEGER NOT NULL CHECK (max_attempts >= 1),
    timeout_s REAL CHECK (timeout_s > 0),
    no_progress_s REAL CHECK (no_progress_s > 0),
    is_open INTEGER NOT NULL DEFAULT 0 CHECK (is_open IN (0, 1)),
    appended_ms INTEGER NOT NULL,
    rev INTEGER NOT NULL DEFAULT 0,
    retried_rev INTEGER,
    retried_items INTEGER,
    retrying TEXT, -- while items go back to the queue: the states of those that do, with commas between
    moved_rev INTEGER,
    total INTEGER NOT NULL CHECK (total >= 1),
    pending INTEGER NOT NULL CHECK (pending >= 0),
    running INTEGER NOT NULL DEFAULT 0 CHECK (running >= 0),
    succeeded INTEGER NOT NULL DEFAULT 0 CHECK (succeeded >= 0),
    failed INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    rejected INTEGER NOT NULL DEFAULT 0 CHECK (rejected >= 0),
    cancelled INTEGER NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
    skipped INTEGER NOT NULL DEFAULT 0 CHECK (skipped >= 0),
    paused_reason TEXT,
    paused_author TEXT,
    paused_ms INTEGER,
    created_ms INTEGER NOT NULL,
    started_ms INTEGER,
    finished_ms INTEGER,
    error_kind TEXT,
    error_message TEXT,
    is_summed INTEGER NOT NULL DEFAULT 0 CHECK (is_summed IN (0, 1)),
    outputs TEXT NOT NULL DEFAULT 'kept' CHECK (outputs IN ('kept', 'leaving', 'removed')),
    CHECK (total = pending + running + succeeded + failed + rejected + cancelled + skipped),
    CHECK ((finished_ms IS NOT NULL) = (state IN ('succeeded', 'failed', 'cancelled'))),
    CHECK ((pending + running = 0 AND is_open = 0) = (state IN ('succeeded', 'failed', 'cancelled'))),
    CHECK (outputs != 'leaving' OR finished_ms IS NOT NULL),
    CHECK ((paused_ms IS NULL) = (paused_author IS NULL) AND (paused_ms IS NULL) = (paused_reason IS NULL))
) STRICT;
CREATE INDEX jobs_active ON jobs (job_key) WHERE finished_ms IS NULL;
CREATE INDEX jobs_unsummed ON jobs (job_key) WHERE finished_ms IS NOT NULL AND is_summed = 0;

CREATE INDEX jobs_retrying ON jobs (job_key) WHERE retrying IS NOT NULL;
CREATE INDEX jobs_kept ON jobs (finished_ms) WHERE finished_ms IS NOT NULL AND outputs = 'kept';
CREATE INDEX jobs_leaving ON jobs (job_key) WHERE outputs = 'leaving';
CREATE INDEX jobs_open ON jobs (appended_ms) WHERE is_open = 1;

-- What waits and runs in all, so that nobody has to count: kept by the triggers below.
CREATE TABLE totals (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    pending INTEGER NOT NULL CHECK (pending >= 0),
    running INTEGER NOT NULL CHECK (running >= 0),
    active_jobs INTEGER NOT NULL CHECK (active_jobs >= 0)
) STRICT;
INSERT INTO totals VALUES (1, 0, 0, 0);

CREATE TRIGGER job_added AFTER INSERT ON jobs
BEGIN
    UPDATE totals SET
        pending = pending + new.pending,
        running = running + new.running,
        active_jobs = active_jobs + (new.finished_ms IS NULL);
END;

CREATE TRIGGER job_counted AFTER UPDATE OF pending, running, finished_ms ON jobs
BEGIN
    UPDATE totals SET
        pending = pending + new.pending - old.pending,
        running = running + new.running - old.running,
        active_jobs = active_jobs + (new.finished_ms IS NULL) - (old.finished_ms IS NULL);
END;

CREATE TABLE items (
    job_key INTEGER NOT NULL REFERENCES jobs,
    idx INTEGER NOT NULL CHECK (idx >= 0),
    state TEXT NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'running', 'succeeded', 'failed', 'rejected', 'cancelled', 'skipped')),
    custom_id TEXT,
    params BLOB NOT NULL,
    added_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    crashes INTEGER NOT NULL DEFAULT 0 CHECK (crashes >= 0),
    alone INTEGER NOT NULL DEFAULT 0 CHECK (alone IN (0, 1)),
    not_before_ms INTEGER CHECK (not_before_ms IS NULL OR state = 'pending'),
    error_kind TEXT,
    error_message TEXT,
    PRIMARY KEY (job_key, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX items_ready ON items (job_key, idx) WHERE state = 'pending' AND not_before_ms IS NULL;
CREATE INDEX items_backing_off ON items (not_before_ms) WHERE not_before_ms IS NOT NULL;

-- A lot is what one job has ready: holding a job back or moving it touches this one row, not its items.
CREATE TABLE lots (
    job_key INTEGER PRIMARY KEY REFERENCES jobs,
    signature_id INTEGER NOT NULL REFERENCES signatures,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    place INTEGER NOT NULL,
    ready INTEGER NOT NULL CHECK (ready >= 0),
    is_held INTEGER NOT NULL DEFAULT 0 CHECK (is_held IN (0, 1))
) STRICT;
CREATE INDEX lots_open ON lots (signature_id, priority, place) WHERE ready > 0 AND is_held = 0;

-- What the policy chooses from: one row for each signature and priority, kept by the triggers below.
CREATE TABLE heads (
    signature_id INTEGER NOT NULL REFERENCES signatures,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    ready INTEGER NOT NULL CHECK (ready > 0),
    oldest INTEGER NOT NULL,
    PRIMARY KEY (signature_id, priority)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER lot_added AFTER INSERT ON lots WHEN new.ready > 0 AND new.is_held = 0
BEGIN
    INSERT INTO heads (signature_id, priority, ready, oldest)
    VALUES (new.signature_id, new.priority, new.ready, new.place)
    ON CONFLICT DO UPDATE SET ready = ready + excluded.ready, oldest = min(oldest, excluded.oldest);
END;

CREATE TRIGGER lot_changed AFTER UPDATE OF ready, is_held, priority, place ON lots
BEGIN
    DELETE FROM heads
    WHERE signature_id = old.signature_id AND priority = old.priority
        AND old.is_held = 0 AND ready = old.ready;
    UPDATE heads
    SET ready = ready - old.ready,
        oldest = (
            SELECT min(place) FROM lots
            WHERE signature_id = old.signature_id AND priority = old.priority AND ready > 0 AND is_held = 0
        )
    WHERE signature_id = old.signature_id AND priority = old.priority AND old.is_held = 0 AND old.ready > 0
        AND ready > old.ready;
    INSERT INTO heads (signature_id, priority, ready, oldest)
    SELECT new.signature_id, new.priority, new.ready, new.place WHERE new.ready > 0 AND new.is_held = 0
    ON CONFLICT DO UPDATE SET ready = ready + excluded.ready, oldest = min(oldest, excluded.oldest);
END;

CREATE TABLE runs (
    run_id TEXT PRIMARY KEY,
    lane TEXT NOT NULL,
    signature_id INTEGER NOT NULL REFERENCES signatures,
    claimed_ms INTEGER NOT NULL,
    finished_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_open ON runs (claimed_ms) WHERE finished_ms IS NULL;
CREATE INDEX runs_finished ON runs (finished_ms) WHERE finished_ms IS NOT NULL;

CREATE TABLE attempts (
    run_id TEXT NOT NULL REFERENCES runs,
    position INTEGER NOT NULL CHECK (position >= 0),
    job_key INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    outcome TEXT CHECK (outcome IN ('pending', 'succeeded', 'failed', 'rejected', 'cancelled', 'skipped')),
    error_kind TEXT,
    PRIMARY KEY (run_id, position),
    FOREIGN KEY (job_key, idx) REFERENCES items
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_of_item ON attempts (job_key, idx);

CREATE TABLE artifacts (
    artifact_id INTEGER PRIMARY KEY,
    job_key INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    output INTEGER NOT NULL CHECK (output >= 0),
    run_id TEXT NOT NULL REFERENCES runs,
    path TEXT NOT NULL UNIQUE,
    media_type TEXT NOT NULL,
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    UNIQUE (job_key, idx, output),
    FOREIGN KEY (job_key, idx) REFERENCES items
) STRICT;

CREATE INDEX artifacts_of_run ON artifacts (run_id);

-- Lifecycle events as they go out. `thread` is the topic up to and with its last slash: `prev` chains along it.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    thread TEXT NOT NULL,
    topic TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX events_of_thread ON events (thread, seq);

-- What is left of a job that was removed: enough to keep its id from being used again.
CREATE TABLE tombstones (
    job_id TEXT PRIMARY KEY,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    state TEXT NOT NULL,
    removed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
