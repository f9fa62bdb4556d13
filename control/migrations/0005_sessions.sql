-- The catalogue of sessions, as relays reported them. What people look for is in columns; the whole
-- record, as it was when the state last changed, is the message `Session` in hexadecimal digits.
CREATE TABLE sessions (
    workspace_id  TEXT   NOT NULL REFERENCES workspaces (id),
    id            TEXT   NOT NULL,
    machine_id    TEXT   NOT NULL,
    machine_name  TEXT   NOT NULL,
    status        BIGINT NOT NULL,
    created_by    TEXT   NOT NULL,
    created_at_ms BIGINT NOT NULL,
    ended_at_ms   BIGINT,
    changed_at_ms BIGINT NOT NULL,    -- by the reporting relay's clock: an older report changes nothing
    record        TEXT   NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX sessions_by_making ON sessions (workspace_id, created_at_ms, id);
CREATE INDEX sessions_by_machine ON sessions (workspace_id, machine_id, created_at_ms, id);
CREATE INDEX sessions_by_status ON sessions (workspace_id, status, created_at_ms, id);
CREATE INDEX sessions_by_end ON sessions (ended_at_ms);

CREATE TABLE session_steps (
    workspace_id TEXT   NOT NULL,
    session_id   TEXT   NOT NULL,
    report_key   TEXT   NOT NULL,     -- what is reported twice is kept once
    at_ms        BIGINT NOT NULL,
    status       BIGINT NOT NULL,
    name         TEXT   NOT NULL,
    reason       TEXT   NOT NULL,
    relay_id     TEXT   NOT NULL,
    PRIMARY KEY (workspace_id, session_id, report_key),
    FOREIGN KEY (workspace_id, session_id) REFERENCES sessions (workspace_id, id) ON DELETE CASCADE
);
