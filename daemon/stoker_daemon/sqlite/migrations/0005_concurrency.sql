-- How many items of a job may be at work at once (0: no bound). A lot knows for how many there is room (NULL: for all),
-- and `offered` is what the policy may choose from it: a job at its bound leaves the heads as one that is held does.

ALTER TABLE jobs ADD COLUMN max_concurrency INTEGER NOT NULL DEFAULT 0 CHECK (max_concurrency >= 0);
ALTER TABLE lots ADD COLUMN room INTEGER CHECK (room >= 0);
ALTER TABLE lots ADD COLUMN offered INTEGER AS (iif(is_held, 0, min(ready, coalesce(room, ready)))) VIRTUAL;

CREATE TRIGGER job_has_room AFTER UPDATE OF running ON jobs
WHEN new.max_concurrency > 0 AND new.running != old.running
BEGIN
    UPDATE lots SET room = new.max_concurrency - new.running
    WHERE job_key = new.job_key AND room != new.max_concurrency - new.running;
END;

DROP TRIGGER lot_added;
CREATE TRIGGER lot_added AFTER INSERT ON lots WHEN new.offered > 0
BEGIN
    INSERT INTO heads (signature_id, priority, ready, oldest, came_ms)
    VALUES (new.signature_id, new.priority, new.offered, new.place, new.came_ms)
    ON CONFLICT DO UPDATE SET
        ready = ready + excluded.ready,
        came_ms = iif(excluded.oldest < oldest, excluded.came_ms, came_ms),
        oldest = min(oldest, excluded.oldest);
END;

-- At most as many lots are without room as items are at work, so that few of `lots_open` have to be passed over.
DROP TRIGGER lot_changed;
CREATE TRIGGER lot_changed AFTER UPDATE OF ready, is_held, priority, place, came_ms, room ON lots
BEGIN
    DELETE FROM heads
    WHERE signature_id = old.signature_id AND priority = old.priority AND ready = old.offered;
    UPDATE heads
    SET ready = ready - old.offered,
        (oldest, came_ms) = (
            SELECT place, came_ms FROM lots
            WHERE signature_id = old.signature_id AND priority = old.priority AND ready > 0 AND is_held = 0
                AND offered > 0
            ORDER BY place LIMIT 1
        )
    WHERE signature_id = old.signature_id AND priority = old.priority AND old.offered > 0 AND ready > old.offered;
    INSERT INTO heads (signature_id, priority, ready, oldest, came_ms)
    SELECT new.signature_id, new.priority, new.offered, new.place, new.came_ms WHERE new.offered > 0
    ON CONFLICT DO UPDATE SET
        ready = ready + excluded.ready,
        came_ms = iif(excluded.oldest < oldest, excluded.came_ms, came_ms),
        oldest = min(oldest, excluded.oldest);
END;
