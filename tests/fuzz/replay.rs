//! The corpora of the fuzz targets as ordinary tests: each file, and what chance makes of it, the same
//! chance in every run. Included by path into the crates whose parsers are private; it needs none.

use std::path::Path;

/// No mutation is longer.
const LONGEST: usize = 8 << 10;

/// Runs every file of `target`'s corpus, and so many mutations of them.
pub(crate) fn replay(target: &str, mutations: usize, mut run: impl FnMut(&[u8])) {
    let seeds = corpus(target);
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for seed in &seeds {
        named(seed, &mut run);
    }
    for _ in 0..mutations {
        let mut input = seeds[chance.below(seeds.len())].clone();
        for _ in 0..=chance.below(6) {
            mutate(&mut input, &seeds, &mut chance);
        }
        input.truncate(LONGEST);
        named(&input, &mut run);
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    let entries = std::fs::read_dir(place.join(target)).expect("the target has a corpus");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry of a directory").path())
        .collect();
    files.sort();
    let seeds: Vec<_> = files
        .iter()
        .map(|file| std::fs::read(file).expect("a file of the corpus"))
        .collect();
    assert!(!seeds.is_empty(), "the corpus of {target} is empty");
    seeds
}

/// An input that makes `run` panic is printed: as a file of the corpus it is the regression test.
fn named(input: &[u8], run: &mut impl FnMut(&[u8])) {
    struct Name<'a>(&'a [u8]);
    impl Drop for Name<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the input: b\"{}\"", self.0.escape_ascii());
            }
        }
    }
    let _name = Name(input);
    run(input);
}

fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], chance: &mut Chance) {
    let at = chance.below(input.len() + 1);
    match chance.below(7) {
        0 if at < input.len() => input[at] ^= 1 << chance.below(8),
        1 if at < input.len() => input[at] = chance.next() as u8,
        2 => input.insert(at, chance.next() as u8),
        3 => input.truncate(at),
        4 => {
            let end = (at + chance.below(9)).min(input.len());
            input.drain(at..end);
        }
        5 => {
            // Numbers that overflow.
            let number = [0, 1, u64::MAX, u64::MAX >> 1, 1 << 62, 1 << 32][chance.below(6)];
            for (place, byte) in input.iter_mut().skip(at).zip(number.to_le_bytes()) {
                *place = byte;
            }
        }
        _ => {
            let other = &seeds[chance.below(seeds.len())];
            let from = chance.below(other.len() + 1);
            input.splice(at..at, other[from..].iter().copied());
        }
    }
}

/// Numbers without a pattern (xorshift).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}
