//! The stories are written as events on the board, without knowledge of the rule. Each must get exactly its marks. Those
//! of `independent_stories.json` also have the expectation of their author, who knew neither the rule nor the marks.

use serde_json::{Value, json};

use super::*;
use crate::delivery::acts::Act;
use crate::delivery::tool_log::ToolLog;
use crate::delivery::{End, Record};
use crate::tools::{ToolError, ToolErrorKind, ToolOutcome, decode};
use crate::work::Work;
use mcr_model::clock::Millis;
use mcr_model::{DonePolicy, Notification, Task, TaskId};

const TASK: &str = "t1";
const MINUTE: i64 = 60_000;

/// A ledger that a story fills: one delivery for each event.
struct Ledger {
    facts: FactsByTask,
    status: &'static str,
    pull_request: Option<u64>,
    updated: i64,
    rows: usize,
    has_quality: bool,
}

impl Ledger {
    fn new() -> Self {
        Self {
            facts: FactsByTask::new(),
            status: "assigned",
            pull_request: None,
            updated: 0,
            rows: 0,
            has_quality: true,
        }
    }

    fn seen(&self, at: i64) -> Act {
        let task: Task = serde_json::from_value(json!({
            "_id": TASK, "title": "T", "status": self.status, "priority": 3, "createdBy": "u1", "createdAt": 0,
            "updatedAt": self.updated, "metadata": {"prNumber": self.pull_request},
        }))
        .expect("a task");
        Act::seen(&task).at(Millis(at))
    }

    /// A delivery about the task that ended with these acts.
    fn delivery(&mut self, agent: &str, kind: &str, at: i64, acts: Vec<Act>, end: &End) {
        self.delivery_on(TASK, agent, kind, at, acts, end);
    }

    fn delivery_on(&mut self, task: &str, agent: &str, kind: &str, at: i64, acts: Vec<Act>, end: &End) {
        self.rows += 1;
        let row: Notification = serde_json::from_value(json!({
            "_id": format!("n{}", self.rows), "type": kind, "recipientType": "agent", "recipientId": agent,
            "taskId": task, "title": "T", "body": "B", "createdAt": at,
        }))
        .expect("a notification");
        let mut effects = ToolLog::default();
        for act in acts {
            effects.act(act.at(Millis(at)));
        }
        let record = Record { tries: 1, seen: Some(self.seen(at)), effects, ..Record::default() };
        // Everything is stored and read in between.
        let record = serde_json::to_string(&record).expect("JSON");
        let record: Record = serde_json::from_str(&record).expect("a record");
        let (work, at) = (Work::from(row), Millis(at));
        let delivery =
            Delivery { work: &work, record: &record, first_seen: at, closed: Some((at, Some(end))) };
        add(&mut self.facts, delivery, Millis(0));
        let stored = serde_json::to_string(&self.facts).expect("JSON");
        self.facts = serde_json::from_str(&stored).expect("facts");
    }

    fn happens(&mut self, event: &Value) {
        let at = event["at"].as_i64().expect("a time") * MINUTE;
        let answered = End::Answered(1);
        let agent = event["agent"].as_str().unwrap_or_default();
        let on = event["on"].as_str().unwrap_or(TASK);
        if let Some(agent) = event["assigns"].as_str() {
            return self.delivery_on(on, agent, "assignment", at, Vec::new(), &answered);
        }
        if let Some(tool) = event["refused"].as_str() {
            let error = ToolError::invalid("content", "Content too long (max 1000000 characters)");
            let acts = Act::of_refused_call(tool, error.kind).into_iter().collect();
            return self.delivery_on(on, agent, "mention", at, acts, &answered);
        }
        if let Some(status) = event["person"].as_str() {
            (self.status, self.updated) = (status_named(status), at);
            // The assigned agent is notified, and its delivery reads the task.
            return self.delivery("writer", "status_change", at + 1, Vec::new(), &answered);
        }
        if let Some(why) = event["dead"].as_str() {
            return self.delivery_on(on, agent, "mention", at, Vec::new(), &End::Dead(why.to_owned()));
        }
        if let Some(text) = event["answers"].as_str() {
            return self.delivery(agent, "mention", at, vec![Act::message(text)], &answered);
        }
        let tool = event["calls"].as_str().expect("a call");
        let mut arguments = event["with"].clone();
        if tool == "task_link_pr" {
            arguments["taskId"] = json!(TASK);
        }
        let request = decode(tool, &arguments.to_string(), Some(&TaskId::new(TASK))).expect("a valid call");
        if event["fails"].as_str() == Some("unavailable") {
            let failed = Act::of_failure(&request, ToolErrorKind::Unavailable);
            return self.delivery(agent, "mention", at, failed.into_iter().collect(), &answered);
        }
        let gives = event["gives"].as_str().map(str::to_owned);
        let mut outcome =
            ToolOutcome { task_id: gives.clone(), document_id: gives, ..ToolOutcome::default() };
        if let Some(status) = event["with"]["status"].as_str() {
            (self.status, self.updated) = (status_named(status), at);
            outcome.data = Some(json!({"status": status, "changed": true, "updatedAt": at}));
        }
        self.pull_request = event["with"]["prNumber"].as_u64().or(self.pull_request);
        self.delivery(agent, "mention", at, Act::of_call(&request, &outcome, self.has_quality), &answered);
    }

    fn verdict(&self) -> Judgement {
        judge(&self.facts[&TaskId::new(TASK)])
    }
}

fn status_named(name: &str) -> &'static str {
    let status: mcr_model::TaskStatus = name.parse().expect("a status");
    status.as_str()
}

fn marks(verdict: &Judgement) -> Vec<&'static str> {
    verdict.marks.iter().map(Mark::name).collect()
}

/// A story with its marks.
struct Story {
    name: String,
    events: Vec<Value>,
    marks: Vec<String>,
    /// Whether its author expects a mark, if the author knew no marks.
    is_marked: Option<bool>,
    has_quality: bool,
}

impl Story {
    fn read(story: &Value) -> Self {
        let list = |value: &Value| value.as_array().expect("a list").clone();
        let mark = |mark: &Value| mark.as_str().expect("a mark").replace(' ', "-");
        Self {
            name: story["story"].as_str().expect("a name").to_owned(),
            events: list(&story["happens"]),
            marks: list(&story["marks"]).iter().map(mark).collect(),
            is_marked: story["expected"].as_str().map(|expected| expected == "marked"),
            has_quality: story["quality"] != false,
        }
    }

    fn told(&self) -> Ledger {
        let mut ledger = Ledger { has_quality: self.has_quality, ..Ledger::new() };
        for event in &self.events {
            ledger.happens(event);
        }
        ledger
    }
}

fn stories() -> Vec<Story> {
    let files = [include_str!("stories.json"), include_str!("independent_stories.json")];
    let read = |file: &str| serde_json::from_str::<Vec<Value>>(file).expect("JSON");
    files.into_iter().flat_map(read).map(|story| Story::read(&story)).collect()
}

fn story(words: &str) -> Ledger {
    stories().iter().find(|story| story.name.contains(words)).expect("a story").told()
}

#[test]
fn each_story_is_judged_right() {
    let stories = stories();
    assert_eq!(stories.iter().filter(|story| story.is_marked.is_some()).count(), 16);
    for story in stories {
        let verdict = story.told().verdict();
        assert_eq!(marks(&verdict), story.marks, "{}: {verdict:#?}", story.name);
        assert_eq!(verdict.unknown, None, "{}", story.name);
        // No judgement differs from that of the author.
        assert!(story.is_marked.is_none_or(|marked| marked != story.marks.is_empty()), "{}", story.name);
    }
}

/// The present status counts: later work, an approval by a person, or a repetition removes a mark.
#[test]
fn a_mark_ends_with_its_cause() {
    let work = json!({"at": 200, "agent": "engineer", "calls": "task_link_pr", "with": {"prNumber": 57}});
    let mut ledger = story("no one linked");
    ledger.happens(&work);
    assert_eq!(marks(&ledger.verdict()), [""; 0], "the pull request was linked later");
    let mut ledger = story("without any work");
    ledger.happens(&json!({"at": 200, "person": "in_progress"}));
    assert_eq!(marks(&ledger.verdict()), [""; 0], "a person sent it back");
    let mut ledger = story("was given up");
    ledger.happens(&json!({"at": 200, "agent": "engineer", "answers": "Yes, five days."}));
    assert_eq!(marks(&ledger.verdict()), [""; 0], "the engineer has answered since");
}

#[test]
fn what_is_not_recorded_is_unknown_and_never_a_mark() {
    let row = |ledger: &mut Ledger, record: &Record| {
        let row: Notification = serde_json::from_value(json!({
            "_id": "old", "type": "mention", "recipientType": "agent", "recipientId": "engineer", "taskId": TASK,
            "title": "T", "body": "B", "createdAt": 2 * MINUTE,
        }))
        .expect("a notification");
        let (work, at) = (Work::from(row), Millis(2 * MINUTE));
        let closed = Some((at, Some(&End::Answered(1))));
        add(&mut ledger.facts, Delivery { work: &work, record, first_seen: at, closed }, Millis(0));
    };
    // A turn of an older version, which kept no acts.
    let mut ledger = story("without any work");
    row(&mut ledger, &Record { tries: 1, ..Record::default() });
    let verdict = ledger.verdict();
    assert_eq!((marks(&verdict), verdict.unknown.is_some()), (Vec::new(), true), "{verdict:#?}");
    // The ledger began after the assignment.
    let mut ledger = story("without any work");
    ledger.facts.values_mut().for_each(|facts| facts.since = Millis(2 * MINUTE));
    assert!(ledger.verdict().unknown.is_some() && ledger.verdict().marks.is_empty());
    // The agent still works on the task.
    let mut ledger = story("without any work");
    ledger.facts.values_mut().for_each(|facts| facts.at_work = ["engineer".to_owned()].into());
    assert!(ledger.verdict().unknown.is_some() && ledger.verdict().marks.is_empty());
    // A call may have happened.
    let mut ledger = Ledger::new();
    ledger.happens(&json!({"at": 1, "assigns": "engineer"}));
    let arguments = json!({"title": "Plan", "content": "Text", "type": "note"}).to_string();
    let request = decode("document_upsert", &arguments, Some(&TaskId::new(TASK))).expect("a call");
    let lost = Act::of_failure(&request, ToolErrorKind::Unsettled).expect("an act");
    ledger.delivery("engineer", "mention", 2 * MINUTE, vec![lost], &End::Answered(1));
    ledger.happens(
        &json!({"at": 3, "agent": "engineer", "calls": "task_status", "with": {"status": "review"}}),
    );
    assert!(ledger.verdict().unknown.is_some() && ledger.verdict().marks.is_empty());
}

#[test]
fn a_call_that_the_agent_may_not_make_is_no_open_failure() {
    let arguments = json!({"title": "Plan", "content": "Text", "type": "note"}).to_string();
    let request = decode("document_upsert", &arguments, Some(&TaskId::new(TASK))).expect("a call");
    for kind in [ToolErrorKind::Forbidden, ToolErrorKind::NotFound, ToolErrorKind::Conflict] {
        assert_eq!(Act::of_failure(&request, kind), None, "{kind:?}");
        assert_eq!(Act::of_refused_call("document_upsert", kind), None, "{kind:?}");
    }
    let reading = decode("task_search", &json!({"query": "x"}).to_string(), None).expect("a call");
    assert_eq!(Act::of_failure(&reading, ToolErrorKind::Unavailable), None);
    assert_eq!(Act::of_refused_call("task_search", ToolErrorKind::Invalid), None);
    assert_eq!(Act::of_refused_call("unknown", ToolErrorKind::Invalid), None);
}

/// The agent repeats such a call in another form. Until then, what it should have done is missing.
#[test]
fn a_call_with_an_unacceptable_value_is_an_open_failure_until_another_call_succeeds() {
    let refused = json!({"at": 3, "agent": "writer", "refused": "document_upsert"});
    let written = json!({"at": 4, "agent": "writer", "calls": "document_upsert", "gives": "d1",
        "with": {"title": "Plan", "content": "Text", "type": "note"}});
    let review =
        |at: i64| json!({"at": at, "agent": "writer", "calls": "task_status", "with": {"status": "review"}});
    let mut ledger = Ledger::new();
    for event in [json!({"at": 1, "assigns": "writer"}), refused, review(3)] {
        ledger.happens(&event);
    }
    assert_eq!(marks(&ledger.verdict()), ["no-effect", "open-failure"]);
    ledger.happens(&written);
    assert_eq!(marks(&ledger.verdict()), [""; 0]);
    // A later one of the same moment counts as well.
    let mut ledger = Ledger::new();
    for event in [
        json!({"at": 1, "assigns": "writer"}),
        json!({"at": 4, "agent": "writer", "refused": "document_upsert"}),
    ] {
        ledger.happens(&event);
    }
    ledger.happens(&written);
    ledger.happens(&review(5));
    assert_eq!(marks(&ledger.verdict()), [""; 0]);
}

#[test]
fn an_approval_of_own_work_is_marked_only_where_a_quality_agent_exists() {
    for (has_quality, expected) in [(true, vec!["own-review"]), (false, vec![])] {
        let story = stories().into_iter().find(|story| story.name.contains("wrote itself"));
        let story = Story { has_quality, ..story.expect("a story") };
        assert_eq!(marks(&story.told().verdict()), expected);
    }
}

#[test]
fn the_facts_of_a_busy_task_stay_small_and_then_say_from_when_they_are_complete() {
    let mut ledger = Ledger::new();
    ledger.happens(&json!({"at": 1, "assigns": "writer"}));
    for at in 2..500 {
        let content = format!("Text {at}");
        ledger.happens(&json!({"at": at, "agent": "writer", "calls": "document_upsert", "gives": "d1",
            "with": {"documentId": "d1", "taskId": TASK, "title": "T", "content": content, "type": "note"}}));
        ledger.happens(&json!({"at": at, "agent": "writer", "answers": "Changed."}));
    }
    let facts = &ledger.facts[&TaskId::new(TASK)];
    assert!(facts.acts.len() <= 64 && facts.since > Millis(MINUTE), "{} acts", facts.acts.len());
    let size = serde_json::to_string(facts).expect("JSON").len();
    assert!(size < 16_000, "{size} bytes");
    ledger.happens(
        &json!({"at": 600, "agent": "writer", "calls": "task_status", "with": {"status": "review"}}),
    );
    assert_eq!(marks(&ledger.verdict()), [""; 0]);
}

#[test]
fn acts_of_a_newer_version_are_kept_and_ignored() {
    let newer = r#"{"at":7,"what":"telepathy","task":"t1","strength":[1]}"#;
    let act: Act = serde_json::from_str(newer).expect("an act");
    assert_eq!((act.kind(), serde_json::to_string(&act).expect("JSON")), (None, newer.to_owned()));
}

#[test]
fn the_words_name_agents_and_hostile_titles_are_cleaned() {
    let mut ledger = story("was given up");
    ledger.facts.values_mut().for_each(|facts| facts.title = "\u{202e}<b>\u{1b}[31m".to_owned());
    let (task, facts) = ledger.facts.first_key_value().expect("facts");
    let name = |agent: &str| agent.to_uppercase();
    let mut evidence = evidence(task, facts, DonePolicy::Warn, &name);
    let words = &evidence.marks[0].words;
    assert!(words.contains("ENGINEER was given up") && words.contains("in done"), "{words}");
    assert_eq!(evidence.reviewers, ["QA"]);
    evidence.clean(&|text| mcr_model::visible::lines(text));
    assert_eq!(evidence.title.as_deref(), Some("\\u{202e}<b>\\u{1b}[31m"));
    let off = super::evidence(task, facts, DonePolicy::Off, &name);
    assert!(off.marks.is_empty() && !off.effects.is_empty());
}
