//! A text of the gateway is never taken for the agent's (spec §12.3), and an honest answer always is.

use std::time::Duration;

use mission_control_runtime::demo::gateway::{Directives, Fault, Options, Release};
use mission_control_runtime::gateway::history::{Page, TextSource, read, read_tool, source_of};
use mission_control_runtime::gateway::{Recovered, ToolOutput, TurnMark, Why};
use serde_json::{Value, json};

use super::line::{Line, line, options};

const MARKER: &str = "[n-1 try 1]";

/// The releases that carry tools.
const RELEASES: [Release; 10] = [
    Release::V2026_3_24,
    Release::V2026_3_31,
    Release::V2026_4_15,
    Release::V2026_5_7,
    Release::V2026_5_28,
    Release::V2026_6_11,
    Release::V2026_7_1,
    Release::V2026_7_35,
    Release::V2026_8_2,
    Release::V2026_9_6,
];

fn at(release: Release, tools_allowed: &[&str]) -> Line {
    let tools_allowed = tools_allowed.iter().map(|tool| (*tool).to_owned()).collect();
    let run_timeout = Duration::from_millis(50);
    let line = line(Options { release, tools_allowed, run_timeout, ..options() }, Directives);
    assert!(line.client.probe().ready, "{release:?}");
    line
}

/// How a turn ends for the caller, who settles a lost answer by reading.
fn end(line: &Line, words: &str) -> Result<Option<String>, Why> {
    match line.say(&format!("{MARKER} {words}"), &[]) {
        Ok(reply) => Ok(reply.text),
        Err(error) if error.class == mission_control_runtime::gateway::Class::Lost => {
            match line.look(10, &error).unwrap() {
                Recovered::Failed { why, .. } => Err(why),
                Recovered::Answered(reply) => Ok(reply.text),
                Recovered::Silent => Ok(None),
                other => panic!("{words}: {other:?}"),
            }
        }
        Err(error) => Err(error.why),
    }
}

const OVERFLOW: &str = "FAIL 400 This model's maximum context length is 8 tokens: context_length_exceeded";

#[test]
fn a_failing_provider_is_named_on_every_release_and_nothing_of_it_is_an_answer() {
    let rows = [
        ("FAIL 400 bad thing", Why::ProviderRejected),
        ("FAIL 401 bad key", Why::ProviderRefused),
        ("FAIL 402 pay", Why::ProviderRefused),
        ("FAIL 429 slow down", Why::ProviderTrouble),
        ("FAIL 500 oops", Why::ProviderTrouble),
        ("DROP", Why::ProviderTrouble),
        ("HANG", Why::ProviderTrouble),
        (OVERFLOW, Why::ContextTooLong),
    ];
    for release in RELEASES {
        for (words, why) in rows {
            let line = at(release, &["sessions_history", "sessions_list"]);
            // A current release says only that the run was aborted.
            let why = if words == "HANG" && release >= Release::V2026_8_2 { Why::Interrupted } else { why };
            assert_eq!(end(&line, words), Err(why), "{release:?} {words}");
        }
    }
}

/// Without a history a failure loses its exact name, and stays a failure.
#[test]
fn without_a_history_a_failing_provider_is_still_no_answer_and_no_unknown_outcome() {
    for words in ["FAIL 400 bad thing", "FAIL 401 bad key", "FAIL 500 oops", "DROP", OVERFLOW] {
        assert_eq!(end(&at(Release::V2026_3_31, &[]), words), Err(Why::Internal), "{words}");
    }
    assert_eq!(end(&at(Release::V2026_3_31, &[]), "HANG"), Err(Why::ProviderTrouble));
    assert_eq!(end(&at(Release::V2026_2_19, &[]), "HANG"), Err(Why::ProviderTrouble));
    assert_eq!(end(&at(Release::V2026_2_19, &[]), "FAIL 400 bad"), Err(Why::ProviderRejected));
}

#[test]
fn an_honest_answer_that_quotes_a_message_is_an_answer() {
    let message = "LLM request timed out.";
    for release in RELEASES {
        let line = at(release, &["sessions_history"]);
        assert_eq!(end(&line, &format!("SAY {message}")), Ok(Some(message.to_owned())), "{release:?}");
    }
    let quoting = format!("The gateway reports: {message}");
    for release in Release::ALL {
        let line = at(release, &[]);
        assert_eq!(end(&line, &format!("SAY {quoting}")), Ok(Some(quoting.clone())), "{release:?}");
    }
}

#[test]
fn an_error_text_that_no_table_has_is_caught() {
    let text = "The stars are wrong tonight. Please try another evening.";
    for (release, tools) in [
        (Release::V2026_3_31, &["sessions_history"][..]),
        (Release::V2026_3_31, &[]),
        (Release::V2026_6_11, &[]),
        (Release::V2026_7_1, &[]),
        (Release::V2026_9_6, &[]),
    ] {
        let line = at(release, tools);
        line.scripted.faults().next(Fault::GatewayText(text));
        let why = if release == Release::V2026_3_31 && tools.is_empty() {
            Why::GatewayText
        } else {
            Why::ProviderTrouble
        };
        assert_eq!(end(&line, "SAY unheard"), Err(why), "{release:?} {tools:?}");
        assert_eq!(end(&line, "SAY heard"), Ok(Some("heard".to_owned())), "{release:?} {tools:?}");
    }
}

#[test]
fn a_silent_agent_is_no_failing_provider() {
    for release in RELEASES {
        let line = at(release, &["sessions_history"]);
        let text = end(&line, "SAY NO_REPLY").unwrap();
        assert!(text.is_none_or(|text| text == "No response from OpenClaw."), "{release:?}");
    }
}

/// A lost answer is found in the history, where the gateway's message stands in the agent's name.
#[test]
fn a_message_in_the_history_is_not_adopted_as_the_lost_answer() {
    let line = at(Release::V2026_7_1, &[]);
    let error = line.loses(&format!("{MARKER} {OVERFLOW}"), Fault::LoseAnswer);
    let found = line.look(10, &error).unwrap();
    assert!(matches!(found, Recovered::Failed { why: Why::ContextTooLong, .. }), "{found:?}");
}

/// Items as 2026.7.1 and 2026.3.31 show them, shortened.
mod items {
    use super::*;

    fn user(text: &str) -> Value {
        json!({"role": "user", "content": text})
    }

    fn item(stop: &str, text: &str, output: u64) -> Value {
        json!({"role": "assistant", "content": [{"type": "text", "text": text}], "api": "openai-completions",
            "provider": "mock", "model": "mock-1", "stopReason": stop, "usage": {"input": 9, "output": output}})
    }

    fn failed(message: &str) -> Value {
        json!({"role": "assistant", "content": [], "api": "openai-completions", "provider": "mock",
            "model": "mock-1", "stopReason": "error", "errorMessage": message})
    }

    fn by_the_gateway(text: &str) -> Value {
        let mut item = item("stop", text, 0);
        item["api"] = json!("cli");
        item
    }

    fn page(items: &[Value]) -> Page {
        read(json!({"items": items, "hasMore": false}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_history_says_who_wrote_a_text() {
        let ours = || user("[n-1 try 1] Hello.");
        let overflow = "Context overflow: prompt too large for the model.";
        let rejected = TextSource::Gateway(Why::ProviderRejected);
        let rows = [
            ("an answer", vec![ours(), item("stop", "Hi.", 3)], "Hi.", TextSource::Model),
            ("no usage is reported", vec![ours(), item("stop", "Hi.", 0)], "Hi.", TextSource::Model),
            ("a failed call", vec![ours(), failed("400 bad")], "Oh.", rejected),
            (
                "another model answers after a failed call",
                vec![ours(), failed("400 bad"), item("stop", "Hi.", 3)],
                "Hi.",
                TextSource::Model,
            ),
            (
                "words before a call that fails",
                vec![ours(), item("toolUse", "I look.", 3), failed("400 bad")],
                "I look.",
                rejected,
            ),
            (
                "a known message in the agent's name",
                vec![ours(), by_the_gateway(overflow)],
                overflow,
                TextSource::Gateway(Why::ContextTooLong),
            ),
            (
                "a new message in the agent's name",
                vec![ours(), failed("400 bad"), by_the_gateway("The stars are wrong.")],
                "The stars are wrong.",
                rejected,
            ),
            ("an agent behind a command line", vec![ours(), by_the_gateway("Hi.")], "Hi.", TextSource::Model),
            (
                "control words are removed",
                vec![ours(), item("stop", "Hi.\nNO_REPLY", 3)],
                "Hi.",
                TextSource::ModelsOtherText,
            ),
            ("empty items", vec![ours(), item("stop", "", 1)], "No response", TextSource::Silence),
            (
                "a text of the gateway after words and a call",
                vec![ours(), item("toolUse", "I look.", 3)],
                "The stars are wrong.",
                TextSource::NoAnswer,
            ),
            (
                "a text of the gateway in place of an answer after a call",
                vec![ours(), item("stop", "I begin.", 3), item("toolUse", "I look.", 3)],
                "The stars are wrong.",
                TextSource::NoAnswer,
            ),
            (
                "control words are removed from an answer after a call",
                vec![ours(), item("toolUse", "I look.", 3), item("stop", "Hi.\nNO_REPLY", 3)],
                "Hi.",
                TextSource::ModelsOtherText,
            ),
            ("nothing yet", vec![ours()], "Hi.", TextSource::NoAnswer),
            ("another turn", vec![user("[n-0 try 1] x"), item("stop", "Hi.", 3)], "Hi.", TextSource::Unknown),
            (
                "the input again after a compaction",
                vec![ours(), failed("400 bad"), ours(), item("stop", "Hi.", 3)],
                "Hi.",
                TextSource::Model,
            ),
        ];
        let mark = TurnMark { marker: MARKER, ..TurnMark::default() };
        for (name, items, text, source) in rows {
            assert_eq!(source_of(&mark, text, &page(&items).items), source, "{name}");
        }
    }

    #[test]
    fn a_result_without_its_call_id_is_found_by_its_marker() {
        let output = "[n-1 try 1 result 1.1]\n{\"ok\":true}";
        let outputs = [ToolOutput { call_id: "c1".to_owned(), output: output.to_owned() }];
        let mark = TurnMark { outputs: &outputs, ..TurnMark::default() };
        let before = user("[n-1 try 1] Hello.");
        let items = [before.clone(), user(output), item("stop", "Done.", 3)];
        assert_eq!(source_of(&mark, "Done.", &page(&items).items), TextSource::Model);
        let items = [before, user("[n-1 try 1 result 2.1]\n{\"ok\":true}"), item("stop", "Done.", 3)];
        assert_eq!(source_of(&mark, "Done.", &page(&items).items), TextSource::Unknown);
    }

    /// The tool shows no usage.
    #[test]
    fn the_tool_shows_enough_to_tell_the_author() {
        let mark = TurnMark { marker: MARKER, ..TurnMark::default() };
        let shown = |last: Value| {
            let details = json!({"messages": [user("[n-1 try 1] Hello."), last]});
            read_tool(json!({"ok": true, "result": {"details": details}}).to_string().as_bytes()).unwrap()
        };
        let aborted = json!({"role": "assistant", "content": [], "stopReason": "aborted",
            "errorMessage": "Request was aborted."});
        let source = source_of(&mark, "No response from OpenClaw.", &shown(aborted).items);
        assert_eq!(source, TextSource::Gateway(Why::Interrupted));
    }
}
