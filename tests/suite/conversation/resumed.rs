//! A restarted gateway resumes a turn without the tools of the turn (openclaw-gateway §11.5). What the agent says then is no
//! answer: it is asked again, so that its work on the board is done, once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use serde_json::json;

use super::processes::Stack;
use crate::support::wait;

/// What an agent without tools says.
const NO_TOOLS: &str = "I lack the tools for that.";

/// The round in which gateway and program are killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KilledIn {
    Question,
    Results,
}

#[test]
fn a_question_that_was_resumed_without_tools_is_asked_again() {
    resumes(KilledIn::Question);
}

#[test]
fn results_that_were_resumed_without_tools_go_back_again() {
    resumes(KilledIn::Results);
}

fn resumes(killed_in: KilledIn) {
    let resumptions = Arc::new(AtomicUsize::new(0));
    let instructions = Arc::new(Mutex::new(Vec::new()));
    let (count, kept) = (resumptions.clone(), instructions.clone());
    let mind = move |prompt: &Prompt| {
        if prompt.text.contains("[System]") {
            assert!(prompt.tools.is_empty() && prompt.instructions.is_empty());
            count.fetch_add(1, Ordering::SeqCst);
            return Thought::say(NO_TOOLS);
        }
        let has_results = prompt.outputs().next().is_some();
        let is_round = if has_results { KilledIn::Results } else { KilledIn::Question } == killed_in;
        if is_round && count.load(Ordering::SeqCst) == 0 {
            return Thought::hang();
        }
        kept.lock().unwrap().push(prompt.instructions.clone());
        if has_results {
            Thought::say("It is written.")
        } else {
            let document = json!({"title": "Notes", "content": "Written once.", "type": "note"});
            Thought::call("document_upsert", &document)
        }
    };
    let resume_at_once = |options: &mut mission_control_runtime::demo::gateway::Options| {
        options.resume_after = Duration::ZERO;
    };
    let mut stack = Stack::played(&["ben"], mind, resume_at_once);
    let task = stack.task("in_progress", &["ben"]);
    stack.mention(&task, "ben", "write it down");
    stack.until_posts(if killed_in == KilledIn::Question { 1 } else { 2 });
    // The gateway dies first: it would end the turn of a client that hangs up. Then the program is away, so the gateway resumes
    // the turn before the turn is sent again.
    let address = stack.stop_gateway();
    stack.kill();
    stack.start_gateway(&address);
    wait::until("the resumed turn", || resumptions.load(Ordering::SeqCst) == 1);
    stack.start();
    assert_eq!(stack.answer_of("ben", &task), "It is written.");
    stack.settled();
    assert_eq!(stack.said_by("ben", &task), ["It is written."]);
    let documents = stack.board.rows("documents");
    assert_eq!(documents.len(), 1, "{documents:?}");
    assert_eq!(resumptions.load(Ordering::SeqCst), 1);
    let told = |text: &String| text.contains("# Interrupted turn");
    let told: Vec<bool> = instructions.lock().unwrap().iter().map(told).collect();
    // The first turn that runs to its end is the one before the kill, or the one after it.
    let expected = if killed_in == KilledIn::Question { vec![true, true] } else { vec![false, true] };
    assert_eq!(told, expected);
    assert_eq!(stack.gateway().overlaps(), 0);
}
