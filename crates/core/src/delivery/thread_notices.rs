//! Notices in a thread about a missing answer.
//!
//! They are posted in the agent's name, because the backend has no other way, and identify themselves as
//! automatic. They carry no id of the row and wake no agent.

use super::cause::Cause;
use super::failure::Trouble;
use super::{AwaitedBy, End, Record, policy};
use crate::guardrails::{TeamLimit, TeamStop};
use crate::spans::{counted, times};
use mcr_model::{DeliveryContext, NoResponseNote, Notification, NotificationType, TeamLimits};

/// Who waits for the answer to this row.
pub fn awaited_by(context: &DeliveryContext) -> AwaitedBy {
    use NotificationType::{Assignment, Mention, ResponseRequest, ThreadUpdate};
    let by_an_agent = policy::agent_author(context).is_some();
    match context.notification.kind.known() {
        Some(Assignment | Mention | ThreadUpdate) if !by_an_agent => AwaitedBy::Person,
        Some(Assignment | Mention | ResponseRequest) => AwaitedBy::Agent,
        _ => AwaitedBy::Neither,
    }
}

/// The notice for this outcome, if a notice is to be posted.
pub fn line(
    row: &Notification,
    record: &Record,
    end: &End,
    trouble: &Trouble,
    notes: NoResponseNote,
) -> Option<String> {
    // Without a thread there is no place for a notice. If the row was not meant for the agent, no answer is
    // expected.
    row.task_id.as_ref()?;
    record.heard.as_ref()?;
    let what = asked(row);
    match (end, record.waits, notes) {
        (End::Dead(_), _, _) => Some(format!(
            "*(Automatic note: there will be no answer to {what}, because {}. Mention the agent to ask again.)*",
            trouble.in_public()
        )),
        (End::Unanswered(_), AwaitedBy::Person, NoResponseNote::People)
        | (End::Unanswered(_), _, NoResponseNote::All) => {
            let times = times(record.failures.of(Cause::Silence));
            Some(format!(
                "*(Automatic note: asked {times}, the agent said nothing to {what}. Mention it to ask again.)*"
            ))
        }
        _ => None,
    }
}

/// The line for a thread that the loop brake has stopped.
pub fn of_stop(stop: TeamStop, limits: TeamLimits) -> String {
    let reached = match stop.limit {
        TeamLimit::Turns | TeamLimit::HardTurns => {
            format!("the agents here have had {} since a person last wrote", counted(stop.turns, "turn"))
        }
        TeamLimit::Depth => {
            format!("the agents here have handed over {} in a row", times(limits.depth_max))
        }
    };
    format!(
        "*(Automatic note: {reached}, which is the limit. They wait now. Write here to let them continue.)*"
    )
}

/// The line for a row whose record is damaged. Whether the agent has heard of it is not known.
pub fn of_damage(row: &Notification) -> Option<String> {
    row.task_id.as_ref()?;
    Some(format!(
        "*(Automatic note: the record of what was done for {} is damaged, so the agent is not asked again by itself. If the \
         answer is missing, mention the agent to ask again.)*",
        asked(row)
    ))
}

fn asked(row: &Notification) -> &'static str {
    use NotificationType::{Assignment, Mention, ResponseRequest, StatusChange};
    match row.kind.known() {
        Some(Assignment) => "this assignment",
        Some(Mention) => "this mention",
        Some(ResponseRequest) => "this request",
        Some(StatusChange) => "this change",
        _ => "this message",
    }
}
