-- What was done, as a chain for each workspace: docs/adr/0015. What concerns no workspace (relays, the
-- control plane itself) is in the chain of the nil id, so that there is no reference to `workspaces`.
CREATE TABLE audit (
    workspace_id  TEXT   NOT NULL,
    seq           BIGINT NOT NULL,
    at_ms         BIGINT NOT NULL,
    action        TEXT   NOT NULL,
    actor_kind    TEXT   NOT NULL,
    actor_id      TEXT   NOT NULL,
    actor_name    TEXT   NOT NULL,
    target        TEXT   NOT NULL,
    outcome       TEXT   NOT NULL,
    detail        TEXT   NOT NULL,    -- a JSON object of strings
    source        TEXT   NOT NULL,    -- control, or the id of the relay that reported it
    report_key    TEXT,               -- the reporter's name for it: what is reported twice is kept once
    previous_hash TEXT   NOT NULL,
    hash          TEXT   NOT NULL,
    PRIMARY KEY (workspace_id, seq),
    UNIQUE (workspace_id, report_key)
);
CREATE INDEX audit_by_action ON audit (workspace_id, action, seq);
CREATE INDEX audit_by_actor ON audit (workspace_id, actor_name, seq);

-- Where each chain ends: without it, its last records could go unseen.
CREATE TABLE audit_heads (
    workspace_id TEXT   NOT NULL PRIMARY KEY,
    seq          BIGINT NOT NULL,
    hash         TEXT   NOT NULL
);
