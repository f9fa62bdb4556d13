//! The input queue of one session: order of arrival, one command id each, each written once.
//!
//! An input stays here until the agent says that it wrote it, so that a lost link loses nothing and a
//! client that sends it again doubles nothing. It knows no stream and no clock.

use std::collections::VecDeque;

use bytes::Bytes;
use cmdop_proto::{ClientId, CommandId, InputSeq};

/// Bytes that may wait for the agent: a large paste. Beyond it the clients wait, not the memory.
const MAX_BYTES: usize = 1 << 20;

/// Inputs that may wait, whatever their size.
const MAX_INPUTS: usize = 1024;

/// Clients whose counts are remembered after their last input.
const MAX_CLIENTS: usize = 256;

/// One input on its way to the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queued {
    /// Who typed it.
    pub(crate) client: ClientId,
    /// Its number among that client's inputs.
    pub(crate) seq: InputSeq,
    /// Its number in the session.
    pub(crate) command: CommandId,
    /// What was typed.
    pub(crate) data: Bytes,
}

/// What became of an input that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// It stands in the queue under this id.
    Queued(CommandId),
    /// It has been here before and is still on its way.
    OnItsWay,
    /// It has been here before and was written, the newest of its client under this id.
    Written(InputSeq, CommandId),
    /// There is no room; it has to come again.
    Full,
}

#[derive(Debug)]
struct Seen {
    client: ClientId,
    accepted: InputSeq,
    written: InputSeq,
    command: CommandId,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    newest: CommandId,
    waiting: VecDeque<Queued>,
    /// How many of `waiting` the present stream of the agent has had.
    sent: usize,
    bytes: usize,
    /// The least recent first.
    seen: Vec<Seen>,
}

impl Inputs {
    /// A queue whose ids come after `newest`.
    pub(crate) fn after(newest: CommandId) -> Self {
        Self {
            newest,
            ..Self::default()
        }
    }

    /// Takes one input in.
    pub(crate) fn accept(&mut self, client: ClientId, seq: InputSeq, data: Bytes) -> Accepted {
        if let Some(known) = self.known(client, seq) {
            return known;
        }
        if self.waiting.len() >= MAX_INPUTS || self.bytes + data.len() > MAX_BYTES {
            return Accepted::Full;
        }
        self.newest = self.newest.next();
        self.remember(client).accepted = seq;
        self.bytes += data.len();
        self.waiting.push_back(Queued {
            client,
            seq,
            command: self.newest,
            data,
        });
        Accepted::Queued(self.newest)
    }

    /// What became of an input that was taken in before; `None`: it was not.
    pub(crate) fn known(&self, client: ClientId, seq: InputSeq) -> Option<Accepted> {
        let seen = self.seen.iter().rfind(|seen| seen.client == client)?;
        if seq <= seen.written {
            Some(Accepted::Written(seen.written, seen.command))
        } else {
            (seq <= seen.accepted).then_some(Accepted::OnItsWay)
        }
    }

    fn remember(&mut self, client: ClientId) -> &mut Seen {
        let known = self.seen.iter().rposition(|seen| seen.client == client);
        if let Some(index) = known {
            self.seen[index..].rotate_left(1);
        } else {
            if self.seen.len() >= MAX_CLIENTS {
                self.forget_one();
            }
            self.seen.push(Seen {
                client,
                accepted: InputSeq(0),
                written: InputSeq(0),
                command: CommandId(0),
            });
        }
        self.seen.last_mut().expect("it was just put there")
    }

    /// The least recent whose inputs have all been written; else the least recent.
    fn forget_one(&mut self) {
        let idle = self
            .seen
            .iter()
            .position(|seen| seen.written >= seen.accepted);
        self.seen.remove(idle.unwrap_or(0));
    }

    /// The next one for the agent's stream.
    pub(crate) fn next_to_send(&mut self) -> Option<&Queued> {
        let next = self.waiting.get(self.sent)?;
        self.sent += 1;
        Some(next)
    }

    /// The agent has a new stream: all that is not known to be written goes again.
    pub(crate) fn send_all_again(&mut self) {
        self.sent = 0;
    }

    /// The agent wrote this one, and with it all earlier ones of the same client. Its id, if it was
    /// waiting for that.
    pub(crate) fn written(&mut self, client: ClientId, seq: InputSeq) -> Option<CommandId> {
        let command = self
            .waiting
            .iter()
            .rfind(|queued| queued.client == client && queued.seq <= seq)?
            .command;
        let is_written = |queued: &Queued| queued.client == client && queued.seq <= seq;
        let sent_and_written = self
            .waiting
            .iter()
            .take(self.sent)
            .filter(|q| is_written(q))
            .count();
        self.sent -= sent_and_written;
        self.waiting.retain(|queued| !is_written(queued));
        self.bytes = self.waiting.iter().map(|queued| queued.data.len()).sum();
        let seen = self.remember(client);
        seen.written = seen.written.max(seq);
        seen.accepted = seen.accepted.max(seq);
        seen.command = command;
        Some(command)
    }

    /// The newest input of `client` that is known to be written.
    pub(crate) fn newest_written(&self, client: ClientId) -> InputSeq {
        self.seen
            .iter()
            .rfind(|seen| seen.client == client)
            .map_or(InputSeq(0), |seen| seen.written)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(n: u8) -> ClientId {
        ClientId::from(uuid::Uuid::from_bytes([n; 16]))
    }

    fn key() -> Bytes {
        Bytes::from_static(b"x")
    }

    #[test]
    fn the_order_of_arrival_is_the_order_of_the_ids() {
        let mut inputs = Inputs::default();
        assert_eq!(
            inputs.accept(client(1), InputSeq(1), key()),
            Accepted::Queued(CommandId(1))
        );
        assert_eq!(
            inputs.accept(client(2), InputSeq(1), key()),
            Accepted::Queued(CommandId(2))
        );
        assert_eq!(inputs.next_to_send().unwrap().client, client(1));
        assert_eq!(inputs.next_to_send().unwrap().client, client(2));
        assert!(inputs.next_to_send().is_none());
    }

    #[test]
    fn a_replay_is_queued_once_and_acknowledged_again() {
        let mut inputs = Inputs::default();
        inputs.accept(client(1), InputSeq(1), key());
        assert_eq!(
            inputs.accept(client(1), InputSeq(1), key()),
            Accepted::OnItsWay
        );
        inputs.next_to_send();
        assert_eq!(inputs.written(client(1), InputSeq(1)), Some(CommandId(1)));
        let again = inputs.accept(client(1), InputSeq(1), key());
        assert_eq!(again, Accepted::Written(InputSeq(1), CommandId(1)));
    }

    #[test]
    fn what_the_agent_may_not_have_is_sent_again_on_its_new_stream() {
        let mut inputs = Inputs::default();
        for seq in 1..=3 {
            inputs.accept(client(1), InputSeq(seq), key());
            inputs.next_to_send();
        }
        inputs.written(client(1), InputSeq(1));
        inputs.send_all_again();
        assert_eq!(inputs.next_to_send().unwrap().seq, InputSeq(2));
        assert_eq!(inputs.next_to_send().unwrap().seq, InputSeq(3));
    }

    #[test]
    fn a_full_queue_refuses_and_takes_more_when_the_agent_writes() {
        let mut inputs = Inputs::default();
        let paste = Bytes::from(vec![b'x'; MAX_BYTES]);
        inputs.accept(client(1), InputSeq(1), paste);
        assert_eq!(inputs.accept(client(1), InputSeq(2), key()), Accepted::Full);
        inputs.written(client(1), InputSeq(1));
        assert!(matches!(
            inputs.accept(client(1), InputSeq(2), key()),
            Accepted::Queued(_)
        ));
    }

    #[test]
    fn an_ack_for_what_never_was_changes_nothing() {
        let mut inputs = Inputs::default();
        assert_eq!(inputs.written(client(9), InputSeq(u64::MAX)), None);
        assert!(matches!(
            inputs.accept(client(9), InputSeq(1), key()),
            Accepted::Queued(_)
        ));
    }

    proptest! {
        /// Clients that replay at will and an agent whose link breaks at will: what an agent that
        /// drops what it knows writes is each input once, in each client's order.
        #[test]
        fn each_input_is_written_once_and_in_order(
            steps in proptest::collection::vec((0u8..6, 0u8..3, 1u64..20), 1..300),
        ) {
            let mut inputs = Inputs::default();
            let mut typed = [0u64; 3];
            let mut written = [0u64; 3];
            for (what, who, seq) in steps {
                let who_index = who as usize;
                match what {
                    0..=1 => {
                        typed[who_index] += 1;
                        let seq = InputSeq(typed[who_index]);
                        let queued = matches!(
                            inputs.accept(client(who), seq, key()), Accepted::Queued(_));
                        prop_assert!(queued);
                    }
                    2 => {
                        let seq = seq.min(typed[who_index]);
                        if seq > 0 {
                            let again = inputs.accept(client(who), InputSeq(seq), key());
                            prop_assert!(!matches!(again, Accepted::Queued(_)));
                        }
                    }
                    3 => inputs.send_all_again(),
                    _ => if let Some(input) = inputs.next_to_send().cloned() {
                        let count = &mut written[input.client.as_uuid().as_bytes()[0] as usize];
                        if input.seq.0 > *count {
                            prop_assert_eq!(input.seq.0, *count + 1);
                            *count += 1;
                        }
                        inputs.written(input.client, input.seq);
                    },
                }
            }
        }
    }
}
