//! Notifications as work.

use super::{Kind, Rank, Track, Work, WorkId};
use crate::unknown_fields::UnknownFields;
use crate::unreadable::Unreadable;
use mcr_model::{Notification, NotificationType};

impl From<Notification> for Work {
    fn from(row: Notification) -> Self {
        Self {
            id: WorkId::from(&row.id),
            track: Track::new(&row.recipient_id, row.task_id.clone()),
            rank: rank(&row),
            kind: Kind::Notification(Box::new(row)),
            extra: UnknownFields::default(),
        }
    }
}

/// The rank, from the type alone.
fn rank(row: &Notification) -> Rank {
    match row.kind.known() {
        Some(NotificationType::Mention | NotificationType::ResponseRequest) => Rank::Question,
        Some(NotificationType::Assignment) => Rank::Assignment,
        Some(
            NotificationType::ThreadUpdate
            | NotificationType::StatusChange
            | NotificationType::MemberAdded
            | NotificationType::MemberRemoved
            | NotificationType::RoleChanged,
        )
        | None => Rank::Update,
    }
}

pub(super) fn title(row: &Notification) -> String {
    match row.kind.known() {
        Some(NotificationType::ThreadUpdate) => "thread update".to_owned(),
        Some(NotificationType::ResponseRequest) => "response request".to_owned(),
        Some(NotificationType::StatusChange) => "status change".to_owned(),
        _ => row.kind.to_string(),
    }
}

pub(super) fn from_json(text: &str) -> Result<Work, Unreadable> {
    let row: Notification =
        serde_json::from_str(text).map_err(|why| Unreadable::of("its notification", &why))?;
    Ok(row.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use mcr_model::clock::Millis;
    use serde_json::{Value, json};

    fn row(kind: &str, task: Option<&str>) -> Value {
        json!({"_id": "n1", "type": kind, "recipientType": "agent", "recipientId": "a1", "taskId": task,
            "title": "T", "body": "B", "createdAt": 7})
    }

    fn work(kind: &str, task: Option<&str>) -> Work {
        serde_json::from_value::<Notification>(row(kind, task)).expect("a notification").into()
    }

    #[test]
    fn a_notification_is_work_under_its_own_id_in_the_track_of_its_agent_and_task() {
        let about_a_task = work("mention", Some("t1"));
        assert_eq!(about_a_task.id.as_str(), "n1");
        assert_eq!(about_a_task.track, Track::new("a1", Some(mcr_model::TaskId::new("t1"))));
        assert_eq!(about_a_task.created_at(), Millis(7));
        assert_eq!(work("mention", None).track, Track::new("a1", None));
    }

    #[test]
    fn the_type_decides_rank_and_title() {
        let rows = [
            ("mention", Rank::Question, "mention"),
            ("response_request", Rank::Question, "response request"),
            ("assignment", Rank::Assignment, "assignment"),
            ("thread_update", Rank::Update, "thread update"),
            ("status_change", Rank::Update, "status change"),
            ("something_new", Rank::Update, "something_new"),
        ];
        for (kind, rank, title) in rows {
            let work = work(kind, None);
            assert_eq!((work.rank, &*work.title(), &*work.name()), (rank, title, kind), "{kind}");
        }
    }

    #[test]
    fn the_json_of_a_notification_names_no_kind_and_comes_back_as_it_was() {
        let text = work("mention", Some("t1")).to_json().expect("JSON");
        assert!(!text.contains("\"kind\""), "{text}");
        let back = Work::from_json(&text).expect("understood");
        assert_eq!((back.id.as_str(), back.to_json().expect("JSON")), ("n1", text));
    }

    #[test]
    fn json_that_is_not_understood_is_refused_with_a_sentence() {
        let mut newer = row("mention", None);
        newer["kind"] = json!("séance");
        let mut odd = row("mention", None);
        odd["kind"] = json!(7);
        let rows = [
            (newer.to_string(), true, "its work is of a kind that this program does not know (\"séance\")"),
            (odd.to_string(), false, "its work is of an unknown shape: "),
            ("{}".to_owned(), false, "its notification is of an unknown shape: "),
            ("7".to_owned(), false, "its work is of an unknown shape: "),
        ];
        for (text, is_newer, expected) in rows {
            let refused = Work::from_json(&text).expect_err("not understood");
            assert_eq!(matches!(refused, Unreadable::Newer(_)), is_newer, "{text}");
            assert!(refused.to_string().starts_with(expected), "{text}: {refused}");
        }
    }

    #[test]
    fn fields_that_only_a_newer_version_knows_are_written_again() {
        let known = work("mention", Some("t1")).to_json().expect("JSON");
        let text =
            format!("{},\"later\":{{\"z\":1,\"a\":[0.1]}}}}", known.strip_suffix('}').expect("an object"));
        let mut read = Arc::new(Work::from_json(&text).expect("understood"));
        assert_eq!(read.to_json().expect("JSON"), text);
        let mut later = row("mention", Some("t1"));
        later["createdAt"] = json!(8);
        let later: Notification = serde_json::from_value(later).expect("a notification");
        read.offered_again(&later.into());
        assert_eq!(read.to_json().expect("JSON"), text.replace("\"createdAt\":7", "\"createdAt\":8"));
    }
}
