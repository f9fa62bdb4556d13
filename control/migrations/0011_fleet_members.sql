-- Who belongs to a fleet. Who is confined, and neither owner nor admin, reaches the machines of their fleets
-- only; of none, if they are in none. It stays so until somebody says otherwise: a fleet that is removed opens
-- nothing to those who were in it.
ALTER TABLE accounts ADD COLUMN is_confined BIGINT NOT NULL DEFAULT 0;

CREATE TABLE fleet_members (
    workspace_id TEXT NOT NULL,
    fleet_id     TEXT NOT NULL,
    account_id   TEXT NOT NULL,
    PRIMARY KEY (workspace_id, fleet_id, account_id),
    FOREIGN KEY (workspace_id, fleet_id) REFERENCES fleets (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, account_id) REFERENCES accounts (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX fleet_members_by_account ON fleet_members (workspace_id, account_id);

-- What an invitation makes of who uses it.
ALTER TABLE invitations ADD COLUMN is_confined BIGINT NOT NULL DEFAULT 0;

CREATE TABLE invitation_fleets (
    workspace_id  TEXT NOT NULL,
    invitation_id TEXT NOT NULL REFERENCES invitations (id) ON DELETE CASCADE,
    fleet_id      TEXT NOT NULL,
    PRIMARY KEY (workspace_id, invitation_id, fleet_id),
    FOREIGN KEY (workspace_id, fleet_id) REFERENCES fleets (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX invitation_fleets_by_invitation ON invitation_fleets (invitation_id);

-- One machine's sessions in one state, of which there may be none among a million.
CREATE INDEX sessions_by_machine_name_and_status ON sessions (workspace_id, machine_name, status, created_at_ms, id);
CREATE INDEX sessions_by_machine_and_status ON sessions (workspace_id, machine_id, status, created_at_ms, id);
