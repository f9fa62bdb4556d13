-- What clients are told as it happens: docs/adr/0020. The events of a workspace are numbered in the order
-- of their commits, those of one session besides among themselves. Only the newest are kept.
CREATE TABLE event_heads (
    workspace_id TEXT   NOT NULL PRIMARY KEY REFERENCES workspaces (id),
    epoch        TEXT   NOT NULL,     -- random: a number of another epoch means nothing
    newest       BIGINT NOT NULL      -- the number of the newest event; 0: there was none
);

CREATE TABLE events (
    workspace_id    TEXT   NOT NULL REFERENCES workspaces (id),
    number          BIGINT NOT NULL,
    session_id      TEXT,
    session_number  BIGINT,
    at_ms           BIGINT NOT NULL,
    report_key      TEXT,             -- what is reported twice is told once
    told            TEXT   NOT NULL,  -- a JSON object
    told_with_paths TEXT,             -- the same for those who may read files
    PRIMARY KEY (workspace_id, number),
    UNIQUE (workspace_id, session_id, session_number),
    UNIQUE (workspace_id, report_key)
);
CREATE INDEX events_by_age ON events (at_ms);

-- How many events a session had: the number of its newest.
ALTER TABLE sessions ADD COLUMN event_count BIGINT NOT NULL DEFAULT 0;

-- Which machines were linked when relays last said so. Only the relay that said that a machine came
-- can say that it went; links of one relay have rising epochs.
CREATE TABLE presence (
    workspace_id  TEXT   NOT NULL,
    machine_id    TEXT   NOT NULL,
    is_online     BIGINT NOT NULL,
    relay_id      TEXT   NOT NULL,
    link_epoch    BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL,    -- by the relay's clock
    PRIMARY KEY (workspace_id, machine_id),
    FOREIGN KEY (workspace_id, machine_id) REFERENCES machines (workspace_id, id) ON DELETE CASCADE
);
