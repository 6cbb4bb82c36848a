//! Compares what agents claim about a task with what the ledger knows about it.
//!
//! # The problem
//!
//! Agents call tasks ready that are not. A person who reads “done” has to open the task to see whether anything was
//! delivered. The ledger knows that already: each tool call, each answer and each failure passes through it.
//!
//! # The rule
//!
//! An [`Act`](crate::delivery::acts::Act) is one thing that was done, read or missed about a task. The record of a delivery keeps its acts. [`TaskFacts`] are the acts of all deliveries of one task. [`judge()`] compares the status that an agent
//! set with the facts. It has three [`Mark`]s: no effect, own review, open failure. Where the ledger does not reach back
//! far enough, it is unknown whether there is an effect, and never a mark. A status that a person set is never marked.
//!
//! An **effect** changed something that people can look at, and the change still stands:
//!
//! | act | an effect, unless |
//! |---|---|
//! | a document was written | it has no text besides its title, or its text is the one from before the assignment |
//! | a pull request was linked | the task had the same link before the assignment |
//! | a task was created | it is archived again |
//! | the description of the task was changed | the text is the one from before the assignment |
//! | a message was posted | it is a line about the status only, or it names a pull request that is not linked |
//!
//! The reviewer's own message is no effect of the work.

mod facts;
mod judge;
mod report;
#[cfg(test)]
mod tests;

pub use facts::{Delivery, FactsByTask, TaskFacts, add, add_loose};
pub use judge::{Claim, Judgement, Mark, judge};
pub use report::{TaskEvidence, TaskReport, evidence, report};
