//! Properties that must hold for any external input: one function per kind of input, which accepts any bytes and panics on a
//! violation. libFuzzer calls them with generated input (`make fuzz`), the suite with the committed input.

#![allow(dead_code, reason = "each engine needs a part of it")]

/// Replies of a gateway.
pub(crate) mod gateway_replies;
/// Splits and selects bytes, always in the same way for the same bytes.
pub(crate) mod pieces;
/// Requests over a socket.
pub(crate) mod requests;
/// Session keys.
pub(crate) mod session_keys;
/// Messages of a backend's sync protocol.
pub(crate) mod sync_messages;
/// The arguments of tool calls.
pub(crate) mod tool_arguments;

/// A target by its name, which is also the name of its folder below `corpus` and `regressions`.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All targets.
pub(crate) const TARGETS: [Target; 5] = [
    ("requests", requests::check),
    ("tool_arguments", tool_arguments::check),
    ("session_keys", session_keys::check),
    ("gateway_replies", gateway_replies::check),
    ("sync_messages", sync_messages::check),
];
