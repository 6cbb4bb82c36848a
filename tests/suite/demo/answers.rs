//! What the scripted agents answer to a visitor's questions and hand over on a visitor's tasks.

use serde_json::{Value, json};

use super::{loaded, prompt, team, with_output, words};
use mission_control_runtime::demo::gateway::ScriptedModel as _;

/// What this agent does after a person has written these words on a task with this status.
fn reply(agent: &str, status: &str, said: &str) -> String {
    let thread: Value = json!([{"messageId": "m1", "authorType": "user", "authorId": "u1", "authorName": "Robin",
        "content": format!("@{agent}, {said}"), "createdAt": 2}]);
    let team = team();
    team.think(&prompt(agent, "mention"));
    words(&team.think(&with_output(prompt(agent, "mention"), "c1", &loaded(status, &thread))))
}

#[test]
fn each_role_answers_facts_and_says_that_it_is_scripted_otherwise() {
    for (agent, status, question, expected) in [
        ("engineer", "in_progress", "how far are you?", "Say the word"),
        ("engineer", "in_progress", "how many guests fit on a tour?", "At most 8 guests"),
        ("engineer", "done", "what happens when it is windy?", "I close the day in `booking/`"),
        ("engineer", "review", "can guests cancel?", "until 24 hours before"),
        ("engineer", "in_progress", "can guests pay by card?", "the payment provider has to confirm"),
        ("engineer", "in_progress", "what does it cost?", "names no price"),
        ("engineer", "in_progress", "are you a real person?", "I am scripted"),
        ("engineer", "in_progress", "who won the match yesterday?", "I am a scripted agent in a demo"),
        ("engineer", "inbox", "who won the match yesterday?", "I am a scripted agent in a demo"),
        ("qa", "in_progress", "how many seats are there?", "I check it with nine guests"),
        ("qa", "in_progress", "what do you check?", "I start from what"),
        ("qa", "in_progress", "who won the match yesterday?", "I am a scripted agent in a demo"),
        ("squad-lead", "in_progress", "in which languages are the pages?", "Shall I create a task"),
        ("squad-lead", "in_progress", "how far is this?", "It is in progress."),
        ("squad-lead", "in_progress", "who won the match yesterday?", "I am a scripted agent in a demo"),
    ] {
        let said = reply(agent, status, question);
        assert!(said.contains(expected), "{agent}, {status}, {question}: {said}");
    }
}

#[test]
fn a_request_is_work_and_an_unknown_task_gets_an_outline_that_says_so() {
    for request in ["could you finish it?", "please finish it", "will you make it blue?"] {
        let work = reply("engineer", "in_progress", request);
        assert!(work.starts_with("document_upsert"), "{request}: {work}");
        assert!(work.contains("This is an outline") && work.contains("scripted agent in a demo"), "{work}");
    }
}
