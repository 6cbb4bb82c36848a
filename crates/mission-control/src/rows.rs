//! The rows of each table (backend-contract §3). Every number is a float, as on the platform. Serde writes whole
//! numbers with `.0`, as the platform does.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::store::{Id, Row, Table};

/// Defines a struct. The first fields are required. The fields after `maybe` are optional, and absent ones are not
/// written.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty,)* $(; maybe { $($(#[$opt_attr:meta])* $opt:ident: $opt_type:ty,)* })? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        #[allow(clippy::struct_field_names, clippy::struct_excessive_bools, reason = "the contract names the fields")]
        pub(in crate) struct $name {
            $($(#[$attr])* pub(in crate) $field: $type,)*
            $($($(#[$opt_attr])* #[serde(default, skip_serializing_if = "Option::is_none")] pub(in crate) $opt: Option<$opt_type>,)*)?
        }
    };
}

pub(super) use record;

pub(super) use super::row_records::*;

/// Defines records that are rows of a table. `otherwise` reads the rows of all other tables.
macro_rules! rows {
    (otherwise $otherwise:path; $($(#[$doc:meta])* $table:ident $name:ident { $($body:tt)* })*) => {$(
        record! { $(#[$doc])* $name { $($body)* } }

        impl Row for $name {
            const TABLE: Table = Table::$table;
        }
    )*

    /// The JSON of a row after reading it as the type of its table: without unknown fields, and with defaults.
    pub(super) fn normalized(table: Table, row: &str) -> serde_json::Result<String> {
        match table {
            $(Table::$table => serde_json::to_string(&serde_json::from_str::<$name>(row)?),)*
            _ => $otherwise(table, row),
        }
    }};
}
pub(super) use rows;

rows! {
    otherwise super::pool::normalized;

    /// §3.6.
    Accounts Account {
        name: String,
        slug: String,
        plan: String,
        runtime_status: String,
        created_at: f64,
        #[serde(default)]
        settings: Settings,
        ; maybe {
            runtime_config: RuntimeConfig,
            service_token_hash: String,
            restart_requested_at: f64,
            restart_read_at: f64,
        }
    }
    /// §3.7.
    Memberships Membership {
        account_id: Id<Account>,
        user_id: String,
        user_name: String,
        user_email: String,
        role: String,
        joined_at: f64,
        ; maybe {
            user_avatar_url: String,
        }
    }
    /// §3.2.
    Agents Agent {
        account_id: Id<Account>,
        name: String,
        slug: String,
        role: String,
        status: String,
        heartbeat_interval: f64,
        created_at: f64,
        ; maybe {
            description: String,
            current_task_id: Id<Task>,
            last_heartbeat: f64,
            avatar_url: String,
            icon: String,
            soul_content: String,
            identity_content: String,
            openclaw_config: OpenclawConfig,
        }
    }
    /// §3.1.
    Tasks Task {
        account_id: Id<Account>,
        title: String,
        status: String,
        priority: f64,
        assigned_user_ids: Vec<String>,
        assigned_agent_ids: Vec<Id<Agent>>,
        labels: Vec<String>,
        created_by: String,
        created_at: f64,
        updated_at: f64,
        ; maybe {
            description: String,
            due_date: f64,
            blocked_reason: String,
            archived_at: f64,
            metadata: TaskMetadata,
            last_message_at: f64,
        }
    }
    /// §3.4.
    Messages Message {
        account_id: Id<Account>,
        task_id: Id<Task>,
        author_type: String,
        author_id: String,
        content: String,
        mentions: Vec<Mention>,
        created_at: f64,
        ; maybe {
            attachments: Vec<Attachment>,
            edited_at: f64,
            source_notification_id: Id<Notification>,
        }
    }
    /// §3.5.
    Notifications Notification {
        account_id: Id<Account>,
        #[serde(rename = "type")]
        kind: String,
        recipient_type: String,
        recipient_id: String,
        title: String,
        body: String,
        created_at: f64,
        ; maybe {
            task_id: Id<Task>,
            message_id: Id<Message>,
            read_at: f64,
            delivered_at: f64,
            delivery_ended_at: f64,
        }
    }
    /// §3.7.
    Documents Document {
        account_id: Id<Account>,
        author_type: String,
        author_id: String,
        created_at: f64,
        updated_at: f64,
        ; maybe {
            parent_id: Id<Document>,
            kind: String,
            name: String,
            task_id: Id<Task>,
            title: String,
            content: String,
            #[serde(rename = "type")]
            document_type: String,
            mime_type: String,
            size: f64,
            version: f64,
            deleted_at: f64,
        }
    }
    /// §3.7.
    Skills Skill {
        account_id: Id<Account>,
        name: String,
        slug: String,
        category: String,
        config: Value,
        is_enabled: bool,
        created_at: f64,
        updated_at: f64,
        ; maybe {
            description: String,
            icon: String,
            content_markdown: String,
        }
    }
    /// §3.7. One row for each (task, type, id).
    Subscriptions Subscription {
        account_id: Id<Account>,
        task_id: Id<Task>,
        subscriber_type: String,
        subscriber_id: String,
        subscribed_at: f64,
    }
    /// §3.7. Rows are only added.
    Activities Activity {
        account_id: Id<Account>,
        #[serde(rename = "type")]
        kind: String,
        actor_type: String,
        actor_id: String,
        actor_name: String,
        target_type: String,
        target_id: String,
        created_at: f64,
        ; maybe {
            target_name: String,
            meta: Value,
        }
    }
    /// §6.
    Sessions Session {
        account_id: Id<Account>,
        agent_id: Id<Agent>,
        session_type: String,
        agent_slug: String,
        generation: f64,
        session_key: String,
        opened_at: f64,
        ; maybe {
            task_id: Id<Task>,
            closed_at: f64,
            closed_reason: String,
        }
    }
    /// §3.7.
    Uploads Upload {
        account_id: Id<Account>,
        task_id: Id<Task>,
        storage_id: Id<Stored>,
        created_by_type: String,
        created_by: String,
        created_at: f64,
    }
    /// A stored file. Its content is outside the database.
    Storage Stored {
        content_type: String,
        size: f64,
        ; maybe {
            sha256: String,
        }
    }
    /// §3.9. One row for each account.
    Runtimes Runtime {
        account_id: Id<Account>,
        provider: String,
        provider_id: String,
        ip_address: String,
        region: String,
        openclaw_version: String,
        runtime_service_version: String,
        docker_image_tag: String,
        status: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        upgrade_history: Vec<UpgradeEntry>,
        created_at: f64,
        updated_at: f64,
        ; maybe {
            last_health_check: f64,
            pending_upgrade: PendingUpgrade,
        }
    }
    /// A provider's key, encrypted.
    ProviderKeys ProviderKey {
        account_id: Id<Account>,
        provider: String,
        key_id: String,
        nonce: String,
        ciphertext: String,
        last4: String,
        updated_at: f64,
        ; maybe {
            fetched_at: f64,
        }
    }
    /// A switch of the whole backend (§7.4).
    SystemConfig ConfigEntry {
        key: String,
        value: String,
        updated_at: f64,
    }
    /// The token of a provider of machines, encrypted.
    MachineTokens MachineToken {
        provider: String,
        key_id: String,
        nonce: String,
        ciphertext: String,
        last4: String,
        updated_at: f64,
    }
    /// A machine, from the request for it to its end. It outlives its account, so that no machine is forgotten.
    Provisions Provision {
        account_id: Id<Account>,
        provider: String,
        region: String,
        size: String,
        image: String,
        state: String,
        /// Which machine of this request it is. Each retry takes a new one.
        attempt: f64,
        requested_by: String,
        created_at: f64,
        /// The time of the last change of the state.
        state_since: f64,
        /// The calls to the provider in this state that have failed.
        failures: f64,
        /// When the next step is due.
        next_at: f64,
        ; maybe {
            /// The state that failed, for a machine in the state `error`.
            step: String,
            /// The last failure.
            reason: String,
            /// When the state must have ended.
            deadline: f64,
            /// The time of the last call that may have created the machine.
            create_called_at: f64,
            machine_id: String,
            /// The price in US dollars a month, if the provider says so.
            monthly_usd: f64,
            /// The public address, as the provider says.
            address: String,
            /// Whether a new machine follows once this one is gone.
            replace: bool,
            token_hash: String,
            /// The one-time token, sealed, until the machine is created.
            token: SealedText,
            token_expires_at: f64,
            token_used_at: f64,
            /// The service token that the machine got. It ends with the machine.
            service_token_hash: String,
        }
    }
    /// An upgrade of several runtimes, one after the other.
    Rollouts Rollout {
        /// `running`, `done`, `stopped` or `cancelled`.
        state: String,
        steps: Vec<RolloutStep>,
        /// How long each runtime may take.
        timeout_ms: f64,
        requested_by: String,
        created_at: f64,
        ; maybe {
            ended_at: f64,
            reason: String,
            /// The upgrade that this rollout takes back.
            rolls_back: Id<Rollout>,
        }
    }
}
