//! Decides what happened to a turn whose answer was lost (spec §11.8).
//!
//! # The problem
//!
//! A turn is one HTTP request that may last for hours. Its connection can break at any instant: the runtime
//! is killed, the gateway restarts, a proxy gives up. The agent may then not have started, still be working,
//! or have finished. Each turn costs money, and its tools have side effects. Sending again blindly may run a
//! tool twice; giving up throws a paid answer away.
//!
//! # The policy
//!
//! **Read, do not repeat.** The gateway writes an answer into the session's history before it sends it. The
//! answer can therefore be read there and adopted, without a second paid turn. A turn is sent again only if
//! it is certainly neither answered nor running.
//!
//! Before a turn is sent, the ledger holds its [`TurnMark`]. A marker is at the beginning of a message and of
//! each tool result ([`marker`](super::marker)). It identifies the turn in the history, also after a crash of
//! the runtime.
//!
//! `page` parses what the gateway shows, `trace` finds the turn in it, and [`decide`] returns the verdict.
//! [`decide`] is a pure function. It is called after each reading until the verdict is not
//! [`Running`](Recovered::Running). Facts from earlier readings are in the mark.
//!
//! | the session shows | verdict |
//! |---|---|
//! | an answer or tool calls of the run | adopt (`Answered`, `Calls`) |
//! | an answer that is cut | `Cut`: the whole text must be fetched, the turn is never repeated |
//! | an answer of a resumed run; the turn had no tools | adopt (`Elsewhere`): the agent did the work once |
//! | an answer of a resumed run; the turn had tools | ask again (`ToolsMissing`): that run had none of them |
//! | only empty messages | `Silent`: the agent chose to say nothing |
//! | an error, or a run that failed | `Failed`: the retry rules decide |
//! | a run that is active, resumed or ending | `Running`: read again after a pause |
//! | no trace, history complete, no run | `Absent`: send again |
//! | not enough history | `Unknown`: only a person can decide |
//!
//! # Why the order of the checks matters
//!
//! * An adoptable result comes first: nothing that happened later makes a paid answer invalid.
//! * If a fact is missing, the check assumes the case in which sending again would do harm: the run is still
//!   active. The exception are releases known to end abandoned runs (§11.9).
//! * A run whose client hung up gets two seconds to end. Before that, its state proves nothing.
//! * Unless the gateway reports the end, `Absent` needs two readings five seconds apart, because a run may write
//!   its first item late. A restart of the gateway is the exception: the run died with it. The turn is sent
//!   again at once, before the gateway resumes it by itself.
//! * A resumed run has neither our tools nor our instructions (§11.5). It can finish work in its own files, but nothing on the
//!   board, and its text does not say which. So the agent is asked again, and its session shows what is done. Until no run of
//!   the turn can be active, that is as premature as sending an absent turn again.
//! * `marker_seen` tells the next try that the agent saw the request and may have done part of it.

mod missing_calls;
mod page;
mod trace;
mod waiting;

use std::time::Duration;

use super::{Reply, ToolOutput, Usage, Why};
use mcr_model::clock::Millis;

pub use missing_calls::with_missing_calls;
pub use page::{
    Item, Listed, Page, Role, Stop, read, read_item, read_listed, read_not_found, read_socket, read_tool,
};
pub use trace::{cut_item, has_question, last_attempt, reaches, source_of};
pub use waiting::{Running, Waiting};

use trace::{Trace, TurnResult};

/// The time a gateway needs to end a run whose client hung up.
const RUN_END_GRACE: Duration = Duration::from_secs(2);
/// From the reading that shows nothing to the one that confirms it.
const SECOND_LOOK: Duration = Duration::from_secs(5);
/// Between two readings while a run continues.
const GOES_ON: Duration = Duration::from_secs(5);
/// Between two readings while the gateway resumes a turn by itself.
const RESUMING: Duration = Duration::from_secs(2);
/// The gateway's clock may start this much before or after its process.
const STARTS_WITHIN: Duration = Duration::from_secs(1);

/// Facts about a turn whose answer was lost.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a turn")]
pub struct TurnMark<'a> {
    /// The beginning of its message: `[n-… try 2]`. Results have markers of their own.
    pub marker: &'a str,
    /// The beginning of an earlier try's input. The agent has seen that try, and its outcome is unknown too.
    pub earlier: Option<&'a str>,
    /// The usage of that earlier try is already counted.
    pub earlier_charged: bool,
    /// The tool results that it carried. Such a turn is found by the marker, or the call id, of the first one.
    pub outputs: &'a [ToolOutput],
    /// The id of its run, if the gateway reported it.
    pub run: Option<&'a str>,
    /// The gateway reported that the run failed, without a reason: the run has ended.
    pub failed: bool,
    /// The model wrote something before that failure, judged by the reported tokens.
    pub spoke: bool,
    /// The agent could act on the board, by tools or over HTTP. A run that the gateway resumes cannot.
    pub tools: bool,
    /// The time since it was sent, by a monotonic clock, if there is one. A gateway with a shorter uptime has
    /// restarted since.
    pub age: Duration,
    /// When the loss of the answer was noticed.
    pub lost: Millis,
    /// When the session was first read after that.
    pub looked: Option<Millis>,
}

/// The state of a session's last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Active, queued, or cut off by a restart and still to be resumed.
    Running,
    /// Ended normally.
    Done,
    /// Its client hung up, or it was aborted.
    Killed,
    /// Ended with an error.
    Failed,
    /// Ended by the gateway's time limit.
    Timeout,
}

/// What is visible of a session at one moment.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a session and its gateway")]
pub struct SessionEvidence<'a> {
    /// The last items of the session, oldest first.
    pub items: &'a [Item],
    /// Whether the items reach back to the turn, or to the session's beginning.
    pub whole: bool,
    /// The state of the session's last run, if the gateway reports it.
    pub status: Option<Status>,
    /// The gateway's uptime, if it reports it.
    pub up: Option<Duration>,
    /// Whether the gateway's list of sessions proves that no turn has begun in this one since ours was sent.
    pub untouched: bool,
    /// Whether this release is known to end a run whose client is gone.
    pub ends_unheard: bool,
    /// Whether the gateway reports that no run is active in the session.
    pub idle: bool,
    /// Whether this release is known to call the model again while the client runs its calls.
    pub asks_again: bool,
    /// The current time.
    pub now: Millis,
}

/// The outcome of a turn whose answer was lost.
#[derive(Clone, Debug, PartialEq)]
pub enum Recovered {
    /// The answer.
    Answered(Reply),
    /// The agent requests these calls; text before them may be included.
    Calls(Reply),
    /// The answer of a run that the gateway resumed after a restart. The turn had no tools, so the run lacked none.
    Elsewhere(Reply),
    /// The answer, maybe empty, of a run that the gateway resumed without the turn's tools. The agent must be asked again.
    ToolsMissing(Reply),
    /// The agent answered with nothing.
    Silent,
    /// The turn failed and has ended; a retry may succeed.
    Failed {
        /// The cause.
        why: Why,
        /// The input of this or an earlier try is in the session: the agent may have done part of the work.
        marker_seen: bool,
    },
    /// An answer exists, but the gateway does not show all of it.
    Cut,
    /// The turn has not ended, or its state is not known yet.
    Running(Running),
    /// The turn is not in the session and will not appear: it can be sent again.
    Absent {
        /// The input of this or an earlier try is in the session: the agent may have done part of the work.
        marker_seen: bool,
    },
    /// The gateway does not show its sessions, or not enough of them: the outcome cannot be known.
    Unknown,
}

/// What a session shows of an active turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnProgress {
    /// The number of the session's last item. A growing number means an active run.
    pub last: u64,
    /// The input is in the history: the run has started.
    pub begun: bool,
    /// The run's result is in the history.
    pub over: bool,
    /// The run has not started, and the gateway reports it as queued.
    pub queued: bool,
    /// How many calls the model has made whose results it has not received.
    pub promised: u32,
}

/// Reads the state of a turn whose answer has not arrived yet. `asks_again`: the release calls the model again while the client
/// runs its calls.
pub fn turn_progress(mark: &TurnMark<'_>, items: &[Item], asks_again: bool) -> TurnProgress {
    let trace = Trace::of(mark, items);
    let run = &trace.own;
    let has_result = match run.find(mark.run) {
        Some(TurnResult::Calls(_)) => !asks_again || run.empties > 0,
        Some(TurnResult::Answer(_) | TurnResult::Cut(_)) => true,
        None => false,
    };
    TurnProgress {
        last: items.last().map_or(0, |item| item.seq),
        begun: trace.seen,
        over: trace.seen && (run.is_over() || has_result),
        queued: false,
        promised: promised(&trace, items),
    }
}

/// How many calls the model of the turn has made without their results. The history of a long run may have lost its input.
fn promised(trace: &Trace<'_>, items: &[Item]) -> u32 {
    if trace.seen || items.iter().any(|item| item.role == Role::User) {
        return trace.own.promised();
    }
    Trace::of_run(items).promised()
}

/// Who wrote the text of a reply, by the session's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextSource {
    /// The model.
    Model,
    /// The model answered with another text, and no call of it failed since.
    ModelsOtherText,
    /// The gateway, after a model call failed for this reason.
    Gateway(Why),
    /// The model wrote empty messages only.
    Silence,
    /// The turn is there without an answer of the model. Texts before calls are none.
    NoAnswer,
    /// The turn is not there, or the history is not readable.
    Unknown,
}

/// What a session shows of the attempts of a work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownAttempts {
    /// The last attempt that it has a message of.
    Last(u32),
    /// It has none.
    Nothing,
    /// The gateway does not show its sessions, or not as far back as needed.
    NotShown,
    /// It cannot be read at this moment.
    Unreadable,
}

/// A finished model call of a turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelCall {
    /// The model, with its provider if the gateway names both.
    pub model: Option<String>,
    /// Its usage; zero if the model does not report it.
    pub usage: Usage,
}

/// The finished model calls of a turn, as far as the items show them.
pub fn model_calls(mark: &TurnMark<'_>, items: &[Item]) -> Vec<ModelCall> {
    Trace::of(mark, items).into_model_calls()
}

/// Decides by the recipe of spec §11.8; the step numbers are those of the spec.
pub fn decide(mark: &TurnMark<'_>, evidence: &SessionEvidence<'_>) -> Recovered {
    let trace = Trace::of(mark, evidence.items);
    let last = Some(evidence.items.last().map_or(0, |item| item.seq));
    let promised = if evidence.asks_again { trace.own.promised() } else { 0 };
    let wait = |again_in, why| Recovered::Running(Running { again_in, why, last, promised });
    let may_run =
        !matches!(evidence.status, Some(Status::Done | Status::Killed | Status::Failed | Status::Timeout));
    // A gateway that ends runs without a client, and reports that none is active, needs no longer than for such an end.
    let apart = if evidence.ends_unheard && evidence.idle { RUN_END_GRACE } else { SECOND_LOOK };
    let second_look = |verdict: Recovered| match mark.looked.map(|at| evidence.now.since(at)) {
        Some(since) if since >= apart => verdict,
        Some(since) => wait(apart.saturating_sub(since), Waiting::SecondLook),
        None => wait(apart, Waiting::SecondLook),
    };

    let since = evidence.now.since(mark.lost);
    let restarted = evidence.up.is_some_and(|up| up + STARTS_WITHIN < mark.age);
    let has_ended = || {
        let run = &trace.own;
        run.is_over()
            || run.empties > 0
            || mark.failed
            || restarted
            || (evidence.ends_unheard && since >= RUN_END_GRACE)
    };

    // 1 and 2: the first answer of the turn, regardless of what follows it.
    match trace.own.find(mark.run) {
        Some(TurnResult::Answer(reply)) => return Recovered::Answered(reply),
        Some(TurnResult::Cut(_)) => return Recovered::Cut,
        // The gateway would refuse results for a resumed turn.
        Some(TurnResult::Calls(_)) if trace.resuming && may_run => return wait(RESUMING, Waiting::Resuming),
        // More calls may follow while the run goes on.
        Some(TurnResult::Calls(_)) if evidence.asks_again && may_run && !has_ended() => {
            return wait(GOES_ON, Waiting::GoesOn);
        }
        Some(TurnResult::Calls(reply)) => return Recovered::Calls(reply),
        None => {}
    }
    let marker_seen = trace.is_there();
    let absent = || Recovered::Absent { marker_seen };
    let failed = |why| Recovered::Failed { why, marker_seen };
    // 3 and 4: the run with which the gateway resumed the turn after a restart.
    if let Some(resumed) = &trace.resumed {
        let once = |reply: Reply| trace.without_counted_usage(mark, reply);
        let tools_missing = |reply| match evidence.status {
            Some(Status::Running) => wait(RESUMING, Waiting::Resuming),
            _ if mark.failed || restarted => Recovered::ToolsMissing(reply),
            _ if since < RUN_END_GRACE => wait(RUN_END_GRACE.saturating_sub(since), Waiting::WindingUp),
            _ => second_look(Recovered::ToolsMissing(reply)),
        };
        return match (resumed.find(None), resumed.failed) {
            (Some(TurnResult::Answer(reply)), _) if mark.tools => tools_missing(once(reply)),
            (Some(TurnResult::Answer(reply) | TurnResult::Calls(reply)), _) => {
                Recovered::Elsewhere(once(reply))
            }
            (Some(TurnResult::Cut(_)), _) => Recovered::Cut,
            (None, Some(why)) => failed(why),
            (None, None) if resumed.given_up => absent(),
            (None, None) if resumed.empties >= 2 || (resumed.empties == 1 && !may_run) => {
                if mark.tools {
                    tools_missing(once(resumed.silence()))
                } else {
                    Recovered::Silent
                }
            }
            (None, None) => match evidence.status {
                None | Some(Status::Running) => wait(RESUMING, Waiting::Resuming),
                Some(Status::Failed | Status::Timeout) => failed(Why::Interrupted),
                Some(Status::Killed | Status::Done) => second_look(absent()),
            },
        };
    }
    // The run has ended: the history or the gateway's error shows it.
    if trace.own.empties >= 2
        || (trace.own.empties == 1 && (mark.failed || evidence.status == Some(Status::Done)))
    {
        return Recovered::Silent;
    }
    if let Some(why) = trace.own.failed {
        return failed(why);
    }
    // The turn arrived while the gateway was resuming another one.
    if !trace.seen && trace.resuming && may_run {
        return wait(RESUMING, Waiting::Resuming);
    }
    if mark.failed {
        // A reply of only the silence word leaves no item in the history (measured on 2026.9.6). A run that
        // wrote something and left no item has written that word.
        let silent = mark.spoke && trace.seen;
        return if silent { Recovered::Silent } else { failed(Why::Internal) };
    }
    if !trace.seen && !evidence.whole {
        return Recovered::Unknown;
    }
    // 6 and 7 after a restart: at once, which beats the gateway's own recovery.
    if restarted {
        return absent();
    }
    // 5, 6 and 7 without a restart.
    if since < RUN_END_GRACE {
        return wait(RUN_END_GRACE.saturating_sub(since), Waiting::WindingUp);
    }
    match (trace.seen, evidence.status) {
        (_, Some(Status::Running)) => wait(GOES_ON, Waiting::GoesOn),
        (true, Some(Status::Killed)) => absent(),
        // The run that has read our message has ended, and left no answer.
        (true, None) if evidence.ends_unheard && evidence.idle => absent(),
        (true, Some(Status::Failed | Status::Timeout)) => failed(Why::Interrupted),
        (true, None) if !evidence.ends_unheard => wait(GOES_ON, Waiting::GoesOn),
        // Old releases show nothing of a session's first turn until that turn has done something (spec §11.4).
        // Their list of sessions shows the turn from the beginning.
        (false, None) if !evidence.ends_unheard && !evidence.untouched && evidence.items.is_empty() => {
            wait(GOES_ON, Waiting::GoesOn)
        }
        _ => second_look(absent()),
    }
}
