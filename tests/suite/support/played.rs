//! A gateway that plays its lines: one reply for each turn, in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use mission_control_runtime::gateway::{
    Class, Gateway, GatewayError, Input, Progress, Reply, ToolCall, ToolOutput, Turn, Why,
};

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

/// The gateway. Clones play the same lines.
#[derive(Clone, Default)]
pub(crate) struct Played(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    replies: VecDeque<Result<Reply, GatewayError>>,
    seen: Vec<Seen>,
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
        progress(Progress::Alive);
        let mut lines = self.0.lock().unwrap();
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
}
