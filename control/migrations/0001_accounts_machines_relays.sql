-- Ids are UUIDs as text, points in time are milliseconds since the Unix epoch, secrets are SHA-256 in hex.
-- Every row of a tenant carries its workspace, and composite keys keep references inside it.
-- The SQL is the part that SQLite and PostgreSQL have in common.

CREATE TABLE workspaces (
    id            TEXT   NOT NULL PRIMARY KEY,
    name          TEXT   NOT NULL,
    name_key      TEXT   NOT NULL UNIQUE, -- the name in lower case
    created_at_ms BIGINT NOT NULL
);

-- An account's name is what a person types to log in: one of its kind on the whole control plane.
CREATE TABLE accounts (
    id             TEXT   NOT NULL PRIMARY KEY,
    workspace_id   TEXT   NOT NULL REFERENCES workspaces (id),
    name           TEXT   NOT NULL,
    name_key       TEXT   NOT NULL UNIQUE,
    role           TEXT   NOT NULL,
    password_hash  TEXT,              -- a PHC string; without one there is no login by password
    created_at_ms  BIGINT NOT NULL,
    disabled_at_ms BIGINT,
    UNIQUE (workspace_id, id)
);

-- One login is the family of its refresh tokens.
CREATE TABLE logins (
    id            TEXT   NOT NULL PRIMARY KEY,
    workspace_id  TEXT   NOT NULL,
    account_id    TEXT   NOT NULL,
    method        TEXT   NOT NULL,    -- device or local-secret
    started_at_ms BIGINT NOT NULL,
    ended_at_ms   BIGINT,
    UNIQUE (workspace_id, id),
    FOREIGN KEY (workspace_id, account_id) REFERENCES accounts (workspace_id, id)
);
CREATE INDEX logins_by_account ON logins (workspace_id, account_id);

CREATE TABLE refresh_tokens (
    hash          TEXT   NOT NULL PRIMARY KEY,
    workspace_id  TEXT   NOT NULL,
    login_id      TEXT   NOT NULL,
    parent_hash   TEXT,               -- the token that was exchanged for this one
    expires_at_ms BIGINT NOT NULL,
    used_at_ms    BIGINT,
    FOREIGN KEY (workspace_id, login_id) REFERENCES logins (workspace_id, id)
);
CREATE INDEX refresh_tokens_by_parent ON refresh_tokens (parent_hash);
CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at_ms);

-- A device code belongs to no workspace until somebody approves it.
CREATE TABLE device_codes (
    hash           TEXT   NOT NULL PRIMARY KEY,
    user_code_hash TEXT   NOT NULL UNIQUE,
    client         TEXT   NOT NULL,
    peer           TEXT   NOT NULL,   -- the address that asked, shown to whoever approves
    state          TEXT   NOT NULL,   -- pending, approved, denied or used
    created_at_ms  BIGINT NOT NULL,
    expires_at_ms  BIGINT NOT NULL,
    interval_ms    BIGINT NOT NULL,
    polled_at_ms   BIGINT,
    workspace_id   TEXT,
    account_id     TEXT,
    FOREIGN KEY (workspace_id, account_id) REFERENCES accounts (workspace_id, id)
);

CREATE TABLE login_secrets (
    hash          TEXT   NOT NULL PRIMARY KEY,
    workspace_id  TEXT   NOT NULL,
    account_id    TEXT   NOT NULL,
    expires_at_ms BIGINT,             -- none: it lies in a private file until it is used
    used_at_ms    BIGINT,
    FOREIGN KEY (workspace_id, account_id) REFERENCES accounts (workspace_id, id)
);

CREATE TABLE machines (
    id             TEXT   NOT NULL PRIMARY KEY,
    workspace_id   TEXT   NOT NULL REFERENCES workspaces (id),
    name           TEXT   NOT NULL,
    name_key       TEXT   NOT NULL,
    labels         TEXT   NOT NULL,   -- a JSON object of strings
    os             TEXT   NOT NULL,
    arch           TEXT   NOT NULL,
    agent_version  TEXT   NOT NULL,
    public_key     TEXT   NOT NULL,   -- Ed25519, PEM (SPKI)
    enrolled_at_ms BIGINT NOT NULL,
    UNIQUE (workspace_id, name_key)
);

CREATE TABLE machine_tokens (
    hash          TEXT   NOT NULL PRIMARY KEY,
    workspace_id  TEXT   NOT NULL REFERENCES workspaces (id),
    labels        TEXT   NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    used_at_ms    BIGINT,
    used_by       TEXT                -- the machine's id; the machine may be gone since
);

-- Relays serve all workspaces and belong to none.
CREATE TABLE relays (
    id             TEXT   NOT NULL PRIMARY KEY,
    url            TEXT   NOT NULL UNIQUE,
    public_key     TEXT   NOT NULL,
    enrolled_at_ms BIGINT NOT NULL
);

CREATE TABLE relay_tokens (
    hash          TEXT   NOT NULL PRIMARY KEY,
    expires_at_ms BIGINT NOT NULL,
    used_at_ms    BIGINT
);

CREATE TABLE revocations (
    claim           TEXT   NOT NULL,  -- sub, sid or jti
    value           TEXT   NOT NULL,
    issued_until_ms BIGINT NOT NULL,
    forget_at_ms    BIGINT NOT NULL,
    PRIMARY KEY (claim, value)
);

-- What relays have to hear, in the order in which it was committed. The one row of change_head gives
-- the numbers: whoever updates it holds it until the commit, so that no number appears out of order.
CREATE TABLE changes (
    seq   BIGINT NOT NULL PRIMARY KEY,
    kind  TEXT   NOT NULL,            -- machine, machine-removed or revoked
    claim TEXT   NOT NULL,            -- of a revocation, else empty
    value TEXT   NOT NULL,            -- the machine's id, or the revoked claim's value
    at_ms BIGINT NOT NULL
);
CREATE TABLE change_head (
    id   BIGINT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO change_head (id, last) VALUES (1, 0);
