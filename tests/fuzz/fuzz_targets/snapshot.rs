//! A snapshot at any byte is the whole state.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cmdop_emulator::fuzzed::snapshot(bytes));
