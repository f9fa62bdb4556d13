//! What the fuzz targets of `tests/fuzz` do with bytes.

use crate::{Emulator, Options, QueryFilter};

/// Pieces, each after its length and two bytes for the size that comes after it.
pub fn feed(bytes: &[u8]) {
    let mut emulator = Emulator::new(24, 80, Options::default());
    let mut rest = bytes;
    while let [length, rows, cols, tail @ ..] = rest {
        let (piece, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        emulator.feed(piece);
        emulator.resize(u16::from(rows % 32), u16::from(*cols));
        rest = tail;
    }
    assert_eq!(emulator.rebuilds(), 0);
}

/// A size, a place to cut at, and a stream.
pub fn snapshot(bytes: &[u8]) {
    let [rows, cols, cut, stream @ ..] = bytes else {
        return;
    };
    let new = || {
        Emulator::new(
            u16::from(rows % 12),
            u16::from(cols % 40),
            Options::default(),
        )
    };
    let (before, after) = stream.split_at(usize::from(*cut).min(stream.len()));
    let mut whole = new();
    whole.feed(before);
    let mut copy = new();
    copy.feed(&whole.snapshot(usize::MAX).bytes);
    whole.feed(after);
    copy.feed(after);
    assert_eq!(whole.difference(&copy, usize::MAX), None);
}

/// A place to cut at, and a stream.
pub fn filter(bytes: &[u8]) {
    let [cut, stream @ ..] = bytes else {
        return;
    };
    let whole = QueryFilter::new().filter(stream).into_owned();
    assert!(whole.len() <= stream.len(), "a filter adds nothing");
    let (before, after) = stream.split_at(usize::from(*cut).min(stream.len()));
    let mut filter = QueryFilter::new();
    let mut parts = filter.filter(before).into_owned();
    parts.extend_from_slice(&filter.filter(after));
    assert_eq!(parts, whole);
}

#[cfg(test)]
mod tests {
    use super::replay::replay;

    #[test]
    fn the_corpus_of_streams_and_sizes_replays_without_a_panic() {
        replay("feed", 2000, super::feed);
    }

    #[test]
    fn the_corpus_of_snapshots_replays_without_a_difference() {
        replay("snapshot", 2000, super::snapshot);
    }

    #[test]
    fn the_corpus_of_queries_replays_alike_wherever_it_is_cut() {
        replay("filter", 20_000, super::filter);
    }
}

#[cfg(test)]
#[path = "../../tests/fuzz/replay.rs"]
mod replay;
