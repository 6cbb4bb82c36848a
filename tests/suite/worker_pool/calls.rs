//! The sixteen functions of worker-pool B.2, over HTTP, against a backend that refuses every other argument.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::convex::{CallClass, CallError, ConvexEndpoint, FunctionKind, Ran};
use mission_control_runtime::demo::pool::{
    self as stand_in, Enqueue, PoolAgent, PoolBackend, PoolFault, PoolPolicy, SkillFile, SkillRelease,
};
use mission_control_runtime::http::server::Server;
use mission_control_runtime::model::*;
use mission_control_runtime::pool::*;
use mission_control_runtime::redact::Redactor;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::wire::{Roots, Stop};
use serde_json::{Value, json};

/// A backend with one agent, behind a socket, and its client.
struct Bench {
    backend: PoolBackend,
    client: PoolClient,
    _server: Server,
}

impl Bench {
    fn new() -> Self {
        Self::in_module("agentFactory")
    }

    /// The client calls the functions of this module.
    fn in_module(namespace: &str) -> Self {
        let backend = PoolBackend::new(PoolPolicy::default());
        let telegram_token = Some("12:token".to_owned());
        let bridge =
            Some(json!({"baseUrl": "https://app.example", "appBaseUrlMapJson": null, "serviceId": "s",
            "appKey": null, "serviceKey": "k", "serviceKeySecretRef": null, "botIdentity": null}));
        backend.put_agent(PoolAgent { key: "a".to_owned(), enabled: true, telegram_token, bridge });
        let server = backend.serve("127.0.0.1:0").unwrap();
        let base = BaseUrl::parse(&format!("http://{}", server.local_addr())).unwrap();
        let endpoint = ConvexEndpoint::new(base, &Roots::load(None).unwrap(), Arc::new(Redactor::default()));
        let convex = Arc::new(endpoint.client(&Stop::new()));
        let client = PoolClient::new(convex, namespace, Duration::from_secs(20));
        Self { backend, client, _server: server }
    }

    fn enqueue(&self) -> JobId {
        JobId::new(self.backend.enqueue(Enqueue::telegram("c1", "a", "7", "hi")).unwrap())
    }

    fn claim(&self, worker: &WorkerId) -> Option<ClaimedJob> {
        self.client.ask(&Claim { worker_id: worker, conversation_id: None }).unwrap()
    }

    /// Makes the request and compares the arguments that the backend received. Returns the answer.
    fn check<R: PoolRequest>(&self, request: &R, name: &str, sent: &Value) -> R::Answer {
        let answer = self.client.ask(request);
        let calls = self.backend.calls_of(name);
        assert_eq!(&calls.last().expect("a call").args, sent, "{name}");
        answer.unwrap_or_else(|why| panic!("{name}: {why}"))
    }
}

fn lease_of<'a>(worker: &'a WorkerId, job: &'a ClaimedJob) -> HeldLease<'a> {
    HeldLease { worker_id: worker, message_id: &job.message_id, lease_id: &job.lease_id }
}

/// The calls of one job from its claim to its end, with their exact arguments.
#[test]
fn a_job_is_claimed_hydrated_renewed_appended_and_completed() {
    let bench = Bench::new();
    let worker = WorkerId::new("w1");
    let control = GetControlState { worker_id: &worker };
    assert!(bench.check(&control, "workerControlState", &json!({"workerId": "w1"})).should_stop);
    let claim = Claim { worker_id: &worker, conversation_id: None };
    assert_eq!(bench.check(&claim, "workerClaim", &json!({"workerId": "w1"})), None);
    let id = bench.enqueue();
    let conversation = ConversationId::new("c1");
    let only = Claim { worker_id: &worker, conversation_id: Some(&conversation) };
    let sent = json!({"workerId": "w1", "conversationId": "c1"});
    let job = bench.check(&only, "workerClaim", &sent).expect("a job");
    assert_eq!((&job.message_id, job.agent_key.as_str()), (&id, "a"));
    assert_eq!(job.payload.provider, JobProvider::Telegram);
    assert_eq!((job.payload.message_text.as_str(), job.payload.chat_id()), ("hi", "7"));

    let hydrate = Hydrate { message_id: &id, workspace_id: "default" };
    let sent = json!({"messageId": id, "workspaceId": "default"});
    let bundle = bench.check(&hydrate, "workerHydrationBundle", &sent).expect("a bundle");
    assert_eq!(bundle.telegram_bot_token.as_ref().map(Secret::expose), Some("12:token"));
    let bridge = bundle.bridge_runtime_config.expect("a bridge");
    assert_eq!((bridge.service_id.as_deref(), bridge.app_key), (Some("s"), None));

    let lease = lease_of(&worker, &job);
    let held = json!({"workerId": "w1", "messageId": id, "leaseId": job.lease_id});
    assert!(bench.check(&RenewLease { lease }, "workerHeartbeat", &held));

    let at = Millis(1_700_000_000_000);
    let messages = [
        NewMessage { role: ChatRole::User, content: "hi", at },
        NewMessage { role: ChatRole::Assistant, content: "hello", at },
    ];
    let append =
        AppendMessages { conversation_id: &conversation, workspace_id: Some("default"), messages: &messages };
    let sent = json!({"conversationId": "c1", "workspaceId": "default", "messages": [
        {"role": "user", "content": "hi", "at": at}, {"role": "assistant", "content": "hello", "at": at}]});
    let appended = bench.check(&append, "workerAppendConversationMessages", &sent);
    assert_eq!(appended, Appended { updated: true, message_count: 2 });
    let again = bench.client.ask(&hydrate).unwrap().expect("a bundle").conversation_state.context_history;
    let last = ContextMessage { role: Word::Known(ChatRole::Assistant), content: "hello".to_owned(), at };
    assert_eq!(again.last(), Some(&last), "the time that we chose comes back");

    let queued = ConversationHasQueued { conversation_id: &conversation };
    let sent = json!({"conversationId": "c1"});
    assert!(!bench.check(&queued, "workerConversationHasQueued", &sent));
    assert!(bench.check(&Complete { lease }, "workerComplete", &held));
    assert!(!bench.check(&Complete { lease }, "workerComplete", &held), "a repeat looks like a lost lease");
    assert!(bench.client.ask(&hydrate).unwrap().is_none(), "nothing to do any more");
    assert!(!bench.client.ask(&RenewLease { lease }).unwrap());
}

#[test]
fn a_failed_attempt_is_reported_with_its_reason() {
    let bench = Bench::new();
    let worker = WorkerId::new("w1");
    let id = bench.enqueue();
    let job = bench.claim(&worker).expect("a job");
    let fail = Fail { lease: lease_of(&worker, &job), error_message: "the model is away" };
    let sent = json!({"workerId": "w1", "messageId": id, "leaseId": job.lease_id,
        "errorMessage": "the model is away"});
    let failed = bench.check(&fail, "workerFail", &sent);
    assert!(failed.requeued && !failed.dead_lettered && failed.next_scheduled_for.is_some(), "{failed:?}");
    let again = bench.client.ask(&fail).unwrap();
    assert_eq!(again, Failed { requeued: false, dead_lettered: false, next_scheduled_for: None });
}

#[test]
fn files_metadata_snapshots_and_skills() {
    let bench = Bench::new();
    let id = bench.enqueue();
    let metadata = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
    let attach = AttachMetadata { message_id: &id, metadata: &metadata };
    let sent = json!({"messageId": id, "metadata": {"k": "v"}});
    assert!(bench.check(&attach, "workerAttachMessageMetadata", &sent));
    let upload = bench.check(&MakeUploadUrl {}, "workerGenerateMediaUploadUrl", &json!({}));
    assert!(upload.upload_url.starts_with("http://127.0.0.1:"), "{}", upload.upload_url);
    let file = StorageId::new(bench.backend.store(b"archive".to_vec()));
    let get = GetFileUrl { storage_id: &file };
    let url = bench.check(&get, "workerGetStorageFileUrl", &json!({"storageId": file}));
    assert!(url.is_some_and(|url| url.ends_with(file.as_str())));
    let missing = GetFileUrl { storage_id: &StorageId::new("x") };
    assert_eq!(bench.client.ask(&missing).unwrap(), None);

    let (worker, conversation) = (WorkerId::new("w1"), ConversationId::new("c1"));
    let prepare = PrepareSnapshot {
        worker_id: &worker,
        workspace_id: "default",
        agent_key: "a",
        conversation_id: &conversation,
        reason: SnapshotReason::Manual,
    };
    let sent = json!({"workerId": "w1", "workspaceId": "default", "agentKey": "a", "conversationId": "c1",
        "reason": "manual"});
    let prepared = bench.check(&prepare, "workerPrepareSnapshotUpload", &sent);
    let finalize = FinalizeSnapshot {
        worker_id: &worker,
        snapshot_id: &prepared.snapshot_id,
        storage_id: &file,
        sha256: "00ff",
        size_bytes: 7,
    };
    let sent = json!({"workerId": "w1", "snapshotId": prepared.snapshot_id, "storageId": file,
        "sha256": "00ff", "sizeBytes": 7});
    assert!(bench.check(&finalize, "workerFinalizeSnapshotUpload", &sent));
    let latest =
        GetLatestSnapshot { workspace_id: "default", agent_key: "a", conversation_id: &conversation };
    let sent = json!({"workspaceId": "default", "agentKey": "a", "conversationId": "c1"});
    let found = bench.check(&latest, "workerLatestSnapshotForRestore", &sent).expect("a snapshot");
    assert_eq!((found.sha256.as_deref(), found.size_bytes), (Some("00ff"), Some(7)));
    let fail = FailSnapshot { worker_id: &worker, snapshot_id: &prepared.snapshot_id, error: "disk full" };
    let sent = json!({"workerId": "w1", "snapshotId": prepared.snapshot_id, "error": "disk full"});
    assert!(bench.check(&fail, "workerFailSnapshotUpload", &sent));
    assert!(bench.client.ask(&latest).unwrap().is_none());

    let files = vec![SkillFile { path: "SKILL.md".to_owned(), content: "# demo\n".to_owned() }];
    let text = str::to_owned;
    let (channel, module_format) = (text("canary"), text("esm"));
    bench.backend.publish(SkillRelease {
        channel,
        slug: text("demo"),
        version: text("1.0.0"),
        module_format,
        files,
    });
    let all = GetSkillsManifest::default();
    assert!(bench.check(&all, "workerGlobalSkillsManifest", &json!({})).skills.is_empty());
    let canary = GetSkillsManifest {
        workspace_id: Some("default"),
        worker_id: Some(&worker),
        release_channel: Some(ReleaseChannel::Canary),
    };
    let sent = json!({"workspaceId": "default", "workerId": "w1", "releaseChannel": "canary"});
    let manifest = bench.check(&canary, "workerGlobalSkillsManifest", &sent);
    assert_eq!((manifest.skills.len(), manifest.skills[0].files.len()), (1, 2));
}

/// The catalogue and the stand-in are written from the same table of the contract.
#[test]
fn the_catalogue_has_the_functions_of_the_contract_in_order() {
    let kind = |kind: FunctionKind| match kind {
        FunctionKind::Query => stand_in::FunctionKind::Query,
        FunctionKind::Mutation => stand_in::FunctionKind::Mutation,
        FunctionKind::Action => panic!("a worker calls no action"),
    };
    assert_eq!(catalog::ALL.len(), 16);
    assert!(catalog::ALL.iter().map(|entry| (entry.name, kind(entry.kind))).eq(stand_in::names()));
    // A query is always harmless.
    let unsafe_ones =
        ["workerComplete", "workerFail", "workerAppendConversationMessages", "workerPrepareSnapshotUpload"];
    for entry in catalog::ALL {
        assert_eq!(entry.may_repeat, !unsafe_ones.contains(&entry.name), "{}", entry.name);
    }
}

#[test]
fn a_lost_claim_is_repeated_and_claims_nothing_more() {
    let bench = Bench::new();
    let worker = WorkerId::new("w1");
    let first = bench.enqueue();
    let second = bench.enqueue();
    bench.backend.plan("workerClaim", PoolFault::LoseAnswer);
    assert_eq!(bench.claim(&worker), None, "the conversation is locked by the lost claim");
    assert_eq!(bench.backend.calls_of("workerClaim").len(), 2);
    let claims = |id: &JobId| bench.backend.message(id.as_str()).map(|row| row.claims);
    assert_eq!((claims(&first), claims(&second)), (Some(1), Some(0)));
}

#[test]
fn a_lost_append_or_completion_is_in_doubt_and_not_repeated() {
    let bench = Bench::new();
    let worker = WorkerId::new("w1");
    bench.enqueue();
    let job = bench.claim(&worker).expect("a job");
    let is_in_doubt = |error: CallError| error.class == CallClass::Ambiguous && error.ran == Ran::Maybe;
    bench.backend.plan("workerAppendConversationMessages", PoolFault::LoseAnswer);
    let messages = [NewMessage { role: ChatRole::User, content: "hi", at: Millis(1) }];
    let append =
        AppendMessages { conversation_id: &job.conversation_id, workspace_id: None, messages: &messages };
    assert!(bench.client.ask(&append).is_err_and(is_in_doubt));
    bench.backend.plan("workerComplete", PoolFault::LoseAnswer);
    let complete = Complete { lease: lease_of(&worker, &job) };
    assert!(bench.client.ask(&complete).is_err_and(is_in_doubt));
    for name in ["workerAppendConversationMessages", "workerComplete"] {
        assert_eq!(bench.backend.calls_of(name).len(), 1, "{name}");
    }
}

#[test]
fn another_namespace_is_refused_with_a_reason() {
    let bench = Bench::in_module("example");
    let error = bench.client.ask(&GetControlState { worker_id: &WorkerId::new("w1") }).expect_err("an error");
    assert_eq!(error.class, CallClass::Refused);
    assert!(error.to_string().contains("example:workerControlState"), "{error}");
}
