//! Where a stream is cut changes nothing of what the query filter lets through.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cmdop_emulator::fuzzed::filter(bytes));
