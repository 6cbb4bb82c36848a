//! The requests of operators.

use std::collections::HashSet;
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::dead_letters::DeadLetter;
use mission_control_runtime::delivery::operator_requests::{
    Hold, OperatorReply, OperatorRequest, Pending, Place, Refused,
};
use mission_control_runtime::work::WorkId;

use super::world::{Fate, World};

const HOUR: Duration = Duration::from_hours(1);

fn id(id: &str) -> WorkId {
    WorkId::new(id)
}

fn look(world: &mut World) -> (Vec<Pending>, Vec<DeadLetter>) {
    match world.ask(OperatorRequest::Look) {
        OperatorReply::Rows(pending, shelved) => (pending, shelved),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn done(answer: &OperatorReply) {
    assert!(matches!(answer, OperatorReply::Done | OperatorReply::Decided(_)), "{answer:?}");
}

#[track_caller]
fn refused(answer: &OperatorReply, why: Refused) {
    assert!(matches!(answer, OperatorReply::Refused(refused) if *refused == why), "{answer:?}");
}

fn hold(all: bool, agents: &[&str]) -> OperatorRequest {
    OperatorRequest::Hold(Hold {
        all,
        agents: agents.iter().map(|agent| (*agent).to_owned()).collect::<HashSet<_>>(),
        ..Hold::default()
    })
}

#[test]
fn a_pause_holds_new_turns_and_running_ones_continue() {
    for wish in [hold(true, &[]), hold(false, &["agent"])] {
        let mut world = World::new(2);
        world.turns_take(1_000);
        world.arrive("t1", "mention", "a");
        world.run_for(Duration::from_millis(500));
        done(&world.ask(wish));
        world.arrive("t2", "mention", "b");
        world.run_for(HOUR);
        assert_eq!((world.started(), world.settled_of("t1")), (vec!["a".to_owned()], vec!["a".to_owned()]));
        done(&world.ask(hold(false, &["somebody-else"])));
        world.run_for(Duration::from_secs(2));
        assert_eq!(world.settled_of("t2"), ["b"]);
    }
}

#[test]
fn pending_rows_are_shown_with_their_place() {
    let mut world = World::new(1);
    world.fates.insert("a".to_owned(), Fate::Fail { pause_ms: 3_600_000 });
    world.turn_takes("t2", 10_000);
    world.arrive("t1", "mention", "a");
    world.run_for(Duration::from_secs(1));
    for (track, row) in [("t1", "b"), ("t2", "c"), ("t3", "d")] {
        world.arrive(track, "mention", row);
    }
    world.run_for(Duration::from_secs(2));
    let (pending, shelved) = look(&mut world);
    let places: Vec<_> = pending.iter().map(|row| (row.work.id.as_str(), &row.place)).collect();
    assert!(matches!(places[0], ("a", Place::Rests(_))), "{places:?}");
    let first = id("a");
    assert_eq!(places[1..], [("b", &Place::Behind(first)), ("c", &Place::Running), ("d", &Place::Ready)]);
    assert!(pending[0].trouble.is_some() && shelved.is_empty());
}

#[test]
fn a_retried_dead_letter_starts_without_being_listed() {
    let mut world = World::new(2);
    world.fates.insert("a".to_owned(), Fate::Dead);
    world.arrive("t1", "mention", "a");
    world.run_for(Duration::from_secs(5));
    world.settle_elsewhere("a");
    world.run_for(HOUR);
    let (pending, shelved) = look(&mut world);
    assert_eq!((pending.len(), shelved.len(), &*shelved[0].why), (0, 1, "no"));
    assert_eq!(world.dispatcher.state().dead, 1);
    world.fates.clear();
    done(&world.ask(hold(true, &[])));
    done(&world.ask(OperatorRequest::Retry(id("a"))));
    world.run_for(HOUR);
    let (pending, shelved) = look(&mut world);
    assert_eq!((pending.len(), shelved.len()), (1, 0), "lists without it do not close it");
    assert!(pending[0].record.reopened);
    refused(&world.ask(OperatorRequest::Retry(id("a"))), Refused::UnderWay);
    refused(&world.ask(OperatorRequest::Drop(id("a"))), Refused::UnderWay);
    done(&world.ask(hold(false, &[])));
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.started(), ["a", "a"]);
    refused(&world.ask(OperatorRequest::Retry(id("a"))), Refused::NotDead);
}

#[test]
fn a_dropped_dead_letter_is_only_marked_if_listed_again() {
    let mut world = World::new(2);
    world.fates.insert("a".to_owned(), Fate::Dead);
    world.arrive("t1", "mention", "a");
    world.run_for(Duration::from_secs(5));
    done(&world.ask(OperatorRequest::Drop(id("a"))));
    refused(&world.ask(OperatorRequest::Drop(id("a"))), Refused::NotDead);
    refused(&world.ask(OperatorRequest::Retry(id("a"))), Refused::NotDead);
    assert_eq!(world.dispatcher.state().stats.of("dropped"), 1);
    // The backend continues to list it, and the mark fails permanently: it is not given up again.
    world.arrive("t1", "mention", "a");
    world.run_for(Duration::from_secs(5));
    assert_eq!((world.started().len(), world.dispatcher.state().dead), (2, 0));
}

#[test]
fn a_row_that_is_given_up_starts_at_once_despite_a_pause() {
    let mut world = World::new(2);
    world.fates.insert("a".to_owned(), Fate::FailOnce { pause_ms: 3_600_000 });
    world.arrive("t1", "mention", "a");
    world.run_for(Duration::from_secs(5));
    refused(&world.ask(OperatorRequest::GiveUp(id("b"))), Refused::NotUnderWay);
    done(&world.ask(hold(true, &[])));
    done(&world.ask(OperatorRequest::GiveUp(id("a"))));
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.started(), ["a", "a"]);
}

#[test]
fn no_retry_starts_after_the_order_to_stop() {
    let mut world = World::new(2);
    world.fates.insert("a".to_owned(), Fate::Dead);
    world.arrive("t1", "mention", "a");
    world.run_for(Duration::from_secs(5));
    world.stop();
    refused(&world.ask(OperatorRequest::Retry(id("a"))), Refused::Stopping);
    assert_eq!(look(&mut world).1.len(), 1);
}

/// The backend refuses the mark of a dead row and continues to list it for hours. The row was given up once, for its first
/// reason.
#[test]
fn a_dead_row_counts_once_however_often_its_mark_is_refused() {
    let mut world = World::new(2);
    world.fates.insert("a".to_owned(), Fate::DeadUnmarked);
    world.arrive("t1", "mention", "a");
    world.run_for(6 * HOUR);
    assert!(world.started().len() > 4, "the mark is tried again: {:?}", world.started().len());
    let state = world.dispatcher.state();
    assert_eq!((state.stats.of("dead"), state.stats.settled(), state.dead), (1, 1, 1));
    let (_, shelved) = look(&mut world);
    assert_eq!((shelved[0].why.as_str(), shelved[0].at < Millis(60_000)), ("no", true));
    // In the end the backend accepts the mark.
    world.fates.clear();
    world.run_for(2 * HOUR);
    assert_eq!(world.dispatcher.state().stats.of("dead"), 1);
}
