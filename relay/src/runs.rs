//! Execs that are under way: where the caller's stream and the agent's stream meet.
//!
//! The two are handed to each other whole: what one side reads is what the other sends, pulled by its
//! flow control. Nothing is buffered between them and no task stands there. A caller that comes back to
//! a run makes another meeting under an id of its own: what a run is, only its agent knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cmdop_proto::{MachineId, Refusal, RunId, v1};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use crate::by_machine::{ByMachine, NotEntered};
use crate::machines::Link;
use crate::meeting::{Meeting, Opener};

/// What the agent's stream is opened with.
pub(crate) type Opened = Result<Streaming<v1::ExecUp>, Refusal>;

/// What becomes of a program whose caller's stream is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenLost {
    /// The agent is told to end it.
    End,
    /// Its agent decides: the caller may come back.
    Keep,
}

/// One call of a caller: the run that it starts, or another visit to one.
#[derive(Debug)]
pub(crate) struct Run {
    /// By what the agent names it: the run's own id, or that of the visit.
    pub(crate) id: RunId,
    pub(crate) machine_name: String,
    when_lost: WhenLost,
    pub(crate) meeting: Meeting<Left, Streaming<v1::ExecUp>>,
    is_finished: AtomicBool,
}

/// What the caller leaves for the agent's stream to take.
pub(crate) struct Left {
    /// What the caller sends after `start`.
    pub(crate) requests: Streaming<v1::ExecRequest>,
    /// Whether it will send the program's input.
    pub(crate) has_stdin: bool,
}

impl Run {
    /// Why it was ended; a stream that is cut for no reason of its own was revoked.
    pub(crate) fn reason(&self) -> Refusal {
        let refusal = self.meeting.refusal();
        refusal.unwrap_or_else(crate::directory::revoked)
    }

    /// Whether it ends with this call: then its caller acknowledges nothing.
    pub(crate) fn ends_when_lost(&self) -> bool {
        self.when_lost == WhenLost::End
    }

    /// Its last message came.
    pub(crate) fn finished(&self) {
        self.is_finished.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.is_finished.load(Ordering::Relaxed)
    }
}

/// All that are under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    under_way: ByMachine<Run>,
}

impl Runs {
    /// Enters a run, at most `most` on one machine. It is over when the guard is dropped.
    pub(crate) fn enter(
        &self,
        link: &Arc<Link>,
        (id, machine_name, when_lost): (RunId, &str, WhenLost),
        (left, opened): (Left, Opener<Streaming<v1::ExecUp>>),
        most: usize,
    ) -> Result<(RunGuard, String), Refusal> {
        let (meeting, token) = Meeting::new(left, opened, CancellationToken::new());
        let run = Arc::new(Run {
            id,
            machine_name: machine_name.to_owned(),
            when_lost,
            meeting,
            is_finished: AtomicBool::new(false),
        });
        let entered = self.under_way.enter((link.machine, id), run.clone(), most);
        entered.map_err(|why| match why {
            NotEntered::Known => {
                Refusal::invalid("run-id-taken", "a run with this id is under way already")
            }
            NotEntered::Full => Refusal::exhausted(
                "too-many-execs",
                format!("{most} programs run on {machine_name} already, which is the limit"),
            ),
        })?;
        let guard = RunGuard {
            runs: self.clone(),
            link: link.clone(),
            run,
        };
        Ok((guard, token))
    }

    /// The run that an agent names; it can only name its own machine's.
    pub(crate) fn get(&self, machine: MachineId, id: RunId) -> Option<Arc<Run>> {
        self.under_way.get((machine, id))
    }

    /// Ends all.
    pub(crate) fn end_all(&self, refusal: &Refusal) {
        for run in self.under_way.all() {
            run.meeting.end(refusal.clone());
        }
    }
}

/// The caller's hold on a run: when it is gone, so is the run.
#[derive(Debug)]
pub(crate) struct RunGuard {
    runs: Runs,
    link: Arc<Link>,
    pub(crate) run: Arc<Run>,
}

impl RunGuard {
    /// The link over which the agent was asked.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        self.run.meeting.over.cancel();
        let key = (self.link.machine, self.run.id);
        self.runs.under_way.remove(key);
        if !self.run.is_finished() && self.run.when_lost == WhenLost::End {
            // The end of its stream tells the agent as well, but stands behind input that its
            // program does not read.
            let end = v1::EndSession {
                session_id: self.run.id.to_string(),
                reason: "the caller is gone".into(),
            };
            // An agent that takes no commands will see the end of the stream.
            let _ = self
                .link
                .tell(v1::control_message::Message::EndSession(end));
        }
    }
}
