//! Explains rows of the ledger that this version does not understand.

use super::finding::{Brief, Finding};
use crate::delivery::ledger_row::UnreadableRow;
use mcr_model::clock::Millis;

/// The state of an unreadable row.
pub const UNREADABLE: &str = "unreadable";

/// Explains one row.
pub fn finding(row: &UnreadableRow) -> Finding {
    Finding {
        id: row.id.to_string(),
        state: UNREADABLE.to_owned(),
        what: match (row.is_open(), &row.end) {
            (true, _) => {
                format!("{} is open, and this version does not understand its row in the ledger.", row.id)
            }
            (false, Some(end)) => format!("{} ended ({}).", row.id, end.name()),
            (false, None) => format!("{} ended.", row.id),
        },
        why: row.explain(),
        next: row.advice(),
        next_at: None,
        title: None,
        cost: "not known".to_owned(),
        unposted: None,
        steps: Vec::new(),
        left_out: 0,
        evidence: None,
        deliveries: Vec::new(),
    }
}

/// Explains one row in a line. `agent` is the agent's name.
pub fn brief(row: &UnreadableRow, agent: &str) -> Brief {
    let task = row.subject.as_ref().and_then(|(_, task)| task.as_ref());
    Brief {
        id: row.id.to_string(),
        kind: "row".to_owned(),
        agent: agent.to_owned(),
        task: task.map(ToString::to_string),
        title: None,
        state: UNREADABLE.to_owned(),
        at: row.closed.or(row.first_seen).unwrap_or(Millis(0)),
        words: row.explain(),
        why: row.explain(),
        next: row.advice(),
        cost: "not known".to_owned(),
        failed: 0,
        unposted: false,
    }
}

/// Adds the unreadable rows of a task or an agent to a finding. Each row comes with its agent's name. An open row is
/// the most relevant one, because other work waits behind it.
pub fn with_rows(id: &str, found: Option<Finding>, rows: &[(&UnreadableRow, &str)]) -> Option<Finding> {
    let first = rows.iter().find(|(row, _)| row.is_open()).or_else(|| rows.first());
    let Some((first, _)) = first else { return found };
    let open = rows.iter().filter(|(row, _)| row.is_open()).count();
    let counted = format!("{} not understood ({open} of them open)", rows.len());
    let of_first = finding(first);
    let mut whole = match found {
        Some(found) if !first.is_open() => Finding { what: format!("{counted}; {}", found.what), ..found },
        found => {
            let (others, deliveries, cost) = found.map_or_else(
                || (String::new(), Vec::new(), of_first.cost.clone()),
                |found| (format!("; {} others", found.deliveries.len()), found.deliveries, found.cost),
            );
            let what = format!("{counted}{others}. Most relevant: {}: {}", of_first.id, of_first.what);
            Finding { id: id.to_owned(), what, deliveries, cost, ..of_first }
        }
    };
    whole.deliveries.extend(rows.iter().map(|(row, agent)| brief(row, agent)));
    whole.deliveries.sort_by_key(|brief| brief.at);
    Some(whole)
}

/// Counts the closed unreadable rows, if there are any. The text is a sentence without its full stop.
pub fn closed_in_words<'a>(rows: impl Iterator<Item = &'a UnreadableRow>) -> Option<String> {
    let (newer, damaged): (Vec<_>, Vec<_>) =
        rows.filter(|row| !row.is_open()).partition(|row| row.is_newer());
    let count = newer.len() + damaged.len();
    (count > 0).then(|| {
        format!(
            "closed rows of the ledger that are not understood: {count} (written by a newer version: {}, damaged: {}); they \
             stay as they are, no action needed",
            newer.len(),
            damaged.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::End;
    use crate::unreadable::Unreadable;
    use crate::work::WorkId;

    fn row(id: &str, closed: Option<i64>, why: Unreadable) -> UnreadableRow {
        UnreadableRow {
            id: WorkId::new(id),
            account: None,
            subject: Some(("a1".to_owned(), Some(mcr_model::TaskId::new("t1")))),
            first_seen: Some(Millis(5)),
            closed: closed.map(Millis),
            end: closed.map(|_| End::Answered(1)),
            why,
        }
    }

    fn newer(id: &str, closed: Option<i64>) -> UnreadableRow {
        row(id, closed, Unreadable::Newer("its record is of a newer form".to_owned()))
    }

    #[test]
    fn an_open_row_says_what_waits_and_what_to_do() {
        let finding = finding(&newer("n1", None));
        assert!(
            finding.why.contains("left untouched; work of agent a1 on task t1 waits behind it"),
            "{finding:?}"
        );
        assert!(
            finding.next.contains("newer version") && finding.next.contains("`dead drop n1`"),
            "{finding:?}"
        );
        let damaged = row("n1", None, Unreadable::Damaged("its checksum is wrong".to_owned()));
        assert!(!damaged.explain().contains("newer") && damaged.advice().contains("`dead drop n1`"));
    }

    #[test]
    fn a_closed_row_needs_no_action() {
        let finding = finding(&newer("n1", Some(7)));
        assert_eq!((&*finding.what, &*finding.next), ("n1 ended (answered).", "Done. No action needed."));
        let rows =
            [newer("n1", Some(7)), newer("n2", None), row("n3", Some(8), Unreadable::Damaged(String::new()))];
        let words = closed_in_words(rows.iter()).unwrap();
        assert!(words.contains("not understood: 2 (written by a newer version: 1, damaged: 1)"), "{words}");
        assert_eq!(closed_in_words(rows[1..2].iter()), None);
    }

    #[test]
    fn an_open_row_of_a_task_tells_most() {
        let (open, closed) = (newer("n1", None), newer("n2", Some(7)));
        let finding = with_rows("t1", None, &[(&closed, "ben"), (&open, "ben")]).unwrap();
        assert!(
            finding.what.starts_with("2 not understood (1 of them open). Most relevant: n1"),
            "{finding:?}"
        );
        let ids: Vec<&str> = finding.deliveries.iter().map(|brief| &*brief.id).collect();
        assert_eq!((ids, &*finding.id), (vec!["n1", "n2"], "t1"));
        let other = Finding::idle("ben", &[]);
        let finding = with_rows("t1", Some(other.clone()), &[(&closed, "ben")]).unwrap();
        assert!(finding.what.ends_with(&other.what) && finding.state == "idle", "{finding:?}");
        assert_eq!(with_rows("t1", Some(other.clone()), &[]), Some(other));
    }
}
