//! A turn from its request to its outcome: it waits for its session and a slot, calls the model, and writes the
//! transcript.

use std::cell::Cell;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::delegation::{Delegated, results_in};
use super::failure::{Failure, INTERNAL, failed, internal};
use super::faults::Fault;
use super::observations::Visit;
use super::scripted_model::{Act, Call, InputItem, ModelUsage, Offered, Prompt, Thought, Tokens};
use super::sessions::{NoTurn, SessionSlot, Status};
use super::transcript::{Entry, Item, StopReason};
use super::turn_request::{MustCall, TurnRequest};
use super::{Inner, POLL_INTERVAL, Release};

/// The outcome of a turn.
pub(super) enum Outcome {
    /// The agent said this text. `cut`: it stopped at its token limit.
    Said { text: String, cut: bool },
    /// The run failed, and the answer is this text.
    FailedWithText(String),
    /// The agent requests these calls.
    Called { preamble: String, calls: Vec<Issued> },
    /// The turn failed.
    Failed(Failure),
    /// The client has disconnected.
    Gone,
}

/// A call as the client receives it.
#[derive(Clone)]
pub(super) struct Issued {
    pub(super) call_id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

/// The client's view of a turn in progress.
pub(super) trait Watch {
    /// Whether the client is still connected.
    fn is_open(&mut self) -> bool;
    /// The agent said this additional text.
    fn words(&mut self, text: &str);
}

/// The turn ends after this many calls of tools that were not offered.
const REFUSED_CALL_ROUNDS_MAX: usize = 3;

/// A token has about this many characters.
const CHARS_PER_TOKEN: usize = 4;

pub(super) struct Turn<'a> {
    pub(super) inner: &'a Inner,
    pub(super) agent: &'a str,
    pub(super) run: &'a str,
    pub(super) fault: Option<&'a Fault>,
    pub(super) visit: &'a Visit,
    pub(super) session_slot: SessionSlot<'a>,
    /// The usage of the present model call: what the model reports, and the length of what it reads.
    pub(super) usage: Cell<(ModelUsage, usize)>,
}

/// Runs a turn to its end.
pub(super) fn run(
    inner: &Inner,
    ask: &TurnRequest,
    run: &str,
    visit: &Visit,
    fault: Option<&Fault>,
    watch: &mut dyn Watch,
) -> Outcome {
    let release = inner.options.release;
    let new = !release.is_oldest();
    let Some(name) = &ask.session else { return internal() };
    if new && ask.clash {
        return failed(400, "invalid_request_error", "invalid tool configuration");
    }
    let fails = inner.is_cooling(&ask.agent) || inner.faults.blocks(&ask.agent);
    if new && (ask.text.trim().is_empty() || fails) {
        return internal();
    }
    let session = inner.sessions.of(name);
    let mut is_open = || inner.is_running() && (!release.ends_abandoned_runs() || watch.is_open());
    let session_slot = match session
        .enter(release == Release::V2026_9_6 && inner.options.fresh_sessions_conflict, &mut is_open)
    {
        Ok(session_slot) => session_slot,
        Err(NoTurn::Conflict) => return internal(),
        Err(NoTurn::Gone) => return Outcome::Gone,
    };
    session_slot.set_status(Status::Queued);
    let Some(slot) = inner.slots.enter(&mut is_open) else {
        session_slot.set_status(Status::Killed);
        return Outcome::Gone;
    };
    let turn = Turn { inner, agent: &ask.agent, run, fault, visit, session_slot, usage: Cell::default() };
    let prompt = turn.prompt(ask);
    turn.write(Item::User(ask.text.clone()));
    let outcome = turn.play(prompt, watch);
    drop(slot);
    match (&ask.must_call, outcome) {
        (Some(MustCall::Any), Outcome::Said { .. }) => {
            failed(502, "api_error", "tool_choice=required was not satisfied by the agent response")
        }
        (Some(MustCall::This(tool)), Outcome::Said { .. }) => {
            let why = format!("tool_choice required a {tool} tool call, but the agent did not produce one");
            failed(502, "api_error", why)
        }
        (_, outcome) => outcome,
    }
}

impl Turn<'_> {
    pub(super) fn release(&self) -> Release {
        self.inner.options.release
    }

    /// Runs from the first model call to the end and records the end.
    pub(super) fn play(&self, prompt: Prompt, watch: &mut dyn Watch) -> Outcome {
        self.session_slot.set_status(Status::Running);
        self.session_slot.runs(self.run);
        let outcome = self.think_through(prompt, watch);
        // A crashed gateway records nothing and sends no response.
        if !self.inner.is_running() {
            return Outcome::Gone;
        }
        match &outcome {
            // The client of an aborted run learns only that the run has ended.
            Outcome::Gone if self.session_slot.is_aborted() => {
                self.session_slot.set_status(Status::Killed);
                return internal();
            }
            Outcome::Gone => self.session_slot.set_status(Status::Killed),
            Outcome::Failed(failure) if failure.status == 408 => {
                self.session_slot.set_status(Status::Timeout);
            }
            Outcome::FailedWithText(_) => self.session_slot.set_status(Status::Failed),
            Outcome::Failed(failure) if failure.message != INTERNAL => {
                self.session_slot.set_status(Status::Failed);
            }
            _ => self.session_slot.set_status(Status::Done),
        }
        outcome
    }

    fn think_through(&self, mut prompt: Prompt, watch: &mut dyn Watch) -> Outcome {
        if let Some(Fault::GatewayText(text)) = self.fault {
            self.wrote("500 oops", Vec::new(), StopReason::Error);
            self.write(Item::Notice((*text).to_owned()));
            return Outcome::Said { text: (*text).to_owned(), cut: false };
        }
        let mut delegated = Delegated::default();
        let outcome = self.think_on(&mut prompt, &mut delegated, watch);
        delegated.end(outcome, self.release())
    }

    /// Calls the model until it has said something, or waits for the client. Calls whose results it does not wait for are
    /// `delegated`.
    fn think_on(&self, prompt: &mut Prompt, delegated: &mut Delegated, watch: &mut dyn Watch) -> Outcome {
        let (mut asked, mut refused_rounds) = (false, 0);
        loop {
            let thought = self.think(prompt, asked);
            self.usage.set((thought.usage, prompt.text.len() + prompt.instructions.len()));
            asked = true;
            if !self.sleep(thought.delay, watch) {
                return self.gone();
            }
            match thought.act {
                act if self.is_silence(&act) => {
                    if let Some(outcome) = self.silence(prompt, &act) {
                        return outcome;
                    }
                }
                // Handled as silence above.
                Act::Nothing => return internal(),
                Act::Say(text) => return self.say(text, StopReason::Stop, thought.drip, watch),
                Act::SayCut(text) => return self.say(text, StopReason::Length, thought.drip, watch),
                Act::Call { preamble, calls } => {
                    let preamble = preamble.unwrap_or_default();
                    let (known, unknown): (Vec<Call>, Vec<Call>) =
                        calls.into_iter().partition(|call| self.may_call(prompt, &call.name));
                    if !known.is_empty() {
                        let outcome = self.delegate(prompt, preamble, known, thought.drip, watch);
                        if !self.release().asks_again() || !delegated.takes(&outcome) {
                            return outcome;
                        }
                        continue;
                    }
                    refused_rounds += 1;
                    self.refuse(prompt, unknown);
                    if refused_rounds == REFUSED_CALL_ROUNDS_MAX {
                        return internal();
                    }
                }
                Act::Work { tool, time, result } => {
                    if !self.work(prompt, &tool, time, result, watch) {
                        return self.gone();
                    }
                }
                Act::Fail { status, message } => return self.provider(status, &message, watch),
                Act::Drop => return self.dropped(watch),
                Act::Hang | Act::Stall => return self.hang(watch),
            }
        }
    }

    /// The first prompt of the model.
    fn prompt(&self, ask: &TurnRequest) -> Prompt {
        let abandoned = self.session_slot.take_abandoned();
        let offers = !self.release().is_oldest();
        Prompt {
            agent: ask.agent.clone(),
            session: ask.session.clone().unwrap_or_default(),
            run: self.run.to_owned(),
            instructions: ask.instructions.clone(),
            tools: if offers { ask.tools.clone() } else { Vec::<Offered>::new() },
            said: ask.texts.clone(),
            text: ask.text.clone(),
            abandoned,
            nudged: false,
            waits: false,
            transcript: Arc::default(),
        }
    }

    /// Calls the model, unless a fault replaces its answer.
    fn think(&self, prompt: &mut Prompt, again: bool) -> Thought {
        self.visit.asked(again);
        match self.fault {
            Some(Fault::UnknownTool) => Thought::call("no_such_tool", &serde_json::json!({"taskId": "t-1"})),
            Some(Fault::ErrorAsText(text)) => Thought::say(*text),
            _ => {
                prompt.transcript = self.session_slot.remembered();
                let thought = self.inner.model.think(prompt);
                // Otherwise the next entry would be written to a copy.
                prompt.transcript = Arc::default();
                thought
            }
        }
    }

    fn may_call(&self, prompt: &Prompt, tool: &str) -> bool {
        prompt.offers(tool) || self.fault == Some(&Fault::UnknownTool)
    }

    pub(super) fn write(&self, item: Item) {
        let (id, at) = (self.inner.ids.next(), self.inner.options.clock.now());
        self.session_slot.write(Entry { id, at, item });
    }

    pub(super) fn wrote(&self, text: &str, calls: Vec<(String, String, String)>, stop: StopReason) {
        let written = text.len() + calls.iter().map(|(_, _, arguments)| arguments.len()).sum::<usize>();
        let usage = match (stop, self.usage.get()) {
            (StopReason::Error | StopReason::Aborted, _) | (_, (ModelUsage::Silent, _)) => Tokens::default(),
            (_, (ModelUsage::Tokens(tokens), _)) => tokens,
            (_, (ModelUsage::ByLength, read)) => {
                let tokens = |chars: usize| (chars / CHARS_PER_TOKEN + 1) as u64;
                Tokens { read: tokens(read), written: tokens(written), nano_dollars: 0 }
            }
        };
        self.visit.spent(usage);
        self.write(Item::Assistant { run: self.run.to_owned(), text: text.to_owned(), calls, stop, usage });
    }

    pub(super) fn say(
        &self,
        text: String,
        stop: StopReason,
        drip: Duration,
        watch: &mut dyn Watch,
    ) -> Outcome {
        if !self.speak(&text, drip, watch) {
            return self.gone();
        }
        self.wrote(&text, Vec::new(), stop);
        self.count_answer();
        Outcome::Said { text, cut: stop == StopReason::Length }
    }

    /// Marks the run as done before its answer counts. A crash in between leaves a resumed run and one answer.
    pub(super) fn count_answer(&self) {
        if self.inner.is_running() {
            self.session_slot.set_status(Status::Done);
            self.visit.answered();
        }
    }

    /// Sends the text, word by word if it drips.
    pub(super) fn speak(&self, text: &str, drip: Duration, watch: &mut dyn Watch) -> bool {
        if drip.is_zero() {
            watch.words(text);
            return true;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest.trim_start();
            let start = rest.len() - word.len();
            let end = word.find(char::is_whitespace).map_or(rest.len(), |end| start + end);
            watch.words(&rest[..end]);
            rest = &rest[end..];
            if !self.sleep(drip, watch) {
                return false;
            }
        }
        true
    }

    /// Refuses calls of tools that were not offered, and reports that to the model.
    fn refuse(&self, prompt: &mut Prompt, calls: Vec<Call>) {
        let named = |call: Call| (self.inner.ids.named("call_model"), call.name, call.arguments);
        let own: Vec<_> = calls.into_iter().map(named).collect();
        self.wrote("", own.clone(), StopReason::ToolUse);
        prompt.said.clear();
        for (id, tool, _) in own {
            let text = format!("Tool {tool} not found");
            prompt.said.push(InputItem::Output { call_id: id.clone(), output: text.clone() });
            self.write(Item::ToolResult { run: self.run.to_owned(), call: id, tool, text, error: true });
        }
        prompt.text = results_in(prompt);
    }

    /// Runs one of the gateway's own tools. Returns whether it finished.
    fn work(
        &self,
        prompt: &mut Prompt,
        tool: &str,
        time: Duration,
        text: String,
        watch: &mut dyn Watch,
    ) -> bool {
        let call = self.inner.ids.named("call_model");
        self.wrote("", vec![(call.clone(), tool.to_owned(), "{}".to_owned())], StopReason::ToolUse);
        if !self.sleep(time, watch) {
            return false;
        }
        prompt.text = format!("Tool:{call}: {text}");
        prompt.said = vec![InputItem::Output { call_id: call.clone(), output: text.clone() }];
        let (run, tool) = (self.run.to_owned(), tool.to_owned());
        self.write(Item::ToolResult { run, call, tool, text, error: false });
        true
    }

    /// Waits, and returns whether the client is still connected. Old releases do not notice a disconnect.
    pub(super) fn sleep(&self, time: Duration, watch: &mut dyn Watch) -> bool {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            let ended =
                self.session_slot.is_aborted() || (self.release().ends_abandoned_runs() && !watch.is_open());
            if ended || !self.inner.is_running() {
                return false;
            }
            thread::sleep(left.min(POLL_INTERVAL));
        }
    }

    pub(super) fn gone(&self) -> Outcome {
        if self.inner.is_running() {
            self.session_slot.abandon();
        }
        Outcome::Gone
    }
}
