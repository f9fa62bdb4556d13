//! A session's memory with anything in its header is taken over or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cmdop_daemon::fuzzed::memory(bytes));
