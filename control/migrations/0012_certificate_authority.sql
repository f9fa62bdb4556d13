-- The private certificate authority of the installation, of all control planes that share the database: one row at
-- most. Its certificate is public; its key is sealed (docs/adr/0023).
CREATE TABLE certificate_authority (
    only_one    BIGINT NOT NULL PRIMARY KEY CHECK (only_one = 1),
    fingerprint TEXT   NOT NULL,    -- the SHA-256 of the certificate, as it stands in enrolment tokens
    certificate TEXT   NOT NULL,    -- PEM
    sealed_key  TEXT   NOT NULL,    -- the private key, PEM, sealed for the row of that fingerprint
    kept_at_ms  BIGINT NOT NULL
);

-- Everything that is sealed is found by the row that it was sealed for: an account's second factor by the account.
CREATE UNIQUE INDEX second_factors_by_account ON second_factors (account_id);
