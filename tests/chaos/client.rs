//! A client that keeps every byte of a session with its offset and sends each input until it is known
//! to be written, over as many streams as it takes.
//!
//! It is written apart from the SDK on purpose: what both do wrong in the same way would not be seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cmdop_proto::v1::attach_request::Request as Ask;
use cmdop_proto::v1::attach_response::Response as Answer;
use cmdop_proto::v1::{AttachMode, AttachOpen, Input, Session, exit};
use cmdop_proto::{ClientId, ErrorKind, Refusal, Size};
use cmdop_tests::wire::Attached;
use cmdop_tests::{Wire, World, wait};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::oracle::{self, Verdict};
use crate::workload::{COUNTED, FAREWELL, Progress, Work};

/// One attempt to attach: a relay that is stopped answers neither yes nor no.
const ATTEMPT: Duration = Duration::from_secs(5);

/// How many of the inputs that are known to be written a second stream types again all the same.
const TYPED_AGAIN: u64 = 3;

/// How to reach the relay.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    url: String,
    ca: String,
    token: String,
}

impl Door {
    pub(crate) async fn of(world: &World) -> Self {
        Self {
            url: world.relay.url(),
            ca: world.control.ca_pem(),
            token: world.owner.access_token().await,
        }
    }
}

/// Whether more faults are to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// They do.
    Storm,
    /// No more: what is still missing can come.
    Calm,
}

/// Who a client is; a second stream of the same client knows this too.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    door: Door,
    /// The session's id.
    pub(crate) session: String,
    /// What runs in it.
    pub(crate) work: Work,
    id: ClientId,
    counts: Arc<Counts>,
}

/// What a second stream of the client has to know.
#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    typed: AtomicU64,
    acked: AtomicU64,
}

impl Identity {
    pub(crate) fn new(door: &Door, session: String, work: Work) -> Self {
        Self {
            door: door.clone(),
            session,
            work,
            id: ClientId::new(),
            counts: Arc::default(),
        }
    }

    /// How many bytes the client has.
    pub(crate) fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::SeqCst)
    }

    /// A second stream of the client, from `back` bytes before where the first one is. It types what
    /// the first one does not know written and a little more, and is gone.
    pub(crate) async fn attach_twice(&self, back: u64) {
        let from = self.bytes().saturating_sub(back);
        // The relay may be away: then this fault does not come about.
        let Ok(Ok((stream, _))) = timeout(ATTEMPT, self.try_attach(from)).await else {
            return;
        };
        let acked = self.counts.acked.load(Ordering::SeqCst);
        for number in
            acked.saturating_sub(TYPED_AGAIN) + 1..=self.counts.typed.load(Ordering::SeqCst)
        {
            self.send(&stream, number, &self.work.input(number)).await;
        }
    }

    async fn send(&self, stream: &Attached, number: u64, data: &str) {
        let input = Input {
            input_seq: number,
            data: data.as_bytes().to_vec().into(),
        };
        stream.send(Ask::Input(input)).await;
    }

    /// A stream from that offset, and the newest input that the relay knows written.
    async fn try_attach(&self, from: u64) -> Result<(Attached, u64), Option<Refusal>> {
        let Door { url, ca, token } = &self.door;
        let wire = Wire::try_dial(url, ca, token).await.map_err(|_| None)?;
        let open = AttachOpen {
            session: self.session.clone(),
            mode: AttachMode::Operator.into(),
            client_id: self.id.to_string(),
            resume_from: Some(from),
            size: Some(Size::DEFAULT.into()),
            ..AttachOpen::default()
        };
        let mut stream = wire.attach_with(open).await?;
        match stream.next().await? {
            Some(Answer::Opened(opened)) => Ok((stream, opened.acked_input_seq)),
            None => Err(None),
            Some(other) => panic!("a stream begins with {other:?}"),
        }
    }
}

/// The client.
#[derive(Debug)]
pub(crate) struct Client {
    /// Who it is.
    pub(crate) who: Identity,
    /// All that came, from offset 0.
    pub(crate) bytes: Vec<u8>,
    /// How many streams it lost.
    pub(crate) losses: u64,
    lines: u64,
    farewell: bool,
    stream: Option<Attached>,
    ended: Option<Session>,
}

impl Client {
    pub(crate) fn new(who: Identity) -> Self {
        Self {
            who,
            bytes: Vec::new(),
            losses: 0,
            lines: 0,
            farewell: false,
            stream: None,
            ended: None,
        }
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            bytes: self.bytes.len() as u64,
            lines: self.lines,
            typed: self.typed(),
        }
    }

    fn typed(&self) -> u64 {
        self.who.counts.typed.load(Ordering::SeqCst)
    }

    /// Types and reads until the storm is over and all is there that is to come.
    pub(crate) async fn work(mut self, mut weather: watch::Receiver<Weather>) -> Self {
        loop {
            let calm = *weather.borrow_and_update() == Weather::Calm;
            if calm && self.has_all() {
                return self;
            }
            self.attach().await;
            while !calm && self.who.work.wants_input(self.progress()) {
                self.type_next().await;
            }
            let Some(stream) = &mut self.stream else {
                continue;
            };
            // Both are cancel-safe.
            tokio::select! {
                changed = weather.changed() => changed.expect("the run waits for its clients"),
                answer = stream.next() => self.take(answer),
            }
        }
    }

    fn has_all(&self) -> bool {
        match self.who.work {
            Work::Count => self.bytes.ends_with(COUNTED.as_bytes()),
            work => work.is_complete(self.progress()),
        }
    }

    /// Ends the program and returns how it ended.
    pub(crate) async fn say_farewell(&mut self) -> Option<exit::Outcome> {
        self.farewell = true;
        self.attach().await;
        self.type_next().await;
        while self.ended.is_none() {
            self.attach().await;
            if let Some(stream) = &mut self.stream {
                let answer = stream.next().await;
                self.take(answer);
            }
        }
        self.ended.as_ref()?.exit?.outcome
    }

    /// Opens a stream if there is none, and sends again what is not known to be written.
    async fn attach(&mut self) {
        while self.stream.is_none() {
            let what = format!("{} is attached again", self.who.work.name());
            let (stream, acked) = wait::until(&what, || async {
                let from = self.bytes.len() as u64;
                match timeout(ATTEMPT, self.who.try_attach(from)).await {
                    Ok(Ok(attached)) => Some(attached),
                    Ok(Err(refusal)) => {
                        refusal.iter().for_each(passes);
                        None
                    }
                    Err(_) => None,
                }
            })
            .await;
            self.acked(acked);
            for number in self.who.counts.acked.load(Ordering::SeqCst) + 1..=self.typed() {
                self.who.send(&stream, number, &self.input(number)).await;
            }
            self.stream = Some(stream);
        }
    }

    async fn type_next(&mut self) {
        let number = self.who.counts.typed.fetch_add(1, Ordering::SeqCst) + 1;
        let data = self.input(number);
        if let Some(stream) = &self.stream {
            self.who.send(stream, number, &data).await;
        }
    }

    fn input(&self, number: u64) -> String {
        if self.farewell && number == self.typed() {
            return FAREWELL.to_owned();
        }
        self.who.work.input(number)
    }

    fn acked(&self, number: u64) {
        assert!(
            number <= self.typed(),
            "an input is written that was never typed"
        );
        self.who.counts.acked.fetch_max(number, Ordering::SeqCst);
    }

    fn take(&mut self, answer: Result<Option<Answer>, Refusal>) {
        let name = self.who.work.name();
        match answer {
            Ok(Some(Answer::Output(output))) => {
                let have = self.bytes.len() as u64;
                let verdict = oracle::place(have, output.offset);
                assert_eq!(verdict, Verdict::Contiguous, "{name} at {have}");
                self.bytes.extend_from_slice(&output.data);
                let lines = output.data.iter().filter(|byte| **byte == b'\n');
                self.lines += lines.count() as u64;
                self.who
                    .counts
                    .bytes
                    .store(self.bytes.len() as u64, Ordering::SeqCst);
            }
            Ok(Some(Answer::InputAck(ack))) => self.acked(ack.input_seq),
            Ok(Some(Answer::Ended(session))) => self.ended = Some(session),
            Ok(Some(Answer::Changed(_) | Answer::Pong(_))) => {}
            Ok(Some(Answer::GoingAway(_)) | None) => self.lost(),
            Ok(Some(answer)) => {
                let text = format!("{answer:?}");
                let text = text.chars().take(300).collect::<String>();
                panic!("{name} at {} got {text}", self.bytes.len());
            }
            Err(refusal) => {
                passes(&refusal);
                self.lost();
            }
        }
    }

    fn lost(&mut self) {
        self.stream = None;
        self.losses += 1;
    }
}

/// A stream may end with what passes: a connection that broke, for which our own transport finds a
/// word and no reason, or a relay that is away or does not know its sessions yet.
fn passes(refusal: &Refusal) {
    let broke = refusal.reason.is_empty();
    assert!(
        broke || matches!(refusal.kind, ErrorKind::Unavailable | ErrorKind::NotFound),
        "a fault looks like {refusal:?}"
    );
}
