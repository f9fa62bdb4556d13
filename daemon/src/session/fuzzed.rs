//! The parts of a session that fuzz targets drive: taking a memory over, and sending from a log.

use cmdop_proto::{Offset, limits, v1};

use super::input::Inputs;
use super::log::Log;
use super::stream::Queue;
use crate::memory::Memory;

/// What is sent before the next message comes: more than a log of a test has pieces.
const TURNS: usize = 4096;

/// What a worker does with the memory that an earlier one left.
pub(crate) fn take_over(memory: Memory) {
    let mut log = Log::new(memory);
    let memory = log.memory();
    let clients = memory.clients().expect("a memory can be read");
    let mut inputs = Inputs::left(clients, memory.written(), memory.half());
    memory.checkpoint().expect("a memory can be read");
    memory.fed().expect("a memory can be read");
    while let Some(next) = inputs.next() {
        let count = next.rest.len();
        inputs.wrote(count);
    }
    let mut buffer = vec![0; 64 << 10];
    log.copy(log.start(), &mut buffer);
    let mut queue = Queue::default();
    queue.begin(log.start());
    Sender {
        log,
        queue,
        inputs,
        read_up_to: Offset::MAX,
    }
    .send_all();
}

/// A session without a terminal.
pub(crate) struct Sender {
    log: Log,
    pub(crate) queue: Queue,
    inputs: Inputs,
    pub(crate) read_up_to: Offset,
}

impl Sender {
    pub(crate) fn new(memory: Memory) -> Self {
        Self {
            log: Log::new(memory),
            queue: Queue::default(),
            inputs: Inputs::default(),
            read_up_to: Offset::MAX,
        }
    }

    pub(crate) fn accept(&mut self, input: v1::AgentInput) {
        let _refused = self.inputs.accept(input);
        while let Some(next) = self.inputs.next() {
            let count = next.rest.len();
            self.inputs.wrote(count);
        }
    }

    /// Sends until nothing is left, and not for ever.
    pub(crate) fn send_all(&mut self) {
        for _ in 0..TURNS {
            let Some(message) = self.queue.next(&self.log, self.read_up_to) else {
                return;
            };
            if let v1::session_up::Message::Output(output) = message {
                let end = Offset(output.offset).advance(output.data.len());
                assert!(end <= self.log.end() && output.data.len() <= limits::MAX_OUTPUT);
            }
        }
        panic!("there is always more to send");
    }
}
