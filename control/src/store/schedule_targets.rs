//! The machines of a run: which they are is decided when it begins, and what became of each is kept with the
//! end of its output.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cmdop_proto::{RunId, v1};
use prost::Message as _;

use super::machines::Machine;
use super::query::{FromRow, Row, query};
use super::schedule_claims::Claim;
use super::schedule_runs::RunState;
use super::schedules::in_database;
use super::{Error, Transaction, Workspace, id};
use crate::schedules::spec::{MAX_MACHINES, Spec};

/// A run on one machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The machine's name.
    pub machine: String,
    /// Its id; empty: it is not enrolled.
    pub machine_id: String,
    /// What relay and agent call the run.
    pub exec_id: RunId,
    /// What has become of it.
    pub state: RunState,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u64,
    /// When a relay was first asked to start this exec id.
    pub asked_at_ms: Option<u64>,
    /// When it was first tried.
    pub started_at_ms: Option<u64>,
    /// When it was over.
    pub ended_at_ms: Option<u64>,
    /// How the program ended.
    pub exit_code: Option<u8>,
    /// What it wrote.
    pub stdout_bytes: u64,
    /// What it wrote to stderr.
    pub stderr_bytes: u64,
    /// The last of it.
    pub tail: v1::OutputTail,
}

impl FromRow for Target {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        let unreadable = |what| sqlx::Error::Decode(Box::new(Error::Unreadable { what }));
        let time = |column| -> Result<Option<u64>, sqlx::Error> {
            Ok(row.get::<Option<i64>>(column)?.map(|ms| ms.max(0) as u64))
        };
        let tail = BASE64_STANDARD.decode(row.get::<String>("tail")?);
        let tail = tail
            .ok()
            .and_then(|bytes| v1::OutputTail::decode(&bytes[..]).ok());
        Ok(Self {
            machine: row.get("machine")?,
            machine_id: row.get("machine_id")?,
            exec_id: id(&row.get::<String>("exec_id")?).map_err(|_| unreadable("run id"))?,
            state: RunState::parse(&row.get::<String>("state")?)
                .ok_or_else(|| unreadable("state of a run"))?,
            reason: row.get("reason")?,
            attempts: row.count("attempts")?,
            asked_at_ms: time("asked_at_ms")?,
            started_at_ms: time("started_at_ms")?,
            ended_at_ms: time("ended_at_ms")?,
            exit_code: row.get::<Option<i64>>("exit_code")?.map(|code| code as u8),
            stdout_bytes: row.count("stdout_bytes")?,
            stderr_bytes: row.count("stderr_bytes")?,
            tail: tail.ok_or_else(|| unreadable("output"))?,
        })
    }
}

impl Workspace<'_> {
    pub(super) async fn insert_target(
        &self,
        tx: &mut Transaction,
        claim: &Claim,
        target: &Target,
    ) -> Result<(), Error> {
        query(
            "INSERT INTO schedule_targets (workspace_id, run_id, machine, machine_id, exec_id, state, \
             reason, attempts, stdout_bytes, stderr_bytes, tail) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, '')",
        )
        .bind(self.id.to_string())
        .bind(claim.run.to_string())
        .bind(&target.machine)
        .bind(&target.machine_id)
        .bind(target.exec_id.to_string())
        .bind(target.state.as_str())
        .bind(&target.reason)
        .execute(tx)
        .await?;
        Ok(())
    }

    /// The machines of a run, by name.
    pub async fn run_targets(&self, run: RunId) -> Result<Vec<Target>, Error> {
        self.targets_in(&mut self.read().await?, run).await
    }

    pub(super) async fn targets_in(
        &self,
        tx: &mut Transaction,
        run: RunId,
    ) -> Result<Vec<Target>, Error> {
        let mut targets: Vec<Target> = query(
            "SELECT machine, machine_id, exec_id, state, reason, attempts, asked_at_ms, started_at_ms, \
             ended_at_ms, exit_code, stdout_bytes, stderr_bytes, tail FROM schedule_targets \
             WHERE workspace_id = $1 AND run_id = $2",
        )
        .bind(self.id.to_string())
        .bind(run.to_string())
        .fetch_all(tx)
        .await?;
        // Not by the database: its order may be that of a language, and pages end at a name.
        targets.sort_by(|a, b| a.machine.cmp(&b.machine));
        Ok(targets)
    }

    /// Writes down how a target stands. False: the run is somebody else's by now, and nothing was written.
    pub async fn keep_target(&self, claim: &Claim, target: &Target) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        if !self.is_held(&mut tx, claim).await? {
            return Ok(false);
        }
        query(
            "UPDATE schedule_targets SET exec_id = $4, state = $5, reason = $6, attempts = $7, \
             asked_at_ms = $8, started_at_ms = $9, ended_at_ms = $10, exit_code = $11, \
             stdout_bytes = $12, stderr_bytes = $13, tail = $14 \
             WHERE workspace_id = $1 AND run_id = $2 AND machine = $3",
        )
        .bind(self.id.to_string())
        .bind(claim.run.to_string())
        .bind(&target.machine)
        .bind(target.exec_id.to_string())
        .bind(target.state.as_str())
        .bind(&target.reason)
        .bind(in_database(target.attempts))
        .bind(target.asked_at_ms.map(in_database))
        .bind(target.started_at_ms.map(in_database))
        .bind(target.ended_at_ms.map(in_database))
        .bind(target.exit_code.map(i64::from))
        .bind(in_database(target.stdout_bytes))
        .bind(in_database(target.stderr_bytes))
        .bind(BASE64_STANDARD.encode(target.tail.encode_to_vec()))
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// What a run came to: all must have succeeded, and what all others have in common is said.
pub(super) fn verdict(targets: &[Target]) -> (RunState, String) {
    let bad: Vec<_> = targets
        .iter()
        .filter(|target| target.state != RunState::Succeeded)
        .collect();
    let Some(first) = bad.first() else {
        return (RunState::Succeeded, String::new());
    };
    let state = if bad.iter().any(|target| !target.state.is_over()) {
        // Whoever saw to it ended without a word: the run must not go on for ever.
        RunState::Lost
    } else if bad.iter().all(|target| target.state == first.state) {
        first.state
    } else {
        RunState::Failed
    };
    let reason = match (targets.len(), bad.len()) {
        (1, _) => first.reason.clone(),
        (all, bad) => format!(
            "on {bad} of {all} machines; on {}: {}",
            first.machine, first.reason
        ),
    };
    (state, cmdop_proto::text::shown(&reason, 512))
}

/// The machines that a schedule names, then those that its fleet and labels select; each once, and no more than
/// one run reaches. One that is not enrolled is over before it begins.
pub(super) fn select(spec: &Spec, machines: &[Machine]) -> Vec<Target> {
    let mut seen = BTreeSet::new();
    let mut targets = Vec::new();
    let mut add = |name: &str, machine: Option<&Machine>| {
        if seen.len() < MAX_MACHINES && seen.insert(name.to_lowercase()) {
            targets.push(target(name, machine));
        }
    };
    for name in &spec.machines {
        let found = machines.iter().find(|machine| {
            machine.id.to_string() == name.to_lowercase() || machine.name.eq_ignore_ascii_case(name)
        });
        add(found.map_or(name, |machine| &machine.name), found);
    }
    if !spec.fleet.is_empty() || !spec.labels.is_empty() {
        let matches = |machine: &&Machine| {
            let in_fleet = |name: &String| name.eq_ignore_ascii_case(&spec.fleet);
            let has = |(key, value): (&String, &String)| machine.labels.get(key) == Some(value);
            (spec.fleet.is_empty() || machine.fleets.iter().any(in_fleet))
                && spec.labels.iter().all(has)
        };
        for machine in machines.iter().filter(matches) {
            add(&machine.name, Some(machine));
        }
    }
    targets
}

fn target(name: &str, machine: Option<&Machine>) -> Target {
    Target {
        machine: name.to_owned(),
        machine_id: machine
            .map(|machine| machine.id.to_string())
            .unwrap_or_default(),
        exec_id: RunId::new(),
        state: match machine {
            Some(_) => RunState::Waiting,
            None => RunState::Unreachable,
        },
        reason: match machine {
            Some(_) => String::new(),
            None => "the workspace has no such machine".to_owned(),
        },
        attempts: 0,
        asked_at_ms: None,
        started_at_ms: None,
        ended_at_ms: None,
        exit_code: None,
        stdout_bytes: 0,
        stderr_bytes: 0,
        tail: v1::OutputTail::default(),
    }
}
