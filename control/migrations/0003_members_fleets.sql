-- A link with which one person makes an account of their own. It is gone when it was used.
CREATE TABLE invitations (
    id            TEXT   NOT NULL PRIMARY KEY,
    workspace_id  TEXT   NOT NULL REFERENCES workspaces (id),
    hash          TEXT   NOT NULL UNIQUE,
    role          TEXT   NOT NULL,
    note          TEXT   NOT NULL,
    invited_by    TEXT   NOT NULL,    -- a name: the account may be gone since
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL
);
CREATE INDEX invitations_by_workspace ON invitations (workspace_id, created_at_ms);

-- Named sets of machines. The key that machines are referred to by is made here.
CREATE UNIQUE INDEX machines_in_workspace ON machines (workspace_id, id);

CREATE TABLE fleets (
    id            TEXT   NOT NULL PRIMARY KEY,
    workspace_id  TEXT   NOT NULL REFERENCES workspaces (id),
    name          TEXT   NOT NULL,
    name_key      TEXT   NOT NULL,
    created_at_ms BIGINT NOT NULL,
    UNIQUE (workspace_id, name_key),
    UNIQUE (workspace_id, id)
);

CREATE TABLE fleet_machines (
    workspace_id TEXT NOT NULL,
    fleet_id     TEXT NOT NULL,
    machine_id   TEXT NOT NULL,
    PRIMARY KEY (workspace_id, fleet_id, machine_id),
    FOREIGN KEY (workspace_id, fleet_id) REFERENCES fleets (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, machine_id) REFERENCES machines (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX fleet_machines_by_machine ON fleet_machines (workspace_id, machine_id);
