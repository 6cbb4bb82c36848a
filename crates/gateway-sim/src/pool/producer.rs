//! The other side of the queue: what the consumer's application and its operators do.

use serde_json::{Value, json};

use super::rows::{ConversationRow, MessageStatus, PoolState, QueuedMessage, WorkerRow, WorkerStatus};
use super::{PoolBackend, locked};

/// An agent's profile.
#[derive(Clone, Debug)]
pub struct PoolAgent {
    /// Its key.
    pub key: String,
    /// Whether messages may be enqueued for it.
    pub enabled: bool,
    /// The token of its bot.
    pub telegram_token: Option<String>,
    /// Its bridge, as the hydration bundle has it.
    pub bridge: Option<Value>,
}

/// A message to enqueue.
#[derive(Clone, Debug)]
pub struct Enqueue {
    /// The conversation.
    pub conversation_id: String,
    /// The agent.
    pub agent_key: String,
    /// The payload.
    pub payload: Value,
    /// 0 to 100, by default 50.
    pub priority: Option<i64>,
    /// Not before this time.
    pub scheduled_for: Option<i64>,
    /// The limit of failed attempts.
    pub max_attempts: Option<i64>,
}

impl Enqueue {
    /// A message of a Telegram chat whose person has the id of the chat.
    pub fn telegram(conversation_id: &str, agent_key: &str, chat: &str, text: &str) -> Self {
        let payload = json!({"provider": "telegram", "providerUserId": chat, "messageText": text,
            "metadata": {"telegramChatId": chat}});
        Self::with_payload(conversation_id, agent_key, payload)
    }

    /// A message with this payload.
    pub fn with_payload(conversation_id: &str, agent_key: &str, payload: Value) -> Self {
        Self {
            conversation_id: conversation_id.to_owned(),
            agent_key: agent_key.to_owned(),
            payload,
            priority: None,
            scheduled_for: None,
            max_attempts: None,
        }
    }
}

/// A file of a skill.
#[derive(Clone, Debug)]
pub struct SkillFile {
    /// Its path in the skill's folder.
    pub path: String,
    /// Its text.
    pub content: String,
}

/// An active release of a skill.
#[derive(Clone, Debug)]
pub struct SkillRelease {
    /// Its channel: `stable` or `canary`.
    pub channel: String,
    /// Its name.
    pub slug: String,
    /// Its version.
    pub version: String,
    /// `esm` or `cjs`.
    pub module_format: String,
    /// Its files, in the order of the manifest.
    pub files: Vec<SkillFile>,
}

impl PoolBackend {
    /// Adds or replaces an agent.
    pub fn put_agent(&self, agent: PoolAgent) {
        locked(&self.shared.state).agents.insert(agent.key.clone(), agent);
    }

    /// Removes an agent.
    pub fn remove_agent(&self, key: &str) {
        locked(&self.shared.state).agents.remove(key);
    }

    /// Publishes a release of a skill.
    pub fn publish(&self, skill: SkillRelease) {
        locked(&self.shared.state).skills.push(skill);
    }

    /// Stores a file, and returns its id.
    pub fn store(&self, content: Vec<u8>) -> String {
        let mut state = locked(&self.shared.state);
        let (id, _) = state.new_id('f');
        state.files.insert(id.clone(), content);
        id
    }

    /// Replaces the content of a stored file.
    pub fn replace_file(&self, id: &str, content: Vec<u8>) {
        locked(&self.shared.state).files.insert(id.to_owned(), content);
    }

    /// Removes all releases of a skill.
    pub fn withdraw(&self, slug: &str) {
        locked(&self.shared.state).skills.retain(|skill| skill.slug != slug);
    }

    /// Inserts the row of a worker, as the scheduler of a pool does before it starts the machine.
    pub fn register_worker(&self, id: &str) {
        let now = self.now();
        locked(&self.shared.state).workers.insert(id.to_owned(), WorkerRow::new(now));
    }

    /// Moves a worker on.
    pub fn set_worker_status(&self, id: &str, status: WorkerStatus) {
        if let Some(worker) = locked(&self.shared.state).workers.get_mut(id) {
            worker.status = status;
        }
    }

    /// Adds a message to the queue (worker-pool C.2), and returns its id.
    pub fn enqueue(&self, message: Enqueue) -> Result<String, String> {
        let now = self.now();
        let policy = &self.shared.policy;
        let mut state = locked(&self.shared.state);
        let Enqueue { conversation_id, agent_key, mut payload, priority, scheduled_for, max_attempts } =
            message;
        if !state.agents.get(&agent_key).is_some_and(|agent| agent.enabled) {
            return Err(format!("Agent {agent_key} is missing or disabled"));
        }
        let user = payload["providerUserId"].as_str().map(str::trim).unwrap_or_default().to_owned();
        if user.is_empty() {
            return Err("providerUserId is required".to_owned());
        }
        payload["metadata"]["providerUserId"] = json!(user);
        payload["providerUserId"] = json!(user);
        if let (Some(prompt), Some(text)) = (&policy.system_prompt, payload["messageText"].as_str()) {
            payload["messageText"] = json!(format!("{text}\n\n{prompt}"));
        }
        let conversation =
            state.conversations.entry(conversation_id.clone()).or_insert_with(|| ConversationRow {
                agent_key: agent_key.clone(),
                lock: None,
                history: Vec::new(),
                cache: None,
                pending_tool_calls: Vec::new(),
            });
        if conversation.agent_key != agent_key {
            return Err(format!("Conversation {conversation_id} belongs to another agent"));
        }
        let (id, number) = state.new_id('m');
        let row = QueuedMessage {
            id: id.clone(),
            number,
            conversation_id,
            agent_key,
            payload,
            status: MessageStatus::Queued,
            priority: priority.unwrap_or(50).clamp(0, 100),
            scheduled_for: scheduled_for.unwrap_or(now),
            attempts: 0,
            max_attempts: max_attempts.unwrap_or(policy.max_attempts),
            claimed_by: None,
            lease_id: None,
            lease_expires_at: None,
            last_error: None,
            dead_lettered_at: None,
            claims: 0,
        };
        state.messages.insert(id.clone(), row);
        state.release_expired(now);
        Ok(id)
    }

    /// Takes the lease of a message away, as if the lease had expired. Returns whether there was one.
    pub fn lose_lease(&self, message: &str) -> bool {
        let now = self.now();
        let mut state = locked(&self.shared.state);
        expire(&mut state, message, now) && state.release_expired(now) > 0
    }

    /// Queues the messages whose leases have expired, and returns how many.
    pub fn release_stuck_jobs(&self) -> usize {
        let now = self.now();
        locked(&self.shared.state).release_expired(now)
    }
}

fn expire(state: &mut PoolState, message: &str, now: i64) -> bool {
    let Some(row) = state.messages.get_mut(message) else { return false };
    if row.status == MessageStatus::Processing {
        row.lease_expires_at = Some(now);
    }
    row.status == MessageStatus::Processing
}
