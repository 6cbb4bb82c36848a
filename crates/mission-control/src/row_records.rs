//! The records inside rows (backend-contract §3).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rows::{Account, Agent, Skill, Stored, Task, record};
use super::store::Id;

record! {
    /// The settings of an account (§3.6).
    Settings {
        ; maybe {
            theme: String,
            notification_preferences: Preferences,
            user_md: String,
            agent_defaults: Value,
            orchestrator_agent_id: Id<Agent>,
            orchestrator_chat_task_id: Id<Task>,
        }
    }
}

record! {
    /// The last report of a runtime (§3.6).
    RuntimeConfig {
        ; maybe {
            droplet_id: String,
            ip_address: String,
            region: String,
            last_health_check: f64,
            openclaw_version: String,
            runtime_service_version: String,
            last_upgrade_at: f64,
            last_upgrade_status: String,
        }
    }
}

record! {
    /// Which notifications people want (§3.6).
    Preferences {
        task_updates: bool,
        agent_activity: bool,
        email_digest: bool,
        member_updates: bool,
    }
}

record! {
    /// §3.2.1.
    OpenclawConfig {
        model: String,
        temperature: f64,
        skill_ids: Vec<Id<Skill>>,
        ; maybe {
            max_tokens: f64,
            system_prompt_prefix: String,
            context_config: Value,
            rate_limits: Value,
            behavior_flags: Value,
        }
    }
}

record! {
    /// §3.1.
    TaskMetadata {
        ; maybe {
            pr_number: f64,
        }
    }
}

record! {
    /// §3.4.
    Mention {
        #[serde(rename = "type")]
        kind: String,
        id: String,
        name: String,
        ; maybe {
            slug: String,
        }
    }
}

record! {
    /// §3.4.
    Attachment {
        name: String,
        #[serde(rename = "type")]
        mime: String,
        size: f64,
        ; maybe {
            storage_id: Id<Stored>,
            url: String,
        }
    }
}

record! {
    /// §3.9.
    PendingUpgrade {
        target_openclaw_version: String,
        target_runtime_version: String,
        initiated_at: f64,
        initiated_by: String,
        strategy: String,
    }
}

record! {
    /// §3.9.
    UpgradeEntry {
        from_openclaw_version: String,
        to_openclaw_version: String,
        from_runtime_version: String,
        to_runtime_version: String,
        status: String,
        started_at: f64,
        initiated_by: String,
        ; maybe {
            completed_at: f64,
            duration: f64,
            error: String,
        }
    }
}

record! {
    /// A sealed text inside a row.
    SealedText {
        key_id: String,
        nonce: String,
        ciphertext: String,
    }
}

record! {
    /// One runtime of a rollout.
    RolloutStep {
        account_id: Id<Account>,
        to_runtime_version: String,
        /// `waiting`, `requested`, `done`, `skipped` or `failed`.
        state: String,
        ; maybe {
            /// Absent if the gateway stays as it is.
            to_openclaw_version: String,
            from_runtime_version: String,
            from_openclaw_version: String,
            started_at: f64,
            ended_at: f64,
            reason: String,
        }
    }
}
