-- Keys with which programs act for an account: what they may do is the account's role, narrowed.
CREATE TABLE api_keys (
    id              TEXT   NOT NULL PRIMARY KEY,
    workspace_id    TEXT   NOT NULL,
    account_id      TEXT   NOT NULL,
    hash            TEXT   NOT NULL UNIQUE,
    prefix          TEXT   NOT NULL,
    name            TEXT   NOT NULL,
    scopes          TEXT   NOT NULL,  -- words between spaces
    created_at_ms   BIGINT NOT NULL,
    expires_at_ms   BIGINT,
    last_used_at_ms BIGINT,
    revoked_at_ms   BIGINT,
    FOREIGN KEY (workspace_id, account_id) REFERENCES accounts (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX api_keys_by_account ON api_keys (workspace_id, account_id, created_at_ms);
