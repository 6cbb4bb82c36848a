//! The loop brake: turns that agents cause, hand-offs, progress, and what starts the count again.

use mission_control_runtime::guardrails::team::{THREADS_MAX, Threads};
use mission_control_runtime::guardrails::{Fact, TeamLimit, TeamTurn};
use mission_control_runtime::model::{Notification, TaskId, TeamLimits};
use proptest::prelude::*;
use serde_json::json;

use super::{AGENTS, Played};

const NONE: TeamLimits = TeamLimits { turns_max: 0, depth_max: 0, turns_per_progress: 6, turns_hard_max: 0 };

#[test]
fn two_agents_that_mention_each_other_stop_at_the_limit_of_hand_offs() {
    let mut played = Played::new();
    let mut source = played.person_mentions("a");
    for turn in 0..12 {
        let (from, to) = if turn % 2 == 0 { ("a", "b") } else { ("b", "a") };
        source = played.hand_over(from, to, &source).unwrap();
    }
    assert_eq!(played.hand_over("a", "b", &source), Err(TeamLimit::Depth));
}

#[test]
fn each_limit_stops_and_zero_is_no_limit() {
    let rows = [
        (TeamLimits { turns_max: 30, ..NONE }, 30, Some(TeamLimit::Turns)),
        (TeamLimits { depth_max: 12, ..NONE }, 12, Some(TeamLimit::Depth)),
        (TeamLimits { turns_hard_max: 40, ..NONE }, 40, Some(TeamLimit::HardTurns)),
        (TeamLimits { turns_hard_max: 5, ..TeamLimits::default() }, 5, Some(TeamLimit::HardTurns)),
        (NONE, 1_000, None),
    ];
    for (limits, turns, limit) in rows {
        let mut played = Played { limits, ..Played::new() };
        let source = played.person_mentions("a");
        assert_eq!(played.until_stopped(&source, 1_000, |_, _| ()), (turns, limit), "{limits:?}");
    }
}

/// Everyone answers everyone: many rows, few hand-offs.
#[test]
fn a_message_to_all_agents_ends_after_thirty_turns() {
    let mut played = Played::new();
    let mut waiting: Vec<_> =
        AGENTS.iter().map(|agent| ((*agent).to_owned(), played.person_mentions(agent))).collect();
    let (mut turns, mut stopped) = (0, 0);
    while let Some((agent, row)) = waiting.pop() {
        for other in AGENTS.iter().filter(|other| **other != agent) {
            match played.hand_over(&agent, other, &row) {
                Ok(row) => {
                    turns += 1;
                    waiting.insert(0, ((*other).to_owned(), row));
                }
                Err(_) => stopped += 1,
            }
        }
    }
    assert_eq!(turns, 30);
    assert_eq!(stopped, 5 * 4 + 30 * 4 - 30, "the rows of all turns");
}

#[test]
fn a_message_of_a_person_starts_the_count_again_and_stop_does_not() {
    let mut played = Played::new();
    let source = played.person_mentions("a");
    assert_eq!(played.until_stopped(&source, 100, |_, _| ()).0, 12);
    played.person_says("/stop");
    assert_eq!(
        played.hand_over("a", "b", "unknown"),
        Ok("n15".to_owned()),
        "another chain, so its depth is 1"
    );
    assert_eq!(played.until_stopped(&source, 100, |_, _| ()).0, 12, "the thirteenth turn was another chain");
    let source = played.person_mentions("b");
    assert_eq!(played.until_stopped(&source, 100, |_, _| ()).0, 12);
}

#[test]
fn a_person_s_retry_starts_the_count_again_once() {
    let mut played = Played { limits: TeamLimits { turns_max: 3, ..NONE }, ..Played::new() };
    let source = played.person_mentions("a");
    assert_eq!(played.until_stopped(&source, 100, |_, _| ()).0, 3);
    let rows: Vec<_> = ["b", "c"].map(|to| played.context(to, None)).into();
    played.say("agent", "a", "over to you");
    let rows = [played.context("b", None), played.context("c", None), rows[0].clone()];
    let stops: Vec<TeamTurn> = rows[..2].iter().map(|row| played.admit(row, None)).collect();
    assert!(stops.iter().all(|turn| turn.stop.is_some()));
    let retried: Vec<TeamTurn> = stops.iter().map(TeamTurn::retried).collect();
    assert!(played.threads.see(&rows[0], Some(&retried[0])).is_some(), "the stop has ended");
    let turn = played.threads.admit(&rows[0], Some(&retried[0]), played.limits).unwrap();
    assert_eq!((turn.number, turn.start.retries), (1, 1));
    let second = played.admit(&rows[1], Some(&retried[1]));
    assert_eq!((second.number, second.is_retried), (1, false), "the second retry is a word of its own");
}

#[test]
fn a_retry_of_a_row_of_an_earlier_count_gives_it_a_turn() {
    let mut played = Played { limits: TeamLimits { turns_max: 3, ..NONE }, ..Played::new() };
    played.say("agent", "a", "over to you");
    let row = played.context("b", None);
    let given_up = played.admit(&row, None).retried();
    let source = played.person_mentions("a");
    assert_eq!(played.until_stopped(&source, 100, |_, _| ()).0, 3);
    let turn = played.admit(&row, Some(&given_up));
    assert_eq!((turn.number, turn.stop, turn.start.retries), (1, None, 1));
}

#[test]
fn another_attempt_at_a_turn_is_not_counted_again_and_a_renewed_delivery_is() {
    let mut played = Played::new();
    let source = played.person_mentions("a");
    played.say("agent", "a", "over to you");
    let row = played.context("b", Some(&source));
    let first = played.admit(&row, None);
    for _ in 0..50 {
        let again = played.admit(&row, Some(&first));
        assert_eq!((again.number, again.stop), (1, None));
    }
    assert_eq!(played.admit(&row, Some(&first.renewed())).number, 2);
    // After a person's message the turn is one of the new count.
    played.person_says("and?");
    played.say("agent", "a", "over to you");
    let other = played.context("c", None);
    assert_eq!(played.admit(&other, None).number, 1);
    assert_eq!(played.admit(&row, Some(&first)).number, 2);
}

#[test]
fn progress_earns_turns_and_starts_the_depth_again() {
    // What happens before each hand-over; the number of turns, and the limit.
    type Before = fn(&mut Played, u32);
    let document: Before = |played, turn| {
        if turn % 5 == 4 {
            played.threads.wrote(&TaskId::new("t"), &format!("draft {turn}"));
        }
    };
    let same_document: Before = |played, _| played.threads.wrote(&TaskId::new("t"), "the draft");
    let two_documents: Before = |played, turn| {
        played.threads.wrote(&TaskId::new("t"), ["the  draft\n", "the draft", "another"][turn as usize % 3]);
    };
    let ping_pong: Before = |played, turn| played.status = ["in_progress", "review"][turn as usize % 2];
    let pull_requests: Before = |played, turn| played.pull_request = Some(turn / 5);
    let one_pull_request: Before = |played, _| played.pull_request = Some(7);
    let blank: Before = |played, _| played.threads.wrote(&TaskId::new("t"), " \n");
    let rows = [
        ("new documents", document, 300, Some(TeamLimit::HardTurns)),
        ("one document", same_document, 12, Some(TeamLimit::Depth)),
        ("two documents in turn", two_documents, 14, Some(TeamLimit::Depth)),
        ("a blank document", blank, 12, Some(TeamLimit::Depth)),
        // One new status; after that, neither is new.
        ("a status to and fro", ping_pong, 13, Some(TeamLimit::Depth)),
        ("one pull request after another", pull_requests, 300, Some(TeamLimit::HardTurns)),
        // The first context is the baseline, before the link.
        ("one pull request", one_pull_request, 12, Some(TeamLimit::Depth)),
    ];
    for (what, before, turns, limit) in rows {
        let mut played = Played::new();
        let source = played.person_mentions("a");
        assert_eq!(played.until_stopped(&source, 1_000, before), (turns, limit), "{what}");
    }
}

#[test]
fn a_collaboration_of_200_turns_with_progress_is_not_stopped() {
    let mut played = Played::new();
    let source = played.person_mentions("a");
    let work = |played: &mut Played, turn: u32| match turn % 18 {
        5 => played.threads.wrote(&TaskId::new("t"), &format!("chapter {turn}")),
        11 => played.pull_request = Some(turn),
        17 => played.threads.wrote(&TaskId::new("t"), &format!("review of {turn}")),
        _ => {}
    };
    assert_eq!(played.until_stopped(&source, 200, work), (200, None));
}

#[test]
fn the_first_stopped_row_of_a_count_posts_the_notice() {
    let mut played = Played { limits: TeamLimits { turns_max: 2, ..NONE }, ..Played::new() };
    for _ in 0..3 {
        let source = played.person_mentions("a");
        let mut firsts = Vec::new();
        for to in ["b", "c", "d", "e"] {
            played.say("agent", "a", "over to you");
            let row = played.context(to, Some(&source));
            firsts.extend(played.admit(&row, None).stop.map(|stop| (stop.is_first, stop.turns)));
        }
        assert_eq!(firsts, [(true, 2), (false, 2)]);
    }
}

/// The counts of a process that finds these records.
fn recalled(records: &[(Notification, TeamTurn)]) -> Threads {
    let mut threads = Threads::default();
    for (row, turn) in records {
        threads.recall(row, turn);
    }
    threads
}

#[test]
fn the_records_continue_the_count_after_a_restart() {
    for kept in [usize::MAX, 1] {
        let mut played = Played {
            limits: TeamLimits { turns_max: 20, depth_max: 0, ..TeamLimits::default() },
            ..Played::new()
        };
        let mut source = played.person_mentions("a");
        let mut records = Vec::new();
        for turn in 0..25 {
            if turn == 4 {
                played.threads.wrote(&TaskId::new("t"), "a draft");
            }
            played.say("agent", AGENTS[turn % 5], "over to you");
            let row = played.context(AGENTS[(turn + 1) % 5], Some(&source));
            let facts = played.admit(&row, None);
            assert!(facts.stop.is_none(), "turn {turn}");
            source = row.notification.id.to_string();
            records.push((row.notification.clone(), facts));
        }
        // The ledger keeps the last rows, and returns them in the order of their first notes.
        let from = records.len().saturating_sub(kept);
        played.threads = recalled(&records[from..]);
        played.say("agent", "a", "over to you");
        let row = played.context("b", Some(&source));
        assert_eq!(played.admit(&row, None).number, 26, "{kept} records");
        if kept == usize::MAX {
            played.threads.wrote(&TaskId::new("t"), "a draft");
        }
        assert_eq!(played.hand_over("b", "c", "x"), Err(TeamLimit::Turns), "the draft is not new");
    }
}

/// The document had its content when the person wrote. Neither another process nor the loss of the older records changes that.
#[test]
fn a_document_from_before_a_person_s_word_is_no_progress() {
    let new_content = ("another draft", 10 + 12);
    for (content, turns) in [("a draft", 12), ("a  draft\n", 12), new_content] {
        for kept in [None, Some(usize::MAX), Some(1)] {
            let mut played = Played::new();
            let mut records = Vec::new();
            let first = played.person_mentions("a");
            played.threads.wrote(&TaskId::new("t"), "a draft");
            played.say("agent", "a", "over to you");
            let row = played.context("b", Some(&first));
            records.push((row.notification.clone(), played.admit(&row, None)));
            for words in ["go on", "please"] {
                played.person_says(words);
                let row = played.context("a", None);
                records.push((row.notification.clone(), played.admit(&row, None)));
            }
            let source = records[2].0.id.to_string();
            if let Some(kept) = kept {
                played.threads = recalled(&records[records.len().saturating_sub(kept)..]);
            }
            let write = |played: &mut Played, turn| {
                if turn == 10 {
                    played.threads.wrote(&TaskId::new("t"), content);
                }
            };
            let stop = played.until_stopped(&source, 1_000, write);
            assert_eq!(stop, (turns, Some(TeamLimit::Depth)), "{content:?}, {kept:?} records");
        }
    }
}

#[test]
fn a_restart_keeps_the_depth_and_the_notice() {
    let mut played = Played::new();
    let mut source = played.person_mentions("a");
    let mut records = Vec::new();
    for turn in 0..13 {
        played.say("agent", AGENTS[turn % 5], "over to you");
        let row = played.context(AGENTS[(turn + 1) % 5], Some(&source));
        let facts = played.admit(&row, None);
        assert_eq!(facts.stop.is_some(), turn == 12);
        records.push((row.notification.clone(), facts));
        if turn < 12 {
            source = row.notification.id.to_string();
        }
    }
    played.threads = recalled(&records);
    played.say("agent", "b", "over to you");
    let row = played.context("c", Some(&source));
    let stop = played.admit(&row, None).stop.unwrap();
    assert_eq!((stop.limit, stop.is_first, stop.turns), (TeamLimit::Depth, false, 12));
    // A message without a source is one of the agent's last delivery.
    played.say("agent", "c", "over to you");
    let row = played.context("d", None);
    assert!(played.admit(&row, None).stop.is_some(), "a further part of the answer");
}

#[test]
fn the_memory_for_threads_is_bounded() {
    let mut threads = Threads::default();
    let content = |number: usize| format!("draft {number}");
    for number in 0..THREADS_MAX + 10 {
        threads.wrote(&TaskId::new(number.to_string()), &content(number));
    }
    assert_eq!(threads.len(), THREADS_MAX);
}

#[test]
fn white_space_is_no_new_content() {
    assert_eq!(Fact::document("a  b\n"), Fact::document("\ta b"));
    assert_ne!(Fact::document("a b"), Fact::document("ab"));
    assert_eq!(Fact::document(" \n\t"), None);
}

#[test]
fn the_facts_in_a_record_keep_fields_of_a_newer_version() {
    let text = json!({"start": [5, 0], "number": 3, "new-field": {"x": 1}});
    let turn: TeamTurn = serde_json::from_value(text).unwrap();
    assert_eq!((turn.number, turn.start.message_at.0), (3, 5));
    let back = serde_json::to_value(turn.renewed()).unwrap();
    assert_eq!(back["new-field"], json!({"x": 1}));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever agents do, and whenever the process retries, they never cause more turns between two messages of people
    /// than the hard limit.
    #[test]
    fn agents_never_exceed_the_hard_limit(
        acts in prop::collection::vec((0..10_u8, 0..5_usize, 0..5_usize, 0..40_usize), 1..400),
        turns_max in 0..12_u32,
        depth_max in 0..8_u32,
        turns_per_progress in 0..8_u32,
        turns_hard_max in 1..40_u32,
    ) {
        let limits = TeamLimits { turns_max, depth_max, turns_per_progress, turns_hard_max };
        let mut played = Played { limits, ..Played::new() };
        let mut rows = vec![played.person_mentions("a")];
        let mut records: Vec<(Notification, TeamTurn)> = Vec::new();
        let mut turns = 0;
        for (act, from, to, of) in acts {
            match act {
                0 => {
                    rows.push(played.person_mentions(AGENTS[to]));
                    turns = 0;
                }
                1 => played.status = ["inbox", "assigned", "in_progress", "review", "blocked"][from],
                2 => played.threads.wrote(&TaskId::new("t"), &of.to_string()),
                3 => played.pull_request = Some(u32::try_from(of).unwrap()),
                4 => {
                    played.threads = recalled(&records);
                }
                _ => {
                    let source = rows[of % rows.len()].clone();
                    played.say("agent", AGENTS[from], "over to you");
                    let row = played.context(AGENTS[to], Some(&source));
                    let facts = played.admit(&row, None);
                    if facts.stop.is_none() {
                        turns += 1;
                        rows.push(row.notification.id.to_string());
                    }
                    records.push((row.notification.clone(), facts));
                }
            }
            prop_assert!(turns <= turns_hard_max, "{turns} turns");
        }
    }
}
