//! What the log keeps and forgets.

use proptest::prelude::*;

use super::*;

const CAPACITY: usize = 8 << 10;

#[derive(Clone, Debug)]
enum Step {
    Append(usize, u64),
    Read(u64, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0usize..3000, 0u64..3).prop_map(|(length, more)| Step::Append(length, more)),
        (0usize..20_000, 0u64..3).prop_map(|(length, more)| Step::Append(length, more)),
        (0u64..40_000, 1usize..5000).prop_map(|(from, limit)| Step::Read(from, limit)),
    ]
}

proptest! {
    /// Against a model that keeps everything: what is read is what was printed there, under the
    /// command that had been written then; and nothing newer than the capacity is ever missing.
    #[test]
    fn every_byte_is_found_at_its_offset(steps in proptest::collection::vec(step(), 1..60)) {
        let mut log = Log::of(CAPACITY);
        let mut model: Vec<(u8, u64)> = Vec::new();
        let mut command = 0;
        for step in steps {
            match step {
                Step::Append(length, more) => {
                    command += more;
                    let data: Vec<u8> = (0..length).map(|i| (model.len() + i * 7) as u8).collect();
                    log.append(&data, CommandId(command));
                    model.extend(data.into_iter().map(|byte| (byte, command)));
                }
                Step::Read(from, limit) => check(&log, &model, Offset(from), limit),
            }
            prop_assert_eq!(log.end().0, model.len() as u64);
            prop_assert!(log.end() - log.start() <= CAPACITY as u64);
            prop_assert!(log.end() - log.start() >= CAPACITY.min(model.len()) as u64 || model.len() < CAPACITY);
        }
    }
}

fn check(log: &Log, model: &[(u8, u64)], from: Offset, limit: usize) {
    let Some(piece) = log.piece(from, limit) else {
        assert!(from < log.start() || from >= log.end());
        return;
    };
    assert!(!piece.data.is_empty() && piece.data.len() <= limit);
    assert_eq!(piece.offset, from);
    for (index, byte) in piece.data.iter().enumerate() {
        let (printed, command) = model[from.0 as usize + index];
        assert_eq!((*byte, piece.command.0), (printed, command));
    }
    let mut copied = vec![0; limit];
    let count = log.copy(from, &mut copied);
    let shared = count.min(piece.data.len());
    assert_eq!(&copied[..shared], &piece.data[..shared]);
}

#[test]
fn a_log_that_was_overrun_says_where_it_begins() {
    let mut log = Log::of(CAPACITY);
    log.append(&vec![b'a'; CAPACITY], CommandId(1));
    log.append(b"bc", CommandId(2));
    assert_eq!(log.start(), Offset(2));
    assert_eq!(log.piece(Offset(1), 10), None);
    let newest = log.piece(Offset(CAPACITY as u64), 10).unwrap();
    assert_eq!(
        (&newest.data[..], newest.command),
        (&b"bc"[..], CommandId(2))
    );
}

#[test]
fn a_log_of_single_echoes_stays_small() {
    let mut log = Log::of(CAPACITY);
    for command in 1..=3 * MAX_MARKS as u64 {
        log.append(b"x", CommandId(command));
    }
    assert_eq!(log.marks.len(), MAX_MARKS);
    let newest = log.piece(Offset(log.end().0 - 1), 10).unwrap();
    assert_eq!(newest.command, CommandId(3 * MAX_MARKS as u64));
    let oldest = log.piece(log.start(), 10).unwrap();
    assert_eq!(oldest.command, CommandId(0));
}
