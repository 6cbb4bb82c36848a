//! Counts lost, duplicated and repeated work from the records of the board and of the gateway.

use std::collections::HashMap;

use serde_json::Value;

use super::Behaviour;
use crate::gateway::Marks;

/// The note that the runtime posts when it gives a row up.
const GIVEN_UP: &str = "will be no answer";

/// What the board and the gateway have recorded.
pub struct Records<'a> {
    /// The board's notifications.
    pub notifications: &'a [Value],
    /// The board's messages.
    pub messages: &'a [Value],
    /// The board's documents.
    pub documents: &'a [Value],
    /// The gateway's counts for each row, under `n-` and the row's id.
    pub markers: &'a HashMap<String, Marks>,
    /// The slugs of the agents by id.
    pub agents: &'a HashMap<String, String>,
}

/// The count. Each fault is explained in a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The rows for agents.
    pub rows: u64,
    /// The rows that left exactly what they must.
    pub delivered: u64,
    /// The rows without an answer, without a mark, or without a document.
    pub lost: u64,
    /// Messages in excess, and model turns that ran to an answer again.
    pub duplicated: u64,
    /// Documents that exist more than once.
    pub repeated_effects: u64,
    /// What is wrong, row by row.
    pub faults: Vec<String>,
}

impl Tally {
    /// Whether every effect happened exactly once.
    pub fn is_exact(&self) -> bool {
        self.faults.is_empty() && self.delivered == self.rows
    }
}

/// What one row has left.
struct Traces<'a> {
    behaviour: Behaviour,
    is_marked: bool,
    /// The agent's messages in the row's thread.
    messages: &'a [&'a Value],
    /// Those of them that answer this row.
    keyed: usize,
    /// The documents by title, without repetitions.
    documents: usize,
    repeated: usize,
    marks: Marks,
}

impl Records<'_> {
    /// Counts everything.
    pub fn tally(&self) -> Tally {
        let messages = grouped(self.messages, |message| {
            Some((message["taskId"].as_str()?, message["authorId"].as_str()?))
        });
        let documents = grouped(self.documents, |document| document["title"].as_str()?.split(' ').next());
        let mut tally = Tally::default();
        for row in self.notifications.iter().filter(|row| row["recipientType"] == "agent") {
            tally.rows += 1;
            let text = |field: &str| row[field].as_str().unwrap_or_default();
            let (id, agent) = (text("_id"), text("recipientId"));
            let slug = self.agents.get(agent).map(String::as_str).unwrap_or_default();
            let marker = format!("n-{id}");
            let own = messages.get(&(text("taskId"), agent)).map(Vec::as_slice).unwrap_or_default();
            let titles = documents.get(marker.as_str()).map(Vec::as_slice).unwrap_or_default();
            let distinct: std::collections::HashSet<&Value> =
                titles.iter().map(|document| &document["title"]).collect();
            let traces = Traces {
                behaviour: Behaviour::of(slug),
                is_marked: row.get("deliveredAt").is_some_and(|at| !at.is_null()),
                messages: own,
                keyed: own.iter().filter(|message| message["sourceNotificationId"] == id).count(),
                documents: distinct.len(),
                repeated: titles.len() - distinct.len(),
                marks: self.markers.get(&marker).copied().unwrap_or_default(),
            };
            judge(&traces, &format!("{slug} {id}"), &mut tally);
        }
        tally
    }
}

fn judge(traces: &Traces<'_>, row: &str, tally: &mut Tally) {
    let Traces { behaviour, is_marked, messages, keyed, documents, repeated, marks } = *traces;
    let is_silent = behaviour == Behaviour::Silent;
    let given_up = |message: &&Value| message["content"].as_str().is_some_and(|text| text.contains(GIVEN_UP));
    let answered = if is_silent { !messages.is_empty() } else { keyed > 0 };
    let lost = [
        (!is_marked, "not marked as delivered"),
        (!answered && !is_silent && messages.iter().any(given_up), "given up"),
        (!answered, "no answer"),
        (messages.len() < behaviour.messages() && answered, "a part of the answer is missing"),
        (documents < behaviour.documents(), "a document is missing"),
    ];
    // Each silent turn of a silent agent is tried again on purpose. A turn that the gateway resumes by itself has no tools, so
    // its agent is asked again.
    let turns = if is_silent { 0 } else { marks.answers.saturating_sub(1 + marks.resumptions) };
    let extra = messages.len().saturating_sub(behaviour.messages()).max(keyed.saturating_sub(1)) as u64;
    let before = tally.faults.len();
    if let Some((_, why)) = lost.iter().find(|(is_lost, _)| *is_lost) {
        tally.lost += 1;
        tally.faults.push(format!("{row}: lost: {why}"));
    }
    if extra + turns > 0 {
        tally.duplicated += extra + turns;
        tally.faults.push(format!("{row}: duplicated: {extra} messages, {turns} turns"));
    }
    if repeated > 0 {
        tally.repeated_effects += repeated as u64;
        tally.faults.push(format!("{row}: repeated: {repeated} documents"));
    }
    tally.delivered += u64::from(tally.faults.len() == before);
}

/// Groups records by a key. Sample without a key are left out.
fn grouped<'a, K: std::hash::Hash + Eq>(
    records: &'a [Value],
    key: impl Fn(&'a Value) -> Option<K>,
) -> HashMap<K, Vec<&'a Value>> {
    let mut groups: HashMap<K, Vec<&'a Value>> = HashMap::new();
    for record in records {
        if let Some(key) = key(record) {
            groups.entry(key).or_default().push(record);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// One row of an agent that writes two documents, in good order.
    struct Sample {
        notifications: Vec<Value>,
        messages: Vec<Value>,
        documents: Vec<Value>,
        marks: Marks,
        /// The counts of another row.
        others: Marks,
    }

    fn good() -> Sample {
        Sample {
            notifications: vec![
                json!({"_id": "1", "recipientType": "agent", "recipientId": "k3", "taskId": "t", "deliveredAt": 5.0}),
            ],
            messages: vec![
                json!({"taskId": "t", "authorId": "k3", "content": "Done.", "sourceNotificationId": "1"}),
            ],
            documents: vec![json!({"title": "n-1 one"}), json!({"title": "n-1 two"})],
            marks: Marks { answers: 1, ..Marks::default() },
            others: Marks::default(),
        }
    }

    /// Delivered, lost, duplicated, repeated.
    type Counts = (u64, u64, u64, u64);

    fn counts(records: &Sample) -> Counts {
        let tally = Records {
            notifications: &records.notifications,
            messages: &records.messages,
            documents: &records.documents,
            markers: &HashMap::from([("n-1".to_owned(), records.marks), ("n-2".to_owned(), records.others)]),
            agents: &HashMap::from([("k3".to_owned(), "a3".to_owned())]),
        }
        .tally();
        assert_eq!(tally.is_exact(), tally.faults.is_empty());
        (tally.delivered, tally.lost, tally.duplicated, tally.repeated_effects)
    }

    #[test]
    fn each_fault_is_counted_under_its_name() {
        type Change = fn(&mut Sample);
        let rows: [(&str, Change, Counts); 13] = [
            ("nothing", |_| {}, (1, 0, 0, 0)),
            ("no mark", |records| records.notifications[0]["deliveredAt"] = Value::Null, (0, 1, 0, 0)),
            ("no answer", |records| records.messages.clear(), (0, 1, 0, 0)),
            (
                "given up",
                |records| {
                    records.messages =
                        vec![json!({"taskId": "t", "authorId": "k3", "content": "There will be no answer."})];
                },
                (0, 1, 0, 0),
            ),
            ("a lost document", |records| records.documents.truncate(1), (0, 1, 0, 0)),
            (
                "a resumed turn, and another with tools",
                |records| {
                    records.marks.answers = 2;
                    records.marks.resumptions = 1;
                },
                (1, 0, 0, 0),
            ),
            (
                "a resumed turn, and two with tools",
                |records| {
                    records.marks.answers = 3;
                    records.marks.resumptions = 1;
                },
                (0, 0, 1, 0),
            ),
            (
                "a second turn, while the gateway resumed that of another row",
                |records| {
                    records.marks.answers = 2;
                    records.others = Marks { answers: 1, resumptions: 1, ..Marks::default() };
                },
                (0, 0, 1, 0),
            ),
            (
                "a resumed turn, and none with tools",
                |records| {
                    records.documents.clear();
                    records.marks.resumptions = 1;
                },
                (0, 1, 0, 0),
            ),
            (
                "a second message",
                |records| records.messages.push(json!({"taskId": "t", "authorId": "k3", "content": "Done."})),
                (0, 0, 1, 0),
            ),
            ("the same message", |records| records.messages.push(records.messages[0].clone()), (0, 0, 1, 0)),
            ("a second turn", |records| records.marks.answers = 2, (0, 0, 1, 0)),
            (
                "a second document",
                |records| records.documents.push(json!({"title": "n-1 two"})),
                (0, 0, 0, 1),
            ),
        ];
        for (name, change, expected) in rows {
            let mut records = good();
            change(&mut records);
            assert_eq!(counts(&records), expected, "{name}");
        }
    }

    /// Another agent's message in the thread is no duplicate, and a person's row is no delivery.
    #[test]
    fn records_of_others_are_not_counted() {
        let mut records = good();
        records.messages.push(json!({"taskId": "t", "authorId": "k4", "content": "Done."}));
        records
            .notifications
            .push(json!({"_id": "2", "recipientType": "user", "recipientId": "u", "taskId": "t"}));
        assert_eq!(counts(&records), (1, 0, 0, 0));
    }
}
