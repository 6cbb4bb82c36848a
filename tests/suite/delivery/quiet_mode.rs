//! Which notifications address their agent.

use mission_control_runtime::delivery::policy::{Skip, Verdict, judge};
use mission_control_runtime::delivery::quiet_mode::is_addressed;
use mission_control_runtime::model::{DeliveryContext, WakeOn};
use serde_json::json;

use super::policy::with;

fn mentioned(changes: &str) -> DeliveryContext {
    let mut context = with(changes);
    let message = context.message.as_mut().unwrap();
    message.mentions =
        serde_json::from_value(json!([{"type": "agent", "id": "agent-a", "name": "Engineer"}])).unwrap();
    context
}

#[test]
fn quiet_mode_wakes_agents_that_are_mentioned_asked_or_assigned() {
    const CHAT: &str = "label=system:orchestrator-chat";
    let lead = "orchestrator=agent-a";
    // The difference from a thread update on a task of agent-a, by another agent; whether it addresses agent-a.
    let rows = [
        ("", true),
        ("assigned=", false),
        ("assigned=agent-b", false),
        ("assigned=agent-b,agent-a", true),
        ("assigned= by=user:user_1", false),
        ("assigned=agent-b type=mention", true),
        ("assigned=agent-b type=response_request", true),
        ("assigned=agent-b type=assignment", true),
        ("assigned=agent-b type=renamed", true),
        ("assigned=agent-b type=status_change", false),
        ("type=status_change", true),
        // A task in review asks its reviewers.
        ("assigned=agent-b type=status_change status=review", false),
        ("assigned=agent-b type=status_change status=review reviews=yes", true),
        ("assigned=agent-b status=review reviews=yes", true),
        ("assigned=agent-b status=in_progress reviews=yes", false),
    ];
    let of_lead = [
        ("assigned=agent-b", false),
        ("assigned=agent-b by=user:user_1", false),
        // No other agent would hear the person.
        ("assigned= by=user:user_1", true),
        ("assigned=agent-gone by=user:user_1", true),
        ("assigned= by=agent:agent-b", false),
    ];
    for (changes, expected) in rows {
        assert_eq!(is_addressed(&with(changes)), expected, "{changes}");
    }
    for (changes, expected) in of_lead {
        assert_eq!(is_addressed(&with(&format!("{lead} {changes}"))), expected, "{lead} {changes}");
    }
    assert!(is_addressed(&with(&format!("{CHAT} {lead} assigned=agent-b by=user:user_1"))));
    assert!(!is_addressed(&with(&format!("{CHAT} {lead} assigned=agent-b by=agent:agent-b"))));
    assert!(is_addressed(&mentioned("assigned=agent-b")), "the message mentions it");
}

#[test]
fn quiet_mode_skips_only_what_would_have_been_delivered() {
    let unaddressed = with("orchestrator=agent-a assigned=agent-b");
    assert_eq!(judge(&unaddressed, WakeOn::All), Verdict::Deliver);
    assert_eq!(judge(&unaddressed, WakeOn::Addressed), Verdict::Skip(Skip::NotAddressed));
    let done = with("assigned=agent-b status=done");
    assert_eq!(
        judge(&done, WakeOn::Addressed),
        Verdict::Skip(Skip::QuietTask),
        "the older reasons come first"
    );
    assert_eq!(judge(&with(""), WakeOn::Addressed), Verdict::Deliver);
}
