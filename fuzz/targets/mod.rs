//! What must hold whatever comes in from outside: one function for each door, which takes any bytes and fails on a
//! broken promise. libFuzzer calls them with what it makes up (`make fuzz`), the suite with what is committed.

#![allow(dead_code, reason = "each engine needs a part of it")]

/// What a gateway answers.
pub(crate) mod gateway_replies;
/// How bytes are cut and chosen, always in the same way for the same bytes.
pub(crate) mod pieces;
/// Requests as they come over a socket.
pub(crate) mod requests;
/// Session keys.
pub(crate) mod session_keys;
/// The arguments of tool calls.
pub(crate) mod tool_arguments;

/// A target by its name, which is also that of its folder below `corpus` and `regressions`.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const TARGETS: [Target; 4] = [
    ("requests", requests::check),
    ("tool_arguments", tool_arguments::check),
    ("session_keys", session_keys::check),
    ("gateway_replies", gateway_replies::check),
];
