//! The queue of a worker pool as types: the sixteen functions that a worker calls (worker-pool B.2).
//!
//! [`catalog`] lists the functions. Each has a request type here, in the file of its subject, which names its catalogue
//! entry and the type of its answer. [`PoolClient::ask`] adds the namespace, makes the call and decodes the answer.
//!
//! Requests omit absent optional fields, because the validators of the queue refuse `null`. They carry no account; the
//! deployment decides who may call these functions, and the connection may carry a token for it.

pub mod catalog;
mod conversations;
mod files;
mod jobs;
mod scheduled;
mod snapshots;
mod storage;

use std::sync::Arc;
use std::time::Duration;

use log::warn;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::to_raw_value;

pub use catalog::PoolFunction;
pub use conversations::{
    AppendMessages, Appended, AttachMetadata, ConversationHasQueued, GetFileUrl, MakeUploadUrl, NewMessage,
    UploadUrl,
};
pub use files::FileClient;
pub use jobs::{
    Claim, Complete, ControlState, Fail, Failed, GetControlState, HeldLease, Hydrate, RenewLease,
};
pub use scheduled::{DispatchPushJobs, RunFlyCleanup, StartWorkers};
pub use snapshots::{
    FailSnapshot, FinalizeSnapshot, GetLatestSnapshot, GetSkillsManifest, LatestSnapshot, PrepareSnapshot,
    PreparedSnapshot, ReleaseChannel, SnapshotReason,
};
pub use storage::{FileStorage, StorageFault};

use crate::convex::{Call, CallError, Convex};

/// The time limit of a call with all its attempts, by default.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A typed request to the queue.
pub trait PoolRequest: Serialize {
    /// The function's catalogue entry.
    const FUNCTION: PoolFunction;
    /// The type of the answer.
    type Answer: DeserializeOwned;
}

/// The queue as one thread sees it. Cheap to clone.
#[derive(Clone)]
pub struct PoolClient {
    convex: Arc<dyn Convex>,
    namespace: Arc<str>,
    deadline: Duration,
}

/// The catalogue entry and the answer of each request: `Request: ENTRY -> Answer;`.
macro_rules! requests {
    ($($request:ty: $entry:ident -> $answer:ty;)*) => {$(
        impl crate::pool::PoolRequest for $request {
            const FUNCTION: crate::pool::PoolFunction = crate::pool::catalog::$entry;
            type Answer = $answer;
        }
    )*};
}
use requests;

impl PoolClient {
    /// The queue behind `convex`, whose functions are exported by this module of the deployment.
    pub fn new(convex: Arc<dyn Convex>, namespace: &str, deadline: Duration) -> Self {
        Self { convex, namespace: namespace.into(), deadline }
    }

    /// Makes the request, within the client's deadline.
    pub fn ask<R: PoolRequest>(&self, request: &R) -> Result<R::Answer, CallError> {
        self.ask_within(self.deadline, request)
    }

    /// Makes the request, within the caller's deadline.
    pub fn ask_within<R: PoolRequest>(
        &self,
        deadline: Duration,
        request: &R,
    ) -> Result<R::Answer, CallError> {
        let path = format!("{}:{}", self.namespace, R::FUNCTION.name);
        let args = to_raw_value(request).map_err(|why| CallError::before_sending(&path, &why.to_string()))?;
        let call = Call {
            kind: R::FUNCTION.kind,
            path: &path,
            args: &args,
            deadline,
            may_repeat: R::FUNCTION.may_repeat,
        };
        let value = self.convex.call(&call)?;
        call.decode(&value).inspect_err(|error| warn!(error:%; "Answer of the worker pool not understood"))
    }
}
