//! What is ours alone: what cannot be brought about on a real gateway, and how fast and honest ours is.

/// The clock, the phases, the concurrency.
mod conditions;
/// Every fault.
mod faults;
/// How many turns a second, and what they cost.
mod figures;
/// The old release.
mod old;
/// A gateway that is killed and comes back.
mod restarts;
