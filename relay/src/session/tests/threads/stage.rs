//! The threads around one session: its agent's two, its readers and its typists.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::LazyLock;
use std::task::Poll;

use shuttle::future::block_on;
use shuttle::rand::Rng as _;
use shuttle::sync::{Condvar, Mutex, mpsc};
use shuttle::thread::{self, JoinHandle};
use v1::attach_response::Response;
use v1::session_down::Message as Down;
use v1::session_up::Message as Up;

use super::*;

/// What the program prints: more than a window, so that it has an edge.
const TOTAL: usize = limits::RELAY_WINDOW + (512 << 10);

/// One piece of output.
const PIECE: usize = 48 << 10;

/// Of each third piece, so many bytes come a second time: as after a reconnect.
const AGAIN: usize = 100;

/// Inputs of one typist, together more than the queue has room for.
const INPUTS: u64 = 12;

/// All that is printed. No two places within a window look alike.
static PRINTED: LazyLock<Bytes> = LazyLock::new(|| {
    let places = 0..TOTAL as u64;
    let bytes = places.map(|place| ((place % 251) ^ (place >> 16)) as u8);
    bytes.collect::<Vec<_>>().into()
});

static TYPED: LazyLock<Bytes> = LazyLock::new(|| vec![b'k'; limits::MAX_INPUT].into());

/// What the agent's threads know.
#[derive(Default)]
struct Desk {
    may_send: u64,
    sent: u64,
    /// The farthest that it ever sent: there its screen is.
    drawn: u64,
    is_picture_wanted: bool,
    to_write: Vec<v1::AgentInput>,
    /// The newest input of each client that was written.
    written: HashMap<String, u64>,
    /// Readers who have all that was printed.
    ready: usize,
}

/// One session and what stands around it.
pub(super) struct Stage {
    bench: Bench,
    readers: usize,
    desk: Mutex<Desk>,
    moves: Condvar,
}

/// What a reader saw.
pub(super) struct Seen {
    pub(super) pictures: usize,
}

impl Stage {
    /// A session with so many readers, who all have everything before it ends.
    pub(super) fn new(readers: usize) -> Arc<Self> {
        Arc::new(Self {
            bench: Bench::new(),
            readers,
            desk: Mutex::default(),
            moves: Condvar::new(),
        })
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.bench.session
    }

    fn change(&self, change: impl FnOnce(&mut Desk)) {
        change(&mut self.desk.lock().unwrap());
        self.moves.notify_all();
    }

    /// The thread that takes what the relay tells the agent.
    pub(super) fn agent(self: &Arc<Self>) -> JoinHandle<()> {
        let stage = self.clone();
        thread::spawn(move || {
            let (session, fence) = (stage.session(), stage.bench.fence);
            let next = || {
                block_on(poll_fn(|context| {
                    match session.next_for_agent(fence, context.waker()) {
                        AgentNext::Sleep(_) => Poll::Pending,
                        next => Poll::Ready(next),
                    }
                }))
            };
            while let AgentNext::Send(down) = next() {
                stage.change(|desk| match down {
                    Down::ReadUpTo(offset) => desk.may_send = offset,
                    Down::SendFrom(offset) => desk.sent = offset,
                    Down::KeyframeWanted(_) => desk.is_picture_wanted = true,
                    Down::Input(input) => desk.to_write.push(input),
                    _ => {}
                });
            }
        })
    }

    /// The thread that sends what the agent has to say: at the end of all, that the program is over.
    /// So many clients type.
    pub(super) fn printer(self: &Arc<Self>, typists: usize) -> JoinHandle<()> {
        let stage = self.clone();
        thread::spawn(move || {
            while let Some(up) = stage.next_up(typists) {
                let is_last = matches!(up, Up::Exited(_));
                match stage.session().hear(stage.bench.fence, up) {
                    Heard::Exited if is_last => return,
                    Heard::Bytes(_) => {}
                    heard => panic!("{heard:?}"),
                }
            }
        })
    }

    fn next_up(&self, typists: usize) -> Option<Up> {
        let mut desk = self.desk.lock().unwrap();
        loop {
            if let Some(up) = desk.next_up() {
                drop(desk);
                self.moves.notify_all();
                return Some(up);
            }
            let all_typed = desk.written.len() == typists
                && desk.written.values().all(|written| *written == INPUTS);
            if desk.ready == self.readers && all_typed {
                return Some(Up::Exited(v1::SessionExited::default()));
            }
            desk = self.moves.wait(desk).unwrap();
        }
    }

    /// A reader that is attached now.
    pub(super) fn attach(self: &Arc<Self>, mode: Mode, id: ClientId) -> Reader {
        Reader::attach(self, attaching(mode, id, "ada"))
    }

    /// A thread that attaches and does this.
    pub(super) fn reader(
        self: &Arc<Self>,
        mode: Mode,
        read: impl FnOnce(Reader) -> Seen + Send + 'static,
    ) -> JoinHandle<()> {
        self.reader_as(mode, ClientId::new(), read)
    }

    pub(super) fn reader_as(
        self: &Arc<Self>,
        mode: Mode,
        id: ClientId,
        read: impl FnOnce(Reader) -> Seen + Send + 'static,
    ) -> JoinHandle<()> {
        let stage = self.clone();
        thread::spawn(move || {
            let _ = read(stage.attach(mode, id));
        })
    }

    /// The same for one that answers marks, from a thread of their own.
    pub(super) fn reader_who_answers(
        self: &Arc<Self>,
        mode: Mode,
        read: impl FnOnce(Reader) -> Seen + Send + 'static,
    ) -> JoinHandle<()> {
        let stage = self.clone();
        thread::spawn(move || {
            let who = Attaching {
                answers_marks: true,
                ..attaching(mode, ClientId::new(), "ada")
            };
            let mut reader = Reader::attach(&stage, who);
            let (marks, to_answer) = mpsc::channel();
            reader.marks = Some(marks);
            let (session, attachment) = (stage.session().clone(), reader.attachment);
            let answers = thread::spawn(move || {
                while let Ok(mark) = to_answer.recv() {
                    session.client_received(attachment, mark);
                }
            });
            let _ = read(reader);
            answers.join().expect("it does not fail");
        })
    }

    /// A thread that types more than the queue has room for.
    pub(super) fn typist(self: &Arc<Self>) -> JoinHandle<()> {
        let stage = self.clone();
        thread::spawn(move || {
            let session = stage.session();
            let attachment = stage.bench.attach(Mode::Operator);
            for input_seq in 1..=INPUTS {
                let data = TYPED.clone();
                let input = v1::Input { input_seq, data };
                block_on(session.typed(attachment, input)).expect("an operator may type");
            }
            session.detach(attachment);
        })
    }
}

impl Desk {
    fn next_up(&mut self) -> Option<Up> {
        if !self.to_write.is_empty() {
            let input = self.to_write.remove(0);
            let written = self.written.entry(input.client_id.clone()).or_default();
            assert_eq!(input.input_seq, *written + 1, "in order, each once");
            *written = input.input_seq;
            return Some(Up::InputAck(v1::AgentInputAck {
                client_id: input.client_id,
                input_seq: input.input_seq,
                command_id: input.command_id,
            }));
        }
        if std::mem::take(&mut self.is_picture_wanted) {
            return Some(Up::Keyframe(v1::Keyframe {
                offset: self.drawn,
                size: Some(Size::DEFAULT.into()),
                ..v1::Keyframe::default()
            }));
        }
        let end = self
            .may_send
            .min(TOTAL as u64)
            .min(self.sent + PIECE as u64);
        if self.sent >= end {
            return None;
        }
        let is_third = self.sent / PIECE as u64 % 3 == 2;
        let again = if is_third { AGAIN as u64 } else { 0 };
        let start = self.sent.saturating_sub(again);
        self.sent = end;
        self.drawn = self.drawn.max(end);
        Some(Up::Output(v1::Output {
            offset: start,
            data: PRINTED.slice(start as usize..end as usize),
            command_id: 0,
            ..v1::Output::default()
        }))
    }
}

/// An attached client.
pub(super) struct Reader {
    stage: Arc<Stage>,
    who: Attaching,
    attachment: AttachmentId,
    /// It has every byte below this, or a picture instead.
    has: Option<Offset>,
    pictures: usize,
    marks: Option<mpsc::Sender<u64>>,
}

impl Reader {
    fn attach(stage: &Arc<Stage>, who: Attaching) -> Self {
        Self {
            stage: stage.clone(),
            attachment: stage.session().attach(&who).expect("it may"),
            who,
            has: None,
            pictures: 0,
            marks: None,
        }
    }

    fn next(&self) -> ClientNext {
        let session = self.stage.session();
        block_on(poll_fn(|context| {
            match session.next_for_client(self.attachment, context.waker()) {
                ClientNext::Sleep => Poll::Pending,
                next => Poll::Ready(next),
            }
        }))
    }

    /// Takes one message; what ends the stream, if that is next.
    fn take(&mut self) -> Option<ClientNext> {
        let mark = match self.next() {
            ClientNext::Send(Message::Plain(Response::Output(output))) => {
                let start = output.offset as usize;
                assert_eq!(
                    start as u64,
                    self.has.unwrap_or_default().0,
                    "a gap, or twice"
                );
                let end = start + output.data.len();
                assert!(output.data == PRINTED.slice(start..end), "other bytes");
                self.has = Some(Offset(end as u64));
                output.mark
            }
            ClientNext::Send(Message::Plain(Response::Keyframe(frame))) => {
                assert!(self.has.is_none_or(|has| has.0 <= frame.offset), "back");
                self.has = Some(Offset(frame.offset));
                self.pictures += 1;
                frame.mark
            }
            ClientNext::Send(_) => 0,
            end => return Some(end),
        };
        if let Some(marks) = self.marks.as_ref().filter(|_| mark > 0) {
            marks.send(mark).expect("somebody answers");
        }
        None
    }

    /// Takes a few messages.
    pub(super) fn read_some(&mut self) {
        for _ in 0..shuttle::rand::thread_rng().gen_range(0..8) {
            if self.has != Some(Offset(TOTAL as u64)) {
                assert!(self.take().is_none(), "the session lives");
            }
        }
    }

    /// Takes nothing until the log's first byte is long gone.
    pub(super) fn sleep_until_out_of_the_window(&mut self) {
        let far = (limits::RELAY_WINDOW + PIECE) as u64;
        let mut desk = self.stage.desk.lock().unwrap();
        while desk.sent <= far {
            desk = self.stage.moves.wait(desk).unwrap();
        }
    }

    pub(super) fn leave_and_come_back(&mut self) {
        let session = self.stage.session();
        session.detach(self.attachment);
        self.who.resume_from = Some(self.has.unwrap_or_default());
        self.attachment = session.attach(&self.who).expect("it may");
    }

    /// Reads all there is, then waits for the session's end, which nothing may stand before.
    pub(super) fn read_to_the_end(mut self) -> Seen {
        while self.has != Some(Offset(TOTAL as u64)) {
            assert!(self.take().is_none(), "the session lives");
        }
        self.stage.change(|desk| desk.ready += 1);
        loop {
            match self.take() {
                None => {}
                Some(ClientNext::SendEnd) => break,
                Some(end) => panic!("{end:?} instead of the end"),
            }
        }
        assert_eq!(self.has, Some(Offset(TOTAL as u64)));
        self.stage.session().detach(self.attachment);
        Seen {
            pictures: self.pictures,
        }
    }

    /// Reads until the relay cuts it off.
    pub(super) fn read_to_the_cut(&mut self) -> Refusal {
        loop {
            match self.take() {
                None => {}
                Some(ClientNext::Cut(refusal)) => return refusal,
                Some(end) => panic!("{end:?} instead of a cut"),
            }
        }
    }
}
