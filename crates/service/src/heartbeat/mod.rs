//! Heartbeats and waiting events: the [`keeper`] of the events, the source of the [`beats`], their [`tally`], and the
//! operator's [checklist](checklist_file).

pub mod beats;
pub mod checklist_file;
pub mod keeper;
pub mod tally;
