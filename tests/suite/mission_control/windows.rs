//! The data of the page: the first window of each column, further windows, an open task, searches, and the changes
//! since a revision.

use std::collections::BTreeMap;

use mission_control_runtime::clock::SystemClock;
use mission_control_runtime::local::{Caller, Engine, Kind, Options};
use serde_json::{Value, json};

use super::board::Board;
use super::copies::{self, Size};
use crate::support::dice::Dice;

/// The state of a page: rows by id, and the parts that are sent completely.
#[derive(Debug, Default)]
struct Page {
    revision: String,
    task: Option<String>,
    rows: BTreeMap<&'static str, BTreeMap<String, Value>>,
    parts: BTreeMap<&'static str, Value>,
    opened: Value,
    loads: usize,
}

/// The lists whose rows are sent one by one.
const LISTS: [&str; 5] = ["agents", "members", "skills", "tasks", "documents"];
/// The parts that are sent completely after a change.
const PARTS: [&str; 5] = ["account", "runtime", "providerKeys", "typing", "counts"];

impl Page {
    fn open(board: &Board, task: Option<&str>) -> Self {
        let mut page = Self { task: task.map(ToOwned::to_owned), ..Self::default() };
        page.load(board);
        page
    }

    fn args(&self) -> Value {
        self.task.as_ref().map_or_else(|| json!({}), |task| json!({"taskId": task}))
    }

    fn load(&mut self, board: &Board) {
        let all = board.look("board:snapshot", self.args()).unwrap();
        self.loads += 1;
        self.rows.clear();
        self.parts = PARTS.iter().map(|name| (*name, all[*name].clone())).collect();
        self.opened = all.get("task").cloned().unwrap_or_default();
        self.take(&all);
    }

    fn take(&mut self, news: &Value) {
        news["revision"].as_str().expect("a revision").clone_into(&mut self.revision);
        for name in LISTS {
            for row in news[name].as_array().into_iter().flatten() {
                let id = row["_id"].as_str().unwrap().to_owned();
                self.rows.entry(name).or_default().insert(id, row.clone());
            }
        }
    }

    /// Requests the changes, as the page does.
    fn poll(&mut self, board: &Board) {
        let mut args = self.args();
        args["since"] = json!(self.revision);
        let news = board.look("board:changes", args).unwrap();
        if news.get("anew").is_some() {
            return self.load(board);
        }
        for id in news["gone"].as_array().into_iter().flatten() {
            for rows in self.rows.values_mut() {
                rows.remove(id.as_str().unwrap());
            }
        }
        for name in PARTS {
            if let Some(part) = news.get(name) {
                self.parts.insert(name, part.clone());
            }
        }
        if let Some(task) = news.get("task") {
            self.take_opened(task);
        }
        self.take(&news);
    }

    fn take_opened(&mut self, news: &Value) {
        let Some(fields) = news.as_object() else {
            self.opened = Value::Null;
            return;
        };
        for (name, id) in [("thread", "messageId"), ("activities", "_id"), ("documents", "_id")] {
            let gone = |row: &Value| {
                fields.get("gone").and_then(Value::as_array).is_some_and(|gone| gone.contains(&row[id]))
            };
            let Some(rows) = self.opened[name].as_array_mut() else { continue };
            rows.retain(|row| !gone(row));
            for row in news[name].as_array().into_iter().flatten() {
                match rows.iter_mut().find(|known| known[id] == row[id]) {
                    Some(known) => *known = row.clone(),
                    None => rows.push(row.clone()),
                }
            }
        }
        if let Some(task) = fields.get("task") {
            self.opened["task"] = task.clone();
        }
    }

    /// The state without the order of rows, and without documents, which are loaded only in their list.
    fn shown(&self) -> Value {
        let mut rows = self.rows.clone();
        rows.remove("documents");
        rows.retain(|_, rows| !rows.is_empty());
        let mut opened = self.opened.clone();
        if let Some(fields) = opened.as_object_mut() {
            // The page keeps older messages; a new page starts with the end of the thread.
            fields.remove("earlier");
            let thread = fields["thread"].as_array_mut().unwrap();
            thread.drain(..thread.len().saturating_sub(50));
        }
        for (name, id) in [("thread", "messageId"), ("activities", "_id"), ("documents", "_id")] {
            if let Some(rows) = opened[name].as_array_mut() {
                // The page takes authors' names from the lists of agents and members.
                for row in rows.iter_mut() {
                    row.as_object_mut().unwrap().remove("authorName");
                }
                rows.sort_by_key(|row| row[id].to_string());
            }
        }
        json!({"rows": rows, "parts": self.parts, "opened": opened})
    }
}

/// A board with this number of tasks and documents.
fn heavy(tasks: usize, documents: usize) -> (Engine, String) {
    let engine = Engine::in_memory(Box::new(SystemClock), Options::default()).unwrap();
    let size = Size { tasks, agents: 5, messages: 0, documents, waiting: 0, followers: 1 };
    engine.import(&copies::copy(size)).unwrap();
    (engine, copies::id("k1", 0))
}

fn look(engine: &Engine, account: &str, path: &str, mut args: Value) -> Value {
    args["accountId"] = json!(account);
    let (_, mut answer) = engine.call(Kind::Query, path, &args, Caller::Person, "0123456789abcdef");
    assert_eq!(answer["status"], "success", "{path}: {answer}");
    answer["value"].take()
}

fn titles(tasks: &Value) -> Vec<&str> {
    tasks.as_array().unwrap().iter().map(|task| task["title"].as_str().unwrap()).collect()
}

#[test]
fn the_first_load_of_a_large_board_is_small_and_its_counts_are_complete() {
    let (engine, account) = heavy(10_000, 2_000);
    let loaded = look(&engine, &account, "board:snapshot", json!({}));
    let bytes = loaded.to_string().len();
    assert!(bytes <= 1_000_000, "the first load has {bytes} bytes");
    // One task of the inbox is the chat with the orchestrator, which is not on the board.
    let expected = json!({"inbox": 1999.0, "assigned": 2000.0, "in_progress": 2000.0, "review": 2000.0,
        "done": 2000.0, "blocked": 0.0, "archived": 0.0});
    assert_eq!(loaded["counts"], expected);
    let in_inbox = |task: &&Value| task["status"] == "inbox";
    let inbox: Vec<&Value> = loaded["tasks"].as_array().unwrap().iter().filter(in_inbox).collect();
    assert_eq!(
        (inbox.len(), &loaded["more"]["inbox"], &loaded["more"]["blocked"]),
        (50, &json!(true), &json!(false))
    );
    assert_eq!(inbox[0]["title"], "Task 9995", "of equal priority the last changed comes first");

    let documents = look(&engine, &account, "board:documents", json!({}));
    assert!(documents.to_string().len() < 100_000 && documents["more"] == json!(true));
    assert_eq!(documents["documents"][0]["title"], "Document 1999");
    assert_eq!(documents["special"], json!(["Repository \u{2014} Primary"]));
}

#[test]
fn a_column_is_loaded_in_windows_without_gaps_or_repeats() {
    let (engine, account) = heavy(1_000, 0);
    let loaded = look(&engine, &account, "board:snapshot", json!({}));
    let in_review = |task: &&Value| task["status"] == "review";
    let mut seen: Vec<Value> =
        loaded["tasks"].as_array().unwrap().iter().filter(in_review).cloned().collect();
    let mut more = loaded["more"]["review"].clone();
    while more == json!(true) {
        let last = seen.last().unwrap();
        let after = json!([last["priority"], last["updatedAt"], last["_creationTime"]]);
        let next = look(&engine, &account, "board:column", json!({"status": "review", "after": after}));
        assert!(!next["tasks"].as_array().unwrap().is_empty());
        seen.extend(next["tasks"].as_array().unwrap().iter().cloned());
        more = next["more"].clone();
        assert!(seen.len() <= 200, "more than there are");
    }
    let expected: Vec<String> =
        (0..1_000).rev().filter(|n| n % 5 == 3).map(|n| format!("Task {n}")).collect();
    assert_eq!(titles(&json!(seen)), expected);
}

#[test]
fn urgent_tasks_come_first_and_cards_contain_no_long_texts() {
    let board = Board::new();
    let labels: Vec<String> = (0..500).map(|n| format!("{n:0>300}")).collect();
    let agent = board.agent("ada", "Ada", "Engineer", json!({"soulContent": "s".repeat(10_000)}));
    board.task(json!({"title": "second", "priority": 2.0, "updatedAt": 5.0}));
    board.task(json!({"title": "third", "priority": 2.0, "updatedAt": 4.0}));
    let long = "\u{1f600}".repeat(1_000);
    let id = board.task(json!({"title": long, "priority": 0.5, "description": "d".repeat(50_000),
        "status": "blocked", "blockedReason": long, "labels": labels,
        "assignedAgentIds": vec![agent.as_str(); 1_000]}));
    board.task(json!({"title": "first", "priority": 1.0}));
    let loaded = board.look("board:snapshot", json!({})).unwrap();
    let inbox: Vec<&Value> =
        loaded["tasks"].as_array().unwrap().iter().filter(|task| task["status"] == "inbox").collect();
    assert_eq!(titles(&json!(inbox)), ["first", "second", "third"]);
    let card = loaded["tasks"].as_array().unwrap().iter().find(|task| task["_id"] == id).unwrap();
    assert!(card.to_string().len() < 5_000, "{}", card.to_string().len());
    assert_eq!(card["assignedAgentIds"], json!([agent]));
    assert!(loaded.to_string().len() < 20_000, "{}", loaded.to_string().len());
    // The open task is complete, except for labels beyond a readable number.
    let opened = board.look("board:task", json!({"taskId": id})).unwrap();
    assert_eq!(opened["task"]["description"].as_str().unwrap().len(), 50_000);
    assert_eq!(opened["task"]["title"], long);
    assert_eq!(
        (opened["task"]["labels"].as_array().unwrap().len(), &opened["labelsLeftOff"]),
        (50, &json!(450.0))
    );
    assert_eq!(board.row("tasks", &id)["labels"].as_array().unwrap().len(), 500, "all are kept");
    let whole = board.look("agents:get", json!({"agentId": agent})).unwrap();
    assert_eq!(whole["soulContent"].as_str().unwrap().len(), 10_000);
}

#[test]
fn a_search_finds_and_counts_tasks_that_are_not_loaded() {
    let (engine, account) = heavy(2_000, 0);
    let search = |words: &str, limit: usize| {
        look(&engine, &account, "board:search", json!({"words": words, "limit": limit}))
    };
    let matches = |n: &usize| n.to_string().contains("17");
    let found = search("TASK 17", 500);
    let counts: f64 =
        found["counts"].as_object().unwrap().values().map(|count| count.as_f64().unwrap()).sum();
    assert_eq!(counts.to_string(), (0..2_000).filter(matches).count().to_string());
    let mut seen = titles(&found["tasks"]);
    seen.sort_unstable();
    let mut expected: Vec<String> = (0..2_000).filter(matches).map(|n| format!("Task {n}")).collect();
    expected.sort_unstable();
    assert_eq!(seen, expected);
    let in_inbox = (0..2_000).filter(matches).filter(|n| n % 5 == 0).count();
    assert_eq!(found["counts"]["inbox"].to_string(), format!("{in_inbox}.0"));
    let found = search("task 17", 3);
    assert_eq!(
        (found["tasks"].as_array().unwrap().len(), &found["more"]["inbox"]),
        (15, &json!(true)),
        "three of each column"
    );
    // Words match labels and the names of assignees, too.
    assert_eq!(search("agent-3 1998", 50)["tasks"][0]["title"], "Task 1998");
    assert_eq!(search("agent-2 1998", 50)["tasks"], json!([]));
    assert_eq!(search("one two 1999", 50)["tasks"][0]["title"], "Task 1999");
    assert_eq!(search("done, and why", 50)["tasks"], json!([]), "descriptions are not searched");
    let all = search("Task 0", 1_000)["tasks"].clone();
    assert!(!titles(&all).contains(&"Task 0"), "the chat is no task of the board");
}

#[test]
fn a_page_that_applies_changes_equals_a_new_page() {
    let seed = std::env::var("WINDOW_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let mut dice = Dice(seed);
    let board = Board::new();
    let mut tasks: Vec<String> = Vec::new();
    let mut agents = vec![board.agent("lead", "Lead", "Orchestrator", json!({}))];
    let mut documents: Vec<String> = Vec::new();
    let watched = board.person("tasks:create", json!({"title": "Watched"})).unwrap();
    let watched = watched.as_str().unwrap().to_owned();
    tasks.push(watched.clone());
    let mut page = Page::open(&board, Some(&watched));
    for step in 0..400 {
        board.advance(7);
        let task = tasks[dice.index(tasks.len())].clone();
        let agent = agents[dice.index(agents.len())].clone();
        // Refused calls are included: they change nothing.
        let _ = match dice.roll(14) {
            0 if tasks.len() < 40 => {
                let made = board.person("tasks:create", json!({"title": format!("Task {step}")}));
                made.map(|id| tasks.push(id.as_str().unwrap().to_owned())).map(|()| Value::Null)
            }
            1 => board.person("tasks:update", json!({"taskId": task, "priority": 1 + dice.roll(5)})),
            2 => board.person("tasks:assign", json!({"taskId": task, "assignedAgentIds": [agent]})),
            3 => {
                let status = ["assigned", "in_progress", "review", "done", "archived"][dice.index(5)];
                board.person("tasks:updateStatus", json!({"taskId": task, "status": status}))
            }
            4 | 5 => {
                board.person("messages:create", json!({"taskId": watched, "content": format!("@all {step}")}))
            }
            6 => {
                let args = json!({"taskId": watched, "agentId": agent, "content": format!("Done {step}")});
                board.service("createMessageFromAgent", args)
            }
            7 if tasks.len() > 1 && task != watched => {
                tasks.retain(|known| *known != task);
                board.person("tasks:remove", json!({"taskId": task}))
            }
            8 if agents.len() < 6 => {
                let slug = format!("agent-{step}");
                agents.push(board.agent(&slug, &slug, "Engineer", json!({})));
                Ok(Value::Null)
            }
            9 if agents.len() > 2 => {
                agents.retain(|known| *known != agent);
                board.person("agents:remove", json!({"agentId": agent}))
            }
            10 => {
                let args =
                    json!({"title": format!("D {step}"), "content": "x", "type": "note", "taskId": watched});
                let made = board.person("documents:create", args);
                made.map(|id| documents.push(id.as_str().unwrap().to_owned())).map(|()| Value::Null)
            }
            11 if !documents.is_empty() => {
                let document = documents.swap_remove(dice.index(documents.len()));
                match dice.roll(2) {
                    0 => board.person("documents:remove", json!({"documentId": document})),
                    _ => board.person("documents:update", json!({"documentId": document, "taskId": null})),
                }
            }
            12 => {
                let list = board.service("listUndeliveredNotifications", json!({})).unwrap();
                match list.as_array().unwrap().first() {
                    Some(notified) => {
                        board.service("markNotificationRead", json!({"notificationId": notified["_id"]}))
                    }
                    None => Ok(Value::Null),
                }
            }
            _ => board.person("accounts:updateSettings", json!({"userMd": format!("We sail {step}.")})),
        };
        if dice.roll(3) == 0 {
            page.poll(&board);
            let fresh = Page::open(&board, Some(&watched));
            let (followed, fresh) = (page.shown(), fresh.shown());
            for part in ["rows", "parts", "opened"] {
                assert!(followed[part] == fresh[part], "{part} differ after step {step} of seed {seed}");
            }
        }
    }
    assert_eq!(page.loads, 1, "everything came as changes");
    board.person("tasks:remove", json!({"taskId": watched})).unwrap();
    page.poll(&board);
    assert_eq!(page.opened, Value::Null);
    assert!(!page.rows["tasks"].contains_key(&watched));
}

#[test]
fn unchanged_rows_are_not_sent_again() {
    let board = Board::new();
    let agent = board.agent("ada", "Ada", "Engineer", json!({}));
    for n in 0..100 {
        board.task(json!({"title": format!("Task {n}"), "assignedAgentIds": [agent]}));
    }
    let mut page = Page::open(&board, None);
    let ask = |since: &str| board.look("board:changes", json!({"since": since})).unwrap();
    let quiet = ask(&page.revision);
    assert_eq!(quiet, json!({"revision": page.revision}));
    let task = board.person("tasks:create", json!({"title": "One more"})).unwrap();
    let news = ask(&page.revision);
    assert_eq!((titles(&news["tasks"]), &news["counts"]["inbox"]), (vec!["One more"], &json!(101.0)));
    for name in ["agents", "skills", "members", "account", "typing", "documents", "gone"] {
        assert_eq!(news.get(name), None, "{name}");
    }
    // A page without the open thread gets nothing for a message. A page with it gets only the message.
    page.poll(&board);
    let said = json!({"taskId": task, "content": "Hello"});
    board.person("messages:create", said).unwrap();
    let news = ask(&page.revision);
    assert!(news.get("tasks").is_none() && news.get("task").is_none(), "{news}");
    let args = json!({"since": page.revision, "taskId": task});
    let opened = board.look("board:changes", args).unwrap()["task"].clone();
    assert_eq!(opened["thread"][0]["content"], "Hello");
    assert_eq!(opened["thread"].as_array().unwrap().len(), 1);
    assert_eq!(opened.get("task"), None);
}

#[test]
fn an_unknown_or_old_revision_causes_a_full_load() {
    let board = Board::new();
    let first = board.look("board:snapshot", json!({})).unwrap()["revision"].as_str().unwrap().to_owned();
    let ask = |since: &str| board.look("board:changes", json!({"since": since})).unwrap();
    let (run, number) = first.split_once('-').unwrap();
    let ahead = format!("{run}-{}", number.parse::<u64>().unwrap() + 1);
    // A revision of another run, one that never existed, and invalid texts.
    for odd in ["0123456789abcdef-1", &ahead, "", "-", "x", &format!("{run}-"), &format!("{run}-x")] {
        assert_eq!(ask(odd), json!({"anew": true}), "{odd}");
    }
    assert!(ask(&first).get("anew").is_none());
    // More rows than are kept: by many calls, and by a single one.
    let task = board.task(json!({}));
    let before = board.look("board:snapshot", json!({})).unwrap()["revision"].as_str().unwrap().to_owned();
    for n in 0..1_500 {
        board.edit("tasks", &task, json!({"priority": f64::from(n % 5)}));
    }
    assert_eq!(titles(&ask(&before)["tasks"]), ["Fix login"], "the same row many times is one row");
    for n in 0..1_500 {
        board.task(json!({"title": format!("Task {n}")}));
    }
    assert_eq!(ask(&before), json!({"anew": true}));
}

#[test]
fn a_long_thread_is_loaded_from_its_end() {
    let board = Board::new();
    let task = board.task(json!({}));
    for n in 0..130 {
        board.person("messages:create", json!({"taskId": task, "content": format!("message {n}")})).unwrap();
    }
    let opened = board.look("board:snapshot", json!({"taskId": task})).unwrap()["task"].clone();
    let mut thread = opened["thread"].as_array().unwrap().clone();
    let mut earlier = opened["earlier"].clone();
    assert_eq!((thread.len(), &earlier), (50, &json!(true)));
    while earlier == json!(true) {
        let args = json!({"taskId": task, "before": thread[0]["messageId"]});
        let piece = board.look("board:thread", args).unwrap();
        thread = [piece["thread"].as_array().unwrap().clone(), thread].concat();
        earlier = piece["earlier"].clone();
    }
    let said: Vec<&str> = thread.iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(said, (0..130).map(|n| format!("message {n}")).collect::<Vec<_>>());
    // Long messages come in smaller windows, but at least one at a time.
    let long = board.task(json!({}));
    for _ in 0..20 {
        board.person("messages:create", json!({"taskId": long, "content": "x".repeat(100_000)})).unwrap();
    }
    let opened = board.look("board:task", json!({"taskId": long})).unwrap();
    assert!(opened.to_string().len() < 700_000 && opened["earlier"] == json!(true));
    assert!(!opened["thread"].as_array().unwrap().is_empty());
    let other =
        board.look("board:thread", json!({"taskId": task, "before": opened["thread"][0]["messageId"]}));
    assert_eq!(other.unwrap()["thread"], json!([]), "a message of another task is no place in this one");
}
