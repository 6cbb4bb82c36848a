//! The work of a worker of a pool. `lanes` claims jobs and offers them to the dispatcher; the steps of a job are in
//! [`delivery`](crate::delivery). `claimed_jobs` has the claimed jobs, `lease_watch` keeps the lease of one, and `lane_ids` the ids
//! under which they are claimed. `answers` carries out what follows an agent's answer. `files` fetches the files of a
//! message, `outgoing_file` reads those of an answer, and `typing` shows that an answer is coming. `hooks` is where other parts join.

mod answers;
mod claimed_jobs;
mod files;
mod hooks;
mod lane_ids;
mod lanes;
mod lease_watch;
mod outgoing_file;
mod port;
mod typing;

pub use answers::{AnswerDelivery, AnswerState};
pub use claimed_jobs::{ClaimedJobs, HeldJob, NotResumed};
pub use hooks::{NoHooks, SharedHooks, WorkerHooks};
pub use lane_ids::{LaneIds, WORKER_IDS};
pub use lanes::{Lane, LaneFacts, LaneSetup, LaneStatus};
pub use lease_watch::{ClaimTime, LeaseCheck, LeaseWatch};
pub use port::{PoolPort, PoolRules};

pub(crate) use answers::warn_of_doubt;
pub(crate) use files::fetch_files;
pub(crate) use typing::TypingSigns;
