//! The indexes of the worker pool's tables.

use super::schema::{Index, Table, indexes};

indexes! {
    /// The agent with a key.
    POOL_AGENT = PoolAgents by ["agentKey"];
    /// The agent of a bot.
    POOL_AGENT_OF_BOT = PoolAgents by ["botIdentity"];
    /// Messages by status; the one that is due first, first.
    POOL_DUE = PoolMessages by ["status"], then "scheduledFor";
    /// Messages by status; the lease that ends first, first.
    POOL_LEASES = PoolMessages by ["status"], then "leaseExpiresAt";
    /// The messages of a conversation by status and rank, in their order.
    POOL_LINE = PoolMessages by ["conversationId", "status", "rank"], then "position";
    /// The messages of a conversation by status.
    POOL_MESSAGES_BY_STATUS = PoolMessages by ["conversationId", "status"];
    /// The messages of a conversation.
    POOL_MESSAGES = PoolMessages by ["conversationId"];
    /// The conversation with an id.
    POOL_CONVERSATION = PoolConversations by ["conversationId"];
    /// Conversations by state and rank; the one that can be claimed first, first.
    POOL_CLAIMABLE = PoolConversations by ["state", "rank"], then "claimableAt";
    /// The history of a conversation.
    POOL_HISTORY = PoolHistory by ["conversationId"];
    /// The worker with an id.
    POOL_WORKER = PoolWorkers by ["workerId"];
    /// Workers by status; the one that was silent longest, first.
    POOL_WORKERS = PoolWorkers by ["status"], then "heartbeatAt";
    /// The versions of a secret.
    POOL_SECRET = PoolSecrets by ["secretRef"];
    /// A user's bindings by status.
    BINDINGS_OF_USER = PoolBindings by ["consumerUserId", "status"];
    /// An agent's bindings by status.
    BINDINGS_OF_AGENT = PoolBindings by ["agentKey", "status"];
    /// The bindings of a person at a bot.
    BINDINGS_OF_PERSON = PoolBindings by ["botIdentity", "telegramUserId", "status"];
    /// The bindings of a chat with a bot.
    BINDINGS_OF_CHAT = PoolBindings by ["botIdentity", "telegramChatId", "status"];
    /// The bindings of a person.
    BINDINGS_BY_PERSON = PoolBindings by ["telegramUserId", "status"];
    /// The bindings of a chat.
    BINDINGS_BY_CHAT = PoolBindings by ["telegramChatId", "status"];
    /// The pairing code with this text.
    PAIRING_CODE = PairingCodes by ["code"];
    /// The pairing codes of a user.
    PAIRINGS_OF_USER = PairingCodes by ["consumerUserId", "status"];
    /// The pairing codes by status; the one that expires first, first.
    PAIRINGS_BY_STATUS = PairingCodes by ["status"], then "expiresAt";
    /// A bot.
    POOL_BOT = PoolBots by ["botIdentity"];
    /// An update of a bot.
    POOL_UPDATE = PoolUpdates by ["botIdentity", "updateId"];
    /// The attachments by status; the one that expires first, first.
    ATTACHMENTS_BY_STATUS = PoolAttachments by ["status"], then "expiresAt";
    /// The attachments of a message.
    ATTACHMENTS_OF = PoolAttachments by ["messageId"];
    /// The upload addresses by the hash of their secret.
    UPLOAD_ADDRESS = PoolUploads by ["secretHash"];
    /// The snapshots of a conversation's agent in a workspace, by status.
    POOL_SNAPSHOTS = PoolSnapshots by ["workspaceId", "agentKey", "conversationId", "status"];
    /// The snapshots of a conversation.
    SNAPSHOTS_OF_CONVERSATION = PoolSnapshots by ["conversationId"];
    /// The snapshots by status; the one that expires first, first.
    SNAPSHOTS_BY_STATUS = PoolSnapshots by ["status"], then "expiresAt";
    /// The versions of a global skill.
    SKILL_VERSIONS = SkillVersions by ["slug"];
    /// The version of a global skill.
    SKILL_VERSION = SkillVersions by ["slug", "version"];
    /// The releases of a global skill.
    SKILL_RELEASES = SkillReleases by ["slug"];
    /// The releases of a channel.
    RELEASES_OF_CHANNEL = SkillReleases by ["releaseChannel", "isActive"];
    /// The message template with a key.
    MESSAGE_TEMPLATE = MessageTemplates by ["templateKey"];
    /// The push templates of a company.
    PUSH_TEMPLATES = PushTemplates by ["companyId"];
    /// The push template of a company with a key.
    PUSH_TEMPLATE = PushTemplates by ["companyId", "templateKey"];
    /// The scheduled messages of a user.
    PUSH_JOBS_OF_USER = PushJobs by ["consumerUserId"];
    /// The scheduled messages that run; the one that is due first, first.
    PUSH_JOBS_DUE = PushJobs by ["isScheduled"], then "nextRunAt";
    /// The run with a key.
    PUSH_DISPATCH = PushDispatches by ["runKey"];
    /// The runs of a scheduled message.
    PUSH_DISPATCHES = PushDispatches by ["jobId"];
    /// The runs for a user's agent.
    PUSH_DISPATCHES_OF = PushDispatches by ["consumerUserId", "agentKey"];
}
