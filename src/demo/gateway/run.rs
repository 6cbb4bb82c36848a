//! A turn from its request to its outcome: it waits for its session and for a place, asks the mind, and writes down
//! what happened.

use std::thread;
use std::time::{Duration, Instant};

use super::ask::{Ask, MustCall};
use super::books::Visit;
use super::faults::Fault;
use super::mind::{Act, Call, Offered, Prompt, Said, Thought};
use super::sessions::{NoTurn, Seat};
use super::transcript::{Entry, Item, delegated};
use super::{Inner, LOOK, Release};

/// How a turn ended.
pub(super) enum Outcome {
    /// The agent said this; `cut` if it stopped at its limit.
    Said { text: String, cut: bool },
    /// The agent wants these calls made.
    Called { preamble: String, calls: Vec<Issued> },
    /// It failed.
    Failed(Failure),
    /// The client had gone.
    Gone,
}

/// A call as the client sees it.
#[derive(Clone)]
pub(super) struct Issued {
    pub(super) call_id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

/// A turn that failed, as openclaw-gateway §7 has it.
pub(super) struct Failure {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// Who follows a turn.
pub(super) trait Watch {
    /// Whether anybody does.
    fn is_open(&mut self) -> bool;
    /// The agent said this much more.
    fn words(&mut self, text: &str);
}

/// What a silent agent's answer is on old releases.
const NOTHING_SAID: &str = "No response from OpenClaw.";
/// For how long an agent's provider is left alone after it has refused the key.
const COOLDOWN: Duration = Duration::from_mins(1);
/// How often the model may call what nobody offers before the turn ends.
const MISCALLS: usize = 3;

/// The failure that says nothing.
pub(super) fn internal() -> Outcome {
    failed(500, "api_error", "internal error")
}

fn failed(status: u16, code: &'static str, message: impl Into<String>) -> Outcome {
    Outcome::Failed(Failure { status, code, message: message.into() })
}

struct Turn<'a> {
    inner: &'a Inner,
    ask: &'a Ask,
    run: &'a str,
    fault: Option<&'a Fault>,
    visit: &'a Visit,
    seat: Seat<'a>,
}

/// Runs a turn to its end.
pub(super) fn run(
    inner: &Inner,
    (ask, run): (&Ask, &str),
    visit: &Visit,
    fault: Option<&Fault>,
    watch: &mut dyn Watch,
) -> Outcome {
    let new = inner.options.release == Release::V2026_9_6;
    let Some(name) = &ask.session else { return internal() };
    if new && ask.clash {
        return failed(400, "invalid_request_error", "invalid tool configuration");
    }
    if new && (ask.text.trim().is_empty() || inner.is_cooling(&ask.agent)) {
        return internal();
    }
    let session = inner.sessions.of(name);
    let mut is_open = || inner.goes_on() && (!new || watch.is_open());
    let seat = match session.enter(new && inner.options.fresh_sessions_conflict, &mut is_open) {
        Ok(seat) => seat,
        Err(NoTurn::Conflict) => return internal(),
        Err(NoTurn::Gone) => return Outcome::Gone,
    };
    let Some(slot) = inner.slots.enter(&mut is_open) else { return Outcome::Gone };
    let turn = Turn { inner, ask, run, fault, visit, seat };
    let outcome = turn.play(watch);
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
    fn is_new(&self) -> bool {
        self.inner.options.release == Release::V2026_9_6
    }

    fn play(&self, watch: &mut dyn Watch) -> Outcome {
        let mut prompt = self.prompt();
        self.write(Item::User(self.ask.text.clone()));
        let (mut asked, mut miscalls) = (false, 0);
        loop {
            let thought = self.think(&prompt, asked);
            asked = true;
            if !self.sleep(thought.delay, watch) {
                return self.gone();
            }
            match thought.act {
                act if self.is_silence(&act) => {
                    if let Some(outcome) = self.silence(&mut prompt) {
                        return outcome;
                    }
                }
                // Silence, as seen above.
                Act::Nothing => return internal(),
                Act::Say(text) => return self.say(text, "stop", thought.drip, watch),
                Act::SayCut(text) => return self.say(text, "length", thought.drip, watch),
                Act::Call { preamble, calls } => {
                    let preamble = preamble.unwrap_or_default();
                    let (known, unknown): (Vec<Call>, Vec<Call>) =
                        calls.into_iter().partition(|call| self.may_call(&prompt, &call.name));
                    if !known.is_empty() {
                        return self.delegate(preamble, known, thought.drip, watch);
                    }
                    miscalls += 1;
                    self.refuse(&mut prompt, unknown);
                    if miscalls == MISCALLS {
                        return internal();
                    }
                }
                Act::Fail { status, message } => return self.provider(status, &message, watch),
                Act::Drop => return self.dropped(watch),
                Act::Hang => return self.hang(watch),
            }
        }
    }

    /// What the model is shown at first.
    fn prompt(&self) -> Prompt {
        let ask = self.ask;
        let abandoned = self.seat.take_abandoned();
        let offers = self.is_new();
        Prompt {
            agent: ask.agent.clone(),
            session: ask.session.clone().unwrap_or_default(),
            run: self.run.to_owned(),
            instructions: ask.instructions.clone(),
            tools: if offers { ask.tools.clone() } else { Vec::<Offered>::new() },
            said: ask.said.clone(),
            text: ask.text.clone(),
            abandoned,
            nudged: false,
            transcript: self.inner.sessions.of(ask.session.as_deref().unwrap_or_default()).view().entries,
        }
    }

    /// Asks the mind, unless a fault speaks for it.
    fn think(&self, prompt: &Prompt, again: bool) -> Thought {
        self.visit.asked(again);
        match self.fault {
            Some(Fault::UnknownTool) => Thought::call("no_such_tool", &serde_json::json!({"taskId": "t-1"})),
            Some(Fault::ErrorAsText(text)) => Thought::say(*text),
            _ => self.inner.mind.think(prompt),
        }
    }

    fn may_call(&self, prompt: &Prompt, tool: &str) -> bool {
        prompt.offers(tool) || self.fault == Some(&Fault::UnknownTool)
    }

    fn write(&self, item: Item) {
        let (id, at) = (self.inner.ids.next(), self.inner.options.clock.now());
        self.seat.write(Entry { id, at, item });
    }

    fn wrote(&self, text: &str, calls: Vec<(String, String, String)>, stop: &'static str) {
        self.write(Item::Assistant { run: self.run.to_owned(), text: text.to_owned(), calls, stop });
    }

    fn is_silence(&self, act: &Act) -> bool {
        let text = match act {
            Act::Nothing => "",
            Act::Say(text) => text.trim(),
            _ => return false,
        };
        text.is_empty() || if self.is_new() { text == "NO_REPLY" } else { text.ends_with("NO_REPLY") }
    }

    /// The model said nothing: it is asked once more, or that is the end.
    fn silence(&self, prompt: &mut Prompt) -> Option<Outcome> {
        self.wrote("", Vec::new(), "stop");
        if !self.is_new() {
            return Some(Outcome::Said { text: NOTHING_SAID.to_owned(), cut: false });
        }
        if prompt.nudged {
            return Some(internal());
        }
        prompt.nudged = true;
        None
    }

    fn say(&self, text: String, stop: &'static str, drip: Duration, watch: &mut dyn Watch) -> Outcome {
        if !self.speak(&text, drip, watch) {
            return self.gone();
        }
        self.wrote(&text, Vec::new(), stop);
        self.visit.answered();
        Outcome::Said { text, cut: stop == "length" }
    }

    /// Word by word, if it drips.
    fn speak(&self, text: &str, drip: Duration, watch: &mut dyn Watch) -> bool {
        if drip.is_zero() {
            watch.words(text);
            return true;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest.trim_start();
            let begin = rest.len() - word.len();
            let end = word.find(char::is_whitespace).map_or(rest.len(), |end| begin + end);
            watch.words(&rest[..end]);
            rest = &rest[end..];
            if !self.sleep(drip, watch) {
                return false;
            }
        }
        true
    }

    /// The client makes the calls.
    fn delegate(&self, preamble: String, calls: Vec<Call>, drip: Duration, watch: &mut dyn Watch) -> Outcome {
        if !self.speak(&preamble, drip, watch) {
            return self.gone();
        }
        let named =
            |call: &Call| (self.inner.ids.named("call_model"), call.name.clone(), call.arguments.clone());
        let own: Vec<_> = calls.iter().map(named).collect();
        self.wrote(&preamble, own.clone(), "toolUse");
        for (id, tool, _) in own {
            let text = delegated(&tool);
            self.write(Item::ToolResult { run: self.run.to_owned(), call: id, tool, text, error: false });
        }
        self.visit.answered();
        let mut calls: Vec<Issued> = calls
            .into_iter()
            .map(|call| Issued { call_id: self.inner.ids.call(), name: call.name, arguments: call.arguments })
            .collect();
        match self.fault {
            Some(Fault::SameCallIds) => {
                if let [only] = calls.as_slice() {
                    calls.push(only.clone());
                }
                let first = calls[0].call_id.clone();
                for call in &mut calls {
                    call.call_id.clone_from(&first);
                }
            }
            Some(Fault::BrokenArguments) => {
                for call in &mut calls {
                    "{\"taskId\": \"t-1\", status".clone_into(&mut call.arguments);
                }
            }
            _ => {}
        }
        Outcome::Called { preamble, calls }
    }

    /// The model called what nobody offers; it is told so.
    fn refuse(&self, prompt: &mut Prompt, calls: Vec<Call>) {
        let named = |call: Call| (self.inner.ids.named("call_model"), call.name, call.arguments);
        let own: Vec<_> = calls.into_iter().map(named).collect();
        self.wrote("", own.clone(), "toolUse");
        prompt.said.clear();
        for (id, tool, _) in own {
            let text = format!("Tool {tool} not found");
            prompt.said.push(Said::Output { call_id: id.clone(), output: text.clone() });
            self.write(Item::ToolResult { run: self.run.to_owned(), call: id, tool, text, error: true });
        }
        prompt.text = prompt
            .outputs()
            .map(|(id, output)| format!("Tool:{id}: {output}"))
            .collect::<Vec<_>>()
            .join("\n");
    }

    /// The provider has refused (openclaw-gateway §7).
    fn provider(&self, status: u16, message: &str, watch: &mut dyn Watch) -> Outcome {
        let own = format!("{status} {message}");
        if !self.is_new() {
            self.wrote(&own, Vec::new(), "stop");
            return Outcome::Said { text: own, cut: false };
        }
        let warning = format!("⚠️ LLM request failed (HTTP {status}).");
        let retried = status == 429 || status >= 500;
        if retried && !self.sleep(self.inner.options.provider_patience, watch) {
            return self.gone();
        }
        self.wrote(&warning, Vec::new(), "error");
        match status {
            401 | 403 => {
                self.inner.cool(&self.ask.agent, COOLDOWN);
                failed(status, "authentication_error", own)
            }
            402 => {
                self.inner.cool(&self.ask.agent, COOLDOWN);
                failed(status, "insufficient_quota", own)
            }
            429 => failed(429, "rate_limit_error", own),
            503 => failed(503, "api_error", "upstream provider overloaded"),
            500.. => failed(502, "api_error", "upstream provider error"),
            _ => failed(status, "invalid_request_error", own),
        }
    }

    fn dropped(&self, watch: &mut dyn Watch) -> Outcome {
        if !self.is_new() {
            return self.say("Connection error.".to_owned(), "stop", Duration::ZERO, watch);
        }
        if !self.sleep(self.inner.options.provider_patience, watch) {
            return self.gone();
        }
        self.wrote("⚠️ LLM request timed out.", Vec::new(), "error");
        failed(408, "api_error", "upstream provider timeout")
    }

    fn hang(&self, watch: &mut dyn Watch) -> Outcome {
        if !self.sleep(self.inner.options.run_timeout, watch) {
            return self.gone();
        }
        self.wrote("", Vec::new(), "aborted");
        if self.is_new() {
            return internal();
        }
        let text = "Request timed out before a response was generated.".to_owned();
        Outcome::Said { text, cut: false }
    }

    /// Whether anybody still waits after this time. Old releases do not notice that a client is gone.
    fn sleep(&self, time: Duration, watch: &mut dyn Watch) -> bool {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            if !self.inner.goes_on() || (self.is_new() && !watch.is_open()) {
                return false;
            }
            thread::sleep(left.min(LOOK));
        }
    }

    fn gone(&self) -> Outcome {
        self.seat.abandon();
        Outcome::Gone
    }
}
