-- Logins with their tokens: those that end, those that are shown to their person, and those that housekeeping looks for.
CREATE INDEX refresh_tokens_by_login ON refresh_tokens (workspace_id, login_id);

-- What `cmdop audit` can be asked for, when few of very many match.
CREATE INDEX audit_by_actor_id ON audit (workspace_id, actor_id, seq);
CREATE INDEX audit_by_target ON audit (workspace_id, target, seq);
CREATE INDEX audit_by_outcome ON audit (workspace_id, outcome, seq);
CREATE INDEX audit_by_time ON audit (workspace_id, at_ms, seq);
