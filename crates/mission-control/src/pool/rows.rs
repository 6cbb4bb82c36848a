//! The rows of the worker pool (worker-pool B.2 to B.10, C.2 to C.11).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::rows::{Stored, record, rows};
use crate::store::{Id, Row, Table};

/// Names and texts.
pub(super) type Texts = BTreeMap<String, String>;

rows! {
    otherwise unknown;

    /// C.6.
    PoolAgents PoolAgent {
        agent_key: String,
        version: String,
        secrets_ref: Vec<String>,
        enabled: bool,
        updated_at: f64,
        ; maybe {
            bot_identity: String,
            bridge_config: BridgeConfig,
            company_id: String,
            display_name: String,
        }
    }
    /// B.2, B.4. `rank` is the priority as a text that sorts like the number. `position` orders messages of a rank.
    PoolMessages PoolMessage {
        conversation_id: String,
        agent_key: String,
        payload: Payload,
        status: String,
        priority: f64,
        rank: String,
        position: f64,
        scheduled_for: f64,
        attempts: f64,
        max_attempts: f64,
        ; maybe {
            claimed_by: String,
            lease_id: String,
            lease_expires_at: f64,
            last_error: String,
            next_retry_at: f64,
            dead_lettered_at: f64,
            done_at: f64,
        }
    }
    /// B.3. `state`, `rank` and `claimableAt` describe the message that comes next, so that a claim needs one probe.
    PoolConversations Conversation {
        conversation_id: String,
        agent_key: String,
        state: String,
        rank: String,
        claimable_at: f64,
        message_count: f64,
        #[serde(default)]
        pending_tool_calls: Vec<ToolCall>,
        ; maybe {
            owner: String,
            lock: Lock,
            cache_key: String,
            last_user_at: f64,
            last_assistant_at: f64,
        }
    }
    /// B.2, 8. One message, cut to a bounded size.
    PoolHistory HistoryRow {
        conversation_id: String,
        role: String,
        content: String,
        at: f64,
    }
    /// B.5.
    PoolWorkers Worker {
        worker_id: String,
        provider: String,
        status: String,
        load: f64,
        heartbeat_at: f64,
        capabilities: Vec<String>,
        ; maybe {
            last_claim_at: f64,
            scheduled_shutdown_at: f64,
            last_snapshot_id: String,
            assignment: Assignment,
            draining_since: f64,
            stopped_at: f64,
        }
    }
    /// C.6, encrypted with the master key.
    PoolSecrets PoolSecret {
        secret_ref: String,
        version: f64,
        active: bool,
        key_id: String,
        nonce: String,
        ciphertext: String,
        created_at: f64,
        ; maybe {
            rotated_from: String,
            metadata: Texts,
        }
    }
    /// C.8.
    PoolBindings Binding {
        consumer_user_id: String,
        agent_key: String,
        conversation_id: String,
        status: String,
        source: String,
        bound_at: f64,
        ; maybe {
            bot_identity: String,
            telegram_user_id: String,
            telegram_chat_id: String,
            metadata: Texts,
            revoked_at: f64,
        }
    }
    /// C.8.
    PairingCodes PairingCode {
        code: String,
        consumer_user_id: String,
        agent_key: String,
        status: String,
        created_at: f64,
        expires_at: f64,
        ; maybe {
            bot_identity: String,
            used_at: f64,
            telegram_user_id: String,
            telegram_chat_id: String,
        }
    }
    /// C.7. Only the hash of the webhook's secret is stored.
    PoolBots Bot {
        bot_identity: String,
        secret_hash: String,
        webhook_url: String,
        configured_at: f64,
        ; maybe {
            verified_at: f64,
            /// The hashes of further secrets that Telegram may have, the newest last.
            unconfirmed_hashes: Vec<String>,
        }
    }
    /// F.7. An update that was received, with its answer.
    PoolUpdates ReceivedUpdate {
        bot_identity: String,
        update_id: String,
        status: f64,
        answer: String,
    }
    /// C.2. `status` is `ready` or `expired`.
    PoolAttachments AttachmentRow {
        message_id: Id<PoolMessage>,
        storage_id: Id<Stored>,
        status: String,
        expires_at: f64,
    }
    /// An address to which one file can be posted once.
    PoolUploads UploadAddress {
        secret_hash: String,
        expires_at: f64,
    }
    /// B.9.
    PoolSnapshots Snapshot {
        workspace_id: String,
        agent_key: String,
        conversation_id: String,
        worker_id: String,
        reason: String,
        format_version: f64,
        status: String,
        created_at: f64,
        expires_at: f64,
        ; maybe {
            archive_file_id: Id<Stored>,
            sha256: String,
            size_bytes: f64,
            error: String,
            completed_at: f64,
            previous_snapshot_id: String,
        }
    }
    /// B.10.
    SkillVersions SkillVersion {
        slug: String,
        version: String,
        module_format: String,
        entry_point: String,
        sha256: String,
        files: Vec<SkillFile>,
        status: String,
        created_at: f64,
        ; maybe {
            display_name: String,
            description: String,
            actor: String,
        }
    }
    /// B.10. `isActive` is a text, because indexes compare texts.
    SkillReleases SkillRelease {
        slug: String,
        version: String,
        release_channel: String,
        is_active: String,
        released_at: f64,
        ; maybe {
            actor: String,
        }
    }
    /// C.11.
    MessageTemplates MessageTemplate {
        template_key: String,
        title: String,
        text: String,
        tags: Vec<String>,
        enabled: bool,
        usage_count: f64,
        created_by: String,
        updated_by: String,
        created_at: f64,
        updated_at: f64,
    }
    /// C.10.
    PushTemplates PushTemplate {
        company_id: String,
        template_key: String,
        title: String,
        text: String,
        periodicity: String,
        suggested_times: Vec<PushSchedule>,
        enabled: bool,
        created_by: String,
        updated_by: String,
        created_at: f64,
        updated_at: f64,
    }
    /// C.10. `isScheduled` is `yes` as long as there is a next run.
    PushJobs PushJob {
        company_id: String,
        consumer_user_id: String,
        title: String,
        text: String,
        periodicity: String,
        timezone: String,
        schedule: PushSchedule,
        enabled: bool,
        is_scheduled: String,
        created_at: f64,
        updated_at: f64,
        ; maybe {
            agent_key: String,
            source_template_id: String,
            next_run_at: f64,
            last_run_at: f64,
            last_run_key: String,
        }
    }
    /// C.10. A run of a scheduled message, or of a broadcast for one agent.
    PushDispatches PushDispatch {
        run_key: String,
        status: String,
        scheduled_for: f64,
        created_at: f64,
        consumer_user_id: String,
        ; maybe {
            job_id: String,
            broadcast_id: String,
            agent_key: String,
            message_id: String,
            error: String,
        }
    }
    /// C.10.
    Broadcasts Broadcast {
        company_id: String,
        title: String,
        text: String,
        requested_by: String,
        status: String,
        target: String,
        total_targets: f64,
        created_at: f64,
    }
    /// C.9.
    PoolSettings PoolSettingsRow {
        ; maybe {
            system_prompt: String,
            telegram_attachment_retention_ms: f64,
        }
    }
}

fn unknown(table: Table, _: &str) -> serde_json::Result<String> {
    Err(serde::de::Error::custom(format!("no row type for the table {}", table.name())))
}

record! {
    /// B.2.
    Payload {
        provider: String,
        provider_user_id: String,
        message_text: String,
        ; maybe {
            external_message_id: String,
            raw_update_json: String,
            metadata: Texts,
            attachments: Vec<PoolAttachment>,
        }
    }
}

record! {
    /// B.2.
    PoolAttachment {
        kind: String,
        status: String,
        storage_id: String,
        telegram_file_id: String,
        expires_at: f64,
        ; maybe {
            file_name: String,
            mime_type: String,
            size_bytes: f64,
            download_url: String,
        }
    }
}

record! {
    /// B.3.
    Lock {
        lease_id: String,
        worker_id: String,
        lease_expires_at: f64,
        heartbeat_at: f64,
        claimed_message_id: String,
    }
}

record! {
    /// B.3.
    Assignment {
        conversation_id: String,
        agent_key: String,
        lease_id: String,
        assigned_at: f64,
    }
}

record! {
    /// B.2.
    ToolCall {
        tool_name: String,
        call_id: String,
        status: String,
    }
}

record! {
    /// C.6.
    BridgeConfig {
        enabled: bool,
        ; maybe {
            base_url: String,
            service_id: String,
            app_key: String,
            service_key_secret_ref: String,
            app_base_url_map_json_secret_ref: String,
        }
    }
}

record! {
    /// B.10.
    SkillFile {
        path: String,
        content: String,
        sha256: String,
    }
}

record! {
    /// C.10. The day of a month is a number or `last`.
    PushSchedule {
        kind: String,
        ; maybe {
            time: String,
            weekday: f64,
            day_of_month: serde_json::Value,
        }
    }
}
