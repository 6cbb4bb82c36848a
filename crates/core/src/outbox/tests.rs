//! Every step of an outbox, with lost answers and crashes at every point, against the books of a queue and a chat.

use proptest::prelude::*;

use super::*;

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It has its effect, and the answer arrives.
    Good,
    /// It is refused for now, without an effect.
    Refused,
    /// It has its effect, and the answer is lost.
    LostAfter,
    /// It has no effect, and the outcome is unknown.
    LostBefore,
    /// It has its effect ten seconds later, and the answer is lost.
    Late,
}

/// Where the process ends in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    Never,
    /// The step is noted, and not carried out.
    AfterNote,
    /// The step is carried out, and its result is not taken.
    AfterCall,
    /// The result is taken, and not on disk yet.
    AfterResult,
}

/// The books of the queue and of the chat.
#[derive(Default)]
struct World {
    now: i64,
    /// The times of the appended messages.
    history: Vec<Millis>,
    on_their_way: Vec<(i64, Millis)>,
    chat: Vec<usize>,
    completed: u32,
    reported: Vec<String>,
}

impl World {
    fn time(&mut self, pass: i64) {
        self.now += pass;
        let now = self.now;
        let arrived = self.on_their_way.iter().filter(|(at, _)| *at <= now).map(|(_, message)| *message);
        self.history.extend(arrived);
        self.on_their_way.retain(|(at, _)| *at > now);
    }

    /// Carries out a step. Returns what the worker learns.
    fn carry_out(&mut self, step: &OutboxStep, fate: Fate) -> OutboxEvent {
        let has_effect = matches!(fate, Fate::Good | Fate::LostAfter);
        let is_lost = matches!(fate, Fate::LostAfter | Fate::LostBefore | Fate::Late);
        let away = || OutboxEvent::CallFailed("away".to_owned());
        match step {
            OutboxStep::Append(at) => {
                if has_effect {
                    self.history.push(*at);
                }
                if fate == Fate::Late {
                    self.on_their_way.push((self.now + 10_000, *at));
                }
                match fate {
                    Fate::Good => OutboxEvent::Appended,
                    Fate::Refused => OutboxEvent::AppendFailed("busy".to_owned()),
                    Fate::LostAfter | Fate::LostBefore | Fate::Late => away(),
                }
            }
            OutboxStep::LookForAppend(at) if fate == Fate::Good => {
                OutboxEvent::LookedForAppend(self.history.contains(at))
            }
            OutboxStep::Send(part) => {
                if has_effect || fate == Fate::Late {
                    self.chat.push(*part);
                }
                match fate {
                    Fate::Good => OutboxEvent::Sent,
                    Fate::Refused => {
                        let wait = TelegramProblem::Wait(Duration::from_secs(3));
                        OutboxEvent::NotSent(TelegramError::certain(wait, ""))
                    }
                    Fate::LostAfter | Fate::LostBefore | Fate::Late => {
                        OutboxEvent::NotSent(TelegramError::in_doubt(TelegramProblem::LostAnswer, ""))
                    }
                }
            }
            OutboxStep::Complete => {
                self.completed += u32::from(has_effect && self.completed == 0);
                if is_lost || fate == Fate::Refused { away() } else { OutboxEvent::Completed }
            }
            OutboxStep::Fail(why) => {
                self.reported.push(why.clone());
                OutboxEvent::Reported
            }
            OutboxStep::LookForAppend(_) | OutboxStep::Wait(_) | OutboxStep::Over => away(),
        }
    }
}

fn on_disk(outbox: &Outbox) -> String {
    serde_json::to_string(outbox).unwrap()
}

/// Works until the job is over. `plan` has the fate and the crash of each step; the steps after it are good.
fn work(first: &Outbox, plan: &[(Fate, Crash)]) -> (World, Outbox) {
    let mut world = World { now: 1_000_000, ..World::default() };
    let mut disk = on_disk(first);
    let mut outbox = first.clone();
    let mut plan = plan.iter().copied();
    for _ in 0..300 {
        let step = outbox.next(Millis(world.now));
        match step {
            OutboxStep::Over if world.completed > 0 => return (world, outbox),
            // The queue gives the message to another attempt.
            OutboxStep::Over => outbox = outbox.reclaimed(),
            OutboxStep::Wait(until) => world.time((until.0 - world.now).max(1)),
            step => {
                let (fate, crash) = plan.next().unwrap_or((Fate::Good, Crash::Never));
                if outbox.begin(&step) {
                    disk = on_disk(&outbox);
                }
                let result = (crash != Crash::AfterNote).then(|| world.carry_out(&step, fate));
                world.time(5);
                if let Some(event) = result.filter(|_| crash != Crash::AfterCall) {
                    outbox.on(event, Millis(world.now));
                    if crash == Crash::Never {
                        disk = on_disk(&outbox);
                    }
                }
                if crash != Crash::Never {
                    let read: Outbox = serde_json::from_str(&disk).unwrap();
                    outbox = read.reclaimed();
                    world.time(1_000);
                }
            }
        }
    }
    panic!("the outbox does not end: {outbox:?}");
}

fn outbox(parts: usize) -> Outbox {
    let parts = (0..parts).map(|n| format!("part {n}")).collect();
    Outbox::new("answer".to_owned(), parts, Some(Destination::new("7", TelegramParseMode::Plain)))
}

fn check(parts: usize, plan: &[(Fate, Crash)]) -> Result<(), TestCaseError> {
    let (mut world, outbox) = work(&outbox(parts), plan);
    world.time(100_000);
    prop_assert_eq!(world.history.len(), 1, "appended once: {:?}", plan);
    prop_assert!(
        world.chat.windows(2).all(|pair| pair[0] < pair[1]),
        "in order, none twice: {:?}",
        world.chat
    );
    for part in 0..parts {
        let is_there = world.chat.contains(&part);
        prop_assert!(is_there || outbox.uncertain.contains(&part), "part {} is lost without a word", part);
    }
    prop_assert!(outbox.is_delivered());
    Ok(())
}

#[test]
fn without_faults_everything_happens_once_in_order() {
    let (world, outbox) = work(&outbox(3), &[]);
    assert_eq!((world.history.len(), world.chat, world.completed), (1, vec![0, 1, 2], 1));
    assert!(outbox.uncertain.is_empty() && outbox.append_refusal().is_none());
}

/// Each fate and each crash at each of the first steps, alone and in pairs.
#[test]
fn every_crash_point_with_every_fate_of_its_call() {
    let fates = [Fate::Good, Fate::Refused, Fate::LostAfter, Fate::LostBefore, Fate::Late];
    let crashes = [Crash::Never, Crash::AfterNote, Crash::AfterCall, Crash::AfterResult];
    let rows: Vec<(Fate, Crash)> =
        fates.iter().flat_map(|fate| crashes.iter().map(|crash| (*fate, *crash))).collect();
    let good = (Fate::Good, Crash::Never);
    for first in 0..7 {
        for one in &rows {
            let mut plan = vec![good; first];
            plan.push(*one);
            check(2, &plan).unwrap();
            for other in &rows {
                let mut plan = plan.clone();
                plan.push(*other);
                check(2, &plan).unwrap();
            }
        }
    }
}

proptest! {
    #[test]
    fn any_faults_and_crashes_repeat_nothing_and_lose_nothing_unnoticed(
        parts in 0_usize..5,
        plan in prop::collection::vec((
            prop_oneof![3 => Just(Fate::Good), 1 => Just(Fate::Refused), 1 => Just(Fate::LostAfter),
                1 => Just(Fate::LostBefore), 1 => Just(Fate::Late)],
            prop_oneof![3 => Just(Crash::Never), 1 => Just(Crash::AfterNote), 1 => Just(Crash::AfterCall),
                1 => Just(Crash::AfterResult)],
        ), 0..40),
    ) {
        check(parts, &plan)?;
    }
}

#[test]
fn without_a_destination_the_answer_is_appended_and_the_job_completed() {
    let (world, _) = work(&Outbox::new("answer".to_owned(), vec!["answer".to_owned()], None), &[]);
    assert_eq!((world.history.len(), world.chat.len(), world.completed), (1, 0, 1));
}

/// Takes steps with these results until `wanted`.
fn after(outbox: &mut Outbox, events: Vec<OutboxEvent>) -> OutboxStep {
    let now = Millis(5_000);
    for event in events {
        let step = outbox.next(now);
        outbox.begin(&step);
        outbox.on(event, now);
    }
    outbox.next(now)
}

#[test]
fn a_history_that_is_full_does_not_keep_the_answer_from_the_person() {
    let mut outbox = outbox(1);
    let next = after(&mut outbox, vec![OutboxEvent::AppendRefused("too long".to_owned())]);
    assert_eq!((next, outbox.append_refusal()), (OutboxStep::Send(0), Some("too long")));
}

#[test]
fn each_refusal_of_telegram_has_its_consequence() {
    let refused = |why| OutboxEvent::NotSent(TelegramError::certain(why, "words"));
    let html = Destination::new("7", TelegramParseMode::Html);
    let first = Outbox::new("a".to_owned(), vec!["a".to_owned(), "b".to_owned()], Some(html));
    let rows: [(TelegramProblem, OutboxStep); 5] = [
        (TelegramProblem::Wait(Duration::from_secs(7)), OutboxStep::Wait(Millis(12_000))),
        (TelegramProblem::Unreachable, OutboxStep::Wait(Millis(6_000))),
        (TelegramProblem::Markup, OutboxStep::Send(1)),
        (TelegramProblem::Moved("-1009".to_owned()), OutboxStep::Send(1)),
        (TelegramProblem::ServerFault, OutboxStep::Wait(Millis(6_000))),
    ];
    for (why, expected) in rows {
        let mut outbox = first.clone();
        let next = after(&mut outbox, vec![OutboxEvent::Appended, OutboxEvent::Sent, refused(why.clone())]);
        assert_eq!(next, expected, "{why:?}");
        let to = outbox.to.unwrap();
        assert_eq!(to.is_html, why != TelegramProblem::Markup);
        assert_eq!(to.chat, if matches!(why, TelegramProblem::Moved(_)) { "-1009" } else { "7" });
    }
    for why in [TelegramProblem::ChatRefused, TelegramProblem::TokenRefused, TelegramProblem::Refused] {
        let mut outbox = first.clone();
        let next = after(&mut outbox, vec![OutboxEvent::Appended, OutboxEvent::Sent, refused(why)]);
        assert!(matches!(next, OutboxStep::Fail(_)), "{next:?}");
        // The next attempt sends only what is missing.
        let mut again: Outbox = serde_json::from_str(&on_disk(&outbox)).unwrap();
        assert_eq!(again.next(Millis(9_000)), OutboxStep::Send(1));
    }
}

#[test]
fn repeated_failures_end_the_attempt_with_their_reason() {
    let mut outbox = outbox(1);
    for _ in 0..FAILURES_MAX {
        let step = outbox.next(Millis(1_000_000_000));
        outbox.begin(&step);
        outbox.on(OutboxEvent::AppendFailed("the queue is away".to_owned()), Millis(0));
    }
    assert_eq!(outbox.next(Millis(1_000_000_000)), OutboxStep::Fail("the queue is away".to_owned()));
    outbox.on(OutboxEvent::CallFailed("still away".to_owned()), Millis(0));
    assert_eq!(outbox.next(Millis(0)), OutboxStep::Wait(Millis(60_000)), "reports are paced too");
    assert_eq!(outbox.next(Millis(60_000)), OutboxStep::Fail("the queue is away".to_owned()));
    outbox.on(OutboxEvent::Reported, Millis(0));
    assert_eq!(outbox.next(Millis(0)), OutboxStep::Over);
    assert_eq!(outbox.reclaimed().next(Millis(7)), OutboxStep::Append(Millis(7)));
}

#[test]
fn a_step_that_was_not_carried_out_is_still_due() {
    let mut outbox = outbox(1);
    let append = outbox.next(Millis(1));
    outbox.begin(&append);
    outbox.not_begun(&append);
    assert_eq!(outbox.next(Millis(2)), OutboxStep::Append(Millis(2)));
    let send = after(&mut outbox, vec![OutboxEvent::Appended]);
    outbox.begin(&send);
    outbox.not_begun(&send);
    assert_eq!(outbox.next(Millis(2)), OutboxStep::Send(0));
    assert!(outbox.uncertain.is_empty());
}

#[test]
fn fields_of_a_newer_version_are_kept() {
    let text = r#"{"answer":"a","parts":["a"],"to":null,"append":"done","sent":0,"zz":1}"#;
    let outbox: Outbox = serde_json::from_str(text).unwrap();
    assert!(on_disk(&outbox).contains("\"zz\":1"));
}
