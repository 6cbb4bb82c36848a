//! A week of beats on a virtual clock: schedule, gate and memory together, as the service uses them.

use std::collections::BTreeMap;
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::reply::Silence;
use mission_control_runtime::delivery::{BeatRecord, End};
use mission_control_runtime::heartbeat::board::TrackedTask;
use mission_control_runtime::heartbeat::gate::{BeatInputs, BeatRules, Gate, digest, judge};
use mission_control_runtime::heartbeat::memory::BeatMemory;
use mission_control_runtime::heartbeat::schedule::BeatSchedule;
use mission_control_runtime::model::zone::Zone;
use mission_control_runtime::model::{Agent, AgentId, BeatMode};
use mission_control_runtime::work::WorkId;
use mission_control_runtime::workspace::heartbeat_text;
use serde_json::json;

use super::facts::{NOW, agent, agent_with, task};

const MINUTE: Duration = Duration::from_mins(1);
const QUARTER: Duration = Duration::from_mins(15);
const DAY: Duration = Duration::from_hours(24);
const AGENTS: [&str; 5] = ["ada", "ben", "cleo", "dan", "lead"];

/// How long a turn takes.
const TURN: Duration = Duration::from_secs(40);

/// A beat of the week.
#[derive(Clone, Debug)]
struct Beat {
    agent: &'static str,
    /// When it began, by a clock that nothing changes.
    at: Millis,
    /// Whether it was sent to the model.
    sent: bool,
    /// How many tasks its prompt named.
    tasks: usize,
}

/// What happens in the week at a moment.
#[derive(Clone, Copy)]
enum Happening {
    /// The agent has this many tasks from now on.
    Tasks(&'static str, usize),
    /// The system's clock is set by so many milliseconds.
    SetClock(i64),
    /// All intervals change.
    Interval(Duration),
    /// The agent's key is rotated.
    RotatedKey(&'static str),
    /// The agent is deleted.
    Deleted(&'static str),
}

struct Week {
    schedule: BeatSchedule,
    rules: BeatRules,
    interval: Duration,
    /// True time since the beginning, and what the system's clock adds to it.
    now: Millis,
    set_by: i64,
    agents: BTreeMap<&'static str, (Agent, Vec<TrackedTask>)>,
    memories: BTreeMap<&'static str, BeatMemory>,
    /// Agents whose beats never succeed.
    failing: Vec<&'static str>,
    beats: Vec<Beat>,
    named: u64,
}

impl Week {
    fn new(mode: BeatMode, interval: Duration) -> Self {
        let agents = AGENTS.into_iter().map(|slug| (slug, (agent(slug), Vec::new()))).collect();
        Self {
            schedule: BeatSchedule::default(),
            rules: BeatRules { mode, quiet_max: DAY, active_hours: None },
            interval,
            now: NOW,
            set_by: 0,
            agents,
            memories: BTreeMap::new(),
            failing: Vec::new(),
            beats: Vec::new(),
            named: 0,
        }
    }

    fn wall(&self) -> Millis {
        Millis(self.now.0 + self.set_by)
    }

    fn follow(&mut self) {
        let agents: Vec<_> = self.agents.keys().map(|slug| (AgentId::new(*slug), self.interval)).collect();
        self.schedule.follow(&agents, self.now, &mut || 0.5);
    }

    /// Lives through the week. At each moment of `happenings`, in their order, something happens.
    fn live(mut self, happenings: Vec<(Duration, Happening)>) -> Self {
        self.follow();
        let mut happenings = happenings.into_iter().map(|(after, what)| (NOW + after, what)).peekable();
        // The beats whose turn runs, with the end of the turn.
        let mut running: Vec<(Millis, &'static str, WorkId, BeatRecord, End)> = Vec::new();
        let end = NOW + DAY * 7;
        loop {
            let next = [
                self.schedule.wake_at(self.now),
                running.iter().map(|(at, ..)| *at).min(),
                happenings.peek().map(|(at, _)| *at),
            ];
            let Some(next) = next.into_iter().flatten().min().filter(|next| *next < end) else { return self };
            self.now = self.now.max(next);
            while let Some((_, what)) = happenings.next_if(|(at, _)| *at <= self.now) {
                self.happens(what);
            }
            for (at, slug, id, record, end) in std::mem::take(&mut running) {
                if at > self.now {
                    running.push((at, slug, id, record, end));
                    continue;
                }
                self.memories.entry(slug).or_default().add(&record, &end, true);
                self.schedule.ended(&AgentId::new(slug), &id, false, self.now);
            }
            let named = &mut self.named;
            let mut name = |_: &AgentId| {
                *named += 1;
                WorkId::new(format!("b{named}"))
            };
            for due in self.schedule.due(self.now, &mut name) {
                let slug = *AGENTS.iter().find(|slug| **slug == due.agent.as_str()).unwrap();
                self.schedule.attempted(&due.agent, &due.id, self.now);
                match self.begin(slug) {
                    Some((record, end)) => running.push((self.now + TURN, slug, due.id, record, end)),
                    None => self.schedule.ended(&due.agent, &due.id, false, self.now),
                }
            }
        }
    }

    /// Begins a beat: its record and end if it is sent.
    fn begin(&mut self, slug: &'static str) -> Option<(BeatRecord, End)> {
        let now = self.wall();
        let local = Zone::default().local(now);
        let (agent, tasks) = &self.agents[slug];
        let inputs = BeatInputs {
            agent,
            leads: slug == "lead",
            checklist: heartbeat_text(),
            tasks,
            events: 0,
            woken: false,
            now,
            local,
        };
        let digest = digest(&inputs);
        let quiet = self.memories.get(slug).and_then(|memory| memory.quiet.as_ref());
        let sent = matches!(judge(&inputs, &digest, quiet, &self.rules), Gate::Send(_));
        self.beats.push(Beat { agent: slug, at: self.now, sent, tasks: tasks.len() });
        let record = BeatRecord { digest, at: now, ..BeatRecord::default() };
        let end = if self.failing.contains(&slug) {
            End::Missed("the model is unknown".to_owned())
        } else {
            End::Silent(Silence::HeartbeatOk)
        };
        sent.then_some((record, end))
    }

    fn happens(&mut self, what: Happening) {
        match what {
            Happening::Tasks(slug, count) => {
                let changed = i64::try_from(count).unwrap();
                let tasks =
                    (0..count).map(|number| task(&format!("t{number}"), "assigned", &[slug], changed));
                self.agents.get_mut(slug).unwrap().1 = tasks.map(TrackedTask::from).collect();
            }
            Happening::SetClock(ms) => self.set_by += ms,
            Happening::Interval(interval) => {
                self.interval = interval;
                self.follow();
            }
            Happening::RotatedKey(slug) => {
                let key = json!({"systemSessionKey": format!("system:agent:{slug}:acc:v2")});
                self.agents.get_mut(slug).unwrap().0 = agent_with(slug, key);
            }
            Happening::Deleted(slug) => {
                self.agents.remove(slug);
                self.follow();
            }
        }
    }

    fn of(&self, slug: &str) -> Vec<&Beat> {
        self.beats.iter().filter(|beat| beat.agent == slug).collect()
    }

    fn sent_by(&self, slug: &str) -> usize {
        self.of(slug).iter().filter(|beat| beat.sent).count()
    }

    /// No agent begins two beats within an interval, and no agent waits for longer than one interval and a turn.
    fn assert_steady(&self, slug: &str, shortest: Duration, longest: Duration) {
        for pair in self.of(slug).windows(2) {
            let gap = pair[1].at.since(pair[0].at);
            assert!(gap >= shortest, "{slug}: two beats within {gap:?} at {}", pair[1].at);
            assert!(gap <= longest + TURN, "{slug}: no beat for {gap:?} before {}", pair[1].at);
        }
    }
}

#[test]
fn an_idle_agent_has_one_turn_a_day() {
    let week = Week::new(BeatMode::Gated, QUARTER).live(Vec::new());
    for slug in AGENTS {
        // One at the start, and one after each local midnight.
        assert_eq!((week.sent_by(slug), week.of(slug).len()), (8, 7 * 96), "{slug}");
        week.assert_steady(slug, QUARTER, QUARTER);
    }
}

#[test]
fn in_the_mode_always_each_beat_is_a_turn() {
    for (interval, a_day) in [(QUARTER, 96), (Duration::from_mins(5), 288)] {
        let week = Week::new(BeatMode::Always, interval).live(Vec::new());
        for slug in AGENTS {
            assert_eq!(week.sent_by(slug), 7 * a_day, "{slug}");
        }
    }
}

/// Tasks appear at many moments, also in the second after a saved beat: each is in a prompt within one interval.
#[test]
fn work_is_looked_at_within_one_interval_of_its_appearance() {
    let mut happenings = Vec::new();
    let mut appeared = Vec::new();
    for number in 0..40_u32 {
        let slug = AGENTS[number as usize % AGENTS.len()];
        let after = DAY + (Duration::from_mins(173) + Duration::from_secs(1)) * number;
        happenings.push((after, Happening::Tasks(slug, 1 + number as usize / AGENTS.len())));
        appeared.push((slug, NOW + after, 1 + number as usize / AGENTS.len()));
    }
    let after_a_beat = DAY * 6 + QUARTER + Duration::from_secs(1);
    happenings.push((after_a_beat, Happening::Tasks("ada", 9)));
    appeared.push(("ada", NOW + after_a_beat, 9));
    let week = Week::new(BeatMode::Gated, QUARTER).live(happenings);
    for (slug, at, tasks) in appeared {
        let seen = week.of(slug).into_iter().find(|beat| beat.at >= at && beat.sent && beat.tasks == tasks);
        let late = seen.expect("it is seen").at.since(at);
        assert!(late <= QUARTER + TURN, "{slug} at {at}: {late:?}");
    }
    for slug in AGENTS {
        week.assert_steady(slug, QUARTER, QUARTER);
    }
}

/// The clock is set by a day, an interval changes during a beat, a key is rotated, an agent is deleted, and one agent
/// fails for ever: at most one beat in each interval, and no other agent is late.
#[test]
fn a_week_of_incidents_doubles_no_beat_and_delays_no_agent() {
    let day = i64::try_from(DAY.as_millis()).unwrap();
    let mut week = Week::new(BeatMode::Gated, QUARTER);
    week.failing.push("dan");
    let hour = Duration::from_hours(1);
    let during_a_beat = DAY * 4 + Duration::from_secs(10);
    let week = week.live(vec![
        (hour * 30, Happening::SetClock(day)),
        (hour * 40, Happening::SetClock(-day)),
        (hour * 50, Happening::SetClock(-day)),
        (hour * 60, Happening::RotatedKey("ben")),
        (hour * 70, Happening::Deleted("cleo")),
        (during_a_beat, Happening::Interval(Duration::from_mins(10))),
        (during_a_beat + MINUTE, Happening::Interval(QUARTER)),
        (hour * 120, Happening::Interval(Duration::from_hours(2))),
        (hour * 130, Happening::Interval(QUARTER)),
    ]);
    for slug in ["ada", "ben", "dan", "lead"] {
        week.assert_steady(slug, Duration::from_mins(10), Duration::from_hours(2));
        let early = |beat: &&&Beat| beat.at < NOW + hour * 90;
        assert_eq!(week.of(slug).iter().filter(early).count(), 90 * 4, "{slug}: every interval has its beat");
    }
    // A turn a day, and one for each day that the clock was set by; the rotated key is one more.
    assert!((8..=13).contains(&week.sent_by("ada")), "{}", week.sent_by("ada"));
    let after_rotation =
        |beat: &&&Beat| beat.sent && beat.at.since(NOW + hour * 60) <= QUARTER && beat.at > NOW + hour * 60;
    assert_eq!(week.of("ben").iter().filter(after_rotation).count(), 1, "the first beat with the new key");
    assert_eq!(week.sent_by("dan"), week.of("dan").len(), "a failing beat is not quiet, so each is tried");
    assert!(week.of("cleo").iter().all(|beat| beat.at <= NOW + hour * 70), "a deleted agent has no beats");
}
