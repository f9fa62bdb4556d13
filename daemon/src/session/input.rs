//! What is to be written to the terminal: in order of arrival, each input once, acknowledged only
//! when its last byte was taken.
//!
//! It does no IO. Replays are recognised by client and number, over any number of links.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::{Buf as _, Bytes};
use cmdop_proto::{ClientId, CommandId, InputSeq, Refusal, limits, v1};

use crate::memory::{Half, Typist};

/// What may wait for a program that does not read. Beyond it the session stops taking messages, which
/// stops the relay: enough for the largest paste that people make.
const MAX_WAITING: usize = 4 << 20;

/// Answers of the emulator to a program that asks without reading are dropped beyond this.
const MAX_REPLIES: usize = 64 << 10;

/// Clients whose last input is remembered; the one that was silent longest is forgotten. Every one-shot
/// `send` is a client of its own, and all that were under way when the link was lost come again.
const MAX_CLIENTS: usize = 4096;

/// What became of an input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// It will be written, and acknowledged then.
    Waiting,
    /// It was written before: acknowledge it again.
    Written(Typist),
}

/// The bytes on their way to the terminal, and what was written before.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    reply_bytes: usize,
    /// Highest accepted number of each client, and when it was heard last, in turns.
    clients: HashMap<ClientId, (InputSeq, u64)>,
    /// The same by turn: the one that was silent longest comes first.
    turns: BTreeMap<u64, ClientId>,
    turn: u64,
    written: CommandId,
    /// What a worker before us began to write: its sender will send it again.
    half: Option<(Typist, usize)>,
}

#[derive(Debug)]
struct Waiting {
    data: Bytes,
    /// How much of it went before `data`.
    done: usize,
    origin: Origin,
}

/// Where bytes for the terminal come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Somebody, who waits for the acknowledgement.
    Client(Typist),
    /// Our own emulator.
    Reply,
    /// A worker before us, which had put them before the terminal already.
    Leftover(Option<Typist>),
}

impl Waiting {
    fn ack(&self) -> Option<Typist> {
        match self.origin {
            Origin::Client(typist) => Some(typist),
            Origin::Reply | Origin::Leftover(_) => None,
        }
    }
}

/// What is to be written next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Next<'a> {
    /// Who typed it; `None`: an answer of our own emulator.
    pub(crate) typist: Option<Typist>,
    /// How many of its bytes went before.
    pub(crate) done: usize,
    pub(crate) rest: &'a [u8],
}

impl Inputs {
    /// What a worker before us left behind.
    pub(crate) fn left(
        clients: Vec<(ClientId, InputSeq)>,
        written: CommandId,
        half: Option<Half>,
    ) -> Self {
        let mut inputs = Self {
            written,
            ..Self::default()
        };
        for (client, seq) in clients {
            inputs.is_new(client, seq);
        }
        let Some(half) = half else { return inputs };
        inputs.half = half.typist.map(|typist| (typist, half.done));
        if half.waiting > 0 {
            // They are in the pipe before the terminal; only their number counts here.
            inputs.bytes += half.waiting;
            inputs.waiting.push_back(Waiting {
                data: vec![0; half.waiting].into(),
                done: half.done - half.waiting,
                origin: Origin::Leftover(half.typist),
            });
        }
        inputs
    }

    /// The id of the newest input that the terminal has taken whole.
    pub(crate) fn written(&self) -> CommandId {
        self.written
    }

    /// Whether no more input may be taken until the program has read some.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= MAX_WAITING
    }

    /// Takes one input of the relay's stream.
    pub(crate) fn accept(&mut self, input: v1::AgentInput) -> Result<Accepted, Refusal> {
        if input.data.len() > limits::MAX_INPUT {
            return Err(Refusal::invalid(
                "frame-too-large",
                format!(
                    "an input of {} bytes is larger than {}",
                    input.data.len(),
                    limits::MAX_INPUT
                ),
            ));
        }
        let ack = Typist {
            client: input.client_id.parse()?,
            seq: InputSeq(input.input_seq),
            command: CommandId(input.command_id),
        };
        if !self.is_new(ack.client, ack.seq) {
            return Ok(self.replayed(ack));
        }
        let mut data = input.data;
        let done = self.done_before(ack).min(data.len());
        data.advance(done);
        self.push(data, done, Origin::Client(ack));
        Ok(Accepted::Waiting)
    }

    /// What the emulator answers to the program's queries.
    pub(crate) fn reply(&mut self, data: Vec<u8>) {
        if !data.is_empty() && self.reply_bytes + data.len() <= MAX_REPLIES {
            self.reply_bytes += data.len();
            self.push(data.into(), 0, Origin::Reply);
        }
    }

    /// Whether an answer to a query still waits for the terminal.
    pub(crate) fn has_replies(&self) -> bool {
        self.reply_bytes > 0
    }

    /// What to write next.
    pub(crate) fn next(&self) -> Option<Next<'_>> {
        let waiting = self.waiting.front()?;
        let typist = match waiting.origin {
            Origin::Client(typist) => Some(typist),
            Origin::Reply => None,
            Origin::Leftover(typist) => typist,
        };
        Some(Next {
            typist,
            done: waiting.done,
            rest: &waiting.data,
        })
    }

    /// The terminal took `count` bytes of [`Inputs::next`].
    pub(crate) fn wrote(&mut self, count: usize) -> Option<Typist> {
        let front = self.waiting.front_mut()?;
        front.data.advance(count);
        front.done += count;
        self.bytes -= count;
        if front.origin == Origin::Reply {
            self.reply_bytes -= count;
        }
        if !front.data.is_empty() {
            return None;
        }
        let ack = self.waiting.pop_front()?.ack()?;
        self.written = self.written.max(ack.command);
        Some(ack)
    }

    /// The terminal is gone: nothing will be written any more.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.bytes = 0;
        self.reply_bytes = 0;
    }

    fn push(&mut self, data: Bytes, done: usize, origin: Origin) {
        self.bytes += data.len();
        self.waiting.push_back(Waiting { data, done, origin });
    }

    /// How much of an input that comes again was written by a worker before us.
    fn done_before(&mut self, again: Typist) -> usize {
        let half = self
            .half
            .take_if(|(half, _)| (half.client, half.seq) == (again.client, again.seq));
        half.map_or(0, |(_, done)| done)
    }

    /// An input that is still on its way is acknowledged when it arrives, under its newest id.
    fn replayed(&mut self, again: Typist) -> Accepted {
        let same = |waiting: &&mut Waiting| {
            waiting
                .ack()
                .is_some_and(|ack| (ack.client, ack.seq) == (again.client, again.seq))
        };
        if let Some(waiting) = self.waiting.iter_mut().find(same) {
            waiting.origin = Origin::Client(again);
            return Accepted::Waiting;
        }
        self.written = self.written.max(again.command);
        Accepted::Written(again)
    }

    fn is_new(&mut self, client: ClientId, seq: InputSeq) -> bool {
        let highest = match self.clients.remove(&client) {
            Some((highest, turn)) => {
                self.turns.remove(&turn);
                highest
            }
            None => InputSeq(0),
        };
        if self.clients.len() >= MAX_CLIENTS
            && let Some((_, silent)) = self.turns.pop_first()
        {
            self.clients.remove(&silent);
        }
        self.turn += 1;
        self.turns.insert(self.turn, client);
        self.clients.insert(client, (highest.max(seq), self.turn));
        seq > highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(client: ClientId, seq: u64, command: u64, data: &'static [u8]) -> v1::AgentInput {
        v1::AgentInput {
            client_id: client.to_string(),
            input_seq: seq,
            command_id: command,
            data: Bytes::from_static(data),
        }
    }

    fn write_all(inputs: &mut Inputs) -> (Vec<u8>, Vec<u64>) {
        let (mut bytes, mut acks) = (Vec::new(), Vec::new());
        while let Some(next) = inputs.next() {
            let count = next.rest.len().clamp(0, 2);
            bytes.extend_from_slice(&next.rest[..count]);
            acks.extend(inputs.wrote(count).map(|ack| ack.seq.0));
        }
        (bytes, acks)
    }

    #[test]
    fn a_replayed_input_is_written_once_and_acknowledged_again() {
        let (mut inputs, me, other) = (Inputs::default(), ClientId::new(), ClientId::new());
        inputs.accept(input(me, 1, 1, b"abc")).unwrap();
        inputs.accept(input(other, 1, 2, b"x")).unwrap();
        assert_eq!(write_all(&mut inputs), (b"abcx".to_vec(), vec![1, 1]));
        let again = inputs.accept(input(me, 1, 3, b"abc")).unwrap();
        assert!(matches!(again, Accepted::Written(ack) if ack.seq.0 == 1 && ack.command.0 == 3));
        assert_eq!(inputs.next(), None);
    }

    #[test]
    fn a_replay_of_what_still_waits_is_acknowledged_when_written() {
        let (mut inputs, me) = (Inputs::default(), ClientId::new());
        inputs.accept(input(me, 1, 1, b"abc")).unwrap();
        assert_eq!(
            inputs.accept(input(me, 1, 7, b"abc")).unwrap(),
            Accepted::Waiting
        );
        assert_eq!(write_all(&mut inputs), (b"abc".to_vec(), vec![1]));
        assert_eq!(inputs.written(), CommandId(7));
    }

    #[test]
    fn what_an_earlier_worker_wrote_of_an_input_is_not_written_again() {
        let me = ClientId::new();
        let typist = Typist {
            client: me,
            seq: InputSeq(4),
            command: CommandId(9),
        };
        for (done, waiting, rest) in [
            (0, 0, &b"hello"[..]),
            (2, 0, b"llo"),
            (3, 3, b"lo"),
            (5, 0, b""),
        ] {
            let half = Half {
                typist: Some(typist),
                done,
                waiting,
            };
            let mut inputs = Inputs::left(vec![(me, InputSeq(3))], CommandId(8), Some(half));
            let again = inputs.accept(input(me, 3, 10, b"old")).unwrap();
            assert!(matches!(again, Accepted::Written(_)));
            inputs.accept(input(me, 4, 11, b"hello")).unwrap();
            if waiting > 0 {
                let next = inputs.next().unwrap();
                assert_eq!((next.rest.len(), next.done), (3, 0));
                assert_eq!(inputs.wrote(3), None);
            }
            let next = inputs.next().unwrap();
            assert_eq!((next.rest, next.done), (rest, done));
            let ack = inputs.wrote(rest.len()).unwrap();
            assert_eq!((ack.seq, ack.command), (InputSeq(4), CommandId(11)));
            assert_eq!((inputs.next(), inputs.bytes), (None, 0));
        }
    }

    #[test]
    fn output_is_tagged_only_with_what_was_written_whole() {
        let (mut inputs, me) = (Inputs::default(), ClientId::new());
        inputs.accept(input(me, 1, 5, b"abc")).unwrap();
        assert_eq!(inputs.wrote(2), None);
        assert_eq!(inputs.written(), CommandId(0));
        assert!(inputs.wrote(1).is_some());
        assert_eq!(inputs.written(), CommandId(5));
    }

    #[test]
    fn a_hostile_input_is_refused() {
        let mut inputs = Inputs::default();
        let mut large = input(ClientId::new(), 1, 1, b"");
        large.data = vec![0; limits::MAX_INPUT + 1].into();
        assert_eq!(inputs.accept(large).unwrap_err().reason, "frame-too-large");
        let mut nameless = input(ClientId::new(), 1, 1, b"x");
        nameless.client_id = "\x1b".into();
        inputs.accept(nameless).unwrap_err();
        assert_eq!(inputs.next(), None);
    }

    #[test]
    fn a_thousand_one_shot_clients_may_come_again_after_a_lost_link() {
        let mut inputs = Inputs::default();
        let clients: Vec<ClientId> = (0..1024).map(|_| ClientId::new()).collect();
        for client in clients.iter().chain(&clients) {
            inputs.accept(input(*client, 1, 1, b"x")).unwrap();
        }
        assert_eq!(write_all(&mut inputs).0.len(), 1024);
    }

    #[test]
    fn the_client_that_was_silent_longest_is_forgotten_first() {
        let (mut inputs, me) = (Inputs::default(), ClientId::new());
        for _ in 0..2 * MAX_CLIENTS {
            inputs.accept(input(ClientId::new(), 1, 1, b"")).unwrap();
            inputs.accept(input(me, 1, 1, b"x")).unwrap();
        }
        assert_eq!(write_all(&mut inputs).0, b"x");
    }

    #[test]
    fn clients_and_answers_are_bounded() {
        let mut inputs = Inputs::default();
        for _ in 0..2 * MAX_CLIENTS {
            inputs.accept(input(ClientId::new(), 1, 1, b"x")).unwrap();
            inputs.reply(vec![b'r'; 1000]);
        }
        assert_eq!(inputs.clients.len(), MAX_CLIENTS);
        assert_eq!(inputs.turns.len(), MAX_CLIENTS);
        assert!(inputs.bytes <= 2 * MAX_CLIENTS + MAX_REPLIES);
        write_all(&mut inputs);
        assert_eq!((inputs.bytes, inputs.reply_bytes), (0, 0));
    }
}
