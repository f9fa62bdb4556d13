-- What is to be run at which times: docs/adr/0019. The owner is an account that may be gone since: then its
-- runs are refused, and say so.
CREATE TABLE schedules (
    id            TEXT   NOT NULL PRIMARY KEY,
    workspace_id  TEXT   NOT NULL REFERENCES workspaces (id),
    name          TEXT   NOT NULL,
    name_key      TEXT   NOT NULL,
    owner_id      TEXT   NOT NULL,
    owner_name    TEXT   NOT NULL,
    key_id        TEXT,               -- the API key that it was made with: it ends with it
    overlap       TEXT   NOT NULL,    -- skip, queue or allow: as in spec
    spec          TEXT   NOT NULL,    -- JSON
    request_id    TEXT   NOT NULL,    -- what is asked for twice is made once
    created_at_ms BIGINT NOT NULL,
    paused_at_ms  BIGINT,
    next_due_ms   BIGINT,             -- none: paused, or nothing is left to come
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, name_key),
    UNIQUE (workspace_id, request_id)
);
CREATE INDEX schedules_by_due ON schedules (next_due_ms);

-- One row for each time of a schedule: whoever inserts it first decided what becomes of it. A run that goes
-- on is held by one control plane, until the end of its lease; each holder has a higher fence than the last.
CREATE TABLE schedule_runs (
    workspace_id   TEXT   NOT NULL,
    id             TEXT   NOT NULL,
    schedule_id    TEXT   NOT NULL,
    due_key        TEXT   NOT NULL,   -- the time in ms, or the request that asked for the run
    due_at_ms      BIGINT NOT NULL,
    requested_by   TEXT   NOT NULL,   -- a name; empty: its time came
    state          TEXT   NOT NULL,
    is_over        BIGINT NOT NULL,   -- 0 while it waits or runs
    reason         TEXT   NOT NULL,
    started_at_ms  BIGINT,
    ended_at_ms    BIGINT,
    node           TEXT   NOT NULL,
    fence          BIGINT NOT NULL,
    lease_until_ms BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, schedule_id, due_key),
    FOREIGN KEY (workspace_id, schedule_id) REFERENCES schedules (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX schedule_runs_by_due ON schedule_runs (workspace_id, schedule_id, due_at_ms, id);
CREATE INDEX schedule_runs_by_lease ON schedule_runs (is_over, lease_until_ms);

-- A run on one machine. The exec id names it to relay and agent, which start it once, however often they are asked.
CREATE TABLE schedule_targets (
    workspace_id  TEXT   NOT NULL,
    run_id        TEXT   NOT NULL,
    machine       TEXT   NOT NULL,    -- its name; one that is not enrolled: as the schedule has it
    machine_id    TEXT   NOT NULL,    -- empty: it is not enrolled
    exec_id       TEXT   NOT NULL,
    state         TEXT   NOT NULL,
    reason        TEXT   NOT NULL,
    attempts      BIGINT NOT NULL,
    asked_at_ms   BIGINT,             -- a relay was asked to start this exec id, maybe in vain
    started_at_ms BIGINT,
    ended_at_ms   BIGINT,
    exit_code     BIGINT,
    stdout_bytes  BIGINT NOT NULL,
    stderr_bytes  BIGINT NOT NULL,
    tail          TEXT   NOT NULL,    -- the message OutputTail in base64
    PRIMARY KEY (workspace_id, run_id, machine),
    FOREIGN KEY (workspace_id, run_id) REFERENCES schedule_runs (workspace_id, id) ON DELETE CASCADE
);
