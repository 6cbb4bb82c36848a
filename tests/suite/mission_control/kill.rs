//! SIGKILL during many concurrent writes: every acknowledged write exists with all its rows, and no write exists
//! partly.
//!
//! People and agents write as fast as they can, and each call writes several rows. At a random instant the process is
//! killed. The test then checks a copy of the files row by row, and the same data over HTTP after a restart. `KILLS`
//! sets the number of kills (`make test-kill`: 100), and `KILL_SEED` repeats a run.

#![allow(clippy::print_stdout, reason = "the figures are for people, and the seed repeats what failed")]

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mission_control_runtime::clock::SystemClock;
use mission_control_runtime::local::{Data, DataLocation, Engine, Opening, Options, Seed};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::dice::Dice;
use crate::support::wait::until;

use super::process::{Client, Process, Refused, program};

/// The number of kills in `make test`.
const KILLS: u64 = 15;
/// After this number of kills, the test starts again with an empty directory.
const KILLS_IN_A_PLACE: u64 = 25;
/// The maximum duration of the writes before a kill, in microseconds.
const STORM_US: u64 = 200_000;
/// The maximum delay before a kill during a start, in microseconds.
const START_US: u64 = 40_000;
/// The authors of messages; the owner writes twice as often.
const AUTHORS: [&str; 5] = ["owner", "owner", "ada", "ben", "lead"];

/// The account, agents and tasks that exist before the first storm.
struct Place {
    agents: HashMap<String, String>,
    tasks: Vec<String>,
}

/// The acknowledged writes.
#[derive(Default)]
struct Acknowledged {
    /// Messages by id: task, author, content.
    messages: HashMap<String, (String, String, String)>,
    /// Tasks by id, with their titles.
    tasks: HashMap<String, String>,
    /// Ids of delivered notifications.
    delivered: HashSet<String>,
}

impl Acknowledged {
    fn count(&self) -> usize {
        self.messages.len() + self.tasks.len() + self.delivered.len()
    }
}

fn open(directory: &Path) -> Data {
    let location = DataLocation::Directory(directory.to_owned());
    let opening = Opening { location, seed: Seed::Nothing, master_key: None, options: Options::default() };
    Data::open(&opening, Box::new(SystemClock)).unwrap_or_else(|why| panic!("it does not open: {why}"))
}

/// Three agents, one of them the orchestrator, and four tasks that all of them and the owner follow.
fn prepare(directory: &Path) -> Place {
    let data = open(directory);
    let (engine, account) = (&data.engine, &data.account);
    let config = json!({"model": "m", "temperature": 0.7, "skillIds": [],
        "behaviorFlags": {"canCreateTasks": true, "canMentionAgents": true}});
    let agent = |slug: &str| {
        let row = json!({"accountId": account, "name": slug, "slug": slug, "role": "Engineer", "status": "online",
            "heartbeatInterval": 15.0, "createdAt": 1.0, "openclawConfig": config});
        (slug.to_owned(), engine.write_row("agents", row).unwrap())
    };
    let agents: HashMap<String, String> = ["ada", "ben", "lead"].map(agent).into();
    let settings = json!({"orchestratorAgentId": agents["lead"]});
    engine.write_row("accounts", json!({"_id": account, "settings": settings})).unwrap();
    let everybody = agents.values().map(|id| ("agent", id.as_str())).chain([("user", "user_owner")]);
    let everybody: Vec<_> = everybody.collect();
    let task = |number: u32| {
        let row = json!({"accountId": account, "title": format!("Task {number}"), "status": "in_progress",
            "priority": 3.0, "assignedUserIds": [], "assignedAgentIds": [agents["ada"]], "labels": [],
            "createdBy": "user_owner", "createdAt": 1.0, "updatedAt": 1.0});
        let id = engine.write_row("tasks", row).unwrap();
        for (kind, who) in &everybody {
            let row = json!({"accountId": account, "taskId": id, "subscriberType": kind, "subscriberId": who,
                "subscribedAt": 1.0});
            engine.write_row("subscriptions", row).unwrap();
        }
        id
    };
    Place { tasks: (1..=4).map(task).collect(), agents }
}

/// All clients write until the process is gone. A write is acknowledged if its response reported success.
fn storm(process: Process, place: &Place, round: u64, dice: &mut Dice, noted: &Mutex<Acknowledged>) {
    let before = noted.lock().unwrap().count();
    thread::scope(|scope| {
        for (number, author) in AUTHORS.into_iter().enumerate() {
            let client = process.client.another();
            let mut dice = Dice(dice.roll(u64::MAX));
            scope.spawn(move || {
                for count in 0.. {
                    let named = ["", "@ben ", "@ada @owner ", "@lead "][dice.index(4)];
                    // Some messages are longer than a page of the database.
                    let length = if dice.roll(8) == 0 { 4_500 } else { dice.index(300) };
                    let content = format!("{named}{round}.{number}.{count} {}", "ä".repeat(length));
                    let task = &place.tasks[dice.index(4)];
                    let Some(id) = say(&client, place, author, task, &content) else { return };
                    let message = (task.clone(), author.to_owned(), content);
                    noted.lock().unwrap().messages.insert(id, message);
                }
            });
        }
        let (client, lead, ben) = (process.client.another(), &place.agents["lead"], &place.agents["ben"]);
        scope.spawn(move || {
            for count in 0.. {
                let title = format!("made {round}.{count}");
                let args = json!({"agentId": lead, "title": title, "assignedAgentIds": [ben]});
                let Some(made) = answered(client.service("createTaskFromAgent", args)) else { return };
                noted.lock().unwrap().tasks.insert(text(&made["taskId"]), title);
            }
        });
        let client = process.client.another();
        scope.spawn(move || {
            loop {
                let waiting = client.service("listUndeliveredNotifications", json!({"limit": 100}));
                let Some(waiting) = answered(waiting) else { return };
                // Updates of threads stay undelivered, because the check examines how they are merged.
                let mentions = waiting.as_array().unwrap().iter().filter(|row| row["type"] == "mention");
                for row in mentions.take(5) {
                    let args = json!({"notificationId": row["_id"]});
                    let Some(_) = answered(client.service("markNotificationDelivered", args)) else { return };
                    noted.lock().unwrap().delivered.insert(text(&row["_id"]));
                }
            }
        });
        thread::sleep(Duration::from_micros(10_000 + dice.roll(STORM_US)));
        // A loaded machine may not have begun.
        until("acknowledged writes", || noted.lock().unwrap().count() > before + 1);
        process.running.kill();
    });
}

/// Posts a message by the owner or an agent. Returns its id, or `None` if the process is gone.
fn say(client: &Client, place: &Place, author: &str, task: &str, content: &str) -> Option<String> {
    match place.agents.get(author) {
        None => {
            let args = json!({"taskId": task, "content": content});
            answered(client.person("messages:create", args)).map(|id| text(&id))
        }
        Some(agent) => {
            let args = json!({"taskId": task, "agentId": agent, "content": content});
            answered(client.service("createMessageFromAgent", args)).map(|made| text(&made["messageId"]))
        }
    }
}

/// The value of a response, or `None` if the process is gone. Refusals are not expected.
fn answered(answer: Result<Value, Refused>) -> Option<Value> {
    match answer {
        Ok(value) => Some(value),
        Err((None, _)) => None,
        Err((Some(status), body)) => panic!("refused: {status} {body}"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The errors that a check found: missing acknowledged writes, and partial writes.
#[derive(Default)]
struct Wrong {
    lost: Vec<String>,
    half: Vec<String>,
}

/// All relevant rows on the disk.
struct Found {
    messages: Vec<Value>,
    notifications: Vec<Value>,
    activities: Vec<Value>,
    tasks: Vec<Value>,
    subscriptions: Vec<Value>,
}

impl Found {
    fn read(engine: &Engine) -> Self {
        let rows = |table| engine.read_table(table).unwrap();
        Self {
            messages: rows("messages"),
            notifications: rows("notifications"),
            activities: rows("activities"),
            tasks: rows("tasks"),
            subscriptions: rows("subscriptions"),
        }
    }

    /// Compares all rows with the acknowledged writes and with each other.
    fn check(&self, place: &Place, noted: &Acknowledged) -> Wrong {
        let mut wrong = Wrong::default();
        let messages = by_id(&self.messages);
        for (id, (task, author, content)) in &noted.messages {
            let author = place.agents.get(author).map_or("user_owner", String::as_str);
            let same = messages.get(id.as_str()).is_some_and(|row| {
                row["taskId"] == *task && row["authorId"] == author && row["content"] == *content
            });
            if !same {
                wrong.lost.push(format!("message {id}"));
            }
        }
        let tasks = by_id(&self.tasks);
        for (id, title) in &noted.tasks {
            if tasks.get(id.as_str()).is_none_or(|row| row["title"] == Value::Null || row["title"] != *title)
            {
                wrong.lost.push(format!("task {id}"));
            }
        }
        let notifications = by_id(&self.notifications);
        for id in &noted.delivered {
            if notifications.get(id.as_str()).is_none_or(|row| row["deliveredAt"].is_null()) {
                wrong.lost.push(format!("delivery of {id}"));
            }
        }
        self.messages_are_whole(place, &mut wrong);
        self.threads_are_whole(place, &mut wrong);
        self.tasks_are_whole(place, &mut wrong);
        wrong
    }

    /// Every message has one activity, and one notification for each mentioned party and for the owner as a follower.
    fn messages_are_whole(&self, place: &Place, wrong: &mut Wrong) {
        let mut recorded: HashMap<&str, u32> = HashMap::new();
        for row in self.activities.iter().filter(|row| row["type"] == "message_created") {
            *recorded.entry(row["targetId"].as_str().unwrap()).or_default() += 1;
        }
        let mut notified: HashMap<&str, Vec<String>> = HashMap::new();
        for row in self.notifications.iter().filter(|row| row["messageId"].is_string()) {
            // Updates for agents are merged, so they are checked by thread.
            if row["type"] == "mention" || row["recipientType"] == "user" {
                let what = format!("{} {}", text(&row["type"]), text(&row["recipientId"]));
                notified.entry(row["messageId"].as_str().unwrap()).or_default().push(what);
            }
        }
        for row in &self.messages {
            let id = row["_id"].as_str().unwrap();
            if recorded.remove(id) != Some(1) {
                wrong.half.push(format!("message {id}: its activity"));
            }
            let named = named_in(row);
            let mut expected: Vec<String> = named.iter().map(|id| format!("mention {id}")).collect();
            if row["authorId"] != "user_owner" && !named.contains(&"user_owner") {
                expected.push("thread_update user_owner".to_owned());
            }
            let mut notified = notified.remove(id).unwrap_or_default();
            notified.sort();
            expected.sort();
            if notified != expected {
                wrong.half.push(format!("message {id}: notified {notified:?}, not {expected:?}"));
            }
        }
        wrong.half.extend(recorded.keys().map(|id| format!("an activity of no message: {id}")));
        wrong.half.extend(notified.keys().map(|id| format!("a notification of no message: {id}")));
        let followers =
            self.subscriptions.iter().filter(|row| place.tasks.contains(&text(&row["taskId"]))).count();
        if followers != place.tasks.len() * (place.agents.len() + 1) {
            wrong.half.push(format!("{followers} follow the threads"));
        }
    }

    /// For every agent and thread: one undelivered update, which refers to the last message of which the agent is
    /// notified. The task has the time of the last message by an agent.
    fn threads_are_whole(&self, place: &Place, wrong: &mut Wrong) {
        let agents: Vec<&String> = place.agents.values().collect();
        for task in &place.tasks {
            let thread: Vec<&Value> = self.messages.iter().filter(|row| row["taskId"] == *task).collect();
            for agent in &agents {
                let names_an_agent =
                    |row: &Value| named_in(row).iter().any(|named| agents.iter().any(|id| id == named));
                let concerns = |row: &&&Value| row["authorId"] != **agent && !names_an_agent(row);
                let last: Vec<&Value> =
                    thread.iter().rev().find(concerns).map(|row| &row["_id"]).into_iter().collect();
                let of_thread = |row: &&Value| {
                    row["type"] == "thread_update" && row["taskId"] == *task && row["recipientId"] == **agent
                };
                let waiting: Vec<&Value> =
                    self.notifications.iter().filter(of_thread).map(|row| &row["messageId"]).collect();
                if waiting != last {
                    wrong
                        .half
                        .push(format!("thread {task}: {agent} is notified of {waiting:?}, not {last:?}"));
                }
            }
            let mut by_agents = thread.iter().filter(|row| row["authorType"] == "agent");
            let last = by_agents.next_back().map_or(&Value::Null, |row| &row["createdAt"]);
            let row = self.tasks.iter().find(|row| row["_id"] == *task).unwrap();
            if row["lastMessageAt"] != *last {
                wrong
                    .half
                    .push(format!("thread {task}: lastMessageAt is {}, not {last}", row["lastMessageAt"]));
            }
        }
    }

    /// Every created task has one activity. Its agent follows it and has one notification.
    fn tasks_are_whole(&self, place: &Place, wrong: &mut Wrong) {
        let mut parts: HashMap<&str, [u32; 3]> = HashMap::new();
        let rows = [
            (0, &self.activities, "targetId", ("type", "task_created")),
            (1, &self.notifications, "taskId", ("type", "assignment")),
            (2, &self.subscriptions, "taskId", ("subscriberId", place.agents["ben"].as_str())),
        ];
        for (part, rows, of, (field, word)) in rows {
            for row in rows.iter().filter(|row| row[field] == word) {
                parts.entry(row[of].as_str().unwrap()).or_default()[part] += 1;
            }
        }
        parts.retain(|task, _| !place.tasks.iter().any(|planted| planted == task));
        for row in self.tasks.iter().filter(|row| !place.tasks.contains(&text(&row["_id"]))) {
            let id = row["_id"].as_str().unwrap();
            let parts = parts.remove(id).unwrap_or_default();
            if parts != [1, 1, 1] {
                wrong.half.push(format!("task {id}: activity, assignment, follower: {parts:?}"));
            }
        }
        wrong.half.extend(parts.keys().map(|id| format!("something of no task: {id}")));
    }
}

fn by_id(rows: &[Value]) -> HashMap<&str, &Value> {
    rows.iter().map(|row| (row["_id"].as_str().unwrap(), row)).collect()
}

/// The names that a message mentions.
fn named_in(message: &Value) -> Vec<&str> {
    let mentions = message["mentions"].as_array().into_iter().flatten();
    mentions.map(|named| named["id"].as_str().unwrap()).collect()
}

/// Starts the process. Occasionally it is killed during the start and started again.
fn start(directory: &Path, dice: &mut Dice, early: &mut u64) -> Process {
    while dice.roll(4) == 0 {
        let starting = program(directory).start();
        thread::sleep(Duration::from_micros(dice.roll(START_US)));
        starting.kill();
        *early += 1;
    }
    Process::start(program(directory)).unwrap_or_else(|(code, text)| panic!("no start: {code:?} {text}"))
}

/// Checks over HTTP that the threads contain the acknowledged messages of the last storm.
fn read_back(client: &Client, place: &Place, noted: &Acknowledged) -> Vec<String> {
    let mut lost = Vec::new();
    for task in &place.tasks {
        let thread = client.look("messages:listByTask", json!({"taskId": task, "limit": 200})).unwrap();
        let thread = by_id(thread.as_array().unwrap());
        let ours = noted.messages.iter().filter(|(_, (of, _, _))| of == task);
        // A very fast machine writes more than a list returns. The check of the rows on the disk is complete.
        let missing: Vec<&String> = ours
            .filter(|(id, (_, _, content))| {
                thread.get(id.as_str()).is_none_or(|row| row["content"] != **content)
            })
            .map(|(id, _)| id)
            .collect();
        if thread.len() < 200 {
            lost.extend(missing.into_iter().map(|id| format!("message {id} over HTTP")));
        }
    }
    lost
}

/// Removes a row of every kind and restores it, to prove that the check detects a missing row.
fn the_check_can_fail(mut found: Found, place: &Place, noted: &Acknowledged) {
    let tables: [fn(&mut Found) -> &mut Vec<Value>; 4] = [
        |found| &mut found.messages,
        |found| &mut found.notifications,
        |found| &mut found.activities,
        |found| &mut found.subscriptions,
    ];
    for table in tables {
        let row = table(&mut found).pop().unwrap();
        let wrong = found.check(place, noted);
        assert!(wrong.lost.len() + wrong.half.len() > 0, "the check does not miss {row}");
        table(&mut found).push(row);
    }
    let wrong = found.check(place, noted);
    assert_eq!(wrong.lost.len() + wrong.half.len(), 0);
}

/// The totals of all kills.
#[derive(Default)]
struct Figures {
    kills: u64,
    early: u64,
    acknowledged: usize,
    unanswered: usize,
    lost: usize,
    half: usize,
}

/// Kills in one directory, one storm after the other.
fn place_of_storms(kills: u64, dice: &mut Dice, figures: &mut Figures) {
    let home = TempDir::new().unwrap();
    let (directory, copy) = (home.path().join("data"), home.path().join("copy"));
    let place = prepare(&directory);
    let mut all = Acknowledged::default();
    let mut process = start(&directory, dice, &mut figures.early);
    // On a busy machine the first kill can come before any write. This message guarantees that there is something to
    // lose.
    let first = "@ben before the storm";
    let id = say(&process.client, &place, "owner", &place.tasks[0], first).unwrap();
    all.messages.insert(id, (place.tasks[0].clone(), "owner".to_owned(), first.to_owned()));
    for round in 0..kills {
        let noted = Mutex::default();
        storm(process, &place, round, dice, &noted);
        let noted = noted.into_inner().unwrap();
        figures.kills += 1;

        // A copy of the database and its log before any recovery.
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
            }
        }
        process = start(&directory, dice, &mut figures.early);
        let lost_over_http = read_back(&process.client, &place, &noted);

        all.messages.extend(noted.messages);
        all.tasks.extend(noted.tasks);
        all.delivered.extend(noted.delivered);
        let found = Found::read(&open(&copy).engine);
        let mut wrong = found.check(&place, &all);
        wrong.lost.extend(lost_over_http);
        // A write in progress may exist or not. No other unacknowledged write may exist.
        let unanswered = found.messages.len() - all.messages.len().min(found.messages.len());
        let most = AUTHORS.len() * usize::try_from(round + 1).unwrap();
        if unanswered > most {
            wrong.half.push(format!("{unanswered} messages that no call has written"));
        }
        for what in wrong.lost.iter().chain(&wrong.half) {
            println!("after kill {} of this place: {what}", round + 1);
        }
        if round == 0 && wrong.lost.is_empty() && wrong.half.is_empty() {
            the_check_can_fail(found, &place, &all);
        }
        figures.lost += wrong.lost.len();
        figures.half += wrong.half.len();
        if round + 1 == kills {
            figures.acknowledged += all.count();
            figures.unanswered += unanswered;
        }
        fs::remove_dir_all(&copy).unwrap();
    }
    let said = say(&process.client, &place, "ben", &place.tasks[0], "still here");
    assert!(said.is_some(), "the process works after the last kill");
}

/// The environment variable as a number, if it is set.
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

#[test]
fn acknowledged_writes_survive_every_kill_completely() {
    let began = Instant::now();
    let kills = variable("KILLS").unwrap_or(KILLS);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = variable("KILL_SEED").unwrap_or_else(|| now.subsec_nanos().into());
    // The output of a failed test contains the seed.
    println!("KILL_SEED={seed}");
    let mut dice = Dice(seed);
    let mut figures = Figures::default();
    while figures.kills < kills {
        place_of_storms(KILLS_IN_A_PLACE.min(kills - figures.kills), &mut dice, &mut figures);
    }
    let Figures { kills, early, acknowledged, unanswered, lost, half } = figures;
    println!(
        "kills: {kills} in a storm, {early} while starting; acknowledged writes: {acknowledged} (and {unanswered} \
         messages that were under way); lost: {lost}; half-written: {half}; {:.1?}",
        began.elapsed()
    );
    assert_eq!((lost, half), (0, 0), "KILL_SEED={seed}");
    assert!(acknowledged > usize::try_from(kills).unwrap(), "too few writes were acknowledged");
}

/// The very first start, which creates the account, can be killed, too.
#[test]
fn a_killed_first_start_is_repeated() {
    let seed = variable("KILL_SEED").unwrap_or_else(|| std::process::id().into());
    println!("KILL_SEED={seed}");
    let mut dice = Dice(seed);
    for _ in 0..variable("KILLS").unwrap_or(KILLS / 2) {
        let home = TempDir::new().unwrap();
        let directory = home.path().join("data");
        let starting = program(&directory).start();
        thread::sleep(Duration::from_micros(dice.roll(2 * START_US)));
        starting.kill();
        let process = Process::start(program(&directory)).unwrap_or_else(|(_, why)| panic!("{why}"));
        let title = json!({"title": "Begin"});
        process.client.person("tasks:create", title).unwrap();
        process.client.service("listAgents", json!({})).unwrap();
    }
}
