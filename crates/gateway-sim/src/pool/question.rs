//! The question of a person in the prompt of a worker.

use crate::gateway::{Item, Prompt};

/// The ends of the lines before a message. A message of one line cannot contain them.
const BEGINNINGS: [&str; 2] = [" message: from the person>>\n", " message: scheduled by the application>>\n"];

/// The text of the message in a question of the worker.
fn message(text: &str) -> Option<&str> {
    let (_, rest) = BEGINNINGS.iter().find_map(|beginning| text.rsplit_once(beginning))?;
    rest.split("\n<<").next()
}

/// The question of this turn. A turn that the gateway resumes has it in its transcript.
pub fn question(prompt: &Prompt) -> Option<String> {
    let mut said = prompt.transcript.iter().rev().filter_map(|entry| match &entry.item {
        Item::User(text) => message(text),
        Item::Assistant { .. } | Item::Notice(_) | Item::ToolResult { .. } => None,
    });
    message(&prompt.text).or_else(|| said.next()).map(str::to_owned)
}
