//! No stream, cut anywhere and with resizes between the pieces, breaks the grid.

#![no_main]

use cmdop_emulator::{Emulator, Options};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|pieces: Vec<(Vec<u8>, u8, u8)>| {
    let mut emulator = Emulator::new(24, 80, Options::default());
    for (bytes, rows, cols) in pieces {
        emulator.feed(&bytes);
        emulator.resize(u16::from(rows % 32), u16::from(cols));
    }
    assert_eq!(emulator.rebuilds(), 0);
});
