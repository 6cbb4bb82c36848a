//! The work of a worker of a pool. `answers` carries out what follows an agent's answer, and `lease_watch` keeps the lease
//! of a job.

mod answers;
mod lease_watch;

pub use answers::{AnswerDelivery, AnswerState};
pub use lease_watch::{ClaimTime, LeaseWatch};
