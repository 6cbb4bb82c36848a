//! Tests for the scripted gateway only: behaviour that a real gateway cannot be made to show, and performance.

/// The clock, the phases, the concurrency.
mod conditions;
/// Every fault.
mod faults;
/// Turns per second.
mod figures;
/// The old release.
mod old;
/// A gateway that crashes and restarts.
mod restarts;
