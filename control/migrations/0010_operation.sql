-- Where the rest of a chain of the audit log begins, where its beginning was dropped because of its age: after
-- the record with this number and hash. The chain itself has a record of it (audit-trimmed).
CREATE TABLE audit_anchors (
    workspace_id TEXT   NOT NULL PRIMARY KEY,
    seq          BIGINT NOT NULL,
    hash         TEXT   NOT NULL
);

-- Somebody's sessions among a million.
CREATE INDEX sessions_by_creator ON sessions (workspace_id, created_by, created_at_ms, id);

-- One machine's, by the name that people give.
CREATE INDEX sessions_by_machine_name ON sessions (workspace_id, machine_name, created_at_ms, id);
