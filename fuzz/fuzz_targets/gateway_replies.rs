//! Replies of a gateway.
#![no_main]

#[path = "../../tests/suite/support/dice.rs"]
mod dice;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::gateway_replies::check(bytes));
