//! No stream, cut anywhere and with resizes between the pieces, breaks the grid.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cmdop_emulator::fuzzed::feed(bytes));
