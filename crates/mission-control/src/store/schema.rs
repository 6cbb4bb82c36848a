//! Tables and indexes. All tables have the same columns: id, creation time, and the row as JSON. Indexes are expressions over
//! the JSON, so a new optional field needs no migration.

use super::{columns, fleet_rows, pool_indexes};

/// The tables of the original that this backend implements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Table {
    /// Accounts; usually one.
    Accounts,
    /// People in an account.
    Memberships,
    /// Agents.
    Agents,
    /// Tasks.
    Tasks,
    /// Messages in tasks' threads.
    Messages,
    /// Notifications.
    Notifications,
    /// Documents and folders.
    Documents,
    /// Skills.
    Skills,
    /// Subscriptions to tasks.
    Subscriptions,
    /// The activity log.
    Activities,
    /// Agents' sessions.
    Sessions,
    /// Registered uploads.
    Uploads,
    /// Stored files.
    Storage,
    /// Runtimes; one for each account.
    Runtimes,
    /// Providers' keys, encrypted.
    ProviderKeys,
    /// Switches of the whole backend.
    SystemConfig,
    /// Tokens of the providers of machines, encrypted.
    MachineTokens,
    /// Machines: from the request for one to its end.
    Provisions,
    /// Upgrades of several runtimes, one after the other.
    Rollouts,
    /// Agents of the worker pool.
    PoolAgents,
    /// The queue of the worker pool.
    PoolMessages,
    /// Conversations of the worker pool.
    PoolConversations,
    /// The histories of conversations, one row for each message.
    PoolHistory,
    /// Workers of the pool.
    PoolWorkers,
    /// Secrets of the pool, encrypted.
    PoolSecrets,
    /// Which agent a user has.
    PoolBindings,
    /// Codes that connect a chat with a user.
    PairingCodes,
    /// Telegram bots with the hashes of their webhook secrets.
    PoolBots,
    /// Updates of Telegram that were received.
    PoolUpdates,
    /// Stored files of queued messages.
    PoolAttachments,
    /// Addresses to which one file can be posted.
    PoolUploads,
    /// Snapshots of workers' data.
    PoolSnapshots,
    /// Versions of global skills.
    SkillVersions,
    /// Which version of a global skill a channel has.
    SkillReleases,
    /// Message templates.
    MessageTemplates,
    /// Templates of scheduled messages.
    PushTemplates,
    /// Scheduled messages.
    PushJobs,
    /// Runs of scheduled messages and broadcasts.
    PushDispatches,
    /// Messages to all agents.
    Broadcasts,
    /// Settings of the pool; one row.
    PoolSettings,
}

impl Table {
    pub(crate) const ALL: [Self; 40] = [
        Self::Accounts,
        Self::Memberships,
        Self::Agents,
        Self::Tasks,
        Self::Messages,
        Self::Notifications,
        Self::Documents,
        Self::Skills,
        Self::Subscriptions,
        Self::Activities,
        Self::Sessions,
        Self::Uploads,
        Self::Storage,
        Self::Runtimes,
        Self::ProviderKeys,
        Self::SystemConfig,
        Self::MachineTokens,
        Self::Provisions,
        Self::Rollouts,
        Self::PoolAgents,
        Self::PoolMessages,
        Self::PoolConversations,
        Self::PoolHistory,
        Self::PoolWorkers,
        Self::PoolSecrets,
        Self::PoolBindings,
        Self::PairingCodes,
        Self::PoolBots,
        Self::PoolUpdates,
        Self::PoolAttachments,
        Self::PoolUploads,
        Self::PoolSnapshots,
        Self::SkillVersions,
        Self::SkillReleases,
        Self::MessageTemplates,
        Self::PushTemplates,
        Self::PushJobs,
        Self::PushDispatches,
        Self::Broadcasts,
        Self::PoolSettings,
    ];

    /// The name in the database, and in the platform's error texts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Memberships => "memberships",
            Self::Agents => "agents",
            Self::Tasks => "tasks",
            Self::Messages => "messages",
            Self::Notifications => "notifications",
            Self::Documents => "documents",
            Self::Skills => "skills",
            Self::Subscriptions => "subscriptions",
            Self::Activities => "activities",
            Self::Sessions => "agentRuntimeSessions",
            Self::Uploads => "messageUploads",
            Self::Storage => "_storage",
            Self::Runtimes => "runtimes",
            Self::ProviderKeys => "providerKeys",
            Self::SystemConfig => "systemConfig",
            Self::MachineTokens => "machineTokens",
            Self::Provisions => "provisions",
            Self::Rollouts => "rollouts",
            Self::PoolAgents => "agentProfiles",
            Self::PoolMessages => "messageQueue",
            Self::PoolConversations => "conversations",
            Self::PoolHistory => "conversationMessages",
            Self::PoolWorkers => "workers",
            Self::PoolSecrets => "secrets",
            Self::PoolBindings => "identityBindings",
            Self::PairingCodes => "pairingCodes",
            Self::PoolBots => "telegramBots",
            Self::PoolUpdates => "telegramUpdates",
            Self::PoolAttachments => "messageAttachments",
            Self::PoolUploads => "uploadAddresses",
            Self::PoolSnapshots => "dataSnapshots",
            Self::SkillVersions => "globalSkillVersions",
            Self::SkillReleases => "globalSkillReleases",
            Self::MessageTemplates => "messageTemplates",
            Self::PushTemplates => "pushTemplates",
            Self::PushJobs => "pushJobs",
            Self::PushDispatches => "pushDispatches",
            Self::Broadcasts => "broadcasts",
            Self::PoolSettings => "poolSettings",
        }
    }

    /// Whether pages show rows of this table.
    pub(super) fn is_on_pages(self) -> bool {
        let is_of_pool = (Self::PoolAgents as usize..=Self::PoolSettings as usize).contains(&(self as usize));
        let is_hidden = matches!(
            self,
            Self::Subscriptions
                | Self::Sessions
                | Self::Uploads
                | Self::Storage
                | Self::SystemConfig
                | Self::MachineTokens
                | Self::Provisions
                | Self::Rollouts
        );
        !is_of_pool && !is_hidden
    }

    /// The prefix of its ids.
    pub(super) fn id_prefix(self) -> &'static str {
        match self {
            Self::Accounts => "k1",
            Self::Memberships => "mb",
            Self::Agents => "js",
            Self::Tasks => "kx",
            Self::Messages => "kd",
            Self::Notifications => "jn",
            Self::Documents => "dc",
            Self::Skills => "kn",
            Self::Subscriptions => "sb",
            Self::Activities => "ac",
            Self::Sessions => "se",
            Self::Uploads => "xp",
            Self::Storage => "kg",
            Self::Runtimes => "rt",
            Self::ProviderKeys => "pk",
            Self::SystemConfig => "sy",
            Self::MachineTokens => "mt",
            Self::Provisions => "pv",
            Self::Rollouts => "rv",
            Self::PoolAgents => "pa",
            Self::PoolMessages => "mq",
            Self::PoolConversations => "cv",
            Self::PoolHistory => "ch",
            Self::PoolWorkers => "wk",
            Self::PoolSecrets => "ps",
            Self::PoolBindings => "pb",
            Self::PairingCodes => "pc",
            Self::PoolBots => "bt",
            Self::PoolUpdates => "tg",
            Self::PoolAttachments => "ma",
            Self::PoolUploads => "xd",
            Self::PoolSnapshots => "ds",
            Self::SkillVersions => "gv",
            Self::SkillReleases => "gr",
            Self::MessageTemplates => "mp",
            Self::PushTemplates => "pt",
            Self::PushJobs => "pj",
            Self::PushDispatches => "pd",
            Self::Broadcasts => "br",
            Self::PoolSettings => "pg",
        }
    }
}

/// An index: the fields that must be equal, in order. Rows are sorted by `then`, if set, and then by creation time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index {
    /// The table.
    pub(crate) table: Table,
    /// The fields to compare, as they are named in the JSON.
    pub(crate) by: &'static [&'static str],
    /// A further field to sort by.
    pub(crate) then: Option<&'static str>,
}

macro_rules! indexes {
    ($($(#[$doc:meta])* $name:ident = $table:ident by $by:expr $(, then $then:literal)?;)*) => {
        $($(#[$doc])* pub(in crate) const $name: Index =
            Index { table: Table::$table, by: &$by, then: indexes!(@then $($then)?) };)*

        pub(in crate::store) const INDEXES: &[(&str, Index)] = &[$((stringify!($name), $name)),*];
    };
    (@then) => { None };
    (@then $then:literal) => { Some($then) };
}
pub(super) use indexes;

indexes! {
    /// The account that a slug names.
    ACCOUNT_BY_SLUG = Accounts by ["slug"];
    /// An account's people.
    MEMBERS = Memberships by ["accountId"];
    /// An account's agents.
    AGENTS = Agents by ["accountId"];
    /// The agent that a slug names.
    AGENT_BY_SLUG = Agents by ["accountId", "slug"];
    /// An account's tasks.
    TASKS = Tasks by ["accountId"];
    /// An account's tasks by status.
    TASKS_BY_STATUS = Tasks by ["accountId", "status"];
    /// A task's thread.
    THREAD = Messages by ["taskId"];
    /// The message that answered a notification.
    ANSWER = Messages by ["sourceNotificationId"];
    /// Undelivered notifications, oldest first: query with `"agent"` and without a delivery time.
    UNDELIVERED = Notifications by ["accountId", "recipientType", "deliveredAt"], then "createdAt";
    /// The notifications of a recipient about a task, by type; oldest first.
    NOTIFIED_OF_TASK = Notifications by ["taskId", "recipientId", "type"], then "createdAt";
    /// Like `NOTIFIED_OF_TASK`, with the delivery time: query without one for undelivered notifications.
    WAITING_OF_TASK = Notifications by ["taskId", "recipientId", "type", "deliveredAt"], then "createdAt";
    /// All notifications about a task.
    NOTIFICATIONS_OF_TASK = Notifications by ["taskId"];
    /// All notifications of a recipient.
    NOTIFICATIONS_OF = Notifications by ["accountId", "recipientId"];
    /// An account's documents; last changed last.
    DOCUMENTS = Documents by ["accountId"], then "updatedAt";
    /// A task's documents; last changed last.
    DOCUMENTS_OF_TASK = Documents by ["taskId"], then "updatedAt";
    /// Documents of a type, in the order of their creation.
    DOCUMENTS_BY_TYPE = Documents by ["accountId", "type"];
    /// Documents of a type by their title.
    DOCUMENTS_BY_TITLE = Documents by ["accountId", "type", "title"];
    /// Documents of a type by their name.
    DOCUMENTS_BY_NAME = Documents by ["accountId", "type", "name"];
    /// An account's skills.
    SKILLS = Skills by ["accountId"];
    /// The skill that a slug names.
    SKILL_BY_SLUG = Skills by ["accountId", "slug"];
    /// The subscriptions to a task.
    FOLLOWERS = Subscriptions by ["taskId"];
    /// The subscriptions of a subscriber.
    FOLLOWED_BY = Subscriptions by ["accountId", "subscriberType", "subscriberId"];
    /// The subscription of a subscriber to a task.
    FOLLOWS = Subscriptions by ["taskId", "subscriberType", "subscriberId"];
    /// The activities of a target.
    HAPPENED_TO = Activities by ["accountId", "targetType", "targetId"];
    /// The activities of an account.
    HAPPENED = Activities by ["accountId"];
    /// An agent's sessions on a task, or without one.
    SESSIONS = Sessions by ["accountId", "agentId", "sessionType", "taskId"];
    /// Sessions whose keys carry the same slug, on a task or without one.
    SESSIONS_OF_SLUG = Sessions by ["accountId", "sessionType", "taskId", "agentSlug"];
    /// All of an agent's sessions.
    SESSIONS_OF_AGENT = Sessions by ["accountId", "agentId"];
    /// A task's sessions.
    SESSIONS_OF_TASK = Sessions by ["taskId"];
    /// A registered upload.
    UPLOAD = Uploads by ["accountId", "taskId", "storageId"];
    /// An account's runtime.
    RUNTIME = Runtimes by ["accountId"];
    /// A provider's key.
    PROVIDER_KEY = ProviderKeys by ["accountId", "provider"];
    /// An account's keys.
    PROVIDER_KEYS = ProviderKeys by ["accountId"];
    /// A switch.
    CONFIG_BY_KEY = SystemConfig by ["key"];
    /// The token of a provider of machines.
    MACHINE_TOKEN = MachineTokens by ["provider"];
    /// An account's machines, those that are gone included.
    PROVISIONS = Provisions by ["accountId"];
    /// The machines in a state.
    PROVISIONS_BY_STATE = Provisions by ["state"];
    /// The machine that a one-time token belongs to.
    PROVISION_BY_TOKEN = Provisions by ["tokenHash"];
    /// The upgrades in a state.
    ROLLOUTS_BY_STATE = Rollouts by ["state"];
}

/// The step from each version of this layout to the next: `MIGRATIONS[0]` makes 2 out of 1. [`create`] makes the version
/// behind the last of them; newer data is refused.
pub(super) const MIGRATIONS: &[&str] = &[FLEET_TABLES, POOL_TABLES];

/// Layout 2: machines, and upgrades of several accounts.
const FLEET_TABLES: &str = "
    CREATE TABLE systemConfig (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE machineTokens (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE provisions (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE rollouts (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
";

/// Layout 3: the tables of the worker pool.
const POOL_TABLES: &str = "
    CREATE TABLE agentProfiles (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE messageQueue (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE conversations (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE conversationMessages (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE workers (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE secrets (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE identityBindings (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE pairingCodes (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE telegramBots (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE telegramUpdates (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE messageAttachments (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE uploadAddresses (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE dataSnapshots (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE globalSkillVersions (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE globalSkillReleases (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE messageTemplates (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE pushTemplates (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE pushJobs (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE pushDispatches (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE broadcasts (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
    CREATE TABLE poolSettings (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;
";

/// The statements that create all tables and indexes.
pub(super) fn create() -> String {
    let tables = Table::ALL.map(|table| {
        let name = table.name();
        format!(
            "CREATE TABLE {name} (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;\n"
        )
    });
    tables.into_iter().chain([missing_indexes()]).collect()
}

/// The statements that create missing indexes. An index is not part of the layout: every version works with the indexes of
/// every other version.
pub(super) fn missing_indexes() -> String {
    let indexes = INDEXES.iter().chain(pool_indexes::INDEXES).map(|(name, index)| {
        let fields = index.by.iter().copied().chain(index.then).map(field).collect::<Vec<_>>().join(", ");
        let (name, table) = (name.to_lowercase(), index.table.name());
        format!("CREATE INDEX IF NOT EXISTS by_{name} ON {table} ({fields}, at);\n")
    });
    indexes.chain([columns::index(), fleet_rows::indexes()]).collect()
}

/// A field of the row as an SQL expression. Index and query use the same text, so that SQLite uses the index.
pub(super) fn field(name: &str) -> String {
    format!("row ->> '{name}'")
}
