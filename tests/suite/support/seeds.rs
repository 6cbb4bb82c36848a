//! Creates the rows of a board before a test, and reads them afterwards.

use serde_json::{Value, json};

use super::board::Board;
use mission_control_runtime::local::Owner;

/// The backend's text in a refused call.
pub(crate) fn refusal(answer: Result<Value, String>) -> String {
    let text = answer.expect_err("this should have been refused");
    let (_, words) = text.split_once("Server Error\n").unwrap();
    let first = words.lines().next().unwrap();
    first.strip_prefix("Uncaught Error: ").unwrap_or(first).to_owned()
}

/// The texts of a list.
pub(crate) fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn merged(mut base: Value, over: Value) -> Value {
    let Value::Object(over) = over else { panic!("fields come as an object") };
    base.as_object_mut().unwrap().extend(over);
    base
}

impl Board {
    /// Adds an agent. `more` contains further fields of its row.
    pub(crate) fn agent(&self, slug: &str, name: &str, role: &str, more: Value) -> String {
        let row = json!({
            "accountId": self.account, "name": name, "slug": slug, "role": role, "status": "online",
            "heartbeatInterval": 15.0, "createdAt": 1.0,
        });
        self.engine.write_row("agents", merged(row, more)).unwrap()
    }

    /// Adds a member.
    pub(crate) fn member(&self, id: &str, name: &str, email: &str) {
        let row = json!({
            "accountId": self.account, "userId": id, "userName": name, "userEmail": email, "role": "member",
            "joinedAt": 1.0,
        });
        self.engine.write_row("memberships", row).unwrap();
    }

    /// Adds a task in the inbox. `more` contains further or different fields of its row.
    pub(crate) fn task(&self, more: Value) -> String {
        let row = json!({
            "accountId": self.account, "title": "Fix login", "status": "inbox", "priority": 3.0,
            "assignedUserIds": [], "assignedAgentIds": [], "labels": [], "createdBy": "user_dana", "createdAt": 1.0,
            "updatedAt": 1.0,
        });
        self.engine.write_row("tasks", merged(row, more)).unwrap()
    }

    /// Adds a notification for an agent. `more` contains further or different fields of its row.
    pub(crate) fn notification(&self, agent: &str, more: Value) -> String {
        let row = json!({
            "accountId": self.account, "type": "assignment", "recipientType": "agent", "recipientId": agent,
            "title": "Dana assigned you", "body": "You were assigned", "createdAt": 1.0,
        });
        self.engine.write_row("notifications", merged(row, more)).unwrap()
    }

    /// Adds a follower of a task.
    pub(crate) fn follows(&self, task: &str, kind: &str, id: &str) {
        let row = json!({
            "accountId": self.account, "taskId": task, "subscriberType": kind, "subscriberId": id,
            "subscribedAt": 1.0,
        });
        self.engine.write_row("subscriptions", row).unwrap();
    }

    /// Copies one of our rows to another account.
    pub(crate) fn foreign(&self, table: &str, id: &str) -> String {
        let slug = format!("other-{}", self.rows("accounts").len());
        let (account, _) = self
            .engine
            .create_account(
                "Other",
                &slug,
                Owner { user_id: "user_eve", name: "Eve", email: "eve@example.com" },
            )
            .unwrap();
        let mut row = self.row(table, id);
        row.as_object_mut().unwrap().retain(|name, _| !name.starts_with('_'));
        self.engine.write_row(table, merged(row, json!({"accountId": account}))).unwrap()
    }

    /// Changes some of the account's settings.
    pub(crate) fn set(&self, settings: Value) {
        let mut account = self.row("accounts", &self.account);
        account["settings"] = merged(account["settings"].clone(), settings);
        self.engine.write_row("accounts", account).unwrap();
    }

    /// Changes some fields of a row.
    pub(crate) fn edit(&self, table: &str, id: &str, fields: Value) {
        self.engine.write_row(table, merged(self.row(table, id), fields)).unwrap();
    }

    /// All rows of a table, as an export has them.
    pub(crate) fn rows(&self, table: &str) -> Vec<Value> {
        self.engine.read_table(table).unwrap()
    }

    /// A row of a table, as an export has it.
    pub(crate) fn row(&self, table: &str, id: &str) -> Value {
        self.rows(table).into_iter().find(|row| row["_id"] == id).unwrap()
    }

    /// The notifications of a recipient as `type: title`, in the order of creation.
    pub(crate) fn notifications_of(&self, recipient: &str) -> Vec<String> {
        let rows = self.rows("notifications").into_iter().filter(|row| row["recipientId"] == recipient);
        rows.map(|row| format!("{}: {}", row["type"].as_str().unwrap(), row["title"].as_str().unwrap()))
            .collect()
    }

    /// The followers of a task, in the order in which they started to follow.
    pub(crate) fn followers(&self, task: &str) -> Vec<String> {
        let rows = self.rows("subscriptions").into_iter().filter(|row| row["taskId"] == task);
        rows.map(|row| row["subscriberId"].as_str().unwrap().to_owned()).collect()
    }

    /// Posts a message of an agent in a thread. Returns its id.
    pub(crate) fn says(&self, agent: &str, task: &str, content: &str) -> String {
        let args = json!({"agentId": agent, "taskId": task, "content": content});
        self.service("createMessageFromAgent", args).unwrap()["messageId"].as_str().unwrap().to_owned()
    }

    /// Posts a message of the person in a thread. Returns its id.
    pub(crate) fn person_says(&self, task: &str, content: &str) -> String {
        let args = json!({"taskId": task, "content": content});
        self.person("messages:create", args).unwrap().as_str().unwrap().to_owned()
    }
}
