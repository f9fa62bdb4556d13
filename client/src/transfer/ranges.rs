//! Which parts of a file are to travel: its data without the holes, or what differs from what is there.
//!
//! Pure. Ranges are in ascending order and do not touch one another.

use std::collections::VecDeque;

use cmdop_proto::v1::FileExtent;

/// The bytes of a hash.
const HASH: usize = 32;

/// Parts of a file that are still to be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    left: VecDeque<(u64, u64)>,
    /// Whole chunks that came damaged, to be asked for again.
    again: Vec<(u64, u64)>,
}

impl Ranges {
    /// All of a file of this size.
    pub fn whole(size: u64) -> Self {
        Self::of([(0, size)].into_iter(), size)
    }

    /// Where a file of this size has data; extents that a hostile end made up are cut to the file.
    pub fn data(extents: &[FileExtent], size: u64) -> Self {
        let pairs = extents
            .iter()
            .map(|extent| (extent.offset, extent.offset.saturating_add(extent.length)));
        Self::of(pairs, size)
    }

    /// Where a file of this size differs from another one, by the hashes of their chunks. What only one of
    /// them has differs.
    pub fn different(ours: &[u8], theirs: &[u8], chunk: u64, size: u64) -> Self {
        let count = size.div_ceil(chunk.max(1));
        let hash = |all: &[u8], index: u64| -> Option<[u8; HASH]> {
            let at = usize::try_from(index).ok()?.checked_mul(HASH)?;
            all.get(at..at.checked_add(HASH)?)?.try_into().ok()
        };
        let differing = (0..count).filter(|index| {
            let (one, other) = (hash(ours, *index), hash(theirs, *index));
            one.is_none() || one != other
        });
        Self::of(
            differing.map(|index| (index * chunk, (index + 1).saturating_mul(chunk))),
            size,
        )
    }

    fn of(pairs: impl Iterator<Item = (u64, u64)>, size: u64) -> Self {
        let mut left: VecDeque<(u64, u64)> = VecDeque::new();
        for (start, end) in pairs {
            let (start, end) = (start.min(size), end.min(size));
            match left.back_mut() {
                // What overlaps or comes out of order would be written twice.
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ if start < end => left.push_back((start, end)),
                _ => {}
            }
        }
        Self {
            left,
            again: Vec::new(),
        }
    }

    /// Takes the next range, at most `most` bytes: offset and length.
    pub fn take(&mut self, most: u64) -> Option<(u64, u64)> {
        if let Some(again) = self.again.pop() {
            return Some(again);
        }
        let first = self.left.front_mut()?;
        let start = first.0;
        let end = first.1.min(start.saturating_add(most.max(1)));
        first.0 = end;
        if first.0 == first.1 {
            self.left.pop_front();
        }
        Some((start, end - start))
    }

    /// A range that was taken has to be asked for again.
    pub fn give_back(&mut self, offset: u64, length: u64) {
        self.again.push((offset, length));
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty() && self.again.is_empty()
    }

    /// How many bytes are left.
    pub fn bytes(&self) -> u64 {
        let left: u64 = self.left.iter().map(|(start, end)| end - start).sum();
        left + self.again.iter().map(|(_, length)| length).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(mut ranges: Ranges, most: u64) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| ranges.take(most)).collect()
    }

    #[test]
    fn holes_do_not_travel() {
        let extents = [(0, 10), (100, 5)].map(|(offset, length)| FileExtent { offset, length });
        assert_eq!(
            taken(Ranges::data(&extents, 200), 8),
            [(0, 8), (8, 2), (100, 5)]
        );
        assert!(Ranges::whole(0).is_empty());
    }

    #[test]
    fn only_what_differs_travels() {
        let hashes = |parts: &[u8]| {
            parts
                .iter()
                .flat_map(|part| [*part; HASH])
                .collect::<Vec<_>>()
        };
        let ours = hashes(&[1, 2, 3, 4]);
        let theirs = hashes(&[1, 9, 3]);
        let ranges = Ranges::different(&ours, &theirs, 10, 35);
        assert_eq!(taken(ranges, 100), [(10, 10), (30, 5)]);
        assert!(Ranges::different(&ours, &ours, 10, 35).is_empty());
    }

    proptest! {
        #[test]
        fn every_byte_is_taken_once_whatever_the_chunks(
            size in 0u64..10_000_000,
            mosts in proptest::collection::vec(1u64..300_000, 1..20),
        ) {
            let mut ranges = Ranges::whole(size);
            let mut at = 0;
            for most in mosts.iter().cycle() {
                let Some((offset, length)) = ranges.take(*most) else { break };
                prop_assert_eq!(offset, at);
                prop_assert!(length > 0 && length <= *most);
                at += length;
            }
            prop_assert_eq!(at, size);
        }

        #[test]
        fn made_up_extents_stay_in_the_file_and_do_not_overlap(
            extents in proptest::collection::vec((any::<u64>(), any::<u64>()), 0..30),
            size in any::<u64>(),
        ) {
            let extents: Vec<_> = extents
                .iter()
                .map(|&(offset, length)| FileExtent { offset, length })
                .collect();
            let ranges = Ranges::data(&extents, size);
            let mut at = 0;
            for (start, end) in &ranges.left {
                prop_assert!(*start >= at && start < end && *end <= size);
                at = *end;
            }
        }

        #[test]
        fn a_copy_of_what_differs_makes_both_the_same(
            ours in proptest::collection::vec(any::<u8>(), 0..2000),
            theirs in proptest::collection::vec(any::<u8>(), 0..2000),
            chunk in 1u64..200,
        ) {
            let hashes = |data: &[u8]| {
                let each = data.chunks(chunk as usize).flat_map(|part| *blake3::hash(part).as_bytes());
                each.collect::<Vec<u8>>()
            };
            let mut ranges = Ranges::different(&hashes(&ours), &hashes(&theirs), chunk, ours.len() as u64);
            let mut made = theirs.clone();
            made.resize(ours.len(), 0);
            while let Some((offset, length)) = ranges.take(64) {
                let range = offset as usize..(offset + length) as usize;
                made[range.clone()].copy_from_slice(&ours[range]);
            }
            prop_assert_eq!(made, ours);
        }
    }
}
