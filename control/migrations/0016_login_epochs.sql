-- How often all logins of an account were ended: who is logged in on a page since an earlier time is nobody. A number, and
-- not a time: a login that is under way meanwhile is told from one that comes after, whatever the clocks say.
ALTER TABLE accounts ADD COLUMN login_epoch BIGINT NOT NULL DEFAULT 0;
