//! Frames between holder and worker, cut anywhere.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cmdop_daemon::fuzzed::holder(bytes));
