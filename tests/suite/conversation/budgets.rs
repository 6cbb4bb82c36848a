//! Daily budgets through the program: rows wait at the limit, running turns are aborted, and the books of the scripted
//! model agree with those of the runtime.

/// Books across kills of the program.
mod books;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::processes::Stack;
use crate::support::program::{self, Program};

/// The budgets, as `budget show --json` prints them.
fn shown(stack: &Stack) -> Value {
    let (code, text) = stack.command(["budget", "show", "--json"]);
    assert_eq!(code, Some(0), "{text}");
    serde_json::from_str::<Value>(&text).unwrap()["budget"].clone()
}

/// The scope of the account, or of an agent.
fn scope(stack: &Stack, agent: Option<&str>) -> Value {
    let shown = shown(stack);
    let scopes = shown["scopes"].as_array().unwrap();
    scopes.iter().find(|scope| scope["agent"] == json!(agent)).unwrap_or_else(|| panic!("{shown}")).clone()
}

fn tokens(amount: &Value) -> u64 {
    amount["tokens"].as_u64().unwrap()
}

fn notes(stack: &Stack, slug: &str, task: &str) -> usize {
    stack.said_by(slug, task).iter().filter(|text| text.contains("Automatic note")).count()
}

fn answers(stack: &Stack, slug: &str, tasks: &[String]) -> usize {
    let said = tasks.iter().flat_map(|task| stack.said_by(slug, task));
    said.filter(|text| text.ends_with("answers.")).count()
}

/// Waits until commands find the service that has just started.
fn is_found(stack: &Stack) {
    stack.until("the service", |_| !stack.command(["budget"]).1.contains("No service runs"));
}

fn is_reached(health: &Value) -> bool {
    health["reasons"].as_array().unwrap().contains(&json!("budget_reached"))
}

#[test]
fn at_the_limit_rows_wait_and_each_thread_is_told_once() {
    let model = |prompt: &Prompt| Thought::say(format!("{} answers.", prompt.agent)).costing(100, 20);
    let mut stack = Stack::set(&["ben"], model, &[("BUDGET_DAILY_TOKENS", "500")]);
    let tasks: Vec<String> = (0..16).map(|_| stack.task("assigned", &["ben"])).collect();
    for task in &tasks {
        stack.mention(task, "ben", "please look");
    }
    let health = stack.until("the limit", is_reached);
    assert_eq!(health["budget"]["scopes"][0]["reached"], true, "{health}");
    stack.until("five answers", |_| answers(&stack, "ben", &tasks) == 5);
    let noted = |stack: &Stack, times: usize| {
        let waiting = tasks.iter().filter(|task| answers(stack, "ben", &[(*task).clone()]) == 0);
        let waiting: Vec<&String> = waiting.collect();
        stack.until("the notes in each waiting thread", |_| {
            waiting.iter().all(|task| notes(stack, "ben", task) == times)
        });
    };
    noted(&stack, 1);
    assert_eq!(stack.gateway().posts(), 5, "no turn after the limit");
    assert_eq!(tokens(&scope(&stack, None)["spent"]), 600);
    let (_, why) = stack.command(["why", "ben"]);
    assert!(why.contains("The account's daily budget is used up: 600 tokens of 500 tokens."), "{why}");
    let (_, status) = stack.command(["status"]);
    assert!(status.contains("a daily budget is reached, so turns wait"), "{status}");

    assert!(status.contains("account: 600 of 500 tokens (120 %): reached, turns wait"), "{status}");

    // A restart keeps the limit and posts no note again, also where many messages have followed it.
    let busy = tasks.iter().find(|task| answers(&stack, "ben", &[(*task).clone()]) == 0).unwrap().clone();
    for number in 0..201 {
        let message = json!({"agentId": stack.agent("ben"), "taskId": busy, "content": format!("Step {number}."),
            "suppressAgentNotifications": true});
        stack.board.service("createMessageFromAgent", message).unwrap();
    }
    stack.kill_and_start();
    stack.until("the limit after a restart", is_reached);
    is_found(&stack);
    let misuses = [
        ("300", 1, "The budget of the account is 500 tokens today, which is more"),
        ("500", 1, "The budget of the account is already 500 tokens today; raise it to more"),
        ("5usd", 1, "No budget of this kind is set for the account: 500 tokens"),
        ("0.5", 2, "for dollars, write 0.5usd"),
        ("$5", 2, "for dollars, write 5usd"),
        ("-5", 2, "`-5`"),
        ("many", 2, "is no number of tokens; expected digits only"),
    ];
    for (amount, expected, words) in misuses {
        let (code, text) = stack.command(["budget", "raise", amount]);
        assert!(code == Some(expected) && text.contains(words), "{amount}: {code:?} {text}");
    }
    let (code, text) = stack.command(["budget", "raise", "900", "--agent", "bne"]);
    assert!(
        code == Some(1) && text.contains("No budget is set for bne alone: BUDGET_AGENTS names no agent."),
        "{text}"
    );
    let (code, text) = stack.command(["budget", "raise", "800"]);
    assert!(code == Some(0) && text.contains("600 of 800 tokens (75 %), raised today"), "{text}");
    stack.until("seven answers", |_| answers(&stack, "ben", &tasks) == 7);
    stack.until("the limit again", is_reached);
    assert_eq!(stack.gateway().posts(), 7);
    noted(&stack, 2);
    let (code, text) = stack.command(["budget", "reset"]);
    assert_eq!(code, Some(0), "{text}");
    stack.until("seven more answers", |_| answers(&stack, "ben", &tasks) == 14);
    stack.until("the limit after a reset", is_reached);
    noted(&stack, 3);
    // Neither does a restart repeat these notes.
    stack.kill_and_start();
    stack.until("the limit after another restart", is_reached);
    is_found(&stack);
    let (code, text) = stack.command(["budget", "raise", "5000"]);
    assert_eq!(code, Some(0), "{text}");
    stack.until("all answers", |_| answers(&stack, "ben", &tasks) == 16);
    let most = tasks.iter().map(|task| notes(&stack, "ben", task)).max();
    assert_eq!(most, Some(3), "one note for each limit");
    assert_eq!(tokens(&scope(&stack, None)["spent"]), stack.gateway().spent().all());
    let health = stack.until("health", |health| !is_reached(health));
    assert_eq!(health["delivery"]["dead"], 0);
    stack.stop();
}

#[test]
fn an_agent_at_its_limit_holds_no_other() {
    let model = |prompt: &Prompt| Thought::say(format!("{} answers.", prompt.agent)).costing(100, 20);
    let mut stack = Stack::set(
        &["ben", "ada"],
        model,
        &[("BUDGET_AGENTS", "ben=100,nemo=5"), ("WAKE_ON", "all,ghost=addressed")],
    );
    stack.wait_for_log("A variable names an agent that is not in the roster");
    let tasks_of = |slug: &str| -> Vec<String> { (0..3).map(|_| stack.task("assigned", &[slug])).collect() };
    let (tasks, others) = (tasks_of("ben"), tasks_of("ada"));
    for (task, other) in tasks.iter().zip(&others) {
        stack.mention(task, "ben", "please look");
        stack.mention(other, "ada", "please look");
    }
    stack.until("the answers of ada", |_| answers(&stack, "ada", &others) == 3);
    stack.until("the limit", is_reached);
    assert_eq!((answers(&stack, "ben", &tasks), tokens(&scope(&stack, Some("ben"))["spent"])), (1, 120));
    let (_, text) = stack.command(["doctor"]);
    for words in ["BUDGET_AGENTS names nemo, which is", "WAKE_ON names ghost, which is"] {
        assert!(text.contains(words), "{text}");
    }
    assert!(!text.contains("names ben"), "{text}");
    let (code, text) = stack.command(["budget", "show", "--agent", "BEN"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(code == Some(0) && lines.len() == 2 && lines[1].contains("120 of 100 tokens"), "{text}");
    let (code, text) = stack.command(["budget", "show", "--agent", "ada"]);
    assert!(
        code == Some(1) && text.contains("No budget is set for ada alone: BUDGET_AGENTS names ben, nemo."),
        "{text}"
    );
    let (code, text) = stack.command(["budget", "reset", "--agent", "ada"]);
    assert!(code == Some(1) && text.contains("No budget is set for ada alone"), "{text}");
    let (code, text) = stack.command(["budget", "raise", "1000", "--agent", "Ben"]);
    assert_eq!(code, Some(0), "{text}");
    stack.until("the answers of ben", |_| answers(&stack, "ben", &tasks) == 3);
    stack.stop();
}

/// The turn calls the model again and again. At the limit it is aborted in the middle of a request, which counts as no
/// failure, and its session answers afterwards.
#[test]
fn a_running_turn_is_aborted_at_the_limit() {
    let (done, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (ends, counted) = (done.clone(), calls.clone());
    let model = move |prompt: &Prompt| {
        let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
        if ends.load(Ordering::SeqCst) {
            return Thought::say(format!("{} answers.", prompt.agent)).costing(100, 0);
        }
        // The request after the limit would take minutes.
        let time = if number > 4 { Duration::from_mins(5) } else { Duration::from_millis(800) };
        Thought::work("exec", Duration::ZERO, "still at work").costing(100, 0).after(time)
    };
    let mut stack = Stack::set(&["ben"], model, &[("BUDGET_DAILY_TOKENS", "400")]);
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "please look");
    stack.until("the limit", is_reached);
    stack.until("the end of the turn", |health| {
        health["delivery"]["turns"] == json!([]) && health["delivery"]["inFlight"] == 0
    });
    assert_eq!(stack.gateway().spent().all(), 400);
    stack.until("the settlement", |_| tokens(&scope(&stack, None)["spent"]) == 400);
    let (_, why) = stack.command(["why", "ben"]);
    assert!(why.contains("The account's daily budget"), "{why}");
    let before = calls.load(Ordering::SeqCst);
    done.store(true, Ordering::SeqCst);
    let (code, text) = stack.command(["budget", "raise", "5000"]);
    assert_eq!(code, Some(0), "{text}");
    stack.until("the answer", |_| answers(&stack, "ben", std::slice::from_ref(&task)) == 1);
    assert_eq!(calls.load(Ordering::SeqCst), before + 1);
    let health = stack.until("the end", |health| health["delivery"]["waiting"] == 0);
    assert_eq!(
        (&health["delivery"]["failed"], &health["delivery"]["dead"]),
        (&json!(0), &json!(0)),
        "{health}"
    );
    assert_eq!(tokens(&scope(&stack, None)["spent"]), stack.gateway().spent().all());
    stack.stop();
}

/// Three turns make quick model requests inside the gateway, far more than the limit allows between two usual readings.
#[test]
fn quick_requests_pass_the_limit_by_at_most_one_in_each_turn() {
    const REQUEST: u64 = 1_000;
    const LIMIT: u64 = 30_000;
    let model = |_: &Prompt| {
        let thought = Thought::work("exec", Duration::from_millis(100), "still at work").costing(REQUEST, 0);
        thought.after(Duration::from_millis(200))
    };
    let slugs = ["ben", "ada", "cleo"];
    let mut stack = Stack::set(&slugs, model, &[("BUDGET_DAILY_TOKENS", "30000")]);
    for slug in slugs {
        let task = stack.task("assigned", &[slug]);
        stack.mention(&task, slug, "please look");
    }
    stack.until("the end of all turns", |health| {
        is_reached(health) && health["delivery"]["turns"] == json!([]) && health["delivery"]["inFlight"] == 0
    });
    let spent = stack.gateway().spent().all();
    assert!(spent <= LIMIT + 3 * REQUEST, "{spent} of {LIMIT}");
    assert!(spent >= LIMIT / 2, "{spent} of {LIMIT}: the turns were aborted too early");
    stack.until("the settlement", |_| tokens(&scope(&stack, None)["spent"]) == spent);
    stack.stop();
}

/// The zone changes while the process is away, so that the clock goes back over midnight during a turn.
#[test]
fn a_turn_of_the_next_day_counts_when_the_clock_goes_back_over_midnight() {
    let (ends, calls) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));
    let done = ends.clone();
    let model = move |prompt: &Prompt| {
        let is_first = calls.fetch_add(1, Ordering::SeqCst) == 0;
        if is_first {
            return Thought::work("exec", Duration::ZERO, "still at work").costing(600, 0);
        }
        let time = if done.load(Ordering::SeqCst) { Duration::ZERO } else { Duration::from_mins(5) };
        Thought::say(format!("{} answers.", prompt.agent)).costing(600, 0).after(time)
    };
    let variables = [("BUDGET_DAILY_TOKENS", "1000"), ("BUDGET_TIME_ZONE", "Pacific/Kiritimati")];
    let mut stack = Stack::set(&["ben", "ada"], model, &variables);
    let (task, other) = (stack.task("assigned", &["ben"]), stack.task("assigned", &["ada"]));
    stack.mention(&task, "ben", "please look");
    stack.until("the first model call", |_| stack.gateway().spent().all() == 600);
    let later = shown(&stack)["day"].clone();
    stack.kill();
    // 25 hours behind.
    stack.set_variable("BUDGET_TIME_ZONE", "Pacific/Pago_Pago");
    ends.store(true, Ordering::SeqCst);
    stack.start();
    stack.answer_of("ben", &task);
    stack.until("the limit on the earlier day", is_reached);
    let earlier = shown(&stack);
    assert!(earlier["day"].as_str() < later.as_str(), "{earlier} after {later}");
    let account = &earlier["scopes"][0];
    assert_eq!((tokens(&account["counted"]), tokens(&account["spent"])), (1_200, 600), "{earlier}");
    stack.mention(&other, "ada", "please look");
    stack.until("the note of the limit", |_| notes(&stack, "ada", &other) == 1);
    assert_eq!(stack.gateway().spent().all(), 1_200, "no turn starts");
    stack.set_variable("BUDGET_TIME_ZONE", "Pacific/Kiritimati");
    stack.kill_and_start();
    stack.answer_of("ada", &other);
    stack.until("the limit on the later day", is_reached);
    assert_eq!((tokens(&scope(&stack, None)["spent"]), stack.gateway().spent().all()), (1_200, 1_800));
    stack.stop();
}

/// Dollars come from the session's history, and a model that reports none has a price.
#[test]
fn a_dollar_budget_counts_the_reported_cost_or_the_price() {
    let model = |prompt: &Prompt| {
        let answer = Thought::say(format!("{} answers.", prompt.agent)).costing(1_000, 0);
        if prompt.agent == "ben" { answer.priced(250_000_000) } else { answer }
    };
    let variables = [("BUDGET_DAILY_USD", "2"), ("BUDGET_PRICES", "scripted-1=1000/0")];
    let mut stack = Stack::set(&["ben", "ada"], model, &variables);
    let (task, other) = (stack.task("assigned", &["ben"]), stack.task("assigned", &["ada"]));
    stack.mention(&task, "ben", "please look");
    stack.answer_of("ben", &task);
    stack.until("the cost of ben", |_| scope(&stack, None)["spent"]["nanoDollars"] == 250_000_000);
    stack.mention(&other, "ada", "please look");
    stack.answer_of("ada", &other);
    stack.until("the cost of ada", |_| scope(&stack, None)["spent"]["nanoDollars"] == 1_250_000_000);
    let (_, text) = stack.command(["budget"]);
    assert!(text.contains("$1.25 of $2 (62 %)"), "{text}");
    let (_, text) = stack.command(["doctor"]);
    assert!(text.contains("account: $1.25 of $2 (62 %)") && !text.contains("counts nothing"), "{text}");
    stack.stop();
}

#[test]
fn without_a_service_the_command_uses_the_ledger() {
    let model = |prompt: &Prompt| Thought::say(format!("{} answers.", prompt.agent)).costing(100, 20);
    let mut stack = Stack::set(&["ben"], model, &[("BUDGET_DAILY_TOKENS", "100"), ("BUDGET_DAILY_USD", "5")]);
    let (_, text) = stack.command(["doctor"]);
    assert!(text.contains("a budget in dollars counts nothing unless the gateway reports"), "{text}");
    let tasks = [stack.task("assigned", &["ben"]), stack.task("assigned", &["ben"])];
    stack.mention(&tasks[0], "ben", "please look");
    stack.until("the limit", is_reached);
    for command in ["status", "budget"] {
        let (_, text) = stack.command([command]);
        assert!(text.to_lowercase().contains("a budget in dollars counts nothing"), "{text}");
    }
    stack.mention(&tasks[1], "ben", "please look");
    let (code, text) = stack.command(["budget", "raise", "110"]);
    assert_eq!(code, Some(0), "{text}");
    stack.kill();
    let only_the_folder = Program::new(["budget", "--state-dir", stack.state_dir()]).without("STATE_DIR");
    let shown = program::text(&only_the_folder.output());
    assert!(shown.contains("account: 120 tokens, limit raised to 110 tokens"), "{shown}");
    assert!(shown.contains("The limits are variables of the service"), "{shown}");
    let (_, text) = stack.command(["budget"]);
    assert!(
        text.contains("No service runs")
            && text.contains("120 of 110 tokens and $0 of $5 (109 %), raised today: reached"),
        "{text}"
    );
    let (code, text) = stack.command(["budget", "reset"]);
    assert!(code == Some(0) && text.contains("0 of 110 tokens and $0 of $5 (0 %)"), "{text}");
    stack.start();
    stack.wait_for_log("A budget in dollars counts nothing");
    stack.until("both answers", |_| answers(&stack, "ben", &tasks) == 2);
    stack.stop();
}

#[test]
fn without_a_budget_nothing_is_counted_and_the_command_says_so() {
    let mut stack = Stack::new(&["ben"], super::polite);
    for args in [["budget", "show"], ["budget", "reset"]] {
        let (_, text) = stack.command(args);
        assert!(text.contains("No budget is set. BUDGET_DAILY_TOKENS"), "{text}");
    }
    assert!(stack.health().get("budget").is_none());
    stack.stop();
}
