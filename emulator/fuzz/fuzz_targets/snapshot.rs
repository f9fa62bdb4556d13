//! A snapshot at any byte is the whole state.

#![no_main]

use cmdop_emulator::{Emulator, Options};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, u16, Vec<u8>)| {
    let (rows, cols, cut, bytes) = input;
    let new = || {
        Emulator::new(
            u16::from(rows % 12),
            u16::from(cols % 40),
            Options::default(),
        )
    };
    let cut = usize::from(cut).min(bytes.len());
    let mut whole = new();
    whole.feed(&bytes[..cut]);
    let mut copy = new();
    copy.feed(&whole.snapshot(usize::MAX).bytes);
    whole.feed(&bytes[cut..]);
    copy.feed(&bytes[cut..]);
    assert_eq!(whole.difference(&copy, usize::MAX), None);
});
