//! A gateway that plays its lines: one reply for each turn, one verdict for each look for a lost one, one end
//! for each run that is to be ended, in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mission_control_runtime::gateway::{
    Class, Gateway, GatewayError, Input, Progress, Recovered, Reply, ToolCall, ToolOutput, Turn, TurnMark,
    Why,
};
use mission_control_runtime::model::SessionKey;

/// A turn as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) agent: String,
    pub(crate) session: String,
    pub(crate) instructions: String,
    pub(crate) message: Option<String>,
    pub(crate) outputs: Vec<ToolOutput>,
    pub(crate) tools: Vec<&'static str>,
}

/// A look for a lost turn as it came.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct Looked {
    pub(crate) session: String,
    pub(crate) marker: String,
    pub(crate) earlier: Option<String>,
    pub(crate) earlier_charged: bool,
    pub(crate) outputs: usize,
    pub(crate) run: Option<String>,
    pub(crate) failed: bool,
    pub(crate) again: bool,
    pub(crate) tools: bool,
    pub(crate) age: Duration,
}

/// The gateway. Clones play the same lines.
#[derive(Clone, Default)]
pub(crate) struct Played(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    replies: VecDeque<Result<Reply, GatewayError>>,
    seen: Vec<Seen>,
    verdicts: VecDeque<Result<Recovered, GatewayError>>,
    looked: Vec<Looked>,
    ends: VecDeque<Result<bool, GatewayError>>,
    ended: Vec<(String, Option<String>)>,
    meanwhile: Option<Box<dyn FnOnce() + Send>>,
    /// The markers of the messages that the session was searched for, and what comes of it.
    searched: Vec<String>,
    searches: VecDeque<Result<Option<bool>, GatewayError>>,
}

impl Played {
    pub(crate) fn says(&self, text: &str) -> &Self {
        self.push(Ok(Reply { text: Some(text.to_owned()), ..Reply::default() }))
    }

    pub(crate) fn says_nothing(&self) -> &Self {
        self.push(Ok(Reply::default()))
    }

    /// Calls tools; their ids are `c0`, `c1`, … within the reply.
    pub(crate) fn calls(&self, calls: &[(&str, &str)]) -> &Self {
        self.says_and_calls(None, calls)
    }

    pub(crate) fn says_and_calls(&self, text: Option<&str>, calls: &[(&str, &str)]) -> &Self {
        let calls = calls.iter().enumerate().map(|(n, (name, arguments))| ToolCall {
            call_id: format!("c{n}"),
            name: (*name).to_owned(),
            arguments: (*arguments).to_owned(),
        });
        self.push(Ok(Reply { text: text.map(str::to_owned), calls: calls.collect(), ..Reply::default() }))
    }

    pub(crate) fn fails(&self, class: Class, why: Why) -> &Self {
        self.push(Err(GatewayError::new(class, why, None)))
    }

    /// What happens while the next turn runs.
    pub(crate) fn meanwhile(&self, happens: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap().meanwhile = Some(Box::new(happens));
    }

    /// What became of a lost turn.
    pub(crate) fn recovers(&self, verdict: Recovered) -> &Self {
        self.0.lock().unwrap().verdicts.push_back(Ok(verdict));
        self
    }

    /// Nobody can look.
    pub(crate) fn is_away(&self) -> &Self {
        let error = GatewayError::new(Class::Closed, Why::Unreachable, None);
        self.0.lock().unwrap().verdicts.push_back(Err(error));
        self
    }

    /// What the next search for a message finds. Without a line the session is not shown.
    pub(crate) fn has_question(&self, has: Result<Option<bool>, GatewayError>) -> &Self {
        self.0.lock().unwrap().searches.push_back(has);
        self
    }

    /// The messages that the session was searched for so far; they are forgotten.
    pub(crate) fn take_searched(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().searched)
    }

    /// What comes of ending a run.
    pub(crate) fn ends(&self, end: Result<bool, GatewayError>) -> &Self {
        self.0.lock().unwrap().ends.push_back(end);
        self
    }

    /// The runs that were to be ended so far, session and id; they are forgotten.
    pub(crate) fn take_ended(&self) -> Vec<(String, Option<String>)> {
        std::mem::take(&mut self.0.lock().unwrap().ended)
    }

    /// The looks so far; they are forgotten.
    pub(crate) fn take_looked(&self) -> Vec<Looked> {
        std::mem::take(&mut self.0.lock().unwrap().looked)
    }

    fn push(&self, reply: Result<Reply, GatewayError>) -> &Self {
        self.0.lock().unwrap().replies.push_back(reply);
        self
    }

    /// The turns so far; they are forgotten.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap().seen)
    }
}

impl Gateway for Played {
    fn turn(&self, turn: &Turn<'_>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Reply, GatewayError> {
        let mut lines = self.0.lock().unwrap();
        if let Some(happens) = lines.meanwhile.take() {
            happens();
        }
        progress(Progress::TurnAccepted(&format!("resp_{}", lines.seen.len())));
        let (message, outputs) = match turn.input {
            Input::Message(text) => (Some(text.to_owned()), Vec::new()),
            Input::Outputs(outputs) => (None, outputs.to_vec()),
        };
        lines.seen.push(Seen {
            agent: turn.agent.to_owned(),
            session: turn.session.expose().to_owned(),
            instructions: turn.instructions.to_owned(),
            message,
            outputs,
            tools: turn.tools.iter().map(|tool| tool.name).collect(),
        });
        lines.replies.pop_front().expect("the play has no more lines")
    }

    fn has_question(&self, _: &SessionKey, _: &str, marker: &str) -> Result<Option<bool>, GatewayError> {
        let mut lines = self.0.lock().unwrap();
        lines.searched.push(marker.to_owned());
        lines.searches.pop_front().unwrap_or(Ok(None))
    }

    fn recover(&self, session: &SessionKey, _: &str, mark: &TurnMark<'_>) -> Result<Recovered, GatewayError> {
        let mut lines = self.0.lock().unwrap();
        lines.looked.push(Looked {
            session: session.expose().to_owned(),
            marker: mark.marker.to_owned(),
            earlier: mark.earlier.map(str::to_owned),
            earlier_charged: mark.earlier_charged,
            outputs: mark.outputs.len(),
            run: mark.run.map(str::to_owned),
            failed: mark.failed,
            again: mark.looked.is_some(),
            tools: mark.tools,
            age: mark.age,
        });
        lines.verdicts.pop_front().expect("nobody knows what became of it")
    }

    fn abort(&self, session: &SessionKey, _: &str, run: Option<&str>) -> Result<bool, GatewayError> {
        let mut lines = self.0.lock().unwrap();
        lines.ended.push((session.expose().to_owned(), run.map(str::to_owned)));
        lines.ends.pop_front().expect("nobody knows whether it can be ended")
    }
}
