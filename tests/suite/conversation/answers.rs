//! Answers that are easily misread, and the resulting posts.

use std::sync::{Arc, Mutex};

use mission_control_runtime::demo::gateway::{HALF_EMOJI, Prompt, Thought};
use serde_json::json;

use super::over_http::way;
use super::processes::Stack;
use crate::support::board::agent;

/// JavaScript splits an emoji in two and writes the first half: the answer is posted with U+FFFD, after one
/// turn.
#[test]
fn half_an_emoji_costs_one_character_and_no_answer() {
    let stack = Stack::new(&["ben"], |_: &Prompt| Thought::say(format!("All done {HALF_EMOJI}")));
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "how is it going?");
    assert_eq!(stack.answer_of("ben", &task), "All done \u{fffd}");
    stack.settled();
    assert_eq!((stack.gateway().posts(), stack.said_by("ben", &task).len()), (1, 1));
    assert_eq!(stack.health()["delivery"]["ended"], json!({"answered": 1}));
}

/// Half an emoji in the arguments of a tool, in the history of a lost answer, and in a body over HTTP.
#[test]
fn half_an_emoji_is_accepted_from_every_source() {
    let paper = json!({"title": format!("Notes {HALF_EMOJI}"), "content": "…", "type": "note"});
    let stack = Stack::new(&["ben"], move |prompt: &Prompt| {
        if prompt.outputs().next().is_none() {
            return Thought::call("document_upsert", &paper);
        }
        Thought::say(format!("Written {HALF_EMOJI}"))
    });
    let task = stack.task("assigned", &["ben"]);
    let session = format!("agent:ben:task:{task}:{}:v1", stack.board.account);
    stack.faults().next_in(&session, mission_control_runtime::demo::gateway::Fault::LoseAnswer);
    stack.mention(&task, "ben", "write it down");
    assert_eq!(stack.answer_of("ben", &task), "Written \u{fffd}");
    stack.settled();
    let titles: Vec<_> = stack.board.rows("documents").iter().map(|row| row["title"].clone()).collect();
    assert_eq!((stack.gateway().posts(), titles), (2, vec![json!("Notes \u{fffd}")]));
}

/// A body over HTTP, as an agent's own JavaScript program writes it.
#[test]
fn half_an_emoji_in_an_http_body_is_accepted() {
    let status = Arc::<Mutex<u16>>::default();
    let seen = status.clone();
    let mind = move |prompt: &Prompt| {
        let (base, headers) = way(&prompt.instructions);
        let mut request = agent().post(format!("{base}/agent/document"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let body = r#"{"title":"Cut \ud83d","content":"\\ud83d stays","type":"note"}"#;
        *seen.lock().unwrap() = request.send(body).unwrap().status().as_u16();
        Thought::say("Done.")
    };
    let stack = Stack::set(&["ben"], mind, &[("OPENCLAW_CLIENT_TOOLS_ENABLED", "false")]);
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "write it down");
    assert_eq!(stack.answer_of("ben", &task), "Done.");
    assert_eq!(*status.lock().unwrap(), 200);
    let written = stack.board.rows("documents").remove(0);
    assert_eq!((&written["title"], &written["content"]), (&json!("Cut \u{fffd}"), &json!("\\ud83d stays")));
}

/// A "no" to a question is an answer, in any spelling and however the stream is split.
#[test]
fn no_is_an_answer() {
    for no in ["NO", "No.", "no", "NO!", "NOTHING", "No response"] {
        let stack = Stack::new(&["ben"], move |_: &Prompt| Thought::say(no));
        let task = stack.task("assigned", &["ben"]);
        stack.mention(&task, "ben", "shall we ship?");
        assert_eq!(stack.answer_of("ben", &task), no);
        stack.settled();
        assert_eq!(stack.gateway().posts(), 1, "{no}");
    }
}

/// The agent gets the names and links of a message's files, also if the message has no text.
#[test]
fn an_agent_gets_the_files_of_a_message() {
    let inputs = Arc::<Mutex<Vec<String>>>::default();
    let seen = inputs.clone();
    let stack = Stack::slow_polls(&["ben"], move |prompt: &Prompt| {
        seen.lock().unwrap().push(prompt.as_read());
        Thought::say("I see them.")
    });
    let task = stack.task("assigned", &["ben"]);
    stack.until("the first list", |health| health["delivery"]["lists"] == 1);
    let message = stack.board.person_says(&task, "@ben");
    let files = json!([
        {"url": "https://files.example.com/s/a1", "name": "sketch.png", "type": "image/png", "size": 34_567.0},
        {"name": "notes.txt", "type": "text/plain", "size": 12.0}]);
    stack.board.edit("messages", &message, json!({"content": "", "attachments": files}));
    assert_eq!(stack.ask("POST", "/nudge", ""), 202);
    assert_eq!(stack.answer_of("ben", &task), "I see them.");
    let input = inputs.lock().unwrap()[0].clone();
    for line in [
        "sketch.png (image/png, 34 kB): https://files.example.com/s/a1",
        "notes.txt (text/plain, 12 bytes): no link",
    ] {
        assert!(input.contains(line), "{line}: {input}");
    }
    assert!(!input.contains("(empty)"), "{input}");
}

/// An update without a text empties the document; a new document from a tool needs a text.
#[test]
fn an_empty_text_empties_a_document() {
    let stack = Stack::new(&["ben"], |prompt: &Prompt| {
        let outputs: Vec<_> = prompt.outputs().map(|(_, output)| output.to_owned()).collect();
        let id = outputs.iter().find_map(|output| {
            let output: serde_json::Value = serde_json::from_str(output.split_once('\n')?.1).ok()?;
            output["documentId"].as_str().map(str::to_owned)
        });
        let paper = |content: &str| json!({"title": "Notes", "content": content, "type": "note"});
        match (outputs.len(), id) {
            (0, _) => Thought::call("document_upsert", &paper("a text")),
            (1, Some(id)) => {
                let mut emptied = paper("");
                emptied["documentId"] = json!(id);
                Thought::calls([("document_upsert", emptied), ("document_upsert", paper(""))])
            }
            _ => Thought::say(outputs.join("\n")),
        }
    });
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "empty it");
    let answer = stack.answer_of("ben", &task);
    let documents = stack.board.rows("documents");
    assert_eq!((documents.len(), &documents[0]["content"]), (1, &json!("")), "{answer}");
    assert_eq!(
        (documents[0]["version"].as_f64(), &documents[0]["taskId"]),
        (Some(2.0), &json!(task)),
        "{answer}"
    );
    assert!(answer.contains("title, content, and type"), "a new one needs a text: {answer}");
}
