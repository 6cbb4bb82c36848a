//! Heartbeats and waiting events: the [`keeper`] of the events, the source of the [`beats`], and their [`tally`].

pub mod beats;
pub mod keeper;
pub mod tally;
