//! The calls of one reply, made in order, each noted before and after.

use log::info;
use serde_json::json;

use super::desk::Desk;
use super::journal::{Step, Wait};
use super::{Job, Stage, Work};
use crate::gateway::{Reply, ToolCall, ToolOutput};
use crate::tools::run::{Hands, run};
use crate::tools::{self, Caller, Kind, Offer, ToolError};

/// The longest result that an agent gets: some ten thousand words.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// What follows from a reply with calls: they are to be made, and then their results go back.
pub(super) fn of(reply: Reply, before: Stage) -> Work {
    let before = match before {
        Stage::Working(work) => work,
        Stage::Fresh | Stage::Answered { .. } | Stage::Ended(_) => Work::default(),
    };
    Work {
        pending: reply.calls.into(),
        begun: false,
        outputs: Vec::new(),
        rounds: before.rounds + 1,
        said: reply.text.or(before.said),
        ..before
    }
}

/// Makes the calls that are still to be made. One that had begun when the work on it ended is not made again: the agent
/// is told that it may have been carried out.
pub(super) fn make(job: &mut Job, (name, caller): (&str, &Caller<'_>), offer: &Offer, desk: &Desk<'_>) {
    let roster = desk.team.now();
    let refresh = || desk.team.fetch(desk.mission).ok();
    let hands = Hands { mission: desk.mission, roster: &roster, refresh: &refresh };
    while let Stage::Working(work) = &mut job.record.stage
        && let Some(call) = work.pending.front().cloned()
    {
        let output = if let Some(why) = refusal(work, desk) {
            info!("{name} ({}): {} was not run: {why}", job.row.id, call.name);
            tools::render(Err(&ToolError::new(Kind::Throttled, &why)))
        } else {
            work.calls += 1;
            work.begun = true;
            // What changes the board is noted before it happens; what only looks may be done again.
            let writes = tools::table::row(&call.name).is_some_and(|row| row.writes);
            desk.note(job, Step::ToolIntent, &call.name, if writes { Wait::ForDisk } else { Wait::Not });
            let ran = run(&call, caller, offer, &hands);
            match &ran.error {
                None => info!("{name} ({}): called {}", job.row.id, call.name),
                Some(error) => info!("{name} ({}): called {}: {error}", job.row.id, call.name),
            }
            if ran.stirs {
                (desk.stir)();
            }
            if let Stage::Working(work) = &mut job.record.stage {
                work.acted |= ran.ok;
            }
            capped(ran.output)
        };
        if let Stage::Working(work) = &mut job.record.stage {
            done(work, &call, output);
        }
        desk.note(job, Step::ToolResult, &call.name, Wait::Not);
    }
}

/// What is too long for the model is shown from its beginning, with a word on how to get the rest.
fn capped(output: String) -> String {
    if output.len() <= OUTPUT_BYTES_MAX {
        return output;
    }
    let mut end = OUTPUT_BYTES_MAX;
    while !output.is_char_boundary(end) {
        end -= 1;
    }
    let words = format!(
        "The result has {} bytes; this is its beginning, as text. Ask for less: a smaller limit, or one thing at a time.",
        output.len()
    );
    json!({"success": true, "cut": words, "text": output[..end]}).to_string()
}

fn done(work: &mut Work, call: &ToolCall, output: String) {
    work.begun = false;
    work.pending.pop_front();
    work.outputs.push(ToolOutput { call_id: call.call_id.clone(), output });
}

/// Why the next call is not made, if it is not.
fn refusal(work: &Work, desk: &Desk<'_>) -> Option<String> {
    let (rounds, calls) = (desk.rules.rounds_max, desk.rules.calls_max);
    let limit = if work.begun {
        return Some(
            "This call was interrupted and may have been carried out: look before you make it again."
                .to_owned(),
        );
    } else if work.rounds > rounds {
        format!("you have had results of tools {rounds} times, which is the limit")
    } else if work.calls >= calls {
        format!("you have made {calls} calls, which is the limit")
    } else {
        return None;
    };
    Some(format!("Not run: {limit} for one notification. Answer now with what you have."))
}
