-- Certificate authorities that `admin remove-ca` removed: a former version's files of one, in another control plane's
-- data directory, are not taken over again. Of the whole installation, as the one that is kept.
CREATE TABLE removed_authorities (
    fingerprint   TEXT   NOT NULL PRIMARY KEY,    -- the SHA-256 of the certificate
    removed_at_ms BIGINT NOT NULL
);
