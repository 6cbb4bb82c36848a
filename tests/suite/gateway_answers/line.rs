//! The scripted gateway behind a socket, with a client of it.

use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::clock::Pulse;
use mission_control_runtime::clock::{Clock as _, SystemClock};
use mission_control_runtime::demo::gateway::{
    BODY_BYTES, Fault, Options, PATH, ScriptedGateway, ScriptedModel,
};
use mission_control_runtime::gateway::client::{GatewayLimits, HttpGateway};
use mission_control_runtime::gateway::{
    Class, Gateway, GatewayError, Input, Recovered, Reply, Tool, Turn, TurnMark, Why,
};
use mission_control_runtime::http::message::Reply as HttpReply;
use mission_control_runtime::http::server::{self, Server};
use mission_control_runtime::model::SessionKey;

use super::{PATIENT, SESSION, TOKEN, client_with, tool};

/// A scripted gateway and a client of it.
pub(super) struct Line {
    pub(super) scripted: ScriptedGateway,
    pub(super) server: Server,
    pub(super) client: HttpGateway,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.scripted.end();
        self.server.stop(Duration::ZERO);
    }
}

pub(super) fn options() -> Options {
    Options { token: Some(TOKEN.to_owned()), resume_after: Duration::from_millis(200), ..Options::default() }
}

pub(super) fn line(options: Options, mind: impl ScriptedModel + 'static) -> Line {
    served(ScriptedGateway::new(options, Arc::new(mind)), |_| None)
}

/// A scripted gateway behind a proxy that answers some requests itself.
pub(super) fn served(
    scripted: ScriptedGateway,
    front: impl Fn(&str) -> Option<HttpReply> + Send + Sync + 'static,
) -> Line {
    let doors = scripted.clone();
    let limits = server::ServerLimits::default().with_body_limit(PATH, BODY_BYTES);
    let server = Server::bind_refusing("127.0.0.1:0", limits, ScriptedGateway::refuse, move |request| {
        front(&request.path()).unwrap_or_else(|| doors.answer(&request))
    })
    .unwrap();
    let client = client_with(&format!("http://{}", server.local_addr()), GatewayLimits::new(PATIENT));
    Line { scripted, server, client }
}

impl Line {
    /// Another client of the same gateway.
    pub(super) fn another(&self) -> HttpGateway {
        client_with(&format!("http://{}", self.server.local_addr()), GatewayLimits::new(PATIENT))
    }

    pub(super) fn say(&self, text: &str, tools: &[&Tool]) -> Result<Reply, GatewayError> {
        let session = SessionKey::new(SESSION);
        let input = Input::Message(text);
        let pulse = Pulse::new();
        let turn = Turn {
            session: &session,
            agent: "engineer",
            instructions: "Be brief.",
            input,
            tools,
            pulse: &pulse,
        };
        self.client.turn(&turn, &mut |_| ())
    }

    pub(super) fn loses(&self, text: &str, fault: Fault) -> GatewayError {
        self.scripted.faults().next(fault);
        let tool = tool();
        let error = self.say(text, &[&tool]).unwrap_err();
        assert_eq!(error.class, Class::Lost, "{error:?}");
        error
    }

    /// A reading this many seconds after the loss; the first reading was at the same time.
    pub(super) fn look(&self, since: u64, error: &GatewayError) -> Result<Recovered, GatewayError> {
        let lost = SystemClock.now() - Duration::from_secs(since);
        let mark = TurnMark {
            marker: "[n-1 try 1]",
            earlier: None,
            earlier_charged: false,
            outputs: &[],
            run: error.run.as_deref(),
            failed: error.why == Why::Internal,
            spoke: error.spoke,
            tools: false,
            // Otherwise this gateway would be younger than the turn.
            age: Duration::ZERO,
            lost,
            looked: (since >= 5).then_some(lost),
        };
        self.client.recover(&SessionKey::new(SESSION), "engineer", &mark)
    }
}
