//! Tables and indexes. Every table is alike: the row's id, the instant of its creation, and the row itself as JSON;
//! what is looked for is an index over expressions of that JSON. So a new optional field needs no migration.

use super::columns;

/// The tables of the original that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Table {
    /// Whole customers; normally one.
    Accounts,
    /// People in an account.
    Memberships,
    /// Agents.
    Agents,
    /// Tasks.
    Tasks,
    /// Messages in tasks' threads.
    Messages,
    /// Who is told what.
    Notifications,
    /// Documents and folders.
    Documents,
    /// Skills.
    Skills,
    /// Who follows which task.
    Subscriptions,
    /// What happened.
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
}

impl Table {
    pub(crate) const ALL: [Self; 15] = [
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
    ];

    /// Its name in the database and, as the platform calls it, in error texts.
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
        }
    }

    /// How its ids begin.
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
        }
    }
}

/// A way to look rows up: the fields that must be equal, in order; found rows come in the order of `then` (if there
/// is one), then of their creation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index {
    /// The table.
    pub(crate) table: Table,
    /// The fields to give values for, as they stand in the JSON.
    pub(crate) by: &'static [&'static str],
    /// A further field to sort by.
    pub(crate) then: Option<&'static str>,
}

macro_rules! indexes {
    ($($(#[$doc:meta])* $name:ident = $table:ident by $by:expr $(, then $then:literal)?;)*) => {
        $($(#[$doc])* pub(in crate) const $name: Index =
            Index { table: Table::$table, by: &$by, then: indexes!(@then $($then)?) };)*

        pub(super) const INDEXES: &[(&str, Index)] = &[$((stringify!($name), $name)),*];
    };
    (@then) => { None };
    (@then $then:literal) => { Some($then) };
}

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
    /// An account's tasks that stand somewhere.
    TASKS_BY_STATUS = Tasks by ["accountId", "status"];
    /// A task's thread.
    THREAD = Messages by ["taskId"];
    /// The message that answered a notification.
    ANSWER = Messages by ["sourceNotificationId"];
    /// What is to be delivered: give `"agent"` and no instant; oldest first.
    UNDELIVERED = Notifications by ["accountId", "recipientType", "deliveredAt"], then "createdAt";
    /// What somebody is told of a task, by type; oldest first.
    TOLD_OF_TASK = Notifications by ["taskId", "recipientId", "type"], then "createdAt";
    /// The same with what is delivered apart: give no instant for what waits.
    WAITING_OF_TASK = Notifications by ["taskId", "recipientId", "type", "deliveredAt"], then "createdAt";
    /// Everybody who is told of a task.
    NOTIFICATIONS_OF_TASK = Notifications by ["taskId"];
    /// Everything somebody is told.
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
    /// Who follows a task.
    FOLLOWERS = Subscriptions by ["taskId"];
    /// What somebody follows.
    FOLLOWED_BY = Subscriptions by ["accountId", "subscriberType", "subscriberId"];
    /// Whether somebody follows a task.
    FOLLOWS = Subscriptions by ["taskId", "subscriberType", "subscriberId"];
    /// What happened to something.
    HAPPENED_TO = Activities by ["accountId", "targetType", "targetId"];
    /// What happened in an account.
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
}

/// The step from each version of this layout to the next: `MIGRATIONS[0]` makes 2 out of 1. [`create`] makes the version
/// behind the last of them; newer data is refused.
pub(super) const MIGRATIONS: &[&str] = &[];

/// The statements that make an empty database ours.
pub(super) fn create() -> String {
    let tables = Table::ALL.map(|table| {
        let name = table.name();
        format!(
            "CREATE TABLE {name} (id TEXT NOT NULL UNIQUE, at REAL NOT NULL, row TEXT NOT NULL) STRICT;\n"
        )
    });
    tables.into_iter().chain([missing_indexes()]).collect()
}

/// The statements that make the indexes that are not there. An index is no part of the layout: every version works with
/// those of every other.
pub(super) fn missing_indexes() -> String {
    let indexes = INDEXES.iter().map(|(name, index)| {
        let fields = index.by.iter().copied().chain(index.then).map(field).collect::<Vec<_>>().join(", ");
        let (name, table) = (name.to_lowercase(), index.table.name());
        format!("CREATE INDEX IF NOT EXISTS by_{name} ON {table} ({fields}, at);\n")
    });
    indexes.chain([columns::index()]).collect()
}

/// A field of the row as an expression; the same text in index and query, so that the one serves the other.
pub(super) fn field(name: &str) -> String {
    format!("row ->> '{name}'")
}
