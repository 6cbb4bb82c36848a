//! Each variable of the guardrails stands in `/health`, in `/metrics` and on the page, with its value and its state.

use mission_control_runtime::config::{Section, variables_of};
use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::{Value, json};

use super::super::operator::as_operator;
use super::super::polite;
use super::super::processes::Stack;
use super::{figures, figures_once};

/// Values that differ from the defaults.
const SET: [(&str, &str); 15] = [
    ("DELIVERY_MAX_TURNS", "1000"),
    ("WAKE_ON", "addressed,ada=all"),
    ("BUDGET_DAILY_TOKENS", "5000000"),
    ("BUDGET_DAILY_USD", "12.50"),
    ("BUDGET_AGENTS", "ben=200000"),
    ("BUDGET_TIME_ZONE", "Europe/Berlin"),
    ("BUDGET_PRICES", "*=1/5"),
    ("DONE_POLICY", "off"),
    ("TEAM_TURNS_MAX", "31"),
    ("TEAM_TURNS_PER_PROGRESS", "7"),
    ("TEAM_TURNS_HARD_MAX", "301"),
    ("TEAM_DEPTH_MAX", "13"),
    ("PEOPLE_RESERVE", "30"),
    ("FOLD_MAX", "10"),
    ("AGENT_TURNS_PER_MINUTE", "100"),
];

fn names() -> Vec<&'static str> {
    variables_of(Section::Guardrails).map(|variable| variable.name).collect()
}

/// The variables of a report, in its order.
fn reported(guardrails: &Value) -> Vec<&str> {
    guardrails.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_guardrail_of_the_table_stands_in_health_in_the_metrics_and_on_the_page() {
    assert_eq!(SET.map(|(name, _)| name), *names(), "the test sets each of them");
    for set in [&[][..], &SET] {
        let stack = Stack::set(&["ben", "ada"], polite, set);
        let health = stack.health();
        let (status, overview) = as_operator(&stack, "GET", "/overview", "");
        assert_eq!(status, 200);
        let page = figures(&stack);
        let mut sorted = names();
        sorted.sort_unstable();
        for guardrails in [&health["guardrails"], &overview["health"]["guardrails"]] {
            assert_eq!(reported(guardrails), sorted, "serde_json sorts the names");
        }
        for variable in variables_of(Section::Guardrails) {
            let name = variable.name;
            let one = &health["guardrails"][name];
            let value = set.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            assert_eq!(one["isDefault"], value.is_none(), "{name}");
            if let Some(value) = value {
                assert_eq!(one["value"], value, "{name}");
            }
            assert_eq!(one["holds"], false, "{name}");
            assert!(one["state"].as_str().is_some_and(|state| !state.is_empty()), "{name}: {one}");
            let labels = [("variable", name)];
            let is_set = if value.is_some() { 1.0 } else { 0.0 };
            assert_eq!(page.value("guardrails_set", &labels), Some(is_set), "{name}");
            assert_eq!(page.value("guardrails_holding", &labels), Some(0.0), "{name}");
            let number = one["value"].as_str().and_then(|value| value.parse::<f64>().ok());
            assert_eq!(page.value("guardrails_limit", &labels), number, "{name}");
        }
    }
    // The page draws each entry of the report.
    let page = include_str!("../../../../crates/http/src/page/live.html");
    assert!(page.contains("Object.entries(all).map(([name, one]) => h('li', { class: 'limit'"));
}

/// Agents that mention each other without end.
fn ping_pong(prompt: &Prompt) -> Thought {
    let other = if prompt.agent == "ben" { "ada" } else { "ben" };
    Thought::say(format!("@{other} your turn"))
}

#[test]
fn a_guardrail_that_holds_work_back_says_so_in_all_three() {
    let stack = Stack::set(&["ben", "ada"], ping_pong, &[("TEAM_TURNS_MAX", "3")]);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "begin");
    let health = stack.until("the stop", |health| health["guardrails"]["TEAM_TURNS_MAX"]["holds"] == true);
    let one = &health["guardrails"]["TEAM_TURNS_MAX"];
    assert_eq!((&one["value"], &one["state"]), (&json!("3"), &json!("1 thread waits for a person")));
    assert_eq!(health["guardrails"]["TEAM_DEPTH_MAX"]["holds"], false);
    let labels = [("variable", "TEAM_TURNS_MAX")];
    figures_once(&stack, |page| page.value("guardrails_holding", &labels) == Some(1.0));
    let (_, overview) = as_operator(&stack, "GET", "/overview", "");
    assert_eq!(overview["health"]["guardrails"]["TEAM_TURNS_MAX"]["holds"], true);
}
