//! Requests over a socket.
#![no_main]

#[path = "../../tests/suite/support/dice.rs"]
mod dice;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::requests::check(bytes));
