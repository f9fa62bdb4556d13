//! Whatever a relay tells a session, what the session sends stays within its log.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cmdop_daemon::fuzzed::down(bytes));
