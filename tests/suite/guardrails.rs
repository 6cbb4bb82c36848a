//! Limits that keep agents from running away, as pure decisions.

/// Whether a person or an agent caused a row.
mod origin;
/// What starts again after a stop.
mod stopped_rows;
/// The loop brake.
mod team;

use mission_control_runtime::guardrails::team::Threads;
use mission_control_runtime::guardrails::{TeamLimit, TeamTurn};
use mission_control_runtime::model::{DeliveryContext, TeamLimits};
use serde_json::{Value, json};

const AGENTS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A thread of a person and five agents, with its loop brake.
struct Played {
    threads: Threads,
    limits: TeamLimits,
    status: &'static str,
    pull_request: Option<u32>,
    /// The messages of the thread.
    said: Vec<Value>,
    rows: u32,
}

impl Played {
    /// A person has just written.
    fn new() -> Self {
        let (threads, limits) = (Threads::default(), TeamLimits::default());
        let mut played =
            Self { threads, limits, status: "in_progress", pull_request: None, said: Vec::new(), rows: 0 };
        played.person_says("please start");
        played
    }

    fn say(&mut self, kind: &str, author: &str, content: &str) {
        let number = self.said.len();
        self.said.push(json!({"messageId": format!("m{number}"), "authorType": kind, "authorId": author,
            "authorName": author, "content": content, "createdAt": 1_000 + number}));
    }

    fn person_says(&mut self, content: &str) {
        self.say("user", "person", content);
    }

    /// The context of a new row for an agent, about the last message. `source` is the row that the message answers.
    fn context(&mut self, to: &str, source: Option<&str>) -> DeliveryContext {
        self.rows += 1;
        let last = self.said.last().unwrap();
        let mut message = json!({"_id": last["messageId"], "taskId": "t", "authorType": last["authorType"],
            "authorId": last["authorId"], "content": last["content"], "createdAt": last["createdAt"]});
        if let Some(source) = source {
            message["sourceNotificationId"] = json!(source);
        }
        let newest = self.said.len().saturating_sub(50);
        let agents = AGENTS.map(|id| json!({"id": id, "slug": id, "name": id.to_uppercase(), "role": ""}));
        let mut task = json!({"_id": "t", "title": "Task", "status": self.status, "priority": 2, "createdBy": "person",
            "createdAt": 1, "updatedAt": 1});
        if let Some(number) = self.pull_request {
            task["metadata"] = json!({"prNumber": number});
        }
        serde_json::from_value(json!({
            "notification": {"_id": format!("n{}", self.rows), "type": "mention", "recipientType": "agent",
                "recipientId": to, "taskId": "t", "messageId": last["messageId"], "title": "X mentioned you",
                "body": "", "createdAt": last["createdAt"]},
            "agent": {"_id": to, "name": to, "slug": to, "role": "", "status": "online"},
            "task": task, "message": message, "thread": &self.said[newest..], "mentionableAgents": agents,
        }))
        .unwrap()
    }

    /// Sees a context and decides about its row, as a delivery does.
    fn admit(&mut self, context: &DeliveryContext, previous: Option<&TeamTurn>) -> TeamTurn {
        self.threads.see(context, previous);
        let stops = self.threads.stops(context, previous, self.limits);
        let turn = self.threads.admit(context, previous, self.limits).unwrap();
        assert_eq!(turn.stop.is_some(), stops, "a look says the same: {turn:?}");
        turn
    }

    /// An agent mentions another one in its answer to a row. Returns the id of the new row, or the limit.
    fn hand_over(&mut self, from: &str, to: &str, source: &str) -> Result<String, TeamLimit> {
        self.say("agent", from, "over to you");
        let context = self.context(to, Some(source));
        let turn = self.admit(&context, None);
        turn.stop.map_or_else(|| Ok(context.notification.id.to_string()), |stop| Err(stop.limit))
    }

    /// A person mentions an agent. Returns the id of the row.
    fn person_mentions(&mut self, to: &str) -> String {
        self.person_says("go on");
        let context = self.context(to, None);
        let turn = self.admit(&context, None);
        assert!(
            turn.stop.is_none() && turn.number == 0,
            "a person's row is never stopped or counted: {turn:?}"
        );
        context.notification.id.to_string()
    }

    /// Agents hand over to each other in turn until one is stopped. `before` runs before each hand-over. Returns how many
    /// turns they had, and the limit.
    fn until_stopped(
        &mut self,
        source: &str,
        most: u32,
        mut before: impl FnMut(&mut Self, u32),
    ) -> (u32, Option<TeamLimit>) {
        let mut source = source.to_owned();
        for turns in 0..most {
            before(self, turns);
            let (from, to) = (AGENTS[turns as usize % 5], AGENTS[(turns as usize + 1) % 5]);
            match self.hand_over(from, to, &source) {
                Ok(row) => source = row,
                Err(limit) => return (turns, Some(limit)),
            }
        }
        (most, None)
    }
}
