//! Decides whether a person or an agent caused a notification.

use serde::{Deserialize, Serialize};

use mcr_model::{AuthorType, DeliveryContext, Notification, NotificationType, Teammate};

/// Who caused a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A person.
    Person,
    /// An agent, or an author who is not certainly a person.
    Agent,
}

/// Who caused the notification of this context. The author of its message decides. A notification without a message
/// names its author ([`name_in`]); a name that no agent has is a person's.
pub fn origin(context: &DeliveryContext) -> Origin {
    if let Some(message) = &context.message {
        return if message.author_type == AuthorType::User { Origin::Person } else { Origin::Agent };
    }
    // Only agents request responses, so a requester with another name was renamed or deleted.
    if context.notification.kind == NotificationType::ResponseRequest {
        return Origin::Agent;
    }
    let agents = &context.mentionable_agents;
    match name_in(&context.notification) {
        Some(name) if !agents.is_empty() && agent_named(agents, name).is_none() => Origin::Person,
        Some(_) | None => Origin::Agent,
    }
}

/// The name of the author, from the texts that the backend writes (contract §5.3). `None` if the texts name no author.
pub fn name_in(row: &Notification) -> Option<&str> {
    use NotificationType::{Assignment, Mention, ResponseRequest, StatusChange, ThreadUpdate};
    let name = match row.kind.known()? {
        Mention => row.title.strip_suffix(" mentioned you"),
        ThreadUpdate => row.title.strip_suffix(" replied"),
        Assignment => row.title.strip_suffix(" assigned you"),
        ResponseRequest => row.title.strip_suffix(" requested a response"),
        StatusChange => row.body.split_once(" changed \"").map(|(name, _)| name),
        NotificationType::MemberAdded | NotificationType::MemberRemoved | NotificationType::RoleChanged => {
            None
        }
    };
    name.map(str::trim).filter(|name| !name.is_empty())
}

fn lower(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

/// The agent with this name or slug, in upper or lower case.
pub fn agent_named<'a>(agents: &'a [Teammate], name: &str) -> Option<&'a Teammate> {
    let is_name = |text: &str| lower(text).eq(lower(name));
    agents.iter().find(|agent| is_name(agent.name.trim()) || is_name(&agent.slug))
}
