//! Mission Control's service functions as types: the calls that a service token permits.
//!
//! [`catalog`] lists the functions: their path, who may call them, whether they write, and whether they may
//! be repeated. Each function has a request type here, in the file of its subject. The type names its
//! catalogue entry and the type of its answer. [`Mission::ask`] adds account and token, makes the call, and
//! decodes the answer once, straight into that type.
//!
//! Requests omit absent optional fields and never send `null`. Answers may have unknown fields, which are
//! ignored, and whole numbers may come as `3.0`. An answer that does not fit is an error that names the
//! function and the field, never a guess.

mod agents;
pub mod catalog;
mod documents;
mod keys;
mod messages;
mod notifications;
mod runtime;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use log::warn;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::to_raw_value;

pub use agents::{
    AgentRows, GetAgentSkills, GetOrchestrator, ListAgents, ListAgentsForRuntime, Noted, Orchestrator,
    Profiles, UpdateAgentHeartbeat,
};
pub use catalog::{Function, Repeat};
pub use documents::{DocumentList, DocumentRef, ListDocuments, WriteDocument};
pub use keys::{GetRuntimeSecrets, RuntimeSecrets};
pub use messages::{Attachment, ListThread, MessageRef, PostMessage, PostMessageAsOrchestrator};
pub use notifications::{
    GetDeliveryContext, ListUndelivered, MarkDelivered, MarkDeliveryEnded, MarkRead, RequestResponses,
    Requested, Undelivered,
};
pub use runtime::{
    CheckRestart, Done, GetPendingUpgrade, RecordUpgrade, RestartRequested, UpdateRuntimeStatus,
};
pub use tasks::{
    AssignTask, CreateTask, DeleteTask, GetTask, GetTaskHistory, HistoryLimits, LinkTaskToPr,
    ListAssignedTasks, ListTasks, ListTasksByStatus, LoadTask, LoadedTask, SearchTasks, StatusChange,
    TaskChanges, TaskHistory, TaskRef, UpdateTask, UpdateTaskStatus,
};

use crate::convex::{Call, CallError, Convex, FunctionKind};
use mcr_model::secret::Secret;
use mcr_model::{AccountId, Team};

/// The time limit of a service call with all its attempts. The work takes well under a second. A free slot of
/// the backend may take up to ten seconds.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A typed request to Mission Control.
pub trait Request: Serialize {
    /// The function's catalogue entry.
    const FUNCTION: &'static Function;
    /// The type of the answer.
    type Answer: DeserializeOwned;
    /// Whether the answer lists all agents of the account.
    const LISTS_TEAM: bool = false;

    /// Adds the agents that [`Convex::call_with_team`] left out of the answer.
    fn add_team(_answer: &mut Self::Answer, _team: Team) {}

    /// Whether a second run of *this* request adds nothing to the first.
    fn may_repeat(&self) -> bool {
        match Self::FUNCTION.repeat {
            Repeat::Always => true,
            // A request that carries such a key overrides this method.
            Repeat::WithSourceNotification | Repeat::Never => false,
        }
    }
}

/// The backend as one account sees it. Each calling thread has its own. Cheap to clone.
#[derive(Clone)]
pub struct Mission {
    convex: Arc<dyn Convex>,
    account: AccountId,
    token: Secret,
}

/// The catalogue entry and the answer of each request: `Request: ENTRY -> Answer;`.
macro_rules! requests {
    ($($request:ty: $entry:ident -> $answer:ty;)*) => {$(
        impl crate::mission::Request for $request {
            const FUNCTION: &'static crate::mission::Function = &crate::mission::catalog::$entry;
            type Answer = $answer;
        }
    )*};
}
use requests;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Arguments<'a, R> {
    account_id: &'a AccountId,
    service_token: &'a str,
    #[serde(flatten)]
    request: &'a R,
}

impl Mission {
    /// The backend behind `convex`, for this account.
    pub fn new(convex: Arc<dyn Convex>, account: AccountId, token: Secret) -> Self {
        Self { convex, account, token }
    }

    /// The account.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Makes the request, within [`DEADLINE`].
    pub fn ask<R: Request>(&self, request: &R) -> Result<R::Answer, CallError> {
        self.ask_within(DEADLINE, request)
    }

    /// Makes the request, within the caller's deadline.
    pub fn ask_within<R: Request>(&self, deadline: Duration, request: &R) -> Result<R::Answer, CallError> {
        let path = R::FUNCTION.path;
        let args = Arguments { account_id: &self.account, service_token: self.token.expose(), request };
        let args = to_raw_value(&args).map_err(|why| CallError::before_sending(path, &why.to_string()))?;
        let call = Call {
            kind: FunctionKind::Action,
            path,
            args: &args,
            deadline,
            may_repeat: request.may_repeat(),
        };
        let (value, team) =
            if R::LISTS_TEAM { self.convex.call_with_team(&call)? } else { (self.convex.call(&call)?, None) };
        let mut answer = call
            .decode(&value)
            .inspect_err(|error| warn!(error:%; "Answer of Mission Control not understood"))?;
        if let Some(team) = team {
            R::add_team(&mut answer, team);
        }
        Ok(answer)
    }
}
