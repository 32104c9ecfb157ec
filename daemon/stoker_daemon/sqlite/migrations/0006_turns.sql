-- Clients of one priority may take turns: then lots and heads are kept by client, else all under "".

ALTER TABLE totals ADD COLUMN by_client INTEGER NOT NULL DEFAULT 0 CHECK (by_client IN (0, 1));
ALTER TABLE lots ADD COLUMN client TEXT NOT NULL DEFAULT '';
DROP INDEX lots_open;
CREATE INDEX lots_open ON lots (signature_id, priority, client, place) WHERE ready > 0 AND is_held = 0;

DROP TRIGGER lot_added;
DROP TRIGGER lot_changed;
ALTER TABLE heads RENAME TO heads_of_all;
CREATE TABLE heads (
    signature_id INTEGER NOT NULL REFERENCES signatures,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    client TEXT NOT NULL,
    ready INTEGER NOT NULL CHECK (ready > 0),
    oldest INTEGER NOT NULL,
    came_ms INTEGER NOT NULL,
    PRIMARY KEY (signature_id, priority, client)
) STRICT, WITHOUT ROWID;
INSERT INTO heads SELECT signature_id, priority, '', ready, oldest, came_ms FROM heads_of_all;
DROP TABLE heads_of_all;

CREATE TRIGGER lot_added AFTER INSERT ON lots WHEN new.offered > 0
BEGIN
    INSERT INTO heads (signature_id, priority, client, ready, oldest, came_ms)
    VALUES (new.signature_id, new.priority, new.client, new.offered, new.place, new.came_ms)
    ON CONFLICT DO UPDATE SET
        ready = ready + excluded.ready,
        came_ms = iif(excluded.oldest < oldest, excluded.came_ms, came_ms),
        oldest = min(oldest, excluded.oldest);
END;

-- At most as many lots are without room as items are at work, so that few of `lots_open` have to be passed over.
CREATE TRIGGER lot_changed AFTER UPDATE OF ready, is_held, priority, client, place, came_ms, room ON lots
BEGIN
    DELETE FROM heads
    WHERE signature_id = old.signature_id AND priority = old.priority AND client = old.client AND ready = old.offered;
    UPDATE heads
    SET ready = ready - old.offered,
        (oldest, came_ms) = (
            SELECT place, came_ms FROM lots
            WHERE signature_id = old.signature_id AND priority = old.priority AND client = old.client
                AND ready > 0 AND is_held = 0 AND offered > 0
            ORDER BY place LIMIT 1
        )
    WHERE signature_id = old.signature_id AND priority = old.priority AND client = old.client
        AND old.offered > 0 AND ready > old.offered;
    INSERT INTO heads (signature_id, priority, client, ready, oldest, came_ms)
    SELECT new.signature_id, new.priority, new.client, new.offered, new.place, new.came_ms WHERE new.offered > 0
    ON CONFLICT DO UPDATE SET
        ready = ready + excluded.ready,
        came_ms = iif(excluded.oldest < oldest, excluded.came_ms, came_ms),
        oldest = min(oldest, excluded.oldest);
END;
