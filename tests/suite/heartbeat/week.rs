//! A week of beats on a virtual clock: schedule, gate and memory together, as the service uses them.

use std::collections::BTreeMap;
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::reply::Silence;
use mission_control_runtime::delivery::{BeatRecord, End};
use mission_control_runtime::heartbeat::board::{TrackedTask, tracked};
use mission_control_runtime::heartbeat::gate::{BeatInputs, BeatRules, Gate, digest, judge};
use mission_control_runtime::heartbeat::memory::BeatMemory;
use mission_control_runtime::heartbeat::schedule::BeatSchedule;
use mission_control_runtime::model::zone::Zone;
use mission_control_runtime::model::{Agent, AgentId, BeatMode};
use mission_control_runtime::work::WorkId;
use mission_control_runtime::workspace::heartbeat_text;
use serde_json::json;

use super::facts::{NOW, agent, agent_with, message, task_with, tracked as tracked_task};

const MINUTE: Duration = Duration::from_mins(1);
const QUARTER: Duration = Duration::from_mins(15);
const DAY: Duration = Duration::from_hours(24);
/// The team of the demo.
const AGENTS: [&str; 5] = ["engineer", "designer", "qa", "writer", "squad-lead"];
const LEAD: &str = "squad-lead";

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
    /// How many tasks of the agent itself it was about.
    tasks: usize,
    /// Whether its tasks were others than at the last heartbeat that was sent.
    news: bool,
}

/// What happens in the week at a moment.
#[derive(Clone, Copy)]
enum Happening {
    /// The agent has this many tasks from now on.
    Tasks(&'static str, usize),
    /// A task changes as in the recorded run of the demo.
    Recorded(&'static str, &'static str),
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
    agents: BTreeMap<&'static str, Agent>,
    /// The board, by the ids of the tasks.
    tasks: BTreeMap<String, TrackedTask>,
    /// The tasks at the last heartbeat of each agent that was sent.
    shown: BTreeMap<&'static str, String>,
    /// When the inputs of an agent changed.
    changes: Vec<(Millis, &'static str)>,
    memories: BTreeMap<&'static str, BeatMemory>,
    /// Agents whose beats never succeed.
    failing: Vec<&'static str>,
    beats: Vec<Beat>,
    named: u64,
}

impl Week {
    fn new(mode: BeatMode, interval: Duration) -> Self {
        let agents = AGENTS.into_iter().map(|slug| (slug, agent(slug))).collect();
        Self {
            schedule: BeatSchedule::default(),
            rules: BeatRules { mode, quiet_max: DAY, active_hours: None },
            interval,
            now: NOW,
            set_by: 0,
            agents,
            tasks: BTreeMap::new(),
            shown: BTreeMap::new(),
            changes: Vec::new(),
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
        let tasks = self.tracked_by(slug);
        let inputs = BeatInputs {
            agent: &self.agents[slug],
            leads: slug == LEAD,
            checklist: heartbeat_text(),
            tasks: &tasks,
            events: 0,
            woken: false,
            now,
            local,
        };
        let digest = digest(&inputs);
        let quiet = self.memories.get(slug).and_then(|memory| memory.quiet.as_ref());
        let sent = matches!(judge(&inputs, &digest, quiet, &self.rules), Gate::Send(_));
        let of_agent = |tracked: &&TrackedTask| tracked.task.assigned_agent_ids.contains(&AgentId::new(slug));
        let own = tasks.iter().filter(of_agent).count();
        let board = format!("{tasks:?}");
        let news = self.shown.get(slug) != Some(&board);
        self.beats.push(Beat { agent: slug, at: self.now, sent, tasks: own, news });
        if sent {
            self.shown.insert(slug, board);
        }
        let record = BeatRecord { digest, at: now, ..BeatRecord::default() };
        let end = if self.failing.contains(&slug) {
            End::Missed("the model is unknown".to_owned())
        } else {
            End::Silent(Silence::HeartbeatOk)
        };
        sent.then_some((record, end))
    }

    /// The tasks that the agent's heartbeat is about, as the board answers now.
    fn tracked_by(&self, slug: &str) -> Vec<TrackedTask> {
        let id = AgentId::new(slug);
        let all = || self.tasks.values().map(|tracked| tracked.task.clone());
        let own = all().filter(|task| task.assigned_agent_ids.contains(&id)).collect();
        let of_team = all().filter(|_| slug == LEAD).collect();
        let tasks = tracked(own, of_team, slug == LEAD).into_iter();
        tasks.map(|task| self.tasks[task.id.as_str()].clone()).collect()
    }

    fn happens(&mut self, what: Happening) {
        let inputs = |week: &Self| AGENTS.map(|slug| format!("{:?}", week.tracked_by(slug)));
        let before = inputs(self);
        self.apply(what);
        for (slug, (before, now)) in AGENTS.into_iter().zip(before.into_iter().zip(inputs(self))) {
            if before != now {
                self.changes.push((self.now, slug));
            }
        }
    }

    /// Puts a task on the board; times are those of the board's clock, which nothing sets.
    fn put(&mut self, id: &str, status: &str, agents: &[&str]) {
        let more = json!({"assignedAgentIds": agents, "updatedAt": self.now.0, "createdAt": self.now.0});
        self.tasks.insert(id.to_owned(), tracked_task(task_with(id, status, more), Vec::new()));
    }

    /// Changes a task as a line of the recorded run says.
    fn replay(&mut self, id: &str, change: &str) {
        let (verb, rest) = change.split_once(' ').unwrap();
        if verb == "is" {
            let (status, agents) = rest.split_once(' ').unwrap_or((rest, ""));
            let agents: Vec<&str> = agents.split(',').filter(|slug| !slug.is_empty()).collect();
            return self.put(id, status, &agents);
        }
        let at = self.now;
        let TrackedTask { task, thread } = self.tasks.get_mut(id).unwrap();
        match verb {
            "status" => task.status = serde_json::from_value(json!(rest)).unwrap(),
            "agents" => task.assigned_agent_ids = rest.split(',').map(AgentId::new).collect(),
            "by" => {
                thread.as_mut().unwrap().push(message(rest, rest != "person", change, at.0));
                task.last_message_at = Some(at);
                return;
            }
            _ => panic!("{change}"),
        }
        task.updated_at = at;
    }

    fn apply(&mut self, what: Happening) {
        match what {
            Happening::Tasks(slug, count) => {
                self.tasks.retain(|id, _| !id.starts_with(slug));
                for number in 0..count {
                    self.put(&format!("{slug}-{number}"), "assigned", &[slug]);
                }
            }
            Happening::Recorded(id, change) => self.replay(id, change),
            Happening::SetClock(ms) => self.set_by += ms,
            Happening::Interval(interval) => {
                self.interval = interval;
                self.follow();
            }
            Happening::RotatedKey(slug) => {
                let key = json!({"systemSessionKey": format!("system:agent:{slug}:acc:v2")});
                self.agents.insert(slug, agent_with(slug, key));
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

    /// The agent's next heartbeat comes within this time of each change of its inputs, and is sent to the model, unless the
    /// change was taken back before.
    fn assert_punctual(&self, slug: &str, longest: Duration) -> usize {
        let changes: Vec<Millis> =
            self.changes.iter().filter(|(_, agent)| *agent == slug).map(|(at, _)| *at).collect();
        for at in &changes {
            let next = self.of(slug).into_iter().find(|beat| beat.at >= *at).expect("a heartbeat follows");
            assert!(
                (next.sent || !next.news) && next.at.since(*at) <= longest,
                "{slug}: the change at {at}: {next:?}"
            );
        }
        changes.len()
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
    happenings.push((after_a_beat, Happening::Tasks("engineer", 9)));
    appeared.push(("engineer", NOW + after_a_beat, 9));
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
    week.failing.push("writer");
    let hour = Duration::from_hours(1);
    let during_a_beat = DAY * 4 + Duration::from_secs(10);
    let week = week.live(vec![
        (hour * 30, Happening::SetClock(day)),
        (hour * 40, Happening::SetClock(-day)),
        (hour * 50, Happening::SetClock(-day)),
        (hour * 60, Happening::RotatedKey("designer")),
        (hour * 70, Happening::Deleted("qa")),
        (during_a_beat, Happening::Interval(Duration::from_mins(10))),
        (during_a_beat + MINUTE, Happening::Interval(QUARTER)),
        (hour * 120, Happening::Interval(Duration::from_hours(2))),
        (hour * 130, Happening::Interval(QUARTER)),
    ]);
    for slug in ["engineer", "designer", "writer", "squad-lead"] {
        week.assert_steady(slug, Duration::from_mins(10), Duration::from_hours(2));
        let early = |beat: &&&Beat| beat.at < NOW + hour * 90;
        assert_eq!(week.of(slug).iter().filter(early).count(), 90 * 4, "{slug}: every interval has its beat");
    }
    // A turn a day, and one for each day that the clock was set by; the rotated key is one more.
    assert!((8..=13).contains(&week.sent_by("engineer")), "{}", week.sent_by("engineer"));
    let after_rotation =
        |beat: &&&Beat| beat.sent && beat.at.since(NOW + hour * 60) <= QUARTER && beat.at > NOW + hour * 60;
    assert_eq!(
        week.of("designer").iter().filter(after_rotation).count(),
        1,
        "the first beat with the new key"
    );
    assert_eq!(
        week.sent_by("writer"),
        week.of("writer").len(),
        "a failing beat is not quiet, so each is tried"
    );
    assert!(week.of("qa").iter().all(|beat| beat.at <= NOW + hour * 70), "a deleted agent has no beats");
}

/// The changes of the recorded run from this moment on, this many times slower. The run took 16 seconds.
fn recorded(from: Duration, slower: u32) -> Vec<(Duration, Happening)> {
    let lines =
        include_str!("../../golden/demo-task-changes.tsv").lines().filter(|line| !line.starts_with('#'));
    let happening = |line: &'static str| {
        let mut fields = line.split('\t');
        let (after, id, change) = (fields.next(), fields.next().unwrap(), fields.next().unwrap());
        let after = Duration::from_millis(after.unwrap().parse().unwrap());
        (from + after * slower, Happening::Recorded(id, change))
    };
    lines.map(happening).collect()
}

/// The demo on five days: as it was, and as slow as a team of people would be.
fn working_days() -> Vec<(Duration, Happening)> {
    let at_ten = |day: u32| DAY * day + Duration::from_hours(10);
    let days = [(1, 1), (2, 60), (3, 240), (4, 900), (5, 1_800)];
    days.into_iter().flat_map(|(day, slower)| recorded(at_ten(day), slower)).collect()
}

#[test]
fn a_team_at_work_is_never_more_than_one_interval_late_and_an_idle_agent_costs_one_turn_a_day() {
    let week = Week::new(BeatMode::Gated, QUARTER).live(working_days());
    let mut changes = 0;
    for slug in AGENTS {
        changes += week.assert_punctual(slug, QUARTER);
        week.assert_steady(slug, QUARTER, QUARTER);
        assert_eq!(week.of(slug).len(), 7 * 96, "{slug}");
    }
    assert!(changes > 150, "{changes}");
    // The tester never has a task of its own.
    assert_eq!(week.sent_by("qa"), 8);
    let sent: usize = AGENTS.map(|slug| week.sent_by(slug)).into_iter().sum();
    assert!(sent < 5 * 7 * 96 / 4, "three of four turns are saved although the team works: {sent}");
}

#[test]
fn in_the_mode_always_work_changes_no_count() {
    for (interval, a_day) in [(QUARTER, 96), (Duration::from_mins(5), 288)] {
        let week = Week::new(BeatMode::Always, interval).live(working_days());
        for slug in AGENTS {
            assert_eq!(week.sent_by(slug), 7 * a_day, "{slug}");
            week.assert_punctual(slug, interval);
        }
    }
}

/// A change comes in the second after each saved heartbeat of a day: it is sent within one interval.
#[test]
fn a_change_in_the_second_after_a_saved_heartbeat_is_sent_within_one_interval() {
    let idle = Week::new(BeatMode::Gated, QUARTER).live(Vec::new());
    let saved = idle
        .of("writer")
        .into_iter()
        .filter(|beat| !beat.sent && beat.at > NOW + DAY * 2 && beat.at < NOW + DAY * 6);
    let after: Vec<Duration> =
        saved.map(|beat| beat.at.since(NOW) + Duration::from_secs(1)).step_by(3).collect();
    assert!(after.len() > 100);
    let happenings =
        (1..).zip(&after).map(|(count, at)| (*at, Happening::Tasks("writer", count % 5 + 1))).collect();
    let week = Week::new(BeatMode::Gated, QUARTER).live(happenings);
    assert_eq!(week.assert_punctual("writer", QUARTER), after.len());
}

/// The recorded work goes on while the clock is set by a day, intervals change, a key is rotated, an agent is deleted, and
/// one agent fails for ever.
#[test]
fn incidents_make_no_agent_late_for_its_work() {
    let day = i64::try_from(DAY.as_millis()).unwrap();
    let hour = Duration::from_hours(1);
    let mut week = Week::new(BeatMode::Gated, QUARTER);
    week.failing.push("writer");
    let mut happenings = vec![
        (hour * 30, Happening::SetClock(day)),
        (hour * 40, Happening::SetClock(-day)),
        (hour * 50, Happening::SetClock(-day)),
        (hour * 60, Happening::RotatedKey("designer")),
        (hour * 70, Happening::Deleted("qa")),
        (DAY * 4 + Duration::from_secs(10), Happening::Interval(Duration::from_mins(10))),
        (DAY * 4 + MINUTE, Happening::Interval(QUARTER)),
    ];
    for (from, slower) in [(30, 60), (40, 1), (50, 240), (60, 60), (70, 60), (96, 240), (130, 900)] {
        happenings.extend(recorded(hour * from + Duration::from_secs(1), slower));
    }
    happenings.sort_by_key(|(at, _)| *at);
    let week = week.live(happenings);
    for slug in ["engineer", "designer", "writer", LEAD] {
        assert!(week.assert_punctual(slug, QUARTER) > 20, "{slug}");
        week.assert_steady(slug, Duration::from_mins(10), QUARTER);
    }
    assert_eq!(week.sent_by("writer"), week.of("writer").len(), "each heartbeat of a failing agent is tried");
    assert!(week.of("qa").iter().all(|beat| beat.at <= NOW + hour * 70), "a deleted agent has no beats");
}
