//! What time, quarrels and silence do to one session, without a connection.

mod arbitration;
mod delivery;
mod fanout;
mod life;
mod threads;

use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use cmdop_proto::{ClientId, InputSeq, Offset, Size, WorkspaceId, limits};
use futures_util::FutureExt as _;

use super::agent_side::AgentNext;
use super::*;
use crate::config::Limits;
use crate::deadlines::Deadlines;
use crate::directory::Directory;
use crate::lingering::Lingering;
use crate::machines::Machines;
use crate::meters::Meters;
use crate::workspace::Workspaces;

/// A session whose agent is there, in a relay that nobody else uses.
struct Bench {
    context: Arc<Context>,
    workspace: Arc<Workspace>,
    session: Arc<Session>,
    fence: Fence,
}

impl Bench {
    fn new() -> Self {
        Self::with(Self::terms())
    }

    fn terms() -> Terms {
        Terms {
            pending: Duration::from_secs(60),
            grace: None,
            background: Duration::from_secs(3600),
            keep_ended: Duration::from_secs(600),
        }
    }

    fn facts() -> Facts {
        Facts {
            name: "build".into(),
            command: Vec::new(),
            size: Size::DEFAULT,
            created_at_ms: 0,
            created_by: String::new(),
        }
    }

    fn empty() -> (Arc<Context>, Arc<Workspace>) {
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
        (context, Workspaces::default().of(WorkspaceId::new()))
    }

    fn with(terms: Terms) -> Self {
        let (context, workspace) = Self::empty();
        let ids = (SessionId::new(), MachineId::new());
        let entered = workspace.enter(ids.0, "build", None, 9, || {
            let start = v1::StartSession::default();
            Session::pending(&context, &workspace, ids, Self::facts(), terms, start)
        });
        let session = entered.unwrap();
        let token = session.invite(LinkEpoch(1)).expose();
        let fence = session.open(&token, &v1::SessionSummary::default());
        Self {
            context,
            workspace,
            fence: fence.unwrap(),
            session,
        }
    }

    /// The same session in a relay that was restarted, where its agent has just named it.
    fn found(terms: Terms, before: &Self) -> Self {
        let (context, workspace) = Self::empty();
        let ids = (before.session.id, before.session.machine);
        let entered = workspace.enter(ids.0, "build", None, 9, || {
            let summary = v1::SessionSummary::default();
            Session::found(&context, &workspace, ids, Self::facts(), terms, &summary)
        });
        Self {
            context,
            workspace,
            fence: before.fence,
            session: entered.unwrap(),
        }
    }

    fn attach(&self, mode: Mode) -> AttachmentId {
        self.attach_as(mode, ClientId::new(), "ada").unwrap()
    }

    fn attach_as(&self, mode: Mode, id: ClientId, who: &str) -> Result<AttachmentId, Refusal> {
        self.session.attach(&attaching(mode, id, who))
    }

    /// Whoever has just made the session, and wants it from its first byte.
    fn attach_from_start(&self) -> Result<AttachmentId, Refusal> {
        self.session.attach(&Attaching {
            resume_from: Some(Offset::START),
            ..attaching(Mode::Operator, ClientId::new(), "ada")
        })
    }

    fn status(&self) -> v1::SessionStatus {
        self.session.record().status()
    }

    /// Lets time pass, and what is due happen.
    async fn pass(&self, seconds: u64) {
        self.pass_ms(seconds * 1000).await;
    }

    async fn pass_ms(&self, ms: u64) {
        tokio::time::advance(Duration::from_millis(ms)).await;
        // Each turn of the loop ends in a wait, or gives way.
        for _ in 0..3 {
            assert!(self.context.deadlines.run().now_or_never().is_none());
        }
    }

    /// Its log is so long now.
    fn prints(&self, up_to: u64) {
        let end = self.session.record().end_offset;
        for start in (end..up_to).step_by(1 << 10) {
            let data = Bytes::from(vec![b'x'; 1 << 10]);
            let output = v1::Output {
                offset: start,
                data,
                ..v1::Output::default()
            };
            let up = v1::session_up::Message::Output(output);
            let heard = self.session.hear(self.fence, up);
            assert_eq!(heard, Heard::Bytes(1 << 10));
        }
    }

    /// All that the agent is told now.
    fn downs(&self) -> Vec<v1::session_down::Message> {
        let mut downs = Vec::new();
        loop {
            match self.session.next_for_agent(self.fence, Waker::noop()) {
                AgentNext::Send(down) => downs.push(down),
                AgentNext::Sleep(_) => return downs,
                AgentNext::Over => panic!("the stream is over"),
            }
        }
    }

    fn next(&self, attachment: AttachmentId) -> ClientNext {
        self.session.next_for_client(attachment, Waker::noop())
    }

    /// Takes all that there is for the client; why its stream ended, if it did.
    fn drain(&self, attachment: AttachmentId) -> Option<String> {
        loop {
            match self.next(attachment) {
                ClientNext::Send(_) => {}
                ClientNext::Cut(refusal) => return Some(refusal.reason),
                ClientNext::SendEnd | ClientNext::Over => return Some("end".into()),
                ClientNext::Sleep => return None,
            }
        }
    }

    /// The keyframes that the agent is asked for now.
    fn keyframes_wanted(&self) -> usize {
        let mut count = 0;
        loop {
            match self.session.next_for_agent(self.fence, Waker::noop()) {
                AgentNext::Send(v1::session_down::Message::KeyframeWanted(_)) => count += 1,
                AgentNext::Send(_) => {}
                AgentNext::Sleep(_) => return count,
                AgentNext::Over => panic!("the stream is over"),
            }
        }
    }

    fn keyframe(&self, bytes: usize) -> Heard {
        let frame = v1::Keyframe {
            offset: 64 << 10,
            data: vec![b'x'; bytes].into(),
            ..v1::Keyframe::default()
        };
        let up = v1::session_up::Message::Keyframe(frame);
        self.session.hear(self.fence, up)
    }
}

fn attaching(mode: Mode, id: ClientId, who: &str) -> Attaching {
    Attaching {
        id,
        account: who.into(),
        name: who.into(),
        governs: false,
        mode,
        resume_from: None,
        size: None,
        rate: None,
        answers_marks: false,
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_forgotten_while_somebody_holds_it_wants_no_more_ticks() {
    let bench = Bench::new();
    bench.session.gone_on_agent(None, "its program ended");
    bench.pass(601).await;
    assert!(bench.workspace.get(bench.session.id).is_none());
    assert_eq!(bench.context.deadlines.count(), 0);
    // Whatever still happens to it arms nothing.
    bench.session.going_away();
    assert_eq!(bench.context.deadlines.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_take_its_end_is_not_waited_for() {
    let bench = Bench::new();
    let slow = bench.attach(Mode::Operator);
    let cut = bench.attach(Mode::Operator);
    bench.prints(16 << 10);
    bench.session.cut_client(cut, crate::directory::revoked());
    bench.pass(29).await;
    assert_eq!(bench.session.record().operator_count, 2);
    bench.pass(1).await;
    assert_eq!(bench.session.record().operator_count, 1);
    bench.session.gone_on_agent(None, "its program ended");
    // As long as it reads, it has its time.
    bench.pass(29).await;
    while !matches!(
        bench.next(slow),
        ClientNext::Send(Message::Plain(v1::attach_response::Response::Output(_)))
    ) {}
    bench.pass(29).await;
    assert_eq!(bench.session.record().operator_count, 1);
    bench.pass(1).await;
    assert_eq!(bench.session.record().operator_count, 0);
    for late in [slow, cut] {
        assert_eq!(bench.drain(late).as_deref(), Some("timeout"));
        bench.session.detach(late);
    }
    assert!(bench.session.lock().late.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_cut_client_still_sends_is_refused() {
    let bench = Bench::new();
    let ada = bench.attach(Mode::Operator);
    bench.session.cut_client(ada, crate::directory::revoked());
    let input = v1::Input {
        input_seq: 1,
        data: Bytes::from_static(b"x"),
    };
    let refused = bench.session.typed(ada, input).await.unwrap_err();
    assert_eq!(refused.reason, "token-revoked");
    // The first reason stays, however much is refused.
    for _ in 0..100 {
        let refusal = Refusal::invalid("bad-request", "no");
        bench.session.refuse_client(ada, refusal, InputSeq(0));
    }
    assert_eq!(bench.drain(ada).as_deref(), Some("token-revoked"));
}

#[tokio::test(start_paused = true)]
async fn going_to_the_background_again_and_again_costs_one_deadline() {
    let bench = Bench::new();
    let ada = bench.attach(Mode::Operator);
    for turn in 0..1000 {
        if turn % 100 == 0 {
            bench.pass(61).await;
        }
        bench.session.client_background(ada, true).unwrap();
        assert!(bench.context.deadlines.count() <= 1);
        bench.session.client_background(ada, false).unwrap();
    }
    // The one that is armed still does its work, late as it was armed first.
    bench.session.client_background(ada, true).unwrap();
    bench.pass(3599).await;
    assert_eq!(bench.status(), v1::SessionStatus::Background);
    bench.pass(1).await;
    assert_eq!(bench.status(), v1::SessionStatus::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn an_observer_does_not_lift_the_limit_of_the_background() {
    let bench = Bench::new();
    let ada = bench.attach(Mode::Operator);
    let eve = bench.attach(Mode::Observer);
    bench.session.client_background(ada, true).unwrap();
    assert_eq!(bench.status(), v1::SessionStatus::Background);
    bench.attach(Mode::Observer);
    assert_eq!(bench.status(), v1::SessionStatus::Background);
    bench.session.detach(eve);
    assert_eq!(bench.status(), v1::SessionStatus::Background);
    bench.session.detach(ada);
    assert_eq!(bench.status(), v1::SessionStatus::Background);
    bench.attach(Mode::Operator);
    assert_eq!(bench.status(), v1::SessionStatus::Connected);
}

#[tokio::test(start_paused = true)]
async fn who_types_is_not_in_the_background_whoever_else_leaves() {
    let bench = Bench::new();
    let ada = bench.attach(Mode::Operator);
    let eve = bench.attach(Mode::Observer);
    bench.session.client_background(ada, true).unwrap();
    let input = v1::Input {
        input_seq: 1,
        data: Bytes::from_static(b"x"),
    };
    bench.session.typed(ada, input).await.unwrap();
    assert_eq!(bench.status(), v1::SessionStatus::Connected);
    bench.session.detach(eve);
    assert_eq!(bench.status(), v1::SessionStatus::Connected);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_is_given_a_short_log_and_a_picture_instead_of_a_long_one() {
    let bench = Bench::new();
    bench.prints(4 << 10);
    let early = bench.attach(Mode::Observer);
    assert_eq!((bench.drain(early), bench.keyframes_wanted()), (None, 0));
    bench.prints(64 << 10);
    let late = bench.attach(Mode::Observer);
    assert_eq!((bench.drain(late), bench.keyframes_wanted()), (None, 1));
    // Without its agent there is nobody to draw it; what is here is whole.
    bench.session.stream_lost(bench.fence);
    let patient = bench.attach(Mode::Observer);
    bench.drain(patient);
    let state = bench.session.lock();
    let reader = state.clients.iter().find(|c| c.attachment == patient);
    assert_eq!(reader.unwrap().cursor.position(), Offset(64 << 10));
}

#[tokio::test(start_paused = true)]
async fn a_keyframe_that_does_not_come_is_asked_for_again() {
    let bench = Bench::new();
    bench.prints(64 << 10);
    let ada = bench.attach(Mode::Observer);
    assert_eq!((bench.drain(ada), bench.keyframes_wanted()), (None, 1));
    bench.pass(9).await;
    assert_eq!(bench.keyframes_wanted(), 0);
    bench.pass(1).await;
    assert_eq!(bench.keyframes_wanted(), 1);
    // One that is too large is no answer, and no reason to lose the session.
    let too_large = bench.keyframe(limits::MAX_KEYFRAME + 1);
    assert_eq!(too_large, Heard::Bytes(0));
    assert_eq!(bench.status(), v1::SessionStatus::Connected);
    assert_eq!((bench.drain(ada), bench.keyframes_wanted()), (None, 0));
    bench.pass(10).await;
    assert_eq!(bench.keyframes_wanted(), 1);
    assert_eq!(bench.keyframe(9), Heard::Bytes(0));
    bench.drain(ada);
    bench.pass(60).await;
    assert_eq!(bench.keyframes_wanted(), 0);
    assert_eq!(bench.context.deadlines.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_busy_with_commands_is_asked_for_a_keyframe_all_the_same() {
    let bench = Bench::new();
    bench.prints(64 << 10);
    while bench.session.signal(2).is_ok() {}
    let ada = bench.attach(Mode::Observer);
    assert_eq!((bench.drain(ada), bench.keyframes_wanted()), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn one_shots_that_were_given_up_leave_room_for_others() {
    let bench = Bench::new();
    for _ in 0..300 {
        let limit = Duration::from_millis(1);
        let data = Bytes::from_static(b"x");
        let sent = bench
            .session
            .send(("ada", ClientId::new()), InputSeq(1), data, limit);
        assert_eq!(sent.await.unwrap_err().reason, "timeout");
    }
}

#[tokio::test(start_paused = true)]
async fn another_account_does_not_take_the_place_of_a_client_whose_id_it_knows() {
    let bench = Bench::new();
    let id = ClientId::new();
    let ada = bench.attach_as(Mode::Operator, id, "ada").unwrap();
    let eve = bench.attach_as(Mode::Observer, id, "eve").unwrap_err();
    assert_eq!(eve.reason, "client-id-taken");
    assert_eq!(bench.drain(ada), None);
    bench.attach_as(Mode::Operator, id, "ada").unwrap();
    assert_eq!(bench.drain(ada).as_deref(), Some("replaced"));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ended_takes_no_name() {
    let bench = Bench::new();
    bench.workspace.rename(&bench.session, "done").unwrap();
    bench.session.gone_on_agent(None, "its program ended");
    let late = bench.workspace.rename(&bench.session, "late");
    assert_eq!(late.unwrap_err().reason, "session-ended");
    let names = ["build", "done", "late"];
    assert!(
        names
            .iter()
            .all(|name| bench.workspace.find(name, |_| true).is_err())
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ended_before_its_maker_was_attached_is_told_whole_with_its_end() {
    let bench = Bench::new();
    bench.prints(40 << 10);
    bench.session.gone_on_agent(None, "its program ended");
    assert!(
        bench
            .attach_as(Mode::Operator, ClientId::new(), "ada")
            .is_err()
    );
    let ada = bench.attach_from_start().unwrap();
    let mut bytes = 0;
    loop {
        match bench.next(ada) {
            ClientNext::Send(Message::Plain(v1::attach_response::Response::Output(output))) => {
                bytes += output.data.len();
            }
            ClientNext::Send(_) => {}
            ClientNext::SendEnd => break,
            ClientNext::Cut(_) | ClientNext::Over | ClientNext::Sleep => panic!("no end came"),
        }
    }
    assert_eq!(bytes, 40 << 10);
}
