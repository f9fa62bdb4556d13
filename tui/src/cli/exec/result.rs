//! What came of one target, and how `--json` prints it.

use std::time::Duration;

use cmdop_client::Error;
use cmdop_client::exec::Finished;
use cmdop_proto::Refusal;
use serde::Serialize;

use super::summary::Outcome;
use crate::cli::values::signal_name;

/// What of a stream `--json` keeps: a listing of a large directory, not a disk image.
pub(super) const MAX_KEPT: usize = 1 << 20;

/// One target's result.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) target: String,
    pub(super) end: Result<Finished, Refusal>,
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
    pub(super) stdout: Kept,
    pub(super) stderr: Kept,
}

/// The start of a stream.
#[derive(Debug, Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    truncated: bool,
}

impl Kept {
    pub(super) fn push(&mut self, data: &[u8]) {
        let room = MAX_KEPT - self.bytes.len();
        self.truncated |= data.len() > room;
        self.bytes.extend_from_slice(&data[..data.len().min(room)]);
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// What a result means for the summary.
pub(crate) fn outcome(end: &Result<Finished, Error>) -> Outcome {
    match end {
        Ok(finished) if finished.timed_out => Outcome::TimedOut,
        Ok(finished) if finished.exit_code == 0 => Outcome::Ok,
        Err(Error::Timeout { .. }) => Outcome::TimedOut,
        Err(Error::Refused(refusal)) => match refusal.reason.as_str() {
            "machine-offline" => Outcome::Offline,
            "timeout" => Outcome::TimedOut,
            // It may have run, and may run on.
            "run-lost" | "run-unanswered" | "draining" => Outcome::NotReported,
            _ => Outcome::Failed,
        },
        Err(Error::Lost(_)) => Outcome::NotReported,
        Ok(_) | Err(_) => Outcome::Failed,
    }
}

#[derive(Serialize)]
struct Record<'a> {
    target: &'a str,
    outcome: Outcome,
    exit_code: Option<u8>,
    signal: Option<u32>,
    duration_ms: u64,
    stdout: String,
    stderr: String,
    stdout_truncated: bool,
    stderr_truncated: bool,
    error: Option<Fault<'a>>,
}

#[derive(Serialize)]
struct Fault<'a> {
    reason: &'a str,
    message: &'a str,
    hint: &'a str,
}

impl Report {
    /// Nothing came back from this target, and nobody waits for it any more.
    pub(super) fn none(target: &str, took: Duration) -> Self {
        Self {
            target: target.to_owned(),
            end: Err(Refusal::unavailable(
                "not-reported",
                "no result when the run was interrupted",
            )),
            outcome: Outcome::NotReported,
            took,
            stdout: Kept::default(),
            stderr: Kept::default(),
        }
    }

    /// What people are told about it in one line; nothing about a success.
    pub(super) fn fault(&self) -> Option<String> {
        match &self.end {
            Err(refusal) => Some(refusal.message.clone()),
            Ok(finished) if finished.timed_out => Some("timed out and was ended".into()),
            Ok(finished) => match finished.signal {
                Some(signal) => Some(format!("killed by {}", signal_name(signal))),
                None if finished.exit_code == 0 => None,
                None => Some(format!("exit code {}", finished.exit_code)),
            },
        }
    }

    /// One line of JSON.
    pub(super) fn json(&self) -> String {
        let finished = self.end.as_ref().ok();
        let record = Record {
            target: &self.target,
            outcome: self.outcome,
            exit_code: finished.map(|finished| finished.exit_code),
            signal: finished.and_then(|finished| finished.signal),
            duration_ms: self.took.as_millis() as u64,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            stdout_truncated: self.stdout.truncated,
            stderr_truncated: self.stderr.truncated,
            error: self.end.as_ref().err().map(|refusal| Fault {
                reason: &refusal.reason,
                message: &refusal.message,
                hint: &refusal.hint,
            }),
        };
        let mut line = serde_json::to_string(&record).expect("strings and numbers are always JSON");
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_of_a_result_keeps_its_shape() {
        let mut stdout = Kept::default();
        stdout.push(b"up 3 days\n");
        let report = Report {
            target: "web-1".into(),
            end: Ok(Finished {
                exit_code: 137,
                signal: Some(9),
                ..Finished::default()
            }),
            outcome: Outcome::Failed,
            took: Duration::from_millis(12),
            stdout,
            stderr: Kept::default(),
        };
        insta::assert_snapshot!(report.json(), @r#"{"target":"web-1","outcome":"failed","exit_code":137,"signal":9,"duration_ms":12,"stdout":"up 3 days\n","stderr":"","stdout_truncated":false,"stderr_truncated":false,"error":null}"#);
    }

    #[test]
    fn a_kept_stream_is_bounded_and_says_so() {
        let mut kept = Kept::default();
        kept.push(&vec![b'x'; MAX_KEPT]);
        assert!(!kept.truncated);
        kept.push(b"y");
        assert!(kept.truncated && kept.bytes.len() == MAX_KEPT);
    }

    #[test]
    fn an_offline_machine_and_a_lost_answer_are_not_failures_of_the_program() {
        let offline = Error::Refused(Refusal::unavailable("machine-offline", "x"));
        assert_eq!(outcome(&Err(offline)), Outcome::Offline);
        assert_eq!(outcome(&Err(Error::Lost("x".into()))), Outcome::NotReported);
        let unknown = Error::Refused(Refusal::not_found("machine-unknown", "x"));
        assert_eq!(outcome(&Err(unknown)), Outcome::Failed);
    }
}
