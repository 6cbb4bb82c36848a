//! Every crash point, and every lost answer. The process dies before and after each of its calls, and another
//! one continues from the ledger; or the call, or its answer, is lost. The oracle is what the backend and the
//! model have seen, never our own counts.

use std::sync::Arc;

use mission_control_runtime::clock::Clock as _;
use mission_control_runtime::delivery::Job;
use mission_control_runtime::gateway::{Reply, ToolCall};
use mission_control_runtime::ledger::MemoryLedger;
use mission_control_runtime::local::Options;
use serde_json::{Value, json};

use super::crashing_process::{
    AbandonedTurn, Failure, Meanwhile, Model, ProcessRun, Recovery, ScheduledFailure, Script, live,
};
use super::setup::Fixture;
use crate::support::work::{job_of, notification_of};

fn says(text: &str) -> Reply {
    Reply { text: Some(text.to_owned()), ..Reply::default() }
}

fn calls(calls: &[(&str, Value)]) -> Reply {
    let calls = calls.iter().enumerate().map(|(n, (name, arguments))| ToolCall {
        call_id: format!("{name}-{n}"),
        name: (*name).to_owned(),
        arguments: arguments.to_string(),
    });
    Reply { calls: calls.collect(), ..Reply::default() }
}

fn answers(_: &Fixture, step: usize) -> Reply {
    says(&format!("Answer {step}."))
}

fn says_yes(_: &Fixture, _: usize) -> Reply {
    says("Yes.")
}

fn is_silent(_: &Fixture, _: usize) -> Reply {
    Reply::default()
}

fn looks_and_writes(fixture: &Fixture, step: usize) -> Reply {
    match step {
        0 => calls(&[
            ("task_load", json!({"taskId": fixture.task})),
            ("document_upsert", json!({"title": "one", "content": "…", "type": "note"})),
        ]),
        _ => says("Done."),
    }
}

/// Three rounds with every tool that must not run twice; one of them is intended twice.
fn does_everything(fixture: &Fixture, step: usize) -> Reply {
    let [other, doomed] = &fixture.others;
    let twin = ("task_create", json!({"title": "twin", "description": "the same"}));
    match step {
        0 => calls(&[
            twin.clone(),
            twin,
            ("document_upsert", json!({"title": "one", "content": "…", "type": "note"})),
            ("task_message", json!({"taskId": other, "content": "Hello."})),
        ]),
        1 => calls(&[
            ("task_update", json!({"taskId": other, "title": "renamed", "priority": 1})),
            (
                "response_request",
                json!({"taskId": fixture.task, "recipientSlugs": ["ada"], "message": "Look."}),
            ),
            ("task_load", json!({"taskId": other})),
            ("task_assign", json!({"taskId": other, "assigneeSlugs": ["ada"]})),
        ]),
        2 => calls(&[
            ("task_delete", json!({"taskId": doomed, "reason": "a twin"})),
            ("task_link_pr", json!({"taskId": other, "prNumber": 7})),
            ("task_status", json!({"taskId": fixture.task, "status": "in_progress"})),
        ]),
        _ => says("All done."),
    }
}

fn tells_a_long_story(_: &Fixture, _: usize) -> Reply {
    let paragraph = |n: u32| format!("{n}{}", "x".repeat(60_000));
    says(&[paragraph(0), paragraph(1), paragraph(2)].join("\n\n"))
}

/// A kind of delivery.
struct Kind {
    name: &'static str,
    fixture: fn(Options) -> Fixture,
    begins: fn(&Fixture) -> Job,
    script: Script,
    /// The most turns it takes, and the most messages: texts of the model, or as many notices.
    turns: usize,
    notes: usize,
    /// The final state of the board, counted.
    board: fn(&Fixture) -> Value,
    expected: fn() -> Value,
}

fn nothing(_: &Fixture) -> Value {
    Value::Null
}

fn documents(fixture: &Fixture) -> Value {
    json!(fixture.team.board.rows("documents").len())
}

/// All effects of [`does_everything`] in the backend's books.
fn everything(fixture: &Fixture) -> Value {
    let board = &fixture.team.board;
    let [other, doomed] = &fixture.others;
    let count =
        |table: &str, fits: &dyn Fn(&Value) -> bool| board.rows(table).iter().filter(|row| fits(row)).count();
    let other_row = board.row("tasks", other);
    json!({
        "twins": count("tasks", &|row| row["title"] == "twin"),
        "documents": count("documents", &|_| true),
        "hellos": count("messages", &|row| row["content"] == "Hello."),
        "other": [other_row["title"], other_row["priority"]],
        "requests": count("notifications", &|row| row["type"] == "response_request"),
        "assignments": count("notifications", &|row| row["type"] == "assignment" && row["taskId"] == json!(other)),
        "history": count("activities", &|row| row["type"] == "task_updated" && row["targetId"] == json!(other)),
        "doomed": board.row("tasks", doomed)["status"],
        "task": fixture.task()["status"],
    })
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "a plain answer",
        fixture: Fixture::on,
        begins: |fixture| fixture.mention("@ben?"),
        script: answers,
        turns: 1,
        notes: 0,
        board: nothing,
        expected: || Value::Null,
    },
    Kind {
        name: "an assignment",
        fixture: Fixture::on,
        begins: Fixture::assignment,
        script: answers,
        turns: 1,
        notes: 0,
        board: |fixture| fixture.task()["status"].clone(),
        expected: || json!("in_progress"),
    },
    Kind {
        name: "one round of tools",
        fixture: Fixture::on,
        begins: |fixture| fixture.mention("@ben, write it down"),
        script: looks_and_writes,
        turns: 2,
        notes: 0,
        board: documents,
        expected: || json!(1),
    },
    Kind {
        name: "three rounds of tools",
        fixture: Fixture::of_the_lead,
        begins: |fixture| fixture.mention("@lead, do everything"),
        script: does_everything,
        turns: 4,
        notes: 0,
        board: everything,
        expected: || {
            json!({"twins": 2, "documents": 1, "hellos": 1, "other": ["renamed", 1.0], "requests": 1, "assignments": 1,
                "history": 2, "doomed": "archived", "task": "in_progress"})
        },
    },
    Kind {
        name: "an answer in three parts",
        fixture: Fixture::on,
        begins: |fixture| fixture.mention("@ben, the whole plan"),
        script: tells_a_long_story,
        turns: 1,
        notes: 0,
        board: nothing,
        expected: || Value::Null,
    },
    Kind {
        name: "silence until the note",
        fixture: Fixture::on,
        begins: |fixture| fixture.mention("@ben?"),
        script: is_silent,
        turns: 3,
        notes: 1,
        board: nothing,
        expected: || Value::Null,
    },
];

/// All of [`does_everything`], over HTTP in one turn.
fn calls_everything(fixture: &Fixture) -> Vec<(&'static str, Value)> {
    let [other, doomed] = &fixture.others;
    let twin = ("task-create", json!({"title": "twin", "description": "the same"}));
    vec![
        twin.clone(),
        twin,
        ("document", json!({"title": "one", "content": "…", "type": "note"})),
        ("task-message", json!({"taskId": other, "content": "Hello."})),
        ("task-load", json!({"taskId": other})),
        ("task-update", json!({"taskId": other, "title": "renamed", "priority": 1})),
        ("response-request", json!({"recipientSlugs": ["ada"], "message": "Look."})),
        ("task-assign", json!({"taskId": other, "assigneeSlugs": ["ada"]})),
        ("task-delete", json!({"taskId": doomed, "reason": "a twin"})),
        ("task-link-pr", json!({"taskId": other, "prNumber": 7})),
        ("task-status", json!({"status": "in_progress"})),
    ]
}

/// A delivery whose tools are called over HTTP.
const CALLING: Kind = Kind {
    name: "everything over HTTP",
    fixture: Fixture::of_the_lead,
    begins: |fixture| fixture.mention("@lead, do everything"),
    script: answers,
    turns: 1,
    notes: 0,
    board: everything,
    expected: || {
        json!({"twins": 2, "documents": 1, "hellos": 1, "other": ["renamed", 1.0], "requests": 1, "assignments": 1,
            "history": 2, "doomed": "archived", "task": "in_progress"})
    },
};

/// The result of a run.
struct Run {
    fixture: Arc<Fixture>,
    model: Model,
    job: Job,
    /// Calls of the first process.
    calls: usize,
}

/// The crashes of consecutive processes, and how many of the unawaited notes survive each of them.
struct CrashPlan {
    schedule: [Option<ScheduledFailure>; 2],
    survive: usize,
    meanwhile: Option<(usize, Meanwhile)>,
}

impl CrashPlan {
    fn of(scheduled: Option<ScheduledFailure>, survive: usize) -> Self {
        Self { schedule: [scheduled, None], survive, meanwhile: None }
    }
}

/// Applies the crashes, and continues in another process whenever one dies.
fn run((fixture, begins): (Fixture, fn(&Fixture) -> Job), model: Model, plan: CrashPlan) -> Run {
    let job = begins(&fixture);
    run_job(Arc::new(fixture), job, model, plan)
}

fn run_job(fixture: Arc<Fixture>, mut job: Job, model: Model, plan: CrashPlan) -> Run {
    let ledger = Arc::new(MemoryLedger::default());
    let mut row = notification_of(&job).clone();
    let [first, second] = plan.schedule;
    let process = ProcessRun::new(first, plan.meanwhile);
    let mut processes = [ProcessRun::new(second, None), ProcessRun::new(None, None)].into_iter();
    let mut current = process.clone();
    while !live(&fixture, &model, &ledger, &mut job, &current) {
        let left =
            ledger.crash(plan.survive).into_iter().find(|left| left.work.id.as_str() == row.id.as_str());
        let record = left.map(|left| left.record);
        // Work that the ledger does not know and the backend no longer lists has no owner any more.
        let Some(mut record) = record.or_else(|| (!fixture.is_delivered(&job)).then(Default::default)) else {
            break;
        };
        record.recalled(fixture.team.board.clock().now());
        // The next process gets the row as it is listed then.
        let now = fixture.team.board.row("notifications", row.id.as_str());
        row.read_at = serde_json::from_value(now["readAt"].clone()).unwrap();
        job = job_of(&row, record);
        current = processes.next().expect("nothing happens to the third one");
    }
    Run { fixture, model, job, calls: process.calls() }
}

impl Run {
    /// Nothing is lost, nothing is posted twice, no tool has had its effect twice, and no turn was paid for
    /// twice.
    fn is_right(&self, what: &str, kind: &Kind, turns: usize) {
        let (paid, wrong) = self.model.turns();
        assert!(wrong.is_empty() && paid <= turns, "{what}: {paid} turns, {wrong:?}");
        self.says_it_once(what, kind.notes);
        assert_eq!((kind.board)(&self.fixture), (kind.expected)(), "{what}");
    }

    fn says_it_once(&self, what: &str, notes: usize) {
        let posted = self.fixture.messages_of_ben().into_iter();
        let posted: Vec<String> = posted
            .filter(|row| row["taskId"] == json!(self.fixture.task))
            .map(|row| row["content"].as_str().unwrap().to_owned())
            .collect();
        let (posted_notes, said): (Vec<_>, Vec<_>) =
            posted.into_iter().partition(|text| text.starts_with("*(Automatic note"));
        let parts = self
            .model
            .said()
            .into_iter()
            .flat_map(|text| text.split("\n\n").map(str::to_owned).collect::<Vec<_>>());
        let short = |text: &String| text.chars().take(20).collect::<String>();
        let (said, parts): (Vec<_>, Vec<_>) =
            (said.iter().map(short).collect(), parts.map(|text| short(&text)).collect());
        assert_eq!((posted_notes.len(), said), (notes, parts), "{what}");
        assert!(self.fixture.is_delivered(&self.job), "{what}");
    }
}

/// The number of calls of an undisturbed process.
fn length(kind: &Kind, options: Options) -> usize {
    let run =
        run(((kind.fixture)(options), kind.begins), Model::new(kind.script, None), CrashPlan::of(None, 0));
    run.is_right(kind.name, kind, kind.turns);
    run.calls
}

/// The hosted backend with its defects; and the same without reasons for refusals.
const PLAIN: Options = Options { original: true, redact: false };
const REDACTED: Options = Options { original: true, redact: true };

#[test]
fn effects_happen_once_at_every_crash_point_and_lost_answer() {
    dies_everywhere(PLAIN);
}

#[test]
fn effects_happen_once_at_every_crash_point_without_reasons() {
    dies_everywhere(REDACTED);
}

fn dies_everywhere(options: Options) {
    let mut points = 0;
    for kind in &KINDS {
        for at in 0..length(kind, options) {
            for failure in Failure::ALL {
                for survive in [0, 1, usize::MAX] {
                    let scheduled = ScheduledFailure { at, failure };
                    let what = format!("{}, {scheduled:?}, {survive} unwaited notes survive", kind.name);
                    let model = Model::new(kind.script, None);
                    let plan = CrashPlan::of(Some(scheduled), survive);
                    let run = run(((kind.fixture)(options), kind.begins), model, plan);
                    run.is_right(&what, kind, kind.turns);
                    points += 1;
                    if matches!(failure, Failure::AnswerLost | Failure::CallLost) {
                        break;
                    }
                }
            }
        }
    }
    assert!(points > 400, "{points} points");
}

/// The gateway fails in the middle of each turn; then our process also dies at each of its calls.
#[test]
fn a_gateway_failure_in_a_turn_repeats_no_effect() {
    breaks_down_everywhere(PLAIN);
}

#[test]
fn a_gateway_failure_in_a_turn_repeats_no_effect_without_reasons() {
    breaks_down_everywhere(REDACTED);
}

fn breaks_down_everywhere(options: Options) {
    for kind in KINDS.iter().filter(|kind| kind.notes == 0) {
        for breaks in 1..=kind.turns {
            for recovery in [Recovery::Itself, Recovery::None] {
                let model = || Model::new(kind.script, Some((breaks, recovery)));
                let whole = run(((kind.fixture)(options), kind.begins), model(), CrashPlan::of(None, 0));
                for at in 0..whole.calls {
                    for failure in [Failure::DiesBefore, Failure::DiesAfter] {
                        let scheduled = ScheduledFailure { at, failure };
                        let what =
                            format!("{}, turn {breaks} breaks, {recovery:?}, {scheduled:?}", kind.name);
                        let plan = CrashPlan::of(Some(scheduled), 0);
                        let run = run(((kind.fixture)(options), kind.begins), model(), plan);
                        // The broken turn, the model's repetition after it, and the turn that the gateway resumes without tools.
                        run.is_right(&what, kind, kind.turns + 2 + usize::from(recovery == Recovery::Itself));
                    }
                }
            }
        }
    }
}

/// The crash points with tools over HTTP. The process dies before and after each of its calls, including
/// those for its agents, or an answer is lost. The turn continues at the gateway, or ends.
#[test]
fn tools_over_http_run_once_at_every_crash_point() {
    for options in [PLAIN, REDACTED] {
        for abandoned in [AbandonedTurn::GoesOn, AbandonedTurn::Ends] {
            let model = || Model::new(CALLING.script, None).calling(calls_everything, abandoned);
            let calls = {
                let run = run(((CALLING.fixture)(options), CALLING.begins), model(), CrashPlan::of(None, 0));
                run.is_right(CALLING.name, &CALLING, 1);
                run.calls
            };
            assert!(calls > 20, "{calls} calls");
            for at in 0..calls {
                for failure in Failure::ALL {
                    for survive in [0, 1, usize::MAX] {
                        let scheduled = ScheduledFailure { at, failure };
                        let what = format!(
                            "{options:?}, {abandoned:?}, {scheduled:?}, {survive} unwaited notes survive"
                        );
                        let plan = CrashPlan::of(Some(scheduled), survive);
                        let run = run(((CALLING.fixture)(options), CALLING.begins), model(), plan);
                        run.is_right(&what, &CALLING, 2);
                    }
                }
            }
        }
    }
}

/// The gateway fails in the middle of such a turn, and our process also dies at each of its calls.
#[test]
fn a_gateway_failure_in_a_turn_with_http_calls_repeats_no_effect() {
    for options in [PLAIN, REDACTED] {
        let broken = Some((1, Recovery::None));
        let model = || Model::new(CALLING.script, broken).calling(calls_everything, AbandonedTurn::Ends);
        let whole = run(((CALLING.fixture)(options), CALLING.begins), model(), CrashPlan::of(None, 0));
        whole.is_right("no process dies", &CALLING, 2);
        for at in 0..whole.calls {
            for failure in Failure::ALL {
                let scheduled = ScheduledFailure { at, failure };
                let plan = CrashPlan::of(Some(scheduled), 0);
                let run = run(((CALLING.fixture)(options), CALLING.begins), model(), plan);
                run.is_right(&format!("{options:?}, {scheduled:?}"), &CALLING, 3);
            }
        }
    }
}

/// A person stops the work right before each call of the process, and the process may die at each of its
/// calls. The row ends, with one answer or none. No turn is sent twice, and no tool runs twice.
#[test]
fn a_stop_at_any_moment_leaves_one_outcome() {
    for kind in [&KINDS[0], &KINDS[2]] {
        let calls = length(kind, PLAIN);
        let mut stopped = 0;
        for stops in 0..calls {
            let schedule = (0..calls + 2).flat_map(|at| {
                [Failure::DiesBefore, Failure::DiesAfter]
                    .map(|failure| Some(ScheduledFailure { at, failure }))
            });
            for (scheduled, survive) in
                schedule.chain([None]).flat_map(|scheduled| [(scheduled, 0), (scheduled, usize::MAX)])
            {
                let what = format!("{}, stopped before call {stops}, {scheduled:?}, {survive}", kind.name);
                let fixture = Arc::new((kind.fixture)(PLAIN));
                let job = (kind.begins)(&fixture);
                let board = fixture.clone();
                let person: Meanwhile = Arc::new(move || {
                    board.team.board.person("tasks:pauseAgents", json!({"taskId": board.task})).unwrap();
                });
                let plan =
                    CrashPlan { meanwhile: Some((stops, person)), ..CrashPlan::of(scheduled, survive) };
                let run = run_job(fixture.clone(), job, Model::new(kind.script, None), plan);
                let (paid, wrong) = run.model.turns();
                assert!(wrong.is_empty() && paid <= kind.turns, "{what}: {paid} turns, {wrong:?}");
                let (said, papers) =
                    (fixture.messages_of_ben().len(), fixture.team.board.rows("documents").len());
                assert!(said <= 1 && papers <= 1, "{what}: {said} messages, {papers} documents");
                assert!(fixture.is_delivered(&run.job), "{what}");
                stopped += usize::from(said == 0);
            }
        }
        assert!(stopped > 0, "{}: the stop never counted", kind.name);
    }
}

/// W-1: a message arrives right before each call of the process, and the process may die at each of its
/// calls. The message is answered, and its answer is in the thread: the backend's de-duplication swallows
/// nothing (contract D1, D2).
#[test]
fn a_message_that_arrives_at_any_moment_is_answered() {
    for options in [PLAIN, REDACTED] {
        a_message_arrives_everywhere(options);
    }
}

fn a_message_arrives_everywhere(options: Options) {
    let begins: fn(&Fixture) -> Job = |fixture| fixture.update("first words");
    let calls = {
        let run = run((Fixture::on(options), begins), Model::new(answers, None), CrashPlan::of(None, 0));
        run.says_it_once("no message arrives", 0);
        run.calls
    };
    let scripts: &[Script] = if options.redact { &[answers] } else { &[answers, looks_and_writes, says_yes] };
    for script in scripts.iter().copied() {
        for arrives in 0..calls + 3 {
            let schedule = (0..2 * calls + 4)
                .flat_map(|at| Failure::ALL.map(|failure| Some(ScheduledFailure { at, failure })));
            for scheduled in schedule.chain([None]) {
                let what = format!("a message arrives before call {arrives}, {scheduled:?}");
                let fixture = Arc::new(Fixture::on(options));
                let job = begins(&fixture);
                let board = fixture.clone();
                let person: Meanwhile =
                    Arc::new(move || drop(board.team.board.person_says(&board.task, "second words")));
                let model = Model::new(script, None);
                let plan =
                    CrashPlan { meanwhile: Some((arrives, person)), ..CrashPlan::of(scheduled, usize::MAX) };
                let run = run_job(fixture.clone(), job, model, plan);
                run.says_it_once(&what, 0);
                assert!(run.model.turns().1.is_empty(), "{what}");
                let came =
                    fixture.team.board.rows("messages").iter().any(|row| row["content"] == "second words");
                let waits = fixture.team.board.rows("notifications").iter().any(|row| {
                    row["type"] == "thread_update"
                        && row.get("deliveredAt").is_none()
                        && row["recipientId"] == json!(fixture.ben)
                });
                assert!(!came || waits || run.model.heard().contains("second words"), "{what}");
            }
        }
    }
}

/// Two crashes: one process dies, and the next one dies too or loses an answer. An evenly spread part of all
/// pairs; a failing pair prints itself.
#[test]
fn effects_happen_once_across_two_crashes() {
    const EVERY: usize = 31;
    let mut pairs = 0;
    for kind in &KINDS {
        for at in 0..length(kind, PLAIN) {
            for failure in [Failure::DiesBefore, Failure::DiesAfter] {
                for (second_at, second_failure) in
                    (0..9).flat_map(|at| Failure::ALL.map(|failure| (at, failure)))
                {
                    pairs += 1;
                    if pairs % EVERY != 0 {
                        continue;
                    }
                    let schedule = [
                        Some(ScheduledFailure { at, failure }),
                        Some(ScheduledFailure { at: second_at, failure: second_failure }),
                    ];
                    let survive = if pairs % 2 == 0 { 0 } else { usize::MAX };
                    let what = format!("{}, {schedule:?}, {survive} unwaited notes survive", kind.name);
                    let plan = CrashPlan { schedule, ..CrashPlan::of(None, survive) };
                    let run = run(((kind.fixture)(PLAIN), kind.begins), Model::new(kind.script, None), plan);
                    run.is_right(&what, kind, kind.turns);
                }
            }
        }
    }
    assert!(pairs / EVERY > 100, "{pairs} pairs");
}
