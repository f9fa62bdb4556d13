//! The fan-out as a model: whoever sleeps is asked again only when it was woken, in every order of
//! the steps that the lock allows. Nobody may sleep while there is something for it.
//!
//! Every method of a session holds its lock from beginning to end, so the orders of whole steps are
//! all the interleavings that threads can make.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use proptest::prelude::*;
use v1::attach_response::Response;
use v1::session_down::Message as Down;
use v1::session_up::Message as Up;

use super::*;

/// Steps of one run; the window is some hundred pieces long, so that runs pass its edge.
const STEPS: usize = 200;

/// One piece of output at most.
const PIECE: usize = 48 << 10;

#[derive(Clone, Debug)]
enum Step {
    /// Somebody attaches, who answers marks or does not.
    Join(Mode, bool),
    Leave(usize),
    /// The program prints, whether or not the agent may send it yet.
    Print(usize),
    /// Somebody is scheduled, if it was woken.
    Client(usize),
    Agent,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (prop_oneof![Just(Mode::Operator), Just(Mode::Observer)], any::<bool>())
            .prop_map(|(mode, answers)| Step::Join(mode, answers)),
        1 => (0..8_usize).prop_map(Step::Leave),
        6 => (1..PIECE).prop_map(Step::Print),
        6 => (0..8_usize).prop_map(Step::Client),
        6 => Just(Step::Agent),
    ]
}

/// Whether a sleeper was woken since it fell asleep.
#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Woken {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Reader {
    attachment: AttachmentId,
    woken: Arc<Woken>,
    /// It has every byte below this, or a picture instead.
    has: Option<Offset>,
    /// What it has to answer the next time that it runs.
    mark: u64,
}

struct Model {
    bench: Bench,
    readers: Vec<Reader>,
    agent: Arc<Woken>,
    sent: Offset,
    printed: Offset,
    may_send: Offset,
    picture_wanted: bool,
}

impl Model {
    fn new() -> Self {
        Self {
            bench: Bench::new(),
            readers: Vec::new(),
            agent: Woken::new(),
            sent: Offset::START,
            printed: Offset::START,
            may_send: Offset::START,
            picture_wanted: false,
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            &Step::Join(mode, answers_marks) => {
                let who = Attaching {
                    answers_marks,
                    ..attaching(mode, ClientId::new(), "ada")
                };
                self.readers.push(Reader {
                    attachment: self.bench.session.attach(&who).expect("there is room"),
                    woken: Woken::new(),
                    has: None,
                    mark: 0,
                });
            }
            &Step::Leave(index) => {
                if index < self.readers.len() {
                    let reader = self.readers.swap_remove(index);
                    self.bench.session.detach(reader.attachment);
                }
            }
            &Step::Print(bytes) => self.printed = self.printed.advance(bytes),
            &Step::Client(index) => {
                self.client(index);
            }
            Step::Agent => {
                self.agent();
            }
        }
    }

    /// Runs a client until it sleeps; whether it did anything.
    fn client(&mut self, index: usize) -> bool {
        let Some(reader) = self.readers.get_mut(index) else {
            return false;
        };
        let mark = std::mem::take(&mut reader.mark);
        if mark > 0 {
            self.bench.session.client_received(reader.attachment, mark);
        }
        if !reader.woken.take() {
            return mark > 0;
        }
        let waker = Waker::from(reader.woken.clone());
        loop {
            let session = &self.bench.session;
            match session.next_for_client(reader.attachment, &waker) {
                ClientNext::Send(Message::Plain(Response::Output(output))) => {
                    let begins = Offset(output.offset);
                    assert_eq!(begins, reader.has.unwrap_or(Offset::START), "a gap");
                    assert_eq!(output.data, content(begins, output.data.len()));
                    reader.has = Some(begins.advance(output.data.len()));
                    reader.mark = reader.mark.max(output.mark);
                }
                ClientNext::Send(Message::Plain(Response::Keyframe(frame))) => {
                    let at = Offset(frame.offset);
                    assert!(reader.has.is_none_or(|has| has <= at), "back in time");
                    reader.has = Some(at);
                    reader.mark = reader.mark.max(frame.mark);
                }
                ClientNext::Send(_) => {}
                ClientNext::Sleep => return true,
                other => panic!("the session lives, and the client gets {other:?}"),
            }
        }
    }

    /// Runs the agent until it sleeps; whether it did anything.
    fn agent(&mut self) -> bool {
        let was_woken = self.agent.take();
        if was_woken {
            self.hear();
        }
        let mut worked = was_woken;
        if std::mem::take(&mut self.picture_wanted) {
            let frame = v1::Keyframe {
                offset: self.sent.0,
                size: Some(Size::DEFAULT.into()),
                ..v1::Keyframe::default()
            };
            self.tell(Up::Keyframe(frame));
            worked = true;
        }
        while self.sent < self.printed.min(self.may_send) {
            let length = (self.printed.min(self.may_send) - self.sent).min(PIECE as u64) as usize;
            let output = v1::Output {
                offset: self.sent.0,
                data: content(self.sent, length),
                ..v1::Output::default()
            };
            self.tell(Up::Output(output));
            self.sent = self.sent.advance(length);
            worked = true;
        }
        worked
    }

    fn tell(&self, up: Up) {
        let heard = self.bench.session.hear(self.bench.fence, up);
        assert!(matches!(heard, Heard::Bytes(_)), "{heard:?}");
    }

    fn hear(&mut self) {
        let waker = Waker::from(self.agent.clone());
        loop {
            let next = self.bench.session.next_for_agent(self.bench.fence, &waker);
            match next {
                AgentNext::Send(Down::ReadUpTo(offset)) => self.may_send = Offset(offset),
                AgentNext::Send(Down::KeyframeWanted(_)) => self.picture_wanted = true,
                AgentNext::Send(_) => {}
                AgentNext::Sleep(_) => return,
                AgentNext::Over => panic!("the stream is over"),
            }
        }
    }

    /// Everybody runs as long as anybody is awake.
    fn settle(&mut self) {
        loop {
            let mut worked = self.agent();
            for index in 0..self.readers.len() {
                worked |= self.client(index);
            }
            if !worked {
                return;
            }
        }
    }
}

/// What a program prints: no two places within a window look alike.
fn content(at: Offset, length: usize) -> Bytes {
    (at.0..at.0 + length as u64)
        .map(|place| ((place % 251) ^ (place >> 16)) as u8)
        .collect::<Vec<_>>()
        .into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nobody_sleeps_while_there_is_something_for_it(
        steps in proptest::collection::vec(step(), 1..STEPS),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut model = Model::new();
            for step in steps {
                model.take(&step);
            }
            model.settle();
            // The agent never stands still behind readers who have all they were sent.
            assert_eq!(model.sent, model.printed);
            for reader in &model.readers {
                assert_eq!(reader.has.unwrap_or(Offset::START), model.printed);
            }
        });
    }
}
