-- Authorization codes (RFC 6749, section 4.1): one use each, in the minute after a person said yes.
CREATE TABLE authorization_codes (
    hash          TEXT   NOT NULL PRIMARY KEY,
    workspace_id  TEXT   NOT NULL,
    account_id    TEXT   NOT NULL,
    client        TEXT   NOT NULL,
    redirect_uri  TEXT   NOT NULL,
    challenge     TEXT   NOT NULL,    -- the SHA-256 of the client's verifier (RFC 7636, S256)
    expires_at_ms BIGINT NOT NULL,
    login_id      TEXT,               -- the login that it began, once it was used
    FOREIGN KEY (workspace_id, account_id) REFERENCES accounts (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX authorization_codes_by_end ON authorization_codes (expires_at_ms);

-- The second factor of an account (RFC 6238). What is proposed and not yet proved asks for nothing.
CREATE TABLE second_factors (
    workspace_id    TEXT   NOT NULL,
    account_id      TEXT   NOT NULL,
    sealed          TEXT   NOT NULL,  -- the secret, sealed for this row
    proposed_at_ms  BIGINT NOT NULL,
    confirmed_at_ms BIGINT,           -- in force since
    last_step       BIGINT NOT NULL,  -- the newest step whose code was taken: none is taken twice
    PRIMARY KEY (workspace_id, account_id),
    FOREIGN KEY (workspace_id, account_id) REFERENCES accounts (workspace_id, id) ON DELETE CASCADE
);

-- In the place of a code, once each. A used one is gone.
CREATE TABLE recovery_codes (
    workspace_id TEXT NOT NULL,
    account_id   TEXT NOT NULL,
    hash         TEXT NOT NULL,
    PRIMARY KEY (workspace_id, account_id, hash),
    FOREIGN KEY (workspace_id, account_id) REFERENCES accounts (workspace_id, id) ON DELETE CASCADE
);

-- A workspace may require it of everybody: optional or required.
ALTER TABLE workspaces ADD COLUMN second_factor TEXT NOT NULL DEFAULT 'optional';

-- Guesses that were not right, and until when nobody may guess again: from one source, and from everywhere.
-- What is guessed at is named, not referred to: a name that nobody has is locked as one that somebody has.
CREATE TABLE lockouts (
    subject       TEXT   NOT NULL,    -- such as password/ada
    source        TEXT   NOT NULL,    -- a network; empty: everywhere together
    failures      BIGINT NOT NULL,
    guessed_at_ms BIGINT NOT NULL,
    until_ms      BIGINT NOT NULL,
    PRIMARY KEY (subject, source)
);
CREATE INDEX lockouts_by_time ON lockouts (guessed_at_ms);

-- The keys that sign tokens, of all control planes that share the database. Each is published at once,
-- signs from its time on, and is forgotten when no token that it signed can be alive.
CREATE TABLE signing_keys (
    id            TEXT   NOT NULL PRIMARY KEY, -- the JWK thumbprint
    sealed        TEXT   NOT NULL,    -- the private key, PEM, sealed for this row
    created_at_ms BIGINT NOT NULL,
    signs_from_ms BIGINT NOT NULL
);

-- Who may come from another provider of identity (OpenID Connect): an e-mail address or a subject that an
-- administrator named for an account. The first login by address keeps the subject.
CREATE TABLE external_identities (
    id           TEXT   NOT NULL PRIMARY KEY,
    workspace_id TEXT   NOT NULL,
    account_id   TEXT   NOT NULL,
    issuer       TEXT   NOT NULL,
    email_key    TEXT,                -- in lower case
    subject      TEXT,
    UNIQUE (issuer, email_key),
    UNIQUE (issuer, subject),
    FOREIGN KEY (workspace_id, account_id) REFERENCES accounts (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX external_identities_by_account ON external_identities (workspace_id, account_id);
