//! Whatever an agent, a client and a control plane send, the relay refuses it or lives with it.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cmdop_relay::fuzzed::agent(bytes));
