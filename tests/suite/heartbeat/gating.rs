//! Which beats are sent to the model, and which are saved.

use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::heartbeat::board::TrackedTask;
use mission_control_runtime::heartbeat::checklist::names_time;
use mission_control_runtime::heartbeat::gate::{
    BeatInputs, BeatRules, Gate, QuietAnswer, SaveReason, SendReason, digest, judge,
};
use mission_control_runtime::model::{ActiveHours, Agent, BeatMode, LocalTime};
use mission_control_runtime::workspace::heartbeat_text;
use serde_json::json;

use super::facts::{MINUTE, NOW, agent, agent_with, local, message, task, task_with, tracked};

const DAY: Duration = Duration::from_hours(24);
const RULES: BeatRules = BeatRules { mode: BeatMode::Gated, quiet_max: DAY, active_hours: None };

/// The inputs of a beat that can be changed one by one.
#[derive(Clone)]
struct Beat {
    agent: Agent,
    leads: bool,
    checklist: &'static str,
    tasks: Vec<TrackedTask>,
    events: usize,
    woken: bool,
    now: Millis,
    local: LocalTime,
}

impl Beat {
    fn usual() -> Self {
        let thread = vec![message("ben", true, "Started.", NOW.0 - 5 * MINUTE)];
        Self {
            agent: agent("ben"),
            leads: false,
            checklist: heartbeat_text(),
            tasks: vec![tracked(task("t1", "in_progress", &["ben"], 5), thread)],
            events: 0,
            woken: false,
            now: NOW,
            local: local(20_422, 9),
        }
    }

    fn inputs(&self) -> BeatInputs<'_> {
        let Self { agent, leads, checklist, tasks, events, woken, now, local } = self;
        let (leads, events, woken, now, local) = (*leads, *events, *woken, *now, *local);
        BeatInputs { agent, leads, checklist, tasks, events, woken, now, local }
    }

    fn judge(&self, last: Option<&QuietAnswer>, rules: &BeatRules) -> Gate {
        let inputs = self.inputs();
        judge(&inputs, &digest(&inputs), last, rules)
    }
}

/// The usual beat was answered quietly, one interval ago.
fn quiet() -> QuietAnswer {
    QuietAnswer { digest: digest(&Beat::usual().inputs()), at: NOW - Duration::from_mins(15) }
}

#[test]
fn a_beat_is_saved_only_if_nothing_has_changed_since_a_quiet_answer() {
    let usual = Beat::usual();
    let changed = |change: &dyn Fn(&mut Beat)| {
        let mut beat = usual.clone();
        change(&mut beat);
        beat
    };
    let rows: [(&str, Beat); 14] = [
        ("another task", changed(&|beat| beat.tasks.push(task("t2", "assigned", &["ben"], 1).into()))),
        ("no task", changed(&|beat| beat.tasks.clear())),
        ("status", changed(&|beat| beat.tasks[0].task = task("t1", "assigned", &["ben"], 5))),
        ("changed again", changed(&|beat| beat.tasks[0].task = task("t1", "in_progress", &["ben"], 4))),
        ("assignees", changed(&|beat| beat.tasks[0].task = task("t1", "in_progress", &["ben", "ada"], 5))),
        (
            "message of a person",
            changed(&|beat| {
                let thread = beat.tasks[0].thread.as_mut().unwrap();
                thread.push(message("u1", false, "And now?", NOW.0 - MINUTE));
            }),
        ),
        ("stale task", changed(&|beat| beat.now = NOW + Duration::from_mins(10))),
        (
            "due date",
            changed(&|beat| {
                let due = json!({"assignedAgentIds": ["ben"], "updatedAt": NOW.0 - 5 * MINUTE, "dueDate": NOW.0 - 1});
                beat.tasks[0].task = task_with("t1", "in_progress", due);
            }),
        ),
        ("local midnight", changed(&|beat| beat.local = local(20_423, 0))),
        ("checklist", changed(&|beat| beat.checklist = "Look at the build.")),
        ("SOUL", changed(&|beat| beat.agent = agent_with("ben", json!({"soulContent": "New."})))),
        (
            "rotated key",
            changed(&|beat| {
                beat.agent = agent_with("ben", json!({"systemSessionKey": "system:agent:ben:acc:v2"}));
            }),
        ),
        ("role", changed(&|beat| beat.agent = agent_with("ben", json!({"role": "Reviewer"})))),
        ("orchestrator", changed(&|beat| beat.leads = true)),
    ];
    let last = quiet();
    assert_eq!(usual.judge(Some(&last), &RULES), Gate::Save(SaveReason::Unchanged));
    assert_eq!(usual.judge(None, &RULES), Gate::Send(SendReason::NotQuiet));
    for (what, beat) in rows {
        assert_eq!(beat.judge(Some(&last), &RULES), Gate::Send(SendReason::Changed), "{what}");
    }
}

/// A due date in the future passes without any other change.
#[test]
fn a_due_date_is_an_input_when_it_passes() {
    let due = |beat: &mut Beat| {
        let fields =
            json!({"assignedAgentIds": ["ben"], "updatedAt": NOW.0 - 5 * MINUTE, "dueDate": NOW.0 + MINUTE});
        beat.tasks[0].task = task_with("t1", "in_progress", fields);
    };
    let mut beat = Beat::usual();
    due(&mut beat);
    let last = QuietAnswer { digest: digest(&beat.inputs()), at: NOW };
    assert_eq!(beat.judge(Some(&last), &RULES), Gate::Save(SaveReason::Unchanged));
    beat.now = NOW + Duration::from_mins(1);
    assert_eq!(beat.judge(Some(&last), &RULES), Gate::Send(SendReason::Changed));
}

#[test]
fn what_does_not_concern_the_agent_changes_nothing() {
    let mut beat = Beat::usual();
    beat.agent = agent_with("ben", json!({"status": "offline", "lastHeartbeat": NOW, "currentTaskId": "t1"}));
    beat.now = NOW + Duration::from_secs(30);
    beat.local = LocalTime { minute: 1_000, ..beat.local };
    assert_eq!(beat.judge(Some(&quiet()), &RULES), Gate::Save(SaveReason::Unchanged));
}

#[test]
fn the_other_reasons_to_send_a_beat() {
    let always = BeatRules { mode: BeatMode::Always, ..RULES };
    let beat = |change: &dyn Fn(&mut Beat)| {
        let mut beat = Beat::usual();
        change(&mut beat);
        beat
    };
    let last = quiet();
    let at = |at: Millis| QuietAnswer { at, ..last.clone() };
    let usual = Beat::usual();
    assert_eq!(usual.judge(Some(&last), &always), Gate::Send(SendReason::Always));
    assert_eq!(beat(&|beat| beat.events = 1).judge(Some(&last), &RULES), Gate::Send(SendReason::Events));
    assert_eq!(beat(&|beat| beat.woken = true).judge(Some(&last), &RULES), Gate::Send(SendReason::Woken));
    let timed = beat(&|beat| beat.checklist = "At 9:00 read the mail.");
    assert_eq!(timed.judge(Some(&last), &RULES), Gate::Send(SendReason::TimedChecklist));
    let old = at(NOW - DAY);
    assert_eq!(usual.judge(Some(&old), &RULES), Gate::Send(SendReason::QuietMax));
    let almost = at(NOW - DAY + Duration::from_millis(1));
    assert_eq!(usual.judge(Some(&almost), &RULES), Gate::Save(SaveReason::Unchanged));
    let ahead = at(NOW + Duration::from_millis(1));
    assert_eq!(usual.judge(Some(&ahead), &RULES), Gate::Send(SendReason::QuietMax), "the clock was set back");
}

/// A beat that showed events was quiet: without events, the next one is saved.
#[test]
fn shown_events_do_not_cause_a_second_beat() {
    let mut beat = Beat::usual();
    beat.events = 2;
    let last = QuietAnswer { digest: digest(&beat.inputs()), at: NOW };
    beat.events = 0;
    assert_eq!(beat.judge(Some(&last), &RULES), Gate::Save(SaveReason::Unchanged));
}

#[test]
fn outside_the_active_hours_only_wakes_are_sent() {
    let hours: ActiveHours = "08:00-18:30".parse().unwrap();
    let rules = BeatRules { mode: BeatMode::Always, active_hours: Some(hours), ..RULES };
    let mut beat = Beat::usual();
    beat.events = 1;
    for (hour, expected) in [
        (7, Gate::Save(SaveReason::Inactive)),
        (8, Gate::Send(SendReason::Always)),
        (18, Gate::Send(SendReason::Always)),
        (19, Gate::Save(SaveReason::Inactive)),
    ] {
        beat.local = local(20_422, hour);
        assert_eq!(beat.judge(None, &rules), expected, "{hour}");
    }
    beat.woken = true;
    assert_eq!(beat.judge(None, &rules), Gate::Send(SendReason::Woken));
}

#[test]
fn active_hours_are_a_part_of_a_day() {
    let rows = [
        ("08:00-18:30", Some("08:00-18:30"), [false, true, false]),
        (" 8:00 - 18:30 ", Some("08:00-18:30"), [false, true, false]),
        ("22:00-06:00", Some("22:00-06:00"), [true, false, true]),
        ("00:00-24:00", Some("00:00-24:00"), [true, true, true]),
        ("00:00-00:00", None, [false; 3]),
        ("24:00-08:00", None, [false; 3]),
        ("08:00", None, [false; 3]),
        ("08:60-09:00", None, [false; 3]),
        ("25:00-09:00", None, [false; 3]),
        ("+8:00-09:00", None, [false; 3]),
        ("8-9", None, [false; 3]),
        ("", None, [false; 3]),
    ];
    for (text, shown, contained) in rows {
        let hours = text.parse::<ActiveHours>();
        assert_eq!(hours.as_ref().ok().map(ToString::to_string).as_deref(), shown, "{text:?}");
        if let Ok(hours) = hours {
            assert_eq!([60, 12 * 60, 23 * 60].map(|minute| hours.contain(minute)), contained, "{text:?}");
        }
    }
}

#[test]
fn a_checklist_that_names_a_time_is_recognized() {
    let rows = [
        ("At 9:00 read the mail", true),
        ("at 09:30", true),
        ("by 5pm", true),
        ("by 5 PM", true),
        ("9:30am", true),
        ("Every Monday write a report", true),
        ("on mondays", true),
        ("Fri: clean up", true),
        ("weekdays only", true),
        ("ALWAYS post a status", true),
        ("at noon", true),
        ("before midnight", true),
        (heartbeat_text(), false),
        ("", false),
        ("The sun sat on the wed", false),
        ("Split 16:9 pictures", false),
        ("ratio 3:1, see line 12:345", false),
        ("I am an agent", false),
        ("Monitor the sunrise project", false),
        ("version 2.30", false),
    ];
    for (text, expected) in rows {
        assert_eq!(names_time(text), expected, "{text:?}");
    }
}
