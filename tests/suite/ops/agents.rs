//! The figures of the agents: what is summed for each, and which agents are left out if there are too many.

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::operator_requests::Place;
use mission_control_runtime::delivery::{End, Record};
use mission_control_runtime::gateway::Usage;
use mission_control_runtime::model::Roster;
use mission_control_runtime::ops::agents::{AgentFigures, agents};
use mission_control_runtime::ops::{Case, Paused, TurnState, TurnStatus};
use serde_json::json;

use super::{NOW, secs};

/// A roster of agents whose slug is their id without the `k-`.
fn roster(slugs: &[&str]) -> Roster {
    let agents = slugs.iter().map(|slug| {
        json!({"_id": format!("k-{slug}"), "slug": slug, "name": slug.to_uppercase(), "role": "Works", "status": "idle"})
    });
    let agents = agents.map(|agent| serde_json::from_value(agent).unwrap()).collect();
    Roster::new(agents, None)
}

/// A delivery to this agent, with this many attempts and tokens.
fn case(id: &str, slug: &str, tries: u32, tokens: u64) -> Case {
    let row = json!({"_id": id, "type": "mention", "recipientType": "agent", "recipientId": format!("k-{slug}"),
        "taskId": "t1", "title": "", "body": "", "createdAt": (NOW - secs(60)).0});
    let mut record = Record { tries, ..Record::default() };
    record.spent = Usage { input_tokens: tokens, output_tokens: 1, ..Usage::default() }.into();
    Case { work: super::as_work(row), record, agent: slug.to_owned(), ..super::case(id) }
}

fn ended(case: Case, at: Millis, end: End) -> Case {
    Case { closed: Some((at, Some(end))), ..case }
}

fn slugs(shown: &[AgentFigures]) -> Vec<&str> {
    shown.iter().map(|agent| agent.slug.as_str()).collect()
}

#[test]
fn figures_are_summed_for_each_agent() {
    let turn = TurnStatus { state: TurnState::Working, since: NOW - secs(3), quiet: secs(1) };
    let cases = [
        ended(case("n1", "ben", 2, 100), NOW - secs(50), End::Answered(1)),
        ended(case("n2", "ben", 1, 50), NOW - secs(40), End::Answered(2)),
        ended(case("n3", "ben", 1, 5), NOW - secs(30), End::Dead("why".to_owned())),
        Case { place: Some(Place::Running), turn: Some(turn), ..case("n4", "ben", 1, 0) },
        Case { place: Some(Place::Ready), ..case("n5", "ben", 0, 0) },
        ended(case("n6", "gone", 1, 7), NOW - secs(10), End::Gone),
        Case { place: Some(Place::Ready), ..case("n7", "gone", 0, 0) },
    ];
    let mut paused = Paused::default();
    paused.pause(Some("ada"));
    let found = agents(&cases, &roster(&["ada", "ben"]), &paused, 10);
    assert_eq!((found.count, found.since), (3, Some(NOW - secs(60))));
    assert_eq!(slugs(&found.shown), ["ben", "gone", "ada"], "the busiest first");
    let [ben, gone, ada] = &found.shown[..] else { panic!("{found:?}") };
    assert_eq!((ben.turns, ben.tokens_read, ben.tokens_written), (5, 155, 5));
    assert_eq!((ben.in_flight, ben.unsettled, ben.paused, ben.known), (1, 2, false, true));
    assert_eq!(
        ben.ended.iter().map(|(name, count)| (*name, *count)).collect::<Vec<_>>(),
        [("answered", 2), ("dead", 1)]
    );
    assert_eq!((ben.name.as_str(), ben.last_at), ("BEN", Some(NOW - secs(3))));
    assert_eq!((ben.doing.len(), ben.doing[0].id.as_str()), (1, "n4"));
    assert_eq!(ben.cost, "asked 5 times, 155 tokens read and 5 written");
    assert_eq!((gone.known, gone.name.as_str(), gone.ended["gone"]), (false, "", 1));
    assert_eq!((ada.paused, ada.turns, ada.last_at, ada.unsettled), (true, 0, None, 0));
}

/// A removed agent is shown while it has open deliveries, and while its removal is not certain.
#[test]
fn a_removed_agent_without_open_deliveries_is_not_shown() {
    let done = ended(case("n1", "gone", 1, 7), NOW - secs(10), End::Answered(1));
    let open = Case { place: Some(Place::Ready), ..case("n2", "gone", 0, 0) };
    let team = || roster(&["ben"]);
    let rows = [
        (vec![done.clone()], team(), 1),
        (vec![done.clone(), open], team(), 2),
        (vec![done], team().unconfirmed(), 2),
    ];
    for (cases, roster, count) in rows {
        let found = agents(&cases, &roster, &Paused::default(), 10);
        assert_eq!((found.count, found.shown.len()), (count, count), "{cases:?}");
    }
}

#[test]
fn of_many_agents_only_the_relevant_are_shown() {
    let names: Vec<String> = (0..10_000).map(|number| format!("a{number:05}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut cases: Vec<Case> = (0..2_000)
        .map(|number| {
            let at = NOW - secs(2_000) + secs(number);
            ended(case(&format!("n{number}"), &format!("a{number:05}"), 9, 0), at, End::Answered(1))
        })
        .collect();
    cases.push(Case { place: Some(Place::Ready), ..case("w", "a09998", 0, 0) });
    cases.push(Case { place: Some(Place::Running), ..case("r", "a09997", 1, 0) });
    let mut paused = Paused::default();
    paused.pause(Some("a09999"));
    let found = agents(&cases, &roster(&names), &paused, 5);
    assert_eq!((found.count, found.shown.len()), (10_000, 5));
    // Working, waiting, paused, and the two with the latest ends, in the order of their turns.
    assert_eq!(slugs(&found.shown), ["a01998", "a01999", "a09997", "a09998", "a09999"]);
    // A pause of all agents says nothing about one of them.
    paused.pause(None);
    assert_eq!(
        slugs(&agents(&cases, &roster(&names), &paused, 5).shown),
        ["a01997", "a01998", "a01999", "a09997", "a09998"]
    );
    assert_eq!(agents(&[], &Roster::default(), &paused, 5).shown, []);
}
