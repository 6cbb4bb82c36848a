//! Signs of life of a turn, as an interface. The service implements it, because this crate has no clock.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// When a turn last showed a sign of life. Observers report signs; waiting threads read how long there was
/// none.
pub trait LifeSigns: fmt::Debug + Send + Sync {
    /// Reports a sign of life.
    fn beat(&self);

    /// The time since the last sign.
    fn quiet(&self) -> Duration;

    /// Ends the wait: no answer is expected any more.
    fn end(&self);

    /// Whether [`LifeSigns::end`] was called.
    fn is_over(&self) -> bool;

    /// The same signs, for another holder.
    fn share(&self) -> Arc<dyn LifeSigns>;
}
