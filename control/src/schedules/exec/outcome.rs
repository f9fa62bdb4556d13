//! How a program that was asked for ended, and what a refusal says about that.

use std::time::Duration;

use cmdop_proto::{ErrorKind, Refusal, v1};

use crate::store::RunState;

/// How long a program may be out of reach before it is given up. A detached run is kept for a day after its end,
/// but a schedule is to go on.
const AWAY: Duration = Duration::from_secs(15 * 60);

/// An agent that was asked to start a program may not have it yet.
const UNKNOWN_FOR: Duration = Duration::from_secs(20);

/// A relay's word for an order that it passed on, and that was not answered.
const UNANSWERED: &str = "run-unanswered";

/// And that, or an agent's, for an id that it has already.
const ID_TAKEN: &str = "run-id-taken";

/// How it ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// By itself, or by its time limit.
    Finished(v1::ExecFinished),
    /// It was not started: what is missing may come back.
    NotStarted(Refusal),
    /// It was not started, and will not be: it is wrong as it is.
    Wrong(Refusal),
    /// Its owner may not.
    Denied(Refusal),
    /// It was started, or may have been, and nobody knows how it ended.
    Lost(String),
}

impl Outcome {
    /// What is kept of it.
    pub(crate) fn read(&self, timeout_ms: u64) -> (RunState, String) {
        match self {
            Self::Finished(finished) if finished.lost => (
                RunState::Lost,
                "the agent was restarted while the program ran".into(),
            ),
            Self::Finished(finished) if finished.timed_out => {
                let limit = humantime::format_duration(Duration::from_millis(timeout_ms));
                (
                    RunState::Failed,
                    format!("it took longer than {limit} and was ended"),
                )
            }
            Self::Finished(finished) if finished.ended_on_request => (
                RunState::Failed,
                "it was ended on its machine before it was done".into(),
            ),
            Self::Finished(_) => match self.exit_code() {
                Some(0) => (RunState::Succeeded, String::new()),
                Some(code) => (RunState::Failed, format!("exit code {code}")),
                None => (
                    RunState::Lost,
                    "the agent does not know how it ended".into(),
                ),
            },
            Self::NotStarted(refusal) => (RunState::Unreachable, refusal.message.clone()),
            Self::Wrong(refusal) => (RunState::Failed, refusal.message.clone()),
            Self::Denied(refusal) => (RunState::Refused, refusal.message.clone()),
            Self::Lost(why) => (RunState::Lost, why.clone()),
        }
    }

    /// What a shell would say.
    pub(crate) fn exit_code(&self) -> Option<u8> {
        let Self::Finished(finished) = self else {
            return None;
        };
        match finished.exit?.outcome? {
            v1::exit::Outcome::Code(code) => Some(code as u8),
            v1::exit::Outcome::Signal(signal) => Some((128 + signal.min(127)) as u8),
        }
    }
}

/// Whether the machine has the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    /// Nobody told it to its agent.
    Not,
    /// The order was sent, and what became of it is not known.
    Maybe,
    /// Its agent said so.
    Heard,
}

impl Asked {
    /// What a refusal comes to when the machine was last heard of that long ago; nothing: it is worth coming back.
    pub(super) fn given_up(self, away: Duration, refusal: Refusal) -> Option<Outcome> {
        if self == Self::Not {
            return match refusal.kind {
                ErrorKind::Denied => Some(Outcome::Denied(refusal)),
                ErrorKind::Unavailable | ErrorKind::Exhausted | ErrorKind::Internal => {
                    Some(Outcome::NotStarted(refusal))
                }
                ErrorKind::NotFound if refusal.reason == "machine-unknown" => {
                    Some(Outcome::NotStarted(refusal))
                }
                ErrorKind::Invalid | ErrorKind::NotFound => Some(Outcome::Wrong(refusal)),
            };
        }
        let limit = match refusal.kind {
            ErrorKind::Unavailable | ErrorKind::Exhausted | ErrorKind::Internal => AWAY,
            // A relay that was just started does not know its machines, nor an agent what it is about to start.
            ErrorKind::NotFound => UNKNOWN_FOR,
            ErrorKind::Denied | ErrorKind::Invalid => Duration::ZERO,
        };
        let what = match self {
            Self::Heard => "the program was started, and how it ended is not known",
            Self::Not | Self::Maybe => "the program may have been started, which is not known",
        };
        (away >= limit).then(|| Outcome::Lost(format!("{what}: {refusal}")))
    }

    /// What is said of a program that went on for so long that its agent should have ended it.
    pub(super) fn overdue(self, limit: Duration) -> Outcome {
        let limit = humantime::format_duration(limit);
        Outcome::Lost(match self {
            Self::Heard => {
                format!("it was to be ended after {limit}, and its agent did not say that it was")
            }
            Self::Not | Self::Maybe => {
                format!("it may have been started, and was not heard of for longer than {limit}")
            }
        })
    }
}

/// Another relay may have the machine.
pub(super) fn is_elsewhere(refusal: &Refusal) -> bool {
    matches!(
        refusal.reason.as_str(),
        "machine-offline" | "machine-unknown"
    )
}

/// A stream of a program that runs was cut; the program goes on.
pub(super) fn is_broken(refusal: &Refusal) -> bool {
    matches!(refusal.kind, ErrorKind::Unavailable) || is_about_token(refusal)
}

/// A new token may be taken.
pub(super) fn is_about_token(refusal: &Refusal) -> bool {
    matches!(refusal.reason.as_str(), "token-expired" | "token-revoked")
}

/// The agent has it: an earlier request was heard after all.
pub(super) fn is_taken(refusal: &Refusal) -> bool {
    refusal.reason == ID_TAKEN
}

/// The order was passed on, and nobody said what became of it.
pub(super) fn is_unanswered(refusal: &Refusal) -> bool {
    refusal.reason == UNANSWERED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(outcome: Option<v1::exit::Outcome>) -> v1::ExecFinished {
        v1::ExecFinished {
            exit: Some(v1::Exit { outcome }),
            ..v1::ExecFinished::default()
        }
    }

    #[test]
    fn only_a_program_that_said_so_itself_has_succeeded() {
        let code = |code| ended(Some(v1::exit::Outcome::Code(code)));
        let timed_out = v1::ExecFinished {
            timed_out: true,
            ..code(0)
        };
        let ended_on_request = v1::ExecFinished {
            ended_on_request: true,
            ..code(0)
        };
        let lost = v1::ExecFinished {
            lost: true,
            ..v1::ExecFinished::default()
        };
        let killed = ended(Some(v1::exit::Outcome::Signal(9)));
        for (finished, state, says) in [
            (code(0), RunState::Succeeded, ""),
            (code(3), RunState::Failed, "exit code 3"),
            (killed, RunState::Failed, "exit code 137"),
            (timed_out, RunState::Failed, "took longer than 5s"),
            (
                ended_on_request,
                RunState::Failed,
                "it was ended on its machine",
            ),
            (lost, RunState::Lost, "agent was restarted"),
            (ended(None), RunState::Lost, "does not know"),
        ] {
            let (read, reason) = Outcome::Finished(finished).read(5000);
            assert_eq!(read, state);
            assert!(reason.contains(says), "{reason}");
        }
        let refusal = Refusal::unavailable("machine-offline", "web-1 is offline");
        let (state, reason) = Outcome::NotStarted(refusal).read(1);
        assert_eq!(
            (state, reason.as_str()),
            (RunState::Unreachable, "web-1 is offline")
        );
    }
    #[test]
    fn what_may_run_is_lost_and_never_said_not_to_have_been_started() {
        let (now, day) = (Duration::ZERO, Duration::from_secs(86400));
        let state = |asked: Asked, away, kind| {
            let refusal = Refusal::new(kind, "a-reason", "why not");
            let outcome = asked.given_up(away, refusal)?;
            Some(outcome.read(1).0)
        };
        let (failed, unreachable) = (Some(RunState::Failed), Some(RunState::Unreachable));
        let (refused, lost) = (Some(RunState::Refused), Some(RunState::Lost));
        for (kind, not_asked, at_once) in [
            (ErrorKind::Denied, refused, lost),
            (ErrorKind::Invalid, failed, lost),
            (ErrorKind::NotFound, failed, None),
            (ErrorKind::Unavailable, unreachable, None),
            (ErrorKind::Exhausted, unreachable, None),
            (ErrorKind::Internal, unreachable, None),
        ] {
            assert_eq!(state(Asked::Not, now, kind), not_asked, "{kind:?}");
            for asked in [Asked::Maybe, Asked::Heard] {
                assert_eq!(state(asked, now, kind), at_once, "{asked:?} {kind:?}");
                assert_eq!(state(asked, day, kind), lost, "{asked:?} {kind:?}");
            }
        }
    }
}
