//! What became of a turn whose answer was lost, told from its session's history (spec §11.8).
//!
//! A finished answer is in the history before it is on its way to us, so it can be adopted from there and need not be
//! paid for twice. `page` reads what the gateway shows, `trace` finds the turn in it, and [`decide`] is the recipe: what
//! to adopt, what to wait for, and when sending again is right. It is asked again and again, with each reading, until it
//! has a verdict; what it needs to remember between two readings is in the [`TurnMark`].
//!
//! What is not known is taken for the worse: that the run goes on, and that the gateway resumes what it lost (§11.9).

mod page;
mod trace;

use std::time::Duration;

use super::{Reply, ToolOutput, Why};
use mcr_model::clock::Millis;

pub use page::{Item, Listed, Page, Role, Stop, read, read_item, read_listed, read_tool};
pub use trace::{cut_item, reaches};

use trace::{Find, Trace};

/// A gateway needs this long to end a run whose client hung up.
const WINDING_UP: Duration = Duration::from_secs(2);
/// Between the reading that shows nothing and the one that confirms it.
const SECOND_LOOK: Duration = Duration::from_secs(5);
/// Between two readings while a run goes on.
const GOES_ON: Duration = Duration::from_secs(5);
/// The same while the gateway resumes turns by itself.
const RESUMING: Duration = Duration::from_secs(2);
/// Between two tries to read.
const UNREADABLE: Duration = Duration::from_secs(2);
/// The same of the whole of an answer, for which a connection of its own is made each time.
const FETCHING: Duration = Duration::from_secs(5);
/// The same while the gateway starts: being early beats its own recovery.
const STARTING: Duration = Duration::from_secs(1);
/// A gateway's clock starts a little earlier or later than its process.
const STARTS_WITHIN: Duration = Duration::from_secs(1);

/// What is known of a turn whose answer was lost.
#[derive(Clone, Copy, Debug, Default)]
pub struct TurnMark<'a> {
    /// With what it began: `[n-… try 2]`.
    pub marker: &'a str,
    /// With what an earlier try of the same began that the agent has seen and whose fate is unknown, too.
    pub earlier: Option<&'a str>,
    /// The results that it carried; then it had no marker.
    pub outputs: &'a [ToolOutput],
    /// The id of its run, if the gateway had named it.
    pub run: Option<&'a str>,
    /// The gateway itself has said that the run failed, and not why: it is over.
    pub failed: bool,
    /// And the model had written something by then, as far as its cost shows.
    pub spoke: bool,
    /// How long ago it was sent, by a clock that nobody sets, if there is one: a gateway that runs for less was restarted.
    pub age: Duration,
    /// When its answer was found to be lost.
    pub lost: Millis,
    /// When its session was read for the first time since.
    pub looked: Option<Millis>,
}

/// How the last run of a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Under way; or waiting for a place among the runs; or cut off by a restart and still to be resumed.
    Running,
    /// It came to its end.
    Done,
    /// Its client hung up, or it was aborted.
    Killed,
    /// It failed.
    Failed,
    /// It ran into the gateway's time limit.
    Timeout,
}

/// What there is to see at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The last items of the session, oldest first.
    pub items: &'a [Item],
    /// They reach back to the turn, or to the beginning.
    pub whole: bool,
    /// How the session's last run stands, if the gateway tells.
    pub status: Option<Status>,
    /// For how long this gateway has been running, if it tells.
    pub up: Option<Duration>,
    /// The gateway's list of sessions shows that nothing has begun in this one since the turn was sent.
    pub untouched: bool,
    /// It is known to end a run whose client is gone.
    pub ends_unheard: bool,
    /// What time it is.
    pub now: Millis,
}

/// What became of a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Recovered {
    /// This is its answer.
    Answered(Reply),
    /// It wants these calls made; a word before them may be there.
    Calls(Reply),
    /// The gateway has resumed it after a restart, without our tools and instructions, and this is the answer to that.
    Elsewhere(Reply),
    /// It was answered with nothing.
    Silent,
    /// It failed and is over; another try may do better.
    Failed {
        /// Why.
        why: Why,
        /// What it said, or an earlier try, is there: the agent may have done part of it.
        marker_seen: bool,
    },
    /// It was answered, and nobody shows us all of the answer.
    Cut,
    /// It is not over, or that cannot be told yet.
    Running(Running),
    /// It is not there, and will not be: it can be sent again.
    Absent {
        /// What it said, or an earlier try, is there: the agent may have done part of it.
        marker_seen: bool,
    },
    /// The gateway does not show its sessions, or not enough of them: nobody can tell.
    Unknown,
}

/// What is waited for, and how far the session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// When to look again.
    pub again_in: Duration,
    /// For what.
    pub why: Waiting,
    /// The number of the session's last item: while it grows, the run lives. Without a reading there is none.
    pub last: Option<u64>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Waiting {
    /// The gateway is about to be ready.
    Starting,
    /// The history could not be read at this moment.
    Unreadable,
    /// The gateway may not have noticed yet that we are gone.
    WindingUp,
    /// The run goes on without us.
    GoesOn,
    /// The gateway resumes it by itself, or is about to.
    Resuming,
    /// What is not there now may come in a moment.
    SecondLook,
    /// The answer is there, and the whole of it cannot be read at this moment.
    Fetching,
}

impl Waiting {
    /// What is going on, as the beginning of a sentence.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Starting => "the gateway is starting",
            Self::Unreadable => "the session's history could not be read",
            Self::WindingUp => "the gateway may still be ending the interrupted turn",
            Self::GoesOn => "the agent's turn goes on without us",
            Self::Resuming => "the gateway resumes the agent's turn after a restart",
            Self::SecondLook => "the session shows no answer yet",
            Self::Fetching => "the agent has answered, and the whole of it cannot be read yet",
        }
    }
}

impl Running {
    /// The gateway is starting.
    pub fn starting() -> Self {
        Self { again_in: STARTING, why: Waiting::Starting, last: None }
    }

    /// The history could not be read at this moment.
    pub fn unreadable() -> Self {
        Self { again_in: UNREADABLE, why: Waiting::Unreadable, last: None }
    }

    /// The whole of an answer could not be read at this moment.
    pub fn fetching() -> Self {
        Self { again_in: FETCHING, why: Waiting::Fetching, last: None }
    }
}

/// What a session shows of a turn that is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// The number of the session's last item: while it grows, the run lives.
    pub last: u64,
    /// What was said to the agent is there: its run has begun.
    pub begun: bool,
    /// So is what the run came to.
    pub over: bool,
    /// It has not begun, and the gateway says that it will.
    pub queued: bool,
}

/// Takes a look at a turn whose answer has not come yet.
pub fn glance(mark: &TurnMark<'_>, items: &[Item]) -> Glance {
    let trace = Trace::of(mark, items);
    let over = trace.seen && (trace.own.is_over() || trace.own.find(mark.run).is_some());
    Glance { last: items.last().map_or(0, |item| item.seq), begun: trace.seen, over, queued: false }
}

/// The recipe of spec §11.8; its steps are numbered as there.
pub fn decide(mark: &TurnMark<'_>, sight: &Sight<'_>) -> Recovered {
    let trace = Trace::of(mark, sight.items);
    let last = Some(sight.items.last().map_or(0, |item| item.seq));
    let wait = |again_in, why| Recovered::Running(Running { again_in, why, last });
    let moves =
        !matches!(sight.status, Some(Status::Done | Status::Killed | Status::Failed | Status::Timeout));
    let second_look = |verdict: Recovered| match mark.looked.map(|at| sight.now.since(at)) {
        Some(since) if since >= SECOND_LOOK => verdict,
        Some(since) => wait(SECOND_LOOK.saturating_sub(since), Waiting::SecondLook),
        None => wait(SECOND_LOOK, Waiting::SecondLook),
    };

    // 1 and 2: the first answer of the turn, whatever came behind it.
    match trace.own.find(mark.run) {
        Some(Find::Answer(reply)) => return Recovered::Answered(reply),
        Some(Find::Cut(_)) => return Recovered::Cut,
        // Results sent into a resumed turn would be refused.
        Some(Find::Calls(_)) if trace.resuming && moves => return wait(RESUMING, Waiting::Resuming),
        Some(Find::Calls(reply)) => return Recovered::Calls(reply),
        None => {}
    }
    let marker_seen = trace.is_there();
    let absent = || Recovered::Absent { marker_seen };
    let failed = |why| Recovered::Failed { why, marker_seen };
    // 3 and 4: what the gateway made of it after a restart.
    if let Some(resumed) = &trace.resumed {
        return match (resumed.find(None), resumed.failed) {
            (Some(Find::Answer(reply) | Find::Calls(reply)), _) => Recovered::Elsewhere(reply),
            (Some(Find::Cut(_)), _) => Recovered::Cut,
            (None, Some(why)) => failed(why),
            (None, None) if resumed.given_up => absent(),
            (None, None) if resumed.empties >= 2 || (resumed.empties == 1 && !moves) => Recovered::Silent,
            (None, None) => match sight.status {
                None | Some(Status::Running) => wait(RESUMING, Waiting::Resuming),
                Some(Status::Failed | Status::Timeout) => failed(Why::Interrupted),
                Some(Status::Killed | Status::Done) => second_look(absent()),
            },
        };
    }
    // It is over, in a way that the gateway wrote down or has told us.
    if trace.own.empties >= 2
        || (trace.own.empties == 1 && (mark.failed || sight.status == Some(Status::Done)))
    {
        return Recovered::Silent;
    }
    if let Some(why) = trace.own.failed {
        return failed(why);
    }
    // It met a turn that the gateway was resuming.
    if !trace.seen && trace.resuming && moves {
        return wait(RESUMING, Waiting::Resuming);
    }
    if mark.failed {
        // The word for silence leaves nothing in a history (measured on 2026.9.6): whoever has written something and
        // left nothing has written that.
        let silent = mark.spoke && trace.seen;
        return if silent { Recovered::Silent } else { failed(Why::Internal) };
    }
    if !trace.seen && !sight.whole {
        return Recovered::Unknown;
    }
    // 6 and 7 after a restart: at once, that beats the gateway's own recovery.
    if sight.up.is_some_and(|up| up + STARTS_WITHIN < mark.age) {
        return absent();
    }
    // 5, 6 and 7 without one.
    let since = sight.now.since(mark.lost);
    if since < WINDING_UP {
        return wait(WINDING_UP.saturating_sub(since), Waiting::WindingUp);
    }
    match (trace.seen, sight.status) {
        (_, Some(Status::Running)) => wait(GOES_ON, Waiting::GoesOn),
        (true, Some(Status::Killed)) => absent(),
        (true, Some(Status::Failed | Status::Timeout)) => failed(Why::Interrupted),
        (true, None) if !sight.ends_unheard => wait(GOES_ON, Waiting::GoesOn),
        // Of a first turn old releases show nothing before it has done something (spec §11.4); but they list its session
        // from its beginning on.
        (false, None) if !sight.ends_unheard && !sight.untouched && sight.items.is_empty() => {
            wait(GOES_ON, Waiting::GoesOn)
        }
        _ => second_look(absent()),
    }
}
