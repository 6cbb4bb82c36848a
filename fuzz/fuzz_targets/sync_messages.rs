//! Messages of the sync protocol.
#![no_main]

#[path = "../../tests/suite/support/dice.rs"]
mod dice;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::sync_messages::check(bytes));
