-- Rows that cost less to write, and the same rows. A list after IN is built anew for each statement, a chain of OR is not;
-- AUTOINCREMENT keeps its numbers in a table of its own, `totals` is written anyway.
-- Such changes to the text of a schema need no copy of the tables: https://www.sqlite.org/lang_altertable.html, part 7.

ALTER TABLE totals ADD COLUMN last_job_key INTEGER NOT NULL DEFAULT 0; -- no later job may have it, removed or not
ALTER TABLE totals ADD COLUMN head INTEGER NOT NULL DEFAULT 0; -- the seq of the last event, removed or not
UPDATE totals SET
    last_job_key = coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'jobs'), 0),
    head = coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0);
DELETE FROM sqlite_sequence;

DROP TRIGGER job_added;
CREATE TRIGGER job_added AFTER INSERT ON jobs
BEGIN
    UPDATE totals SET
        pending = pending + new.pending,
        running = running + new.running,
        active_jobs = active_jobs + (new.finished_ms IS NULL),
        last_job_key = new.job_key;
END;

PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, ' PRIMARY KEY AUTOINCREMENT', ' PRIMARY KEY')
WHERE name IN ('jobs', 'events');
UPDATE sqlite_schema SET sql = replace(
    replace(
        replace(
            replace(
                sql,
                'state IN (''waiting'', ''queued'', ''running'', ''cancelling'', ''succeeded'', ''failed'', ''cancelled'')',
                'state = ''queued'' OR state = ''running'' OR state = ''succeeded'' OR state = ''failed'''
                || ' OR state = ''cancelled'' OR state = ''cancelling'' OR state = ''waiting'''
            ),
            'state IN (''succeeded'', ''failed'', ''cancelled'')',
            'state = ''succeeded'' OR state = ''failed'' OR state = ''cancelled'''
        ),
        'on_interrupt IN (''requeue'', ''fail'', ''ask'')',
        'on_interrupt = ''requeue'' OR on_interrupt = ''fail'' OR on_interrupt = ''ask'''
    ),
    'outputs IN (''kept'', ''leaving'', ''removed'')',
    'outputs = ''kept'' OR outputs = ''leaving'' OR outputs = ''removed'''
)
WHERE name = 'jobs';
UPDATE sqlite_schema SET sql = replace(
    sql,
    'state IN (''pending'', ''running'', ''succeeded'', ''failed'', ''rejected'', ''cancelled'', ''skipped'')',
    'state = ''pending'' OR state = ''running'' OR state = ''succeeded'' OR state = ''failed'''
    || ' OR state = ''rejected'' OR state = ''cancelled'' OR state = ''skipped'''
)
WHERE name = 'items';
UPDATE sqlite_schema SET sql = replace(
    sql,
    'outcome IN (''pending'', ''succeeded'', ''failed'', ''rejected'', ''cancelled'', ''skipped'')',
    'outcome = ''pending'' OR outcome = ''succeeded'' OR outcome = ''failed'''
    || ' OR outcome = ''rejected'' OR outcome = ''cancelled'' OR outcome = ''skipped'''
)
WHERE name = 'attempts';
PRAGMA writable_schema = RESET;
