//! The sixteen functions with their kinds and validators (worker-pool B.2), and the check of a call against them.

use serde_json::{Map, Value};

use super::rows::PoolState;
use super::{PoolPolicy, claims, conversations, leases, skills, snapshots};

/// The kind of a function. Each kind has its own endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// It reads.
    Query,
    /// It writes, in one transaction.
    Mutation,
}

/// The type of an argument.
#[derive(Clone, Copy)]
enum Type {
    Text,
    Number,
    OneOf(&'static [&'static str]),
    /// An object whose values are texts.
    Texts,
    /// A list of messages of a conversation.
    Messages,
}

/// An argument: its name, its type, and whether it must be there. An optional argument is left out; it is never null.
type Rule = (&'static str, Type, bool);

/// The arguments of a checked call.
pub(super) struct CheckedArguments<'a>(&'a Map<String, Value>);

impl<'a> CheckedArguments<'a> {
    /// A required text.
    pub(super) fn text(&self, name: &str) -> &'a str {
        self.optional(name).unwrap_or_default()
    }

    /// An optional text.
    pub(super) fn optional(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A required number.
    pub(super) fn number(&self, name: &str) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "sizes are far below 2^53")]
        self.0.get(name).and_then(Value::as_f64).map_or(0, |number| number as i64)
    }

    /// A required list.
    pub(super) fn list(&self, name: &str) -> &'a [Value] {
        self.0.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A required object.
    pub(super) fn object(&self, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.0.get(name).and_then(Value::as_object).into_iter().flatten()
    }
}

/// What a function does.
type Run = fn(&mut PoolState, &PoolPolicy, &CheckedArguments<'_>, i64) -> Result<Value, String>;

struct PoolFunction {
    name: &'static str,
    kind: FunctionKind,
    rules: &'static [Rule],
    run: Run,
}

const ROLES: &[&str] = &["system", "user", "assistant", "tool"];

const FUNCTIONS: [PoolFunction; 16] = {
    use FunctionKind::{Mutation, Query};
    use Type::{Messages, Number, OneOf, Text, Texts};
    const fn f(name: &'static str, kind: FunctionKind, rules: &'static [Rule], run: Run) -> PoolFunction {
        PoolFunction { name, kind, rules, run }
    }
    const LEASE: &[Rule] = &[("workerId", Text, true), ("messageId", Text, true), ("leaseId", Text, true)];
    [
        f("workerControlState", Query, &[("workerId", Text, true)], claims::control_state),
        f(
            "workerClaim",
            Mutation,
            &[("workerId", Text, true), ("conversationId", Text, false)],
            claims::claim,
        ),
        f("workerConversationHasQueued", Query, &[("conversationId", Text, true)], conversations::has_queued),
        f(
            "workerHydrationBundle",
            Query,
            &[("messageId", Text, true), ("workspaceId", Text, true)],
            conversations::hydrate,
        ),
        f("workerHeartbeat", Mutation, LEASE, leases::heartbeat),
        f("workerComplete", Mutation, LEASE, leases::complete),
        f(
            "workerFail",
            Mutation,
            &[
                ("workerId", Text, true),
                ("messageId", Text, true),
                ("leaseId", Text, true),
                ("errorMessage", Text, true),
            ],
            leases::fail,
        ),
        f(
            "workerAppendConversationMessages",
            Mutation,
            &[("conversationId", Text, true), ("workspaceId", Text, false), ("messages", Messages, true)],
            conversations::append,
        ),
        f(
            "workerAttachMessageMetadata",
            Mutation,
            &[("messageId", Text, true), ("metadata", Texts, true)],
            conversations::attach_metadata,
        ),
        f("workerGenerateMediaUploadUrl", Mutation, &[], snapshots::media_upload_url),
        f("workerGetStorageFileUrl", Query, &[("storageId", Text, true)], snapshots::file_url),
        f(
            "workerPrepareSnapshotUpload",
            Mutation,
            &[
                ("workerId", Text, true),
                ("workspaceId", Text, true),
                ("agentKey", Text, true),
                ("conversationId", Text, true),
                ("reason", OneOf(&["drain", "signal", "manual"]), true),
            ],
            snapshots::prepare,
        ),
        f(
            "workerFinalizeSnapshotUpload",
            Mutation,
            &[
                ("workerId", Text, true),
                ("snapshotId", Text, true),
                ("storageId", Text, true),
                ("sha256", Text, true),
                ("sizeBytes", Number, true),
            ],
            snapshots::finalize,
        ),
        f(
            "workerFailSnapshotUpload",
            Mutation,
            &[("workerId", Text, true), ("snapshotId", Text, true), ("error", Text, true)],
            snapshots::fail,
        ),
        f(
            "workerLatestSnapshotForRestore",
            Query,
            &[("workspaceId", Text, true), ("agentKey", Text, true), ("conversationId", Text, true)],
            snapshots::latest,
        ),
        f(
            "workerGlobalSkillsManifest",
            Query,
            &[
                ("workspaceId", Text, false),
                ("workerId", Text, false),
                ("releaseChannel", OneOf(&["stable", "canary"]), false),
            ],
            skills::manifest,
        ),
    ]
};

/// The names and kinds of all functions.
pub fn names() -> impl Iterator<Item = (&'static str, FunctionKind)> {
    FUNCTIONS.iter().map(|function| (function.name, function.kind))
}

/// Runs a call, or says in Convex's words why it cannot run.
pub(super) fn run(
    state: &mut PoolState,
    policy: &PoolPolicy,
    kind: FunctionKind,
    path: &str,
    args: &Map<String, Value>,
    now: i64,
) -> Result<Value, String> {
    let (namespace, name) = path.rsplit_once(':').unwrap_or((path, "default"));
    let function = FUNCTIONS.iter().find(|function| function.name == name && namespace == policy.namespace);
    let Some(function) = function else {
        return Err(format!(
            "Could not find public function for '{path}'. Did you forget to run `npx convex dev`?"
        ));
    };
    if function.kind != kind {
        return Err(format!(
            "Trying to execute {namespace}.js:{name} as {kind:?}, but it is defined as {:?}.",
            function.kind
        ));
    }
    check(function.rules, args)?;
    (function.run)(state, policy, &CheckedArguments(args), now)
}

fn check(rules: &[Rule], args: &Map<String, Value>) -> Result<(), String> {
    let fails = |what: String| Err(format!("ArgumentValidationError: {what}"));
    for name in args.keys() {
        if !rules.iter().any(|(known, _, _)| known == name) {
            return fails(format!("Object contains extra field `{name}` that is not in the validator."));
        }
    }
    for (name, kind, is_required) in rules {
        match args.get(*name) {
            None if *is_required => return fails(format!("Object is missing the required field `{name}`.")),
            None => {}
            Some(value) if fits(*kind, value) => {}
            Some(value) => {
                return fails(format!("Value does not match validator.\nPath: .{name}\nValue: {value}"));
            }
        }
    }
    Ok(())
}

fn fits(kind: Type, value: &Value) -> bool {
    match kind {
        Type::Text => value.is_string(),
        Type::Number => value.is_number(),
        Type::OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        Type::Texts => value.as_object().is_some_and(|map| map.values().all(Value::is_string)),
        Type::Messages => value.as_array().is_some_and(|list| list.iter().all(is_message)),
    }
}

fn is_message(value: &Value) -> bool {
    let Some(fields) = value.as_object() else { return false };
    let known = fields.keys().all(|name| ["role", "content", "at"].contains(&name.as_str()));
    let role = fields.get("role").and_then(Value::as_str).is_some_and(|role| ROLES.contains(&role));
    known
        && role
        && fields.get("content").is_some_and(Value::is_string)
        && fields.get("at").is_none_or(Value::is_number)
}
