//! The contract's words and rules, as rows: §3.0 enumerations, §4 workflow, §5.1 notification states, §6 session
//! keys, §3.8 the delivery context as the real platform renders it.

use mission_control_runtime::clock::Millis;
use mission_control_runtime::model::TaskStatus::{
    Archived, Assigned, Blocked, Done, InProgress, Inbox, Review,
};
use mission_control_runtime::model::*;
use serde_json::json;

/// §4.1, the whole table.
const NEXT: [(TaskStatus, &[TaskStatus]); 7] = [
    (Inbox, &[Assigned, Archived]),
    (Assigned, &[InProgress, Blocked, Inbox, Archived]),
    (InProgress, &[Review, Blocked, Archived]),
    (Review, &[Done, InProgress, Blocked, Archived]),
    (Done, &[Archived]),
    (Blocked, &[Assigned, InProgress, Archived]),
    (Archived, &[]),
];

#[test]
fn a_status_follows_another_by_the_table_4_1() {
    for (from, next) in NEXT {
        for &to in TaskStatus::ALL {
            assert_eq!(may_move(from, to), next.contains(&to), "{from} -> {to}");
        }
    }
}

#[test]
fn an_agent_moves_a_task_by_the_table_4_3() {
    type Plan = Result<&'static [TaskStatus], &'static str>;
    const NO: Plan = Err("Invalid transition");
    const NOT_REVIEWED: Plan = Err("Forbidden: Task must be in review before marking done");
    // From: in_progress, review, done, blocked
    let rows: [(TaskStatus, [Plan; 4]); 7] = [
        (Inbox, [NO, NO, NOT_REVIEWED, NO]),
        (Assigned, [Ok(&[InProgress]), Ok(&[InProgress, Review]), NOT_REVIEWED, Ok(&[Blocked])]),
        (InProgress, [Ok(&[]), Ok(&[Review]), NOT_REVIEWED, Ok(&[Blocked])]),
        (Review, [Ok(&[InProgress]), Ok(&[]), Ok(&[Done]), Ok(&[Blocked])]),
        (Done, [NO, NO, Ok(&[]), NO]),
        (Blocked, [Ok(&[InProgress]), Ok(&[InProgress, Review]), NOT_REVIEWED, Ok(&[])]),
        (Archived, [NO, NO, NOT_REVIEWED, NO]),
    ];
    for (from, plans) in rows {
        for (to, plan) in [InProgress, Review, Done, Blocked].into_iter().zip(plans) {
            let got = plan_for_agent(from, to).map_err(|why| why.to_string());
            match plan {
                Ok(steps) => assert_eq!(got.as_deref(), Ok(steps), "{from} -> {to}"),
                Err(text) => assert!(got.unwrap_err().starts_with(text), "{from} -> {to}"),
            }
        }
        for to in [Inbox, Assigned, Archived] {
            assert_eq!(plan_for_agent(from, to), Err(WorkflowError::NotForAgents), "{from} -> {to}");
        }
    }
    let text = plan_for_agent(Inbox, Review).unwrap_err().to_string();
    assert_eq!(text, "Invalid transition: Cannot move from 'inbox' to 'review'");
}

#[test]
fn a_status_asks_for_what_table_4_2_says() {
    let rows = [
        (Assigned, Assignees::None, "", Some("Cannot move to 'assigned' without at least one assignee")),
        (Assigned, Assignees::Some, "", None),
        (Inbox, Assignees::Some, "", Some("Cannot move to 'inbox' while assignees remain")),
        (Inbox, Assignees::None, "", None),
        (InProgress, Assignees::None, "", Some("Cannot move to 'in_progress' without at least one assignee")),
        (InProgress, Assignees::Some, "", None),
        (Blocked, Assignees::Some, "", Some("Cannot move to 'blocked' without providing a reason")),
        (Blocked, Assignees::None, " ", None),
        (Review, Assignees::None, "", None),
        (Done, Assignees::None, "", None),
        (Archived, Assignees::None, "", None),
    ];
    for (to, assignees, reason, expected) in rows {
        let unmet = requirement(to, assignees, reason).map(|unmet| unmet.to_string());
        assert_eq!(unmet.as_deref(), expected, "{to}");
    }
}

#[test]
fn session_keys_are_spelled_as_section_6_says() {
    let (task, account) = (TaskId::new("kx75"), AccountId::new("k173"));
    let key = SessionKey::for_task(&task, "engineer", &account, 2);
    assert_eq!(key.expose(), "task:kx75:agent:engineer:k173:v2");
    assert_eq!(SessionKey::for_system("qa", &account, 1).expose(), "system:agent:qa:k173:v1");
    assert_eq!(format!("{key:?}"), "(session-key)");
    let rows = [
        ("task:T:agent:engineer:A:v1", SessionKind::Task, Some("engineer")),
        ("system:agent:squad-lead:A:v12", SessionKind::System, Some("squad-lead")),
        ("task:T:agent:engineer:A:v", SessionKind::Other, Some("engineer")),
        ("task:T:agent:engineer:A:vx", SessionKind::Other, Some("engineer")),
        ("task:T:agent::A:v1", SessionKind::Other, None),
        ("task::agent:engineer:A:v1", SessionKind::Other, Some("engineer")),
        ("agent:engineer:A", SessionKind::Other, None),
        ("main", SessionKind::Other, None),
        ("", SessionKind::Other, None),
    ];
    for (text, kind, slug) in rows {
        let key = SessionKey::new(text);
        assert_eq!((key.kind(), key.agent_slug()), (kind, slug), "{text}");
    }
}

#[test]
fn a_notification_stands_where_its_stamps_say_5_1() {
    use DeliveryState::{AttemptFailed, Delivered, InProgress, New};
    // readAt, deliveryEndedAt, deliveredAt
    let rows = [
        ([false, false, false], New),
        ([true, false, false], InProgress),
        ([true, true, false], AttemptFailed),
        ([true, false, true], Delivered),
        ([true, true, true], Delivered),
        ([false, false, true], Delivered),
        // after the runtime went offline: readAt is removed, deliveryEndedAt may stay
        ([false, true, false], New),
    ];
    for ([read, ended, delivered], expected) in rows {
        let mut row = json!({"_id": "n", "type": "mention", "recipientType": "agent", "recipientId": "a",
            "title": "t", "body": "b", "createdAt": 1.0});
        for (name, there) in [("readAt", read), ("deliveryEndedAt", ended), ("deliveredAt", delivered)] {
            if there {
                row[name] = json!(5.0);
            }
        }
        let row: Notification = serde_json::from_value(row).unwrap();
        assert_eq!(row.state(), expected);
        assert_eq!(row.is_typing(), expected == InProgress);
    }
}

#[test]
fn every_enumeration_has_the_contracts_words_3_0() {
    fn check<T: std::fmt::Display>(all: &[T], expected: &str) {
        let words: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(words.join(" "), expected);
    }
    check(TaskStatus::ALL, "inbox assigned in_progress review done blocked archived");
    check(AgentStatus::ALL, "online busy idle offline error");
    check(RuntimeStatus::ALL, "provisioning online degraded offline error");
    check(RecipientType::ALL, "user agent");
    check(AuthorType::ALL, "user agent");
    check(DocumentType::ALL, "deliverable note template reference");
    check(UpgradeStrategy::ALL, "immediate rolling canary");
    check(UpgradeStatus::ALL, "success failed rolled_back");
    check(
        NotificationType::ALL,
        "mention assignment thread_update status_change response_request member_added member_removed role_changed",
    );
}

#[test]
fn a_word_we_do_not_know_is_kept() {
    for (text, known) in [("review", Some(Review)), ("triage", None), ("", None), ("Review", None)] {
        let word: Word<TaskStatus> = serde_json::from_value(json!(text)).unwrap();
        assert_eq!(word.known(), known);
        assert_eq!(word.to_string(), text);
        assert_eq!(serde_json::to_value(&word).unwrap(), json!(text));
    }
}

#[test]
fn lengths_are_counted_as_the_backend_counts_them() {
    for (text, expected) in [("abc", 3), ("äöü", 3), ("🎉", 2), ("e\u{301}", 2), ("", 0)] {
        assert_eq!(limits::chars(text), expected, "{text}");
        // Long enough for several blocks of the count, in which characters begin at any position.
        let long = format!("x{}", text.repeat(300));
        assert_eq!(limits::chars(&long), 1 + 300 * expected, "{text}");
    }
}

/// The example of §3.8, in short: floats for whole numbers, fractional `_creationTime`, explicit nulls, fields that
/// we do not read and one that nobody knows yet.
#[test]
fn a_delivery_context_is_read_as_the_platform_renders_it() {
    let text = r##"{
      "notification": {"_id": "jn7c", "_creationTime": 1765526400123.4412, "accountId": "k173",
        "type": "thread_update", "recipientType": "agent", "recipientId": "js70", "taskId": "kx75",
        "messageId": "kd76", "title": "Dana Reyes replied", "body": "New message in task \"Fix login redirect\"",
        "createdAt": 1765526400120.0},
      "agent": {"_id": "js70", "_creationTime": 1764000000000.5, "accountId": "k173", "name": "Engineer",
        "slug": "engineer", "role": "Full-stack engineer", "status": "online", "currentTaskId": "kx75",
        "lastHeartbeat": 1765526100000.0, "heartbeatInterval": 15.0, "icon": "Code2", "soulContent": "# SOUL ...",
        "openclawConfig": {"model": "minimax-m2.5", "temperature": 0.7, "maxTokens": 4096.0, "skillIds": ["kn71"],
          "contextConfig": {"maxHistoryMessages": 50.0, "includeTaskContext": true, "includeTeamContext": true},
          "behaviorFlags": {"canCreateTasks": false}},
        "createdAt": 1764000000000.0},
      "task": {"_id": "kx75", "_creationTime": 1765440000000.25, "accountId": "k173", "title": "Fix login redirect",
        "description": "After SSO the user lands on /404.", "status": "in_progress", "priority": 2.0,
        "assignedUserIds": ["user_2abC"], "assignedAgentIds": ["js70"], "labels": ["bug"],
        "metadata": {"prNumber": 65.0}, "createdBy": "user_2abC", "createdAt": 1765440000000.0,
        "updatedAt": 1765520000000.0, "lastMessageAt": 1765520000000.0},
      "message": {"_id": "kd76", "_creationTime": 1765526400119.75, "accountId": "k173", "taskId": "kx75",
        "authorType": "user", "authorId": "user_2abC", "content": "Does this also happen on mobile?",
        "mentions": [{"type": "agent", "id": "js72", "name": "QA", "slug": "qa"}], "createdAt": 1765526400118.0},
      "thread": [{"messageId": "kd75", "authorType": "agent", "authorId": "js70", "authorName": null,
        "content": "Reproduced on staging.", "createdAt": 1765520000000.0}],
      "sourceNotificationType": null, "orchestratorAgentId": "js71",
      "primaryUserMention": {"id": "user_2abC", "name": "Dana Reyes", "email": null},
      "mentionableAgents": [{"id": "js70", "slug": "engineer", "name": "Engineer", "role": "Full-stack engineer"}],
      "assignedAgents": [],
      "effectiveBehaviorFlags": {"canCreateTasks": true, "canModifyTaskStatus": true, "canCreateDocuments": true,
        "canMentionAgents": true, "canReviewTasks": false, "canMarkDone": false, "requiresApprovalForActions": []},
      "deliverySessionKey": "task:kx75:agent:engineer:k173:v1",
      "repositoryDoc": {"title": "Repository — Primary", "content": "Clone path ..."},
      "globalBriefingDoc": null,
      "taskOverview": {"totals": [{"status": "inbox", "count": 3.0}], "topTasks": [{"status": "inbox",
        "tasks": [{"taskId": "t", "title": "x", "status": "inbox", "priority": 1.0,
          "assignedAgentIds": [], "assignedUserIds": []}]}]},
      "somethingNew": {"a": [1]}
    }"##;
    let context: DeliveryContext = serde_json::from_str(text).unwrap();
    assert_eq!(context.notification.created_at, Millis(1_765_526_400_120));
    assert_eq!(context.notification.kind, NotificationType::ThreadUpdate);
    let task = context.task.unwrap();
    assert_eq!((task.status.known(), task.metadata.unwrap().pr_number), (Some(InProgress), Some(65.0)));
    assert_eq!(context.message.unwrap().mentions[0].slug.as_deref(), Some("qa"));
    assert_eq!(context.thread[0].author_name, None);
    assert_eq!(context.primary_user_mention.unwrap().email, None);
    assert!(context.effective_behavior_flags.can_create_tasks);
    assert_eq!(context.delivery_session_key.unwrap().kind(), SessionKind::Task);
    assert_eq!(context.task_overview.unwrap().totals[0].count, 3);
    let agent = context.agent.unwrap();
    assert_eq!(agent.openclaw_config.unwrap().skill_ids, [SkillId::new("kn71")]);

    // The least there can be: a notification to a person, without a task.
    let least = json!({"notification": {"_id": "n", "type": "brand_new", "recipientType": "user", "recipientId": "u",
        "title": "", "body": "", "createdAt": 0}, "agent": null, "task": null, "message": null});
    let least: DeliveryContext = serde_json::from_value(least).unwrap();
    assert_eq!(least.notification.kind.to_string(), "brand_new");
    assert_eq!(least.effective_behavior_flags, BehaviorFlags::default());
}

/// Numbers that the backend does not check (§2.16, §2.20) must not make a task, and with it a whole list, unreadable.
#[test]
fn an_odd_number_in_a_task_is_its_own_problem() {
    let odd = ["0.5", "1e300", "-1", "\"NaN\"", "{\"$float\":\"AAAAAAAA8H8=\"}", "null"];
    for (pr, due) in odd.iter().flat_map(|pr| odd.iter().map(move |due| (pr, due))) {
        let text = format!(
            r#"[{{"_id":"t","title":"T","status":"review","priority":{{}},"createdBy":"u","createdAt":1,"updatedAt":2,
                "metadata":{{"prNumber":{pr}}},"dueDate":{due}}}]"#
        );
        let text = text.replace("{}", "2.5");
        let tasks: Vec<Task> = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"));
        assert_eq!(tasks[0].id, TaskId::new("t"));
    }
}
