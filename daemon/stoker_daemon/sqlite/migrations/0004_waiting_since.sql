-- Since when jobs wait, so that the policy can weigh it: a lot's time is when its first ready items came, a head's is
-- that of its first lot.

ALTER TABLE lots ADD COLUMN came_ms INTEGER NOT NULL DEFAULT 0;
UPDATE lots SET came_ms = (SELECT created_ms FROM jobs WHERE jobs.job_key = lots.job_key);
ALTER TABLE heads ADD COLUMN came_ms INTEGER NOT NULL DEFAULT 0;
UPDATE heads SET came_ms = (
    SELECT lots.came_ms FROM lots
    WHERE lots.signature_id = heads.signature_id AND lots.priority = heads.priority AND lots.ready > 0 AND is_held = 0
    ORDER BY place LIMIT 1
);

DROP TRIGGER lot_added;
CREATE TRIGGER lot_added AFTER INSERT ON lots WHEN new.ready > 0 AND new.is_held = 0
BEGIN
    INSERT INTO heads (signature_id, priority, ready, oldest, came_ms)
    VALUES (new.signature_id, new.priority, new.ready, new.place, new.came_ms)
    ON CONFLICT DO UPDATE SET
        ready = ready + excluded.ready,
        came_ms = iif(excluded.oldest < oldest, excluded.came_ms, came_ms),
        oldest = min(oldest, excluded.oldest);
END;

DROP TRIGGER lot_changed;
CREATE TRIGGER lot_changed AFTER UPDATE OF ready, is_held, priority, place, came_ms ON lots
BEGIN
    DELETE FROM heads
    WHERE signature_id = old.signature_id AND priority = old.priority
        AND old.is_held = 0 AND ready = old.ready;
    UPDATE heads
    SET ready = ready - old.ready,
        (oldest, came_ms) = (
            SELECT place, came_ms FROM lots
            WHERE signature_id = old.signature_id AND priority = old.priority AND ready > 0 AND is_held = 0
            ORDER BY place LIMIT 1
        )
    WHERE signature_id = old.signature_id AND priority = old.priority AND old.is_held = 0 AND old.ready > 0
        AND ready > old.ready;
    INSERT INTO heads (signature_id, priority, ready, oldest, came_ms)
    SELECT new.signature_id, new.priority, new.ready, new.place, new.came_ms WHERE new.ready > 0 AND new.is_held = 0
    ON CONFLICT DO UPDATE SET
        ready = ready + excluded.ready,
        came_ms = iif(excluded.oldest < oldest, excluded.came_ms, came_ms),
        oldest = min(oldest, excluded.oldest);
END;
