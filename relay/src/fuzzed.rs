//! What the fuzz target `agent` of `tests/fuzz` does with bytes.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use cmdop_proto::{ClientId, LinkEpoch, MachineId, Offset, SessionId, Size, WorkspaceId, v1};
use futures_util::FutureExt as _;
use prost::Message as _;
use v1::attach_request::Request as Ask;

use crate::config::Limits;
use crate::context::Context;
use crate::deadlines::Deadlines;
use crate::directory::Directory;
use crate::lingering::Lingering;
use crate::machines::Machines;
use crate::meters::Meters;
use crate::session::{
    AgentNext, Attaching, AttachmentId, ClientNext, Facts, Fence, Mode, Session, Terms,
};
use crate::workspace::Workspaces;

/// What one peer is given before the next message comes: more than it can have waiting.
const TURNS: usize = 4096;

/// Messages, each after a byte that says who sends it and two for its length.
pub fn agent(bytes: &[u8]) {
    let mut stage = Stage::new();
    let mut rest = bytes;
    while let [who, low, high, tail @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let (message, tail) = tail.split_at(length.min(tail.len()));
        stage.take(*who, message);
        stage.drain();
        rest = tail;
    }
}

struct Stage {
    context: Arc<Context>,
    session: Arc<Session>,
    fence: Option<Fence>,
    attachments: Vec<AttachmentId>,
}

impl Stage {
    fn new() -> Self {
        let context = Arc::new(Context {
            limits: Limits::default(),
            directory: Directory::new(),
            machines: Machines::new(),
            deadlines: Deadlines::default(),
            lingering: Lingering::default(),
            meters: Meters::new(),
            reporter: crate::report::Reporter::nowhere(),
            transfers: crate::transfers::Transfers::new(crate::report::Reporter::nowhere()),
        });
        let workspace = Workspaces::default().of(WorkspaceId::new());
        let facts = Facts {
            name: String::new(),
            command: Vec::new(),
            size: Size::DEFAULT,
            created_at_ms: 0,
            created_by: String::new(),
        };
        let terms = Terms {
            pending: Duration::from_secs(60),
            grace: None,
            background: Duration::from_secs(60),
            keep_ended: Duration::from_secs(60),
        };
        let start = v1::StartSession::default();
        let ids = (SessionId::new(), MachineId::new());
        let session = Session::pending(&context, &workspace, ids, facts, terms, start);
        let mut stage = Self {
            context,
            session,
            fence: None,
            attachments: Vec::new(),
        };
        stage.open(&v1::SessionSummary::default());
        stage
    }

    /// What is no message is none: the transport refuses it before it comes here.
    fn take(&mut self, who: u8, message: &[u8]) {
        match who % 4 {
            0 => {
                let up = v1::SessionUp::decode(message).ok();
                if let (Some(up), Some(fence)) = (up.and_then(|up| up.message), self.fence) {
                    self.session.hear(fence, up);
                }
            }
            1 => {
                if let Ok(summary) = v1::SessionSummary::decode(message) {
                    self.open(&summary);
                }
            }
            2 => {
                let request = v1::AttachRequest::decode(message).ok();
                if let Some(request) = request.and_then(|request| request.request) {
                    self.client(request);
                }
            }
            _ => {
                let event = v1::ControlEvent::decode(message).ok();
                if let Some(event) = event.and_then(|event| event.event) {
                    let _refused = self.context.directory.apply(event);
                }
            }
        }
    }

    fn open(&mut self, summary: &v1::SessionSummary) {
        let token = self.session.invite(LinkEpoch(1)).expose();
        if let Ok(fence) = self.session.open(&token, summary) {
            self.fence = Some(fence);
        }
    }

    fn client(&mut self, request: Ask) {
        if let Ask::Open(open) = request {
            self.attachments
                .extend(attaching(&open).and_then(|who| self.session.attach(&who).ok()));
            return;
        }
        let Some(attachment) = self.attachments.last().copied() else {
            return;
        };
        let session = &self.session;
        let _refused = match request {
            Ask::Input(input) => session
                .typed(attachment, input)
                .now_or_never()
                .unwrap_or(Ok(())),
            Ask::Resize(size) => session.client_resized(attachment, size),
            Ask::Keyboard(change) => session.client_keyboard(attachment, change),
            Ask::Background(background) => session.client_background(attachment, background),
            Ask::Ping(ping) => {
                session.client_pinged(attachment, ping.nonce);
                Ok(())
            }
            Ask::Received(mark) => {
                session.client_received(attachment, mark);
                Ok(())
            }
            Ask::Open(_) => Ok(()),
        };
    }

    /// Everybody takes what there is, and nobody for ever.
    fn drain(&self) {
        if let Some(fence) = self.fence {
            let next = || self.session.next_for_agent(fence, Waker::noop());
            let turns = (0..TURNS).take_while(|_| matches!(next(), AgentNext::Send(_)));
            assert!(turns.count() < TURNS, "there is always more for the agent");
        }
        for attachment in &self.attachments {
            let next = || self.session.next_for_client(*attachment, Waker::noop());
            let turns = (0..TURNS).take_while(|_| matches!(next(), ClientNext::Send(_)));
            assert!(turns.count() < TURNS, "there is always more for a client");
        }
    }
}

fn attaching(open: &v1::AttachOpen) -> Option<Attaching> {
    Some(Attaching {
        id: open.client_id.parse().unwrap_or_else(|_| ClientId::new()),
        account: "ada".into(),
        name: "ada".into(),
        governs: false,
        mode: match open.mode() {
            v1::AttachMode::Observer => Mode::Observer,
            _ => Mode::Operator,
        },
        resume_from: open.resume_from.map(Offset),
        size: open.size.map(Size::try_from).transpose().ok()?,
        rate: None,
        answers_marks: open.answers_marks,
    })
}

#[cfg(test)]
#[path = "../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_of_an_agents_and_clients_messages_replays_without_a_panic() {
        super::replay::replay("agent", 4000, super::agent);
    }
}
