//! Whatever names and ranges a confined caller gives, nothing outside of its directory is read or changed.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cmdop_files::fuzzed::requests(bytes));
