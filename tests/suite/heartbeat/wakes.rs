//! The queues: limits, rights, restarts.

use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::heartbeat::session::Naming;
use mission_control_runtime::heartbeat::wake::{
    EVENTS_MAX, EVENTS_OF_ALL_MAX, Figures, PAUSE, Queued, TEXT_BYTES_MAX, WakeCaller, WakeKind, WakeQueues,
    WakeRefusal, WakeRequest, When,
};
use mission_control_runtime::model::{AccountId, AgentId, Roster};
use serde_json::json;

const NOW: Millis = Millis(1_000_000);
const DONE: &str = "Exec finished: ok";

fn knows(slug: &str) -> bool {
    ["ben", "ada", "lead"].contains(&slug)
}

/// A roster of agents, each given by its id and slug.
fn roster(agents: &[(&str, &str)]) -> Roster {
    let row = |(id, slug): &(&str, &str)| json!({"_id": id, "name": slug, "slug": slug, "role": "", "status": "idle"});
    let rows: Vec<_> = agents.iter().map(row).collect();
    Roster::new(serde_json::from_value(json!(rows)).unwrap(), None)
}

fn team() -> Roster {
    roster(&[("a1", "ben"), ("a2", "ada"), ("a3", "lead")])
}

fn caller(slug: &str) -> WakeCaller<'_> {
    WakeCaller { slug, session: "system:agent:x:acc:v1", leads: slug == "lead" }
}

fn account() -> AccountId {
    AccountId::new("acc")
}

fn nothing() -> WakeQueues {
    WakeQueues::of(&account())
}

fn request<'a>(kind: WakeKind, text: &'a str, session: Option<&'a str>) -> WakeRequest<'a> {
    WakeRequest { kind, text, reason: None, session, naming: Naming::default(), name: None }
}

fn take(
    wakes: &mut WakeQueues,
    by: &str,
    request: &WakeRequest<'_>,
    now: Millis,
) -> Result<Queued, WakeRefusal> {
    wakes.take(request, caller(by), &knows, now)
}

fn texts(wakes: &WakeQueues, agent: &str) -> Vec<String> {
    wakes.waiting(agent).0.into_iter().map(|event| event.text.clone()).collect()
}

/// The sum of all queues is bounded for any number of agents; the oldest events are removed first.
#[test]
fn the_sum_of_all_queues_is_bounded() {
    let mut wakes = nothing();
    let full = EVENTS_OF_ALL_MAX / EVENTS_MAX;
    for number in 0..EVENTS_OF_ALL_MAX + 3 {
        let key = format!("agent:a{}:main", number % (full + 1));
        let text = number.to_string();
        let request = request(WakeKind::Event, &text, Some(&key));
        let taken = wakes.take(&request, caller("lead"), &|_| true, NOW).unwrap();
        assert!(!taken.dropped, "this agent has room");
    }
    let figures = wakes.figures();
    assert_eq!((figures.waiting, figures.dropped), (EVENTS_OF_ALL_MAX, 3));
    assert_eq!(texts(&wakes, "a2")[0], (full + 1 + 2).to_string(), "the third was the last to go");
    assert_eq!((wakes.waiting("a0").1, wakes.waiting("a3").1), (1, 0), "each agent hears how many");
}

/// The kind of event, its text, and when the agent is woken.
#[test]
fn only_a_wake_and_the_end_of_a_command_wake_an_agent() {
    let rows = [
        (WakeKind::Event, DONE, When::Now),
        (WakeKind::Event, "Exec failed (a, code 1)", When::Now),
        (WakeKind::Event, "Exec running (gateway id=g1, session=s1, >5s): ls", When::NextBeat),
        (WakeKind::Event, "Exec denied (gateway id=g1, reason): rm", When::NextBeat),
        (WakeKind::Event, "Cron: rotate logs", When::NextBeat),
        (WakeKind::Wake, "Cron: rotate logs", When::Now),
        (WakeKind::Wake, DONE, When::Now),
        (WakeKind::Wake, "Exec running (gateway id=g1, session=s1, >5s): ls", When::NextBeat),
        (WakeKind::Wake, "Exec denied (gateway id=g1, reason): rm", When::NextBeat),
    ];
    for (kind, text, when) in rows {
        let mut wakes = nothing();
        let taken = take(&mut wakes, "ben", &request(kind, text, None), NOW).unwrap();
        assert_eq!((taken.when, taken.agent.as_str(), taken.waiting), (when, "ben", 1), "{kind:?} {text}");
        assert_eq!(texts(&wakes, "ben"), [text], "it is heard in any case");
        let due = if when == When::Now { vec!["ben".to_owned()] } else { Vec::new() };
        assert_eq!(wakes.due(NOW), due);
    }
}

/// The caller, its session, and the recipient or the refusal.
#[test]
fn an_agent_wakes_itself_and_the_orchestrator_any_agent() {
    let rows: [(&str, Option<&str>, Result<&str, WakeRefusal>); 14] = [
        ("ben", None, Ok("ben")),
        ("Ben", Some("agent:BEN:main"), Ok("ben")),
        ("ben", Some("agent:ben:cron:j:run:1:subagent:x"), Ok("ben")),
        ("ben", Some("task:k1:agent:ben:acc:v1"), Ok("ben")),
        ("ben", Some("system:agent:ben:acc:v1"), Ok("ben")),
        // Without a recipient, the event is for the caller itself.
        ("ben", Some("main"), Ok("ben")),
        ("ben", Some("global"), Ok("ben")),
        ("ben", Some("agent:ada:main"), Err(WakeRefusal::Forbidden)),
        ("ben", Some("agent:ada:cron:j:run:1"), Err(WakeRefusal::Forbidden)),
        ("ben", Some("agent:nobody:main"), Err(WakeRefusal::Forbidden)),
        ("lead", Some("agent:ada:main"), Ok("ada")),
        ("lead", Some("system:agent:ada:acc:v1"), Ok("ada")),
        ("lead", Some("agent:nobody:main"), Err(WakeRefusal::UnknownAgent)),
        ("lead", None, Ok("lead")),
    ];
    for (by, session, expected) in rows {
        let mut wakes = nothing();
        let taken = take(&mut wakes, by, &request(WakeKind::Wake, "hello", session), NOW);
        assert_eq!(
            taken.as_ref().map(|taken| taken.agent.as_str()),
            expected.as_ref().copied(),
            "{by} {session:?}"
        );
        let waits = expected.map_or(0, |agent| wakes.waiting(agent).0.len());
        assert_eq!(waits, usize::from(taken.is_ok()));
    }
}

#[test]
fn the_length_of_texts_is_limited() {
    let (longest, long) = ("é".repeat(TEXT_BYTES_MAX / 2), "x".repeat(TEXT_BYTES_MAX + 1));
    let rows = [
        ("", Some(WakeRefusal::Empty)),
        (" \n", Some(WakeRefusal::Empty)),
        (&long, Some(WakeRefusal::TooLong)),
        (&longest, None),
    ];
    for (text, expected) in rows {
        let mut wakes = nothing();
        assert_eq!(take(&mut wakes, "ben", &request(WakeKind::Event, text, None), NOW).err(), expected);
    }
    for refusal in
        [WakeRefusal::Empty, WakeRefusal::TooLong, WakeRefusal::UnknownAgent, WakeRefusal::Forbidden]
    {
        assert!(!refusal.explain().is_empty());
        assert!(refusal.field().is_some());
    }
}

#[test]
fn a_queue_keeps_the_newest_twenty_events() {
    let mut wakes = nothing();
    for number in 1..=25 {
        let taken = take(&mut wakes, "ben", &request(WakeKind::Event, &format!("event {number}"), None), NOW)
            .unwrap();
        assert_eq!((taken.waiting, taken.dropped), (number.min(EVENTS_MAX), number > EVENTS_MAX));
    }
    take(&mut wakes, "ada", &request(WakeKind::Event, "hers", None), NOW).unwrap();
    let (events, dropped) = wakes.waiting("ben");
    assert_eq!(
        (events.len(), events[0].text.as_str(), events[19].text.as_str()),
        (20, "event 6", "event 25")
    );
    assert_eq!((dropped, wakes.figures().dropped, texts(&wakes, "ada")), (5, 5, vec!["hers".to_owned()]));
    // An event that arrives during a heartbeat waits for the next one.
    let last = wakes.waiting("ben").0[19].number;
    take(&mut wakes, "ben", &request(WakeKind::Event, "late", None), NOW).unwrap();
    wakes.shown("ben", last);
    assert_eq!((texts(&wakes, "ben"), wakes.waiting("ben").1), (vec!["late".to_owned()], 0));
    let figures = Figures { waiting: 2, due: 0, taken: 27, asked: 0, dropped: 6 };
    assert_eq!(wakes.figures(), figures);
}

/// Another version may have left more events than this one keeps: the next event removes the excess.
#[test]
fn a_queue_of_another_version_is_cut_to_twenty() {
    let mut wakes = nothing();
    take(&mut wakes, "ben", &request(WakeKind::Event, "first", None), NOW).unwrap();
    let mut left: serde_json::Value = serde_json::from_str(&wakes.stored()).unwrap();
    let events = left["agents"]["ben"]["events"].as_array_mut().unwrap();
    events.extend(vec![events[0].clone(); 30]);
    let mut wakes = WakeQueues::recall(&left.to_string(), &account(), NOW).unwrap();
    let taken = take(&mut wakes, "ben", &request(WakeKind::Event, "last", None), NOW).unwrap();
    assert_eq!((taken.waiting, taken.dropped, wakes.figures().dropped), (EVENTS_MAX, true, 12));
    assert_eq!(texts(&wakes, "ben").last().map(String::as_str), Some("last"));
}

#[test]
fn one_wake_in_ten_seconds_and_no_request_is_lost() {
    let mut wakes = nothing();
    let after = |ms: i64| Millis(NOW.0 + ms);
    let mut when =
        |at: Millis| take(&mut wakes, "ben", &request(WakeKind::Wake, "go", None), at).unwrap().when;
    assert_eq!([when(NOW), when(NOW)], [When::Now, When::Now], "no wake came before");
    assert_eq!((wakes.due(NOW), wakes.due(NOW)), (vec!["ben".to_owned()], vec![]));
    let mut when =
        |at: Millis| take(&mut wakes, "ben", &request(WakeKind::Wake, "go", None), at).unwrap().when;
    assert_eq!([when(after(1)), when(after(9_999))], [When::At(NOW + PAUSE); 2]);
    assert_eq!(wakes.wake_at(), Some(NOW + PAUSE));
    assert_eq!(
        take(&mut wakes, "ada", &request(WakeKind::Wake, "go", None), after(1)).unwrap().when,
        When::Now
    );
    assert_eq!(wakes.due(after(9_999)), ["ada"]);
    assert_eq!(wakes.due(after(10_000)), ["ben"], "all of them in one");
    assert_eq!((wakes.due(after(60_000)), wakes.wake_at()), (vec![], None));
    // A clock that was set back delays no wake for hours.
    let earlier = NOW - Duration::from_hours(5);
    let taken = take(&mut wakes, "ben", &request(WakeKind::Wake, "go", None), earlier).unwrap();
    assert_eq!(taken.when, When::At(earlier + PAUSE));
}

/// A scheduled heartbeat shows the event, so its wake is no longer needed.
#[test]
fn a_shown_event_wakes_no_agent() {
    let mut wakes = nothing();
    take(&mut wakes, "ben", &request(WakeKind::Event, DONE, None), NOW).unwrap();
    let last = wakes.waiting("ben").0[0].number;
    wakes.shown("ben", last);
    assert_eq!((wakes.due(NOW), texts(&wakes, "ben")), (vec![], vec![]));
}

#[test]
fn waiting_events_survive_a_restart() {
    let mut wakes = nothing();
    let run = "agent:ben:cron:j:run:1";
    let one = WakeRequest { reason: Some(" exec-event "), ..request(WakeKind::Event, DONE, Some(run)) };
    take(&mut wakes, "ben", &one, NOW).unwrap();
    wakes.due(NOW);
    take(&mut wakes, "ben", &one, NOW).unwrap();
    let stored = wakes.stored();
    let next = WakeQueues::recall(&stored, &account(), NOW).unwrap();
    assert_eq!(next.stored(), stored);
    let event = next.waiting("ben").0[0];
    assert_eq!((event.reason.as_deref(), event.queue.expose()), (Some("exec-event"), "agent:ben:main"));
    assert!(!format!("{next:?}").contains("agent:ben"), "a key is shown in no log");
    assert_eq!(next.wake_at(), Some(NOW + PAUSE), "the pause goes on");
    let early = WakeQueues::recall(&stored, &account(), Millis(5)).unwrap();
    assert_eq!(early.wake_at(), Some(Millis(5) + PAUSE), "also if the clock was set back");
    for broken in ["", "{}", "null", &stored.replace("\"version\":1", "\"version\":2"), &stored[1..]] {
        assert!(WakeQueues::recall(broken, &account(), NOW).is_none(), "{broken}");
    }
    assert!(
        WakeQueues::recall(&stored, &AccountId::new("other"), NOW).is_none(),
        "another account has other agents"
    );
}

/// An agent keeps its events under a new slug. Events of an agent that is gone are deleted, counted and named.
#[test]
fn events_stay_with_their_agent_until_it_is_gone() {
    let mut wakes = nothing();
    for slug in ["ben", "ada"] {
        take(&mut wakes, slug, &request(WakeKind::Event, slug, None), NOW).unwrap();
    }
    assert!(wakes.tidy(&team(), NOW).is_empty());
    let mut wakes = WakeQueues::recall(&wakes.stored(), &account(), NOW).unwrap();
    // The two have exchanged their slugs.
    assert!(wakes.tidy(&roster(&[("a1", "Ada"), ("a2", "ben")]), NOW).is_empty());
    assert_eq!(
        (texts(&wakes, "ada"), texts(&wakes, "ben")),
        (vec!["ben".to_owned()], vec!["ada".to_owned()])
    );
    let renamed = roster(&[("a1", "benny"), ("a3", "ada")]);
    assert!(wakes.tidy(&renamed.clone().unconfirmed(), NOW).is_empty(), "it may be a mistake");
    assert_eq!(wakes.slug_of(&AgentId::new("a2"), "new"), "ben");
    assert_eq!(wakes.tidy(&renamed, NOW), [("ben".to_owned(), 1)]);
    assert_eq!((texts(&wakes, "benny"), wakes.figures().dropped), (vec!["ben".to_owned()], 1));
    // A new agent with the slug of an agent that is gone gets none of its events.
    assert_eq!(wakes.tidy(&roster(&[("a9", "benny")]), NOW), [("benny".to_owned(), 1)]);
    assert_eq!((wakes.figures().waiting, wakes.figures().dropped), (0, 2));
}

/// Events that were accepted under the new slug before the queue was moved are joined with the earlier ones.
#[test]
fn events_under_both_slugs_of_an_agent_are_joined() {
    let mut wakes = nothing();
    let send = |wakes: &mut WakeQueues, slug: &str, text: &str| {
        take(wakes, slug, &request(WakeKind::Event, text, None), NOW).unwrap();
    };
    send(&mut wakes, "ben", "one");
    wakes.tidy(&team(), NOW);
    for number in 2..=EVENTS_MAX + 1 {
        send(&mut wakes, "benny", &format!("{number}"));
    }
    wakes.tidy(&roster(&[("a1", "benny")]), NOW);
    let joined = texts(&wakes, "benny");
    assert_eq!((joined.len(), joined[0].as_str(), wakes.figures().dropped), (EVENTS_MAX, "2", 1));
}

/// An event waits once under its key. Another event under the same key, or the key of another agent, is a different one.
#[test]
fn an_event_with_a_key_is_accepted_once() {
    let mut wakes = nothing();
    let named = |text, session| WakeRequest { name: Some("n1"), ..request(WakeKind::Wake, text, session) };
    let rows = [
        ("ben", "one", None, 1),
        ("ben", "one", None, 1),
        ("ben", "two", None, 2),
        ("lead", "one", Some("agent:ben:main"), 3),
        ("lead", "one", Some("agent:ben:main"), 3),
    ];
    for (by, text, session, waiting) in rows {
        let taken = take(&mut wakes, by, &named(text, session), NOW).unwrap();
        assert_eq!((taken.waiting, taken.when, taken.dropped), (waiting, When::Now, false), "{by} {text}");
        wakes = WakeQueues::recall(&wakes.stored(), &account(), NOW).unwrap();
    }
    assert_eq!((wakes.figures().asked, wakes.waiting("ben").0[2].by.as_str()), (3, "lead"));
    wakes.due(NOW);
    let again = take(&mut wakes, "ben", &named("one", None), NOW).unwrap();
    assert_eq!((again.when, wakes.wake_at()), (When::NextBeat, None), "a repetition wakes no agent again");
    for _ in 0..2 {
        take(&mut wakes, "ben", &request(WakeKind::Event, "one", None), NOW).unwrap();
    }
    assert_eq!(wakes.figures().waiting, 5, "without a name each is one");
}

type Act = fn(&mut WakeQueues);

/// The stored form differs after each change, and is the same without a change.
#[test]
fn each_change_of_the_stored_form_is_counted() {
    fn takes(wakes: &mut WakeQueues) {
        take(wakes, "ben", &WakeRequest { name: Some("n"), ..request(WakeKind::Event, DONE, None) }, NOW)
            .unwrap();
    }
    let acts: [(&str, Act, bool); 11] = [
        ("nothing is due", |wakes| drop(wakes.due(NOW)), false),
        ("one is taken", takes, true),
        ("once more", takes, false),
        ("it is due", |wakes| drop(wakes.due(NOW)), true),
        ("no more", |wakes| drop(wakes.due(NOW)), false),
        ("of somebody else", |wakes| wakes.shown("ada", 9), false),
        ("its agent is found", |wakes| drop(wakes.tidy(&team(), NOW)), true),
        ("all are there", |wakes| drop(wakes.tidy(&team(), NOW)), false),
        ("it is shown", |wakes| wakes.shown("ben", 9), true),
        ("too early", |wakes| drop(wakes.tidy(&team(), NOW)), false),
        ("all is done", |wakes| drop(wakes.tidy(&team(), NOW + PAUSE)), true),
    ];
    let mut wakes = nothing();
    for (what, act, changes) in acts {
        let (stored, before) = (wakes.stored(), wakes.changes());
        act(&mut wakes);
        assert_eq!((wakes.stored() != stored, wakes.changes() != before), (changes, changes), "{what}");
    }
}
