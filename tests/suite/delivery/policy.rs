//! Which notifications start an agent: the examples of §3.5, and every combination of the inputs against the
//! rules as a table.

use mission_control_runtime::delivery::policy::{
    OnSilence, Skip, Verdict, ends_with_stop, is_multi_assignee, is_paused, is_quiet, judge, leads,
    may_review, may_stay_silent, on_silence,
};
use mission_control_runtime::model::{
    AgentId, AuthorType, BehaviorFlags, DeliveryContext, MessageId, NotificationType, SessionKey, Task,
    TaskStatus, WakeOn, Word,
};
use mission_control_runtime::tools::guard::may_mark_done;

use super::{context, set_status};

fn word<T: std::str::FromStr>(text: &str) -> Word<T> {
    text.parse().map_or_else(|_| Word::Unknown(text.to_owned()), Word::Known)
}

/// Changes a context by the words `field=value …`.
pub(super) fn with(changes: &str) -> DeliveryContext {
    let mut c = context();
    c.orchestrator_agent_id = None;
    for change in changes.split_whitespace() {
        let (field, value) = change.split_once('=').unwrap();
        let task = c.task.as_mut().unwrap();
        match field {
            "type" => c.notification.kind = word(value),
            "to" => {
                value.clone_into(&mut c.notification.recipient_id);
                c.agent.as_mut().unwrap().id = AgentId::new(value);
            }
            "status" => task.status = word(value),
            "assigned" => {
                let ids = value.split(',').filter(|id| !id.is_empty());
                task.assigned_agent_ids = ids.map(AgentId::new).collect();
            }
            "label" => task.labels = vec![value.to_owned()],
            "by" => {
                let (kind, id) = value.split_once(':').unwrap();
                let message = c.message.as_mut().unwrap();
                message.author_type = word(kind);
                id.clone_into(&mut message.author_id);
            }
            "source" => c.source_notification_type = Some(word(value)),
            "orchestrator" => c.orchestrator_agent_id = Some(AgentId::new(value)),
            "reviews" => c.effective_behavior_flags.can_review_tasks = value == "yes",
            "created-by" => value.clone_into(&mut task.created_by),
            "session" => c.delivery_session_key = Some(SessionKey::new(value)),
            other => panic!("{other}?"),
        }
    }
    c
}

#[test]
fn the_examples_of_3_5_have_the_specified_verdicts() {
    const CHAT: &str = "label=system:orchestrator-chat";
    let orchestrator = "to=orch orchestrator=orch assigned=";
    // The row of §3.5, or the rule; the difference from the base; the reason to skip, or none.
    let rows = [
        ("1", String::new(), None),
        ("2", "status=done".to_owned(), Some("quiet-task")),
        ("3", "status=done by=user:user_1".to_owned(), Some("quiet-task")),
        ("4", "status=blocked".to_owned(), Some("quiet-task")),
        ("5", "source=thread_update".to_owned(), Some("reply-loop")),
        ("6", format!("{orchestrator} by=agent:writer source=thread_update"), None),
        ("7", format!("{orchestrator} by=agent:orch source=thread_update"), Some("own-message")),
        ("8", orchestrator.to_owned(), None),
        ("9", "type=assignment".to_owned(), None),
        ("10", "type=mention status=done assigned=".to_owned(), None),
        ("11", "type=status_change status=done".to_owned(), Some("quiet-task")),
        ("12", "type=status_change status=blocked".to_owned(), Some("quiet-task")),
        ("13", "type=status_change".to_owned(), None),
        ("14", "type=status_change status=review".to_owned(), Some("not-a-reviewer")),
        ("15", "type=status_change status=review reviews=yes".to_owned(), None),
        ("16", "type=status_change status=review orchestrator=agent-a".to_owned(), None),
        ("17", format!("{CHAT} orchestrator=agent-a"), None),
        ("18", format!("{CHAT} orchestrator=orch"), Some("chat-is-for-the-orchestrator")),
        ("P-1", CHAT.to_owned(), Some("chat-is-for-the-orchestrator")),
        ("P-1", format!("{CHAT} orchestrator=agent-a status=done"), None),
        ("P-1, D25", format!("{CHAT} orchestrator=agent-a status=archived by=user:user_1"), None),
        ("P-5", "assigned=".to_owned(), Some("not-involved")),
        ("P-5", "assigned= status=review reviews=yes".to_owned(), None),
        ("P-5", "assigned= reviews=yes".to_owned(), Some("not-involved")),
        ("P-5", "by=agent:orch orchestrator=orch source=thread_update".to_owned(), None),
        (
            "P-5",
            "by=agent:orch orchestrator=orch source=thread_update assigned=".to_owned(),
            Some("not-involved"),
        ),
        ("P-6", "type=renamed".to_owned(), None),
        ("W-32", "status=archived".to_owned(), Some("archived-task")),
        ("W-32", "type=status_change status=archived".to_owned(), Some("archived-task")),
        ("D22", "type=mention status=archived by=user:user_1".to_owned(), Some("archived-task")),
        ("D22", "type=assignment status=archived".to_owned(), Some("archived-task")),
        ("D22", "type=response_request status=archived".to_owned(), Some("archived-task")),
        ("D16", "type=mention by=agent:agent-a".to_owned(), Some("own-message")),
        ("D16", "by=agent:agent-a".to_owned(), Some("own-message")),
        ("D16: a person's id may look the same", "type=mention by=user:agent-a".to_owned(), None),
        ("D16: its own assignment", "type=assignment created-by=agent-a".to_owned(), None),
        ("D-8", "session=".to_owned(), Some("no-session")),
    ];
    for (rule, changes, expected) in rows {
        let got = match judge(&with(&changes), WakeOn::All) {
            Verdict::Deliver => None,
            Verdict::Skip(why) => Some(why.name()),
        };
        assert_eq!(got, expected, "row {rule}: {changes}");
    }
    let mut blank = with("");
    blank.delivery_session_key = Some(SessionKey::new(" \t"));
    assert_eq!(judge(&blank, WakeOn::All), Verdict::Skip(Skip::NoSession), "PR-2");
}

/// The inputs of the rules with all their values. The first word names the input.
const LOOKED_AT: [&[&str]; 12] = [
    &["recipient", "agent", "user", "team"],
    &["agent", "there", "gone"],
    &["type", "thread_update", "mention", "assignment", "response_request", "status_change", "renamed"],
    &[
        "task",
        "none",
        "missing",
        "inbox",
        "assigned",
        "in_progress",
        "review",
        "done",
        "blocked",
        "archived",
        "paused",
    ],
    &["chat", "no", "yes"],
    &["orchestrator", "nobody", "recipient", "peer", "third"],
    &["author", "none", "person", "peer", "self"],
    &["source", "none", "thread_update", "mention"],
    &["assigned", "no", "yes"],
    &["reviews", "no", "yes"],
    &["later", "nobody", "agent", "person", "unlisted"],
    &["session", "there", "none"],
];

/// The rules of §3.1, §3.2 and §2.2 in their order, with the corrections of this runtime. The first matching
/// row counts. An input that a row does not name may have any value; `!` means any other value. `go` means
/// that the policy has no objection.
const POLICY: [(&str, &str); 19] = [
    ("recipient=user", "for-a-person"),
    ("agent=gone", "no-agent"),
    ("task=missing", "no-task"),
    // D16
    ("type=mention author=self", "own-message"),
    ("type=thread_update author=self", "own-message"),
    // P-1
    ("chat=yes orchestrator=recipient", "go"),
    ("chat=yes", "chat-is-for-the-orchestrator"),
    // D22, W-32
    ("task=archived", "archived-task"),
    // P-2, P-3
    ("type=thread_update task=done|blocked", "quiet-task"),
    ("type=status_change task=done|blocked", "quiet-task"),
    // P-4
    ("type=status_change task=review orchestrator=recipient", "go"),
    ("type=status_change task=review reviews=yes", "go"),
    ("type=status_change task=review", "not-a-reviewer"),
    // P-5, table 3.2
    ("type=thread_update author=peer orchestrator=recipient", "go"),
    ("type=thread_update author=peer orchestrator=!peer source=thread_update", "reply-loop"),
    ("type=thread_update author=peer task=!none assigned=yes", "go"),
    ("type=thread_update author=peer task=review reviews=yes", "go"),
    ("type=thread_update author=peer", "not-involved"),
    // P-6
    ("", "go"),
];

/// D-8 after the policy.
const READY: [(&str, &str); 3] = [
    // D-13
    ("type=thread_update author=person later=person", "stale-update"),
    ("session=none", "no-session"),
    ("", "deliver"),
];

type Picture = [u16; LOOKED_AT.len()];

fn compiled(rows: &[(&str, &'static str)]) -> Vec<(Picture, &'static str)> {
    rows.iter()
        .map(|(conditions, result)| {
            let mut picture = [u16::MAX; LOOKED_AT.len()];
            for condition in conditions.split_whitespace() {
                let (name, values) = condition.split_once('=').unwrap();
                let which = LOOKED_AT.iter().position(|list| list[0] == name).unwrap();
                let not = values.starts_with('!');
                let bit =
                    |value: &str| 1_u16 << LOOKED_AT[which][1..].iter().position(|v| *v == value).unwrap();
                let bits = values.trim_start_matches('!').split('|').fold(0, |bits, value| bits | bit(value));
                picture[which] = if not { !bits } else { bits };
            }
            (picture, *result)
        })
        .collect()
}

fn first_match(rows: &[(Picture, &'static str)], choice: &[usize; LOOKED_AT.len()]) -> &'static str {
    let fits = |picture: &Picture| picture.iter().zip(choice).all(|(bits, at)| bits & (1 << at) != 0);
    rows.iter().find(|(picture, _)| fits(picture)).unwrap().1
}

/// Changes the context to the chosen value of one input.
fn choose(c: &mut DeliveryContext, base: &DeliveryContext, name: &str, value: &str) {
    match name {
        "recipient" => c.notification.recipient_type = word(value),
        "agent" => c.agent = base.agent.clone().filter(|_| value == "there"),
        "type" => c.notification.kind = word(value),
        "task" => {
            c.notification.task_id = base.notification.task_id.clone().filter(|_| value != "none");
            c.task = base.task.clone().filter(|_| !["none", "missing"].contains(&value));
            if let Some(task) = &mut c.task {
                task.status = word(value);
            }
        }
        "chat" => set_task(c, |task| {
            task.labels = Vec::from_iter((value == "yes").then(|| Task::ORCHESTRATOR_CHAT.to_owned()));
        }),
        "orchestrator" => {
            c.orchestrator_agent_id = match value {
                "recipient" => Some(AgentId::new("agent-a")),
                "peer" => Some(AgentId::new("agent-b")),
                "third" => Some(AgentId::new("agent-c")),
                _ => None,
            }
        }
        "author" => {
            c.message = base.message.clone().filter(|_| value != "none");
            if let Some(message) = &mut c.message {
                let (kind, id) = match value {
                    "person" => (AuthorType::User, "user_1"),
                    "peer" => (AuthorType::Agent, "agent-b"),
                    _ => (AuthorType::Agent, "agent-a"),
                };
                message.author_type = Word::Known(kind);
                id.clone_into(&mut message.author_id);
            }
        }
        "source" => c.source_notification_type = Some(value).filter(|v| *v != "none").map(word),
        "assigned" => set_task(c, |task| {
            let id = if value == "yes" { "agent-a" } else { "agent-c" };
            task.assigned_agent_ids = vec![AgentId::new(id)];
        }),
        "reviews" => c.effective_behavior_flags.can_review_tasks = value == "yes",
        "later" => {
            let by = |author, id: &str| {
                let mut item = base.thread[1].clone();
                item.author_type = Word::Known(author);
                item.message_id = MessageId::new(id);
                item
            };
            c.thread = match value {
                "nobody" => vec![by(AuthorType::User, "m0"), by(AuthorType::User, "m2")],
                "agent" => {
                    vec![by(AuthorType::User, "m0"), by(AuthorType::User, "m2"), by(AuthorType::Agent, "m3")]
                }
                "person" => {
                    vec![by(AuthorType::User, "m2"), by(AuthorType::Agent, "m3"), by(AuthorType::User, "m4")]
                }
                _ => vec![by(AuthorType::User, "m0"), by(AuthorType::User, "m4")],
            };
        }
        "session" => c.delivery_session_key = base.delivery_session_key.clone().filter(|_| value == "there"),
        other => panic!("{other}?"),
    }
}

fn set_task(c: &mut DeliveryContext, change: impl FnOnce(&mut Task)) {
    if let Some(task) = &mut c.task {
        change(task);
    }
}

#[test]
fn every_combination_follows_the_table() {
    let (policy, ready) = (compiled(&POLICY), compiled(&READY));
    let base = context();
    let mut c = context();
    let mut choice = [0; LOOKED_AT.len()];
    let values = LOOKED_AT.map(|list| &list[1..]);
    for (list, values) in LOOKED_AT.iter().zip(values) {
        choose(&mut c, &base, list[0], values[0]);
    }
    let (mut judged, mut seen) = (0_u32, std::collections::BTreeSet::new());
    'all: loop {
        let says = |at: usize| values[at][choice[at]];
        // A missing task has no label.
        if says(4) == "no" || !["none", "missing"].contains(&says(3)) {
            let expected = match first_match(&policy, &choice) {
                "go" => first_match(&ready, &choice),
                skip => skip,
            };
            let got = match judge(&c, WakeOn::All) {
                Verdict::Deliver => "deliver",
                Verdict::Skip(why) => why.name(),
            };
            let said = || (0..LOOKED_AT.len()).map(|at| format!("{}={} ", LOOKED_AT[at][0], says(at)));
            assert_eq!(got, expected, "{}", said().collect::<String>());
            judged += 1;
            seen.insert(got);
        }
        // The next combination; the last input changes fastest.
        let mut at = LOOKED_AT.len();
        loop {
            if at == 0 {
                break 'all;
            }
            at -= 1;
            choice[at] = (choice[at] + 1) % values[at].len();
            choose(&mut c, &base, LOOKED_AT[at][0], values[at][choice[at]]);
            if LOOKED_AT[at][0] == "task" {
                // A new task keeps the chosen label.
                choose(&mut c, &base, "chat", values[4][choice[4]]);
                choose(&mut c, &base, "assigned", values[8][choice[8]]);
            }
            if choice[at] != 0 {
                break;
            }
        }
    }
    assert_eq!(judged, 3 * 2 * 6 * (2 + 8 * 2) * 4 * 4 * 3 * 2 * 2 * 4 * 2);
    // All but `/stop`, which depends on the text of a message, quiet mode, the loop brake and the two reasons of
    // heartbeats; and delivery itself.
    assert_eq!(seen.len(), Skip::ALL.len() - 4, "every reason occurs: {seen:?}");
}

/// Contract §8: `/stop`, alone and by a person, starts no agent.
#[test]
fn a_stop_by_a_person_starts_no_agent() {
    let rows = [
        ("/stop", AuthorType::User, true),
        (" /stop\n", AuthorType::User, true),
        ("/stop", AuthorType::Agent, false),
        ("/stop now", AuthorType::User, false),
        ("please /stop", AuthorType::User, false),
        ("/STOP", AuthorType::User, false),
    ];
    for kind in ["thread_update", "mention"] {
        for (words, author, stops) in rows {
            let mut c = context();
            c.notification.kind = word(kind);
            let message = c.message.as_mut().unwrap();
            (message.content, message.author_type) = (words.to_owned(), Word::Known(author));
            let expected = if stops { Verdict::Skip(Skip::StopCommand) } else { Verdict::Deliver };
            assert_eq!(judge(&c, WakeOn::All), expected, "{kind} {words:?} {author:?}");
        }
    }
}

/// The state that is read from the board if an agent calls after its delivery has ended.
#[test]
fn a_stop_holds_until_a_person_writes_again_or_the_task_moves_on() {
    let item = |author, content: &str| {
        let mut item = context().thread[0].clone();
        (item.author_type, item.content) = (Word::Known(author), content.to_owned());
        item
    };
    let stop = item(AuthorType::User, "/stop");
    let (agent, person) = (item(AuthorType::Agent, "Sure."), item(AuthorType::User, "Go on."));
    assert!(ends_with_stop(&[person.clone(), stop.clone(), agent.clone()]));
    assert!(
        !ends_with_stop(&[stop, agent.clone(), person]) && !ends_with_stop(&[agent]) && !ends_with_stop(&[])
    );
    let mut task = context().task.unwrap();
    task.blocked_reason = Some("Paused by user (/stop)".to_owned());
    for (status, paused) in [(TaskStatus::Blocked, true), (TaskStatus::InProgress, false)] {
        task.status = Word::Known(status);
        assert_eq!(is_paused(&task), paused, "{status:?}");
    }
    task.status = Word::Known(TaskStatus::Blocked);
    task.blocked_reason = Some("No password yet.".to_owned());
    assert!(!is_paused(&task), "what an agent blocks is not stopped");
}

#[test]
fn a_person_who_writes_again_makes_the_earlier_update_stale_d_13() {
    let stale = |changes: fn(&mut DeliveryContext)| {
        let mut c = with("by=user:user_1");
        c.thread[1].author_type = Word::Known(AuthorType::User);
        let (mut agent, mut person) = (c.thread[0].clone(), c.thread[1].clone());
        agent.message_id = MessageId::new("m3");
        person.message_id = MessageId::new("m4");
        c.thread.extend([agent, person]);
        changes(&mut c);
        judge(&c, WakeOn::All) == Verdict::Skip(Skip::StaleUpdate)
    };
    assert!(stale(|_| ()));
    assert!(!stale(|c| c.notification.message_id = None));
    assert!(!stale(|c| c.thread.truncate(3)));
    assert!(!stale(|c| c.thread.clear()));
    assert!(!stale(|c| c.notification.kind = word("assignment")));
    assert!(!stale(|c| c.notification.recipient_type = word("user")));
    assert!(!stale(|c| c.message.as_mut().unwrap().author_type = word("agent")));
    assert!(!stale(|c| c.message = None));
}

#[test]
fn an_agents_rights_follow_3_3() {
    for &status in TaskStatus::ALL {
        let quiet = matches!(status, TaskStatus::Done | TaskStatus::Blocked | TaskStatus::Archived);
        assert_eq!(is_quiet(status), quiet, "{status}");
    }
    let rows = [
        (Some(TaskStatus::InProgress), true, true, false),
        (Some(TaskStatus::Review), false, true, false),
        (Some(TaskStatus::Review), true, true, true),
        // D13: the backend's own rule counts as well
        (Some(TaskStatus::Review), true, false, false),
        (Some(TaskStatus::Done), true, true, false),
        (None, true, true, false),
    ];
    for (status, can_mark_done, backend_lets, expected) in rows {
        let flags = BehaviorFlags { can_mark_done, ..BehaviorFlags::default() };
        assert_eq!(may_mark_done(status, flags, backend_lets), expected, "P-8 {status:?} {can_mark_done}");
    }
    for can_review_tasks in [true, false] {
        assert_eq!(
            may_review(BehaviorFlags { can_review_tasks, ..BehaviorFlags::default() }),
            can_review_tasks
        );
    }
    assert!(!may_review(BehaviorFlags::default()), "P-9: absent");
    let rows = [
        ("agent-a,agent-b", true),
        ("agent-a", false),
        ("agent-a,agent-a", false),
        ("agent-b,agent-c", false),
        ("", false),
    ];
    for (assigned, expected) in rows {
        assert_eq!(is_multi_assignee(&with(&format!("assigned={assigned}"))), expected, "P-10 {assigned}");
    }
    let mut no_task = with("");
    no_task.task = None;
    assert!(!is_multi_assignee(&no_task), "P-10: no task");
    assert!(leads(&with("orchestrator=agent-a")), "P-13");
    assert!(!leads(&with("orchestrator=agent-b")) && !leads(&with("")), "P-13");
}

#[test]
fn silence_is_handled_by_table_2_4() {
    use OnSilence::{AskAgain, Close};
    // The type; by a person, by an agent, without a message; whether the briefing allows silence, in the same
    // three cases.
    let rows = [
        ("assignment", [AskAgain; 3], [false, false, false]),
        ("mention", [AskAgain; 3], [false, true, false]),
        ("response_request", [AskAgain; 3], [false, false, false]),
        ("thread_update", [AskAgain, Close, AskAgain], [false, true, false]),
        ("status_change", [Close; 3], [true, true, true]),
        ("member_added", [Close; 3], [true, true, true]),
        ("renamed", [Close; 3], [true, true, true]),
    ];
    for (kind, expected, invited) in rows {
        let kind: Word<NotificationType> = word(kind);
        for ((author, expected), invited) in
            [Some("user"), Some("agent"), None].into_iter().zip(expected).zip(invited)
        {
            let author: Option<Word<AuthorType>> = author.map(word);
            assert_eq!(on_silence(&kind, author.as_ref()), expected, "{kind} {author:?}");
            let mut c = with("");
            c.notification.kind = kind.clone();
            match author {
                Some(author) => c.message.as_mut().unwrap().author_type = author,
                None => c.message = None,
            }
            assert_eq!(may_stay_silent(&c), invited, "{kind}");
        }
    }
}

#[test]
fn every_reason_has_a_unique_name_and_sentence() {
    let names: std::collections::BTreeSet<_> = Skip::ALL.map(Skip::name).into();
    let sentences: std::collections::BTreeSet<_> = Skip::ALL.map(Skip::explain).into();
    assert_eq!((names.len(), sentences.len()), (Skip::ALL.len(), Skip::ALL.len()));
    for name in names {
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
    }
    let mut c = context();
    set_status(&mut c, TaskStatus::Archived);
    assert_eq!(judge(&c, WakeOn::All), Verdict::Skip(Skip::ArchivedTask));
}
