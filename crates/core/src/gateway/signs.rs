//! Signs of life of a turn, as a contract: the clock behind them belongs to the service.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// When a turn last showed a sign of life: those that see one report it, and those that wait for the turn ask.
pub trait LifeSigns: fmt::Debug + Send + Sync {
    /// A sign of life.
    fn beat(&self);

    /// How long there has been none.
    fn quiet(&self) -> Duration;

    /// There is nothing left to wait for.
    fn end(&self);

    /// Whether [`LifeSigns::end`] was called.
    fn is_over(&self) -> bool;

    /// The same signs, for another holder.
    fn share(&self) -> Arc<dyn LifeSigns>;
}
