//! The functions that a worker calls (worker-pool B.2), in the order of the contract.

use crate::convex::FunctionKind;

/// One function of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolFunction {
    /// Its name, below the namespace.
    pub name: &'static str,
    /// Its kind.
    pub kind: FunctionKind,
    /// Whether a second run adds nothing to the first, and its answer means the same.
    pub may_repeat: bool,
}

macro_rules! catalog {
    ($($entry:ident = $name:literal, $kind:ident, $may_repeat:literal;)*) => {
        $(pub(super) const $entry: PoolFunction = PoolFunction {
            name: $name,
            kind: FunctionKind::$kind,
            may_repeat: $may_repeat,
        };)*

        /// All functions.
        pub const ALL: &[PoolFunction] = &[$($entry),*];
    };
}

catalog! {
    CONTROL_STATE = "workerControlState", Query, true;
    // After a lost answer the conversation is locked, so a repeat claims nothing more.
    CLAIM = "workerClaim", Mutation, true;
    HAS_QUEUED = "workerConversationHasQueued", Query, true;
    HYDRATE = "workerHydrationBundle", Query, true;
    HEARTBEAT = "workerHeartbeat", Mutation, true;
    // A repeat changes nothing, but its answer reads like a lost lease.
    COMPLETE = "workerComplete", Mutation, false;
    FAIL = "workerFail", Mutation, false;
    // Each run appends.
    APPEND = "workerAppendConversationMessages", Mutation, false;
    ATTACH_METADATA = "workerAttachMessageMetadata", Mutation, true;
    // A second address is simply not used.
    MEDIA_UPLOAD_URL = "workerGenerateMediaUploadUrl", Mutation, true;
    FILE_URL = "workerGetStorageFileUrl", Query, true;
    // Each run adds a row, and an unfinished newest row hides the older snapshots.
    PREPARE_SNAPSHOT = "workerPrepareSnapshotUpload", Mutation, false;
    FINALIZE_SNAPSHOT = "workerFinalizeSnapshotUpload", Mutation, true;
    FAIL_SNAPSHOT = "workerFailSnapshotUpload", Mutation, true;
    LATEST_SNAPSHOT = "workerLatestSnapshotForRestore", Query, true;
    SKILLS_MANIFEST = "workerGlobalSkillsManifest", Query, true;
}
