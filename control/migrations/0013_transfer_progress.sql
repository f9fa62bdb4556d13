-- How far the transfers of a workspace are, as each relay said last: docs/adr/0024. Nothing of it is history: control
-- planes tell it to those who listen now, and the next word takes its place.
CREATE TABLE transfer_progress (
    workspace_id TEXT   NOT NULL REFERENCES workspaces (id),
    relay_id     TEXT   NOT NULL,
    number       BIGINT NOT NULL,     -- counts what this relay said
    at_ms        BIGINT NOT NULL,     -- when it came here
    told         TEXT   NOT NULL,     -- a JSON array of objects
    PRIMARY KEY (workspace_id, relay_id)
);
CREATE INDEX transfer_progress_by_age ON transfer_progress (at_ms);
