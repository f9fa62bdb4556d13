//! A memory against real terminals, with its worker dying at every step.

use cmdop_proto::Size;
use proptest::prelude::*;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use super::layout::CHECKPOINT_BYTES;
use super::*;

/// Both sides of a raw terminal.
fn terminal() -> (OwnedFd, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
    let slave = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
    let mut modes = tcgetattr(&slave).unwrap();
    modes.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &modes).unwrap();
    set_nonblocking(&master).unwrap();
    (master, slave)
}

/// What a holder would keep.
fn copies(parts: &Parts) -> Parts {
    let fds = parts.as_fds();
    Parts::from_fds(fds.map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 3).unwrap()))
}

fn typist(seq: u64) -> Typist {
    Typist {
        client: uuid::Uuid::from_u128(7).into(),
        seq: InputSeq(seq),
        command: CommandId(seq + 100),
    }
}

fn all_of(memory: &Memory) -> Vec<u8> {
    let end = memory.end();
    let start = end.0.saturating_sub(memory.capacity() as u64);
    let mut bytes = vec![0; (end.0 - start) as usize];
    memory.read(Offset(start), &mut bytes).unwrap();
    bytes
}

fn read_slave(slave: &OwnedFd) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count) = rustix::io::read(slave, &mut buffer) {
        all.extend_from_slice(&buffer[..count]);
    }
    all
}

/// Takes until `count` bytes more are there: the kernel hands them over in its own time.
fn take(memory: &mut Memory, master: &OwnedFd, count: usize) {
    let wanted = memory.end().advance(count);
    while memory.end() < wanted {
        memory.take(master, Turn::from_now(64 << 10)).unwrap();
        std::thread::yield_now();
    }
}

#[test]
fn output_goes_round_the_ring_and_another_worker_finds_it() {
    let (master, slave) = terminal();
    let parts = Parts::new(10_000).unwrap();
    let mut memory = Memory::open(copies(&parts)).unwrap();
    let mut printed = Vec::new();
    for round in 0..40_u8 {
        let piece = vec![round; 997];
        rustix::io::write(&slave, &piece).unwrap();
        take(&mut memory, &master, piece.len());
        printed.extend_from_slice(&piece);
    }
    assert_eq!(memory.end(), Offset(printed.len() as u64));
    drop(memory);
    let memory = Memory::open(parts).unwrap();
    assert_eq!(memory.end(), Offset(printed.len() as u64));
    assert!(all_of(&memory) == printed[printed.len() - 10_000..]);
}

#[test]
fn the_end_of_a_terminal_is_told_after_its_last_bytes() {
    let (master, slave) = terminal();
    let mut memory = Memory::new(10_000).unwrap();
    rustix::io::write(&slave, b"last words").unwrap();
    drop(slave);
    let mut why = Stopped::Empty;
    while why != Stopped::End {
        why = memory.take(&master, Turn::from_now(64 << 10)).unwrap().why;
    }
    assert_eq!(all_of(&memory), b"last words");
}

#[test]
fn a_turn_that_is_over_takes_one_piece_and_leaves_the_rest_for_the_next() {
    let (master, slave) = terminal();
    let mut memory = Memory::new(64 << 10).unwrap();
    let printed = rustix::io::write(&slave, &[b'x'; 3 * PIECE]).unwrap();
    assert!(printed > PIECE);
    let over = Turn {
        bytes: 64 << 10,
        until: Instant::now(),
    };
    let taken = memory.take(&master, over).unwrap();
    assert_eq!(taken.why, Stopped::Limit);
    assert!((1..=PIECE).contains(&taken.bytes));
    while memory.end() < Offset(printed as u64) {
        memory.take(&master, Turn::from_now(64 << 10)).unwrap();
    }
    assert_eq!(all_of(&memory), vec![b'x'; printed]);
}

#[test]
fn a_move_that_was_cut_at_any_step_is_finished_once() {
    for in_log in [0, 5, 11] {
        for is_announced in [false, true] {
            let parts = Parts::new(10_000).unwrap();
            let mut memory = Memory::open(copies(&parts)).unwrap();
            memory.append(b"before ").unwrap();
            // The terminal's bytes are in the pipe; so many of them went on to the log.
            rustix::io::write(&memory.parts.output.1, b"hello world").unwrap();
            if is_announced {
                let end = memory.end;
                layout::set_end(&memory.parts.file, end, 11).unwrap();
                let mut at = memory.layout.place(end).0;
                if in_log > 0 {
                    splice(
                        &memory.parts.output.0,
                        None,
                        &memory.parts.file,
                        Some(&mut at),
                        in_log,
                        SpliceFlags::empty(),
                    )
                    .unwrap();
                }
            }
            drop(memory);
            let memory = Memory::open(parts).unwrap();
            assert_eq!(all_of(&memory), b"before hello world");
        }
    }
}

#[test]
fn an_input_that_was_cut_at_any_step_is_written_once() {
    // The steps of one chunk: announced, in the pipe, so called, in the terminal.
    for steps in 0..=3 {
        let (master, slave) = terminal();
        let parts = Parts::new(10_000).unwrap();
        let mut memory = Memory::open(copies(&parts)).unwrap();
        memory.input.announce(Some(typist(1)), 0, 5);
        memory.input.write(&memory.parts.file).unwrap();
        if steps >= 1 {
            rustix::io::write(&memory.parts.input.1, b"hello").unwrap();
        }
        if steps >= 2 {
            memory.input.filled();
            memory.input.write(&memory.parts.file).unwrap();
        }
        if steps >= 3 {
            splice(
                &memory.parts.input.0,
                None,
                &master,
                None,
                5,
                SpliceFlags::NONBLOCK,
            )
            .unwrap();
        }
        drop(memory);
        let mut memory = Memory::open(parts).unwrap();
        let half = memory.half().unwrap();
        assert_eq!(half.typist, Some(typist(1)));
        assert_eq!(half.done, if steps == 0 { 0 } else { 5 }, "{steps} steps");
        assert_eq!(half.waiting, if matches!(steps, 1 | 2) { 5 } else { 0 });
        if half.waiting > 0 {
            let wrote = memory.write(&master, half.typist, 0, &[0; 5]).unwrap();
            assert_eq!(wrote, Some(5));
        }
        if half.done == 0 {
            let wrote = memory.write(&master, Some(typist(1)), 0, b"hello").unwrap();
            assert_eq!(wrote, Some(5));
        }
        let mut came = Vec::new();
        while came.len() < 5 {
            came.extend(read_slave(&slave));
        }
        assert_eq!(came, b"hello", "{steps} steps");
    }
}

#[test]
fn a_full_terminal_takes_the_rest_later() {
    let (master, slave) = terminal();
    let mut memory = Memory::new(10_000).unwrap();
    let paste: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
    let (mut done, mut came) = (0, Vec::new());
    while done < paste.len() {
        match memory
            .write(&master, Some(typist(1)), done, &paste[done..])
            .unwrap()
        {
            Some(count) => done += count,
            None => came.extend(read_slave(&slave)),
        }
    }
    memory.set_written(typist(1)).unwrap();
    while came.len() < paste.len() {
        came.extend(read_slave(&slave));
    }
    assert!(came == paste);
    assert_eq!(memory.written(), CommandId(101));
}

#[test]
fn who_typed_what_is_remembered_and_the_oldest_forgotten() {
    let parts = Parts::new(10_000).unwrap();
    let mut memory = Memory::open(copies(&parts)).unwrap();
    for number in 0..CLIENT_SLOTS as u128 + 3 {
        let typist = Typist {
            client: uuid::Uuid::from_u128(number + 1).into(),
            ..typist(number as u64 + 1)
        };
        memory.set_written(typist).unwrap();
    }
    drop(memory);
    let memory = Memory::open(parts).unwrap();
    let clients = memory.clients().unwrap();
    assert_eq!(clients.len(), CLIENT_SLOTS);
    let has = |number: u128| {
        let id: ClientId = uuid::Uuid::from_u128(number).into();
        clients.iter().any(|(client, _)| *client == id)
    };
    assert!(!has(3) && has(4) && has(CLIENT_SLOTS as u128 + 3));
    assert_eq!(memory.written(), CommandId(CLIENT_SLOTS as u64 + 103));
}

#[test]
fn the_newest_checkpoint_is_found() {
    let parts = Parts::new(10_000).unwrap();
    let mut memory = Memory::open(copies(&parts)).unwrap();
    assert!(memory.checkpoint().unwrap().is_none());
    let size = Size::new(30, 100).unwrap();
    let picture = |at: u64, bytes: usize| Picture {
        offset: Offset(at),
        size,
        bytes: vec![at as u8; bytes],
        lines: Lines {
            epoch: 100 + at,
            next: 1000 * at,
        },
    };
    for at in 1..=3 {
        let bytes = at as usize * 100;
        memory.set_checkpoint(&picture(at, bytes)).unwrap();
    }
    memory
        .set_checkpoint(&picture(9, CHECKPOINT_BYTES + 1))
        .unwrap();
    drop(memory);
    let memory = Memory::open(parts).unwrap();
    assert_eq!(memory.checkpoint_at(), Some(Offset(3)));
    assert_eq!(memory.checkpoint().unwrap(), Some(picture(3, 300)));
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let parts = Parts::new(10_000).unwrap();
    parts_with_noise(&parts);
    Memory::open(parts).unwrap_err();
}

fn parts_with_noise(parts: &Parts) {
    layout::write_all(&parts.file, &[0xa5; 64], 0).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is printed in whatever pieces, and however often the worker is replaced.
    #[test]
    fn the_log_is_what_was_printed(
        pieces in proptest::collection::vec((1usize..3000, any::<bool>()), 1..30),
    ) {
        let (master, slave) = terminal();
        let parts = Parts::new(9_001).unwrap();
        let mut memory = Memory::open(copies(&parts)).unwrap();
        let mut printed: Vec<u8> = Vec::new();
        for (length, dies) in pieces {
            let piece: Vec<u8> = (0..length).map(|n| (n + printed.len()) as u8).collect();
            rustix::io::write(&slave, &piece).unwrap();
            take(&mut memory, &master, length);
            printed.extend_from_slice(&piece);
            if dies {
                drop(memory);
                memory = Memory::open(copies(&parts)).unwrap();
            }
        }
        prop_assert_eq!(memory.end().0, printed.len() as u64);
        let kept = printed.len().saturating_sub(memory.capacity());
        prop_assert!(all_of(&memory) == printed[kept..]);
    }
}

#[test]
fn a_memory_whose_counts_of_input_are_absurd_is_taken_over_all_the_same() {
    // No worker writes them; their sum is beyond any number.
    let parts = Parts::new(8 << 10).unwrap();
    let numbers = [3, u64::MAX, u64::MAX, u64::MAX, 2, u64::MAX];
    let record: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    rustix::io::pwrite(&parts.file, &record, 96 + 16).unwrap();
    let memory = Memory::open(parts).unwrap();
    assert_eq!(memory.half().unwrap().waiting, 0);
}
