//! Decides who caused a row that is only listed: by the name in its words.
//!
//! People come first, and only agents' rows are limited. A list does not name the author of a row, but the row's words
//! do (backend-contract §5.3). A name alone is no proof: a person may have the name of an agent, and an agent may have
//! been renamed. So the words only decide what happens next:
//!
//! | words | origin | what follows |
//! |---|---|---|
//! | a response request | agent | only agents send them |
//! | the name of an agent, now or earlier | unknown | a worker reads the context before the row waits behind others |
//! | another name | person | the row starts before those of agents; its worker checks the origin |
//! | of an unknown form, or no roster yet | unknown | as above |
//!
//! The context names the author for certain ([`origin`]). The record keeps that ([`KnownOrigin`]),
//! so the context is read at most once for this purpose.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::origin::{Origin, name_in, origin};
use mcr_model::clock::Millis;
use mcr_model::{DeliveryContext, Notification, NotificationType, Roster};

/// The origin that a context has shown. Ledger records store it as the JSON array `[by, at]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Origin, Millis)", into = "(Origin, Millis)")]
pub struct KnownOrigin {
    /// Who caused the row.
    pub by: Origin,
    /// When the row was created, or last took in a message. A later message may have another author.
    pub at: Millis,
}

impl KnownOrigin {
    /// The origin of the notification of this context.
    pub fn of(context: &DeliveryContext) -> Self {
        Self { by: origin(context), at: context.notification.created_at }
    }
}

impl From<(Origin, Millis)> for KnownOrigin {
    fn from((by, at): (Origin, Millis)) -> Self {
        Self { by, at }
    }
}

impl From<KnownOrigin> for (Origin, Millis) {
    fn from(known: KnownOrigin) -> Self {
        (known.by, known.at)
    }
}

/// The names that agents of the account have, or had while this process ran, in lower case.
#[derive(Clone, Debug, Default)]
pub struct AgentNames(HashSet<String>);

impl AgentNames {
    /// The names in this roster.
    pub fn of(roster: &Roster) -> Self {
        roster.agents().iter().flat_map(|agent| [agent.name.as_str(), agent.slug.as_str()]).collect()
    }

    /// Adds names. A row that was written before an agent got its name still has the earlier one.
    pub fn add(&mut self, names: Self) {
        self.0.extend(names.0);
    }

    /// The origin, as far as the words of a listed row show it.
    pub fn origin_of(&self, row: &Notification) -> Option<Origin> {
        if row.kind == NotificationType::ResponseRequest {
            return Some(Origin::Agent);
        }
        let is_others = !self.0.is_empty() && !self.0.contains(&name_in(row)?.to_lowercase());
        is_others.then_some(Origin::Person)
    }
}

impl<'a> FromIterator<&'a str> for AgentNames {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        Self(names.into_iter().map(|name| name.trim().to_lowercase()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(kind: &str, title: &str, body: &str) -> Notification {
        let row = json!({"_id": "n", "type": kind, "recipientType": "agent", "recipientId": "a", "taskId": "t",
            "title": title, "body": body, "createdAt": 7});
        serde_json::from_value(row).unwrap()
    }

    fn agents() -> AgentNames {
        ["QA", "Engineer"].into_iter().collect()
    }

    /// Each row of backend-contract §5.3, by an agent, by a person, and in words of another form.
    #[test]
    fn the_words_of_a_row_show_its_origin_as_far_as_they_can() {
        let (agent, person) = (Some(Origin::Agent), Some(Origin::Person));
        let rows = [
            ("mention", "Dana Reyes mentioned you", "", person),
            ("mention", "QA mentioned you", "", None),
            ("mention", "QA replied mentioned you", "", person),
            ("mention", " mentioned you", "", None),
            ("mention", "", "", None),
            ("thread_update", "Dana Reyes replied", "", person),
            ("thread_update", "engineer replied", "", None),
            ("assignment", "Dana Reyes assigned you", "", person),
            ("assignment", "QA assigned you", "", None),
            ("response_request", "QA requested a response", "", agent),
            ("response_request", "Dana Reyes requested a response", "", agent),
            ("status_change", "Task status changed to done", "Dana changed \"T\" to done", person),
            ("status_change", "Task status changed to done", "QA changed \"T\" to done", None),
            ("status_change", "", "of another form", None),
            ("something_new", "Dana Reyes mentioned you", "", None),
        ];
        for (kind, title, body, expected) in rows {
            assert_eq!(agents().origin_of(&row(kind, title, body)), expected, "{kind} {title} {body}");
        }
    }

    #[test]
    fn without_a_roster_and_under_a_former_name_the_origin_is_unknown() {
        let mention = row("mention", "QA mentioned you", "");
        assert_eq!(AgentNames::default().origin_of(&row("mention", "Dana mentioned you", "")), None);
        let mut names = agents();
        names.add(["Tester"].into_iter().collect());
        assert_eq!(names.origin_of(&mention), None, "the name before the change");
    }
}
