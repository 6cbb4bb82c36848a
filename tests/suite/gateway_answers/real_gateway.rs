//! The same contract, asked of a real gateway with a scripted model behind it.
//!
//! Ignored unless asked for: `real-gateway.sh run -- cargo test --test suite -- --ignored real_gateway` sets the
//! variables that are read here.

use std::env;
use std::sync::Arc;

use mission_control_runtime::gateway::client::{Endpoint, HttpGateway};
use mission_control_runtime::gateway::dialect::{Release, ToolShape};
use mission_control_runtime::gateway::{
    Class, Gateway, GatewayError, Input, Progress, Reply, Tool, ToolOutput, Turn, Why,
};
use mission_control_runtime::model::{BaseUrl, SessionKey};
use mission_control_runtime::secret::Secret;
use mission_control_runtime::wire::Stop;

use super::{PATIENT, roots, tool};

fn endpoint(token: &str) -> Endpoint {
    let url = env::var("OPENCLAW_GATEWAY_URL").expect("the address of a gateway");
    let token = Some(Secret::new(token));
    Endpoint::new(BaseUrl::parse(&url).unwrap(), token, roots(), Arc::default(), 6 * PATIENT)
}

fn turn(
    gateway: &HttpGateway,
    agent: &str,
    session: &str,
    input: Input<'_>,
    tool: &Tool,
) -> Result<Reply, GatewayError> {
    let session = SessionKey::new(session);
    let turn = Turn { session: &session, agent, instructions: "Be brief.", input, tools: &[tool] };
    let mut taken = 0;
    let result = gateway.turn(&turn, &mut |sign| {
        taken += usize::from(matches!(sign, Progress::Taken(_)));
    });
    assert!(taken <= 1);
    result
}

#[test]
#[ignore = "needs a real gateway"]
fn a_real_gateway_answers_as_we_were_told() {
    let endpoint = endpoint(&env::var("OPENCLAW_GATEWAY_TOKEN").unwrap());
    let gateway = endpoint.client(&Stop::new());
    let version = env::var("OPENCLAW_VERSION").unwrap();
    let old = Release::parse(&version).unwrap().too_old_for_tools();

    let probe = gateway.probe();
    assert!(probe.reachable && probe.ready, "{probe:?}");
    if !old {
        assert_eq!(probe.version.as_deref(), Some(version.as_str()));
    }

    let (engineer, qa) = ("task:T1:agent:engineer:Acc:v1", "system:agent:qa:Acc:v1");
    let say = |session, agent, text| turn(&gateway, agent, session, Input::Message(text), &tool());
    for _ in 0..3 {
        let reply = say(engineer, "engineer", "[n-1 try 1] SAY hi there").unwrap();
        assert_eq!(reply.text.as_deref(), Some("hi there"));
        assert!(reply.id.is_some_and(|id| id.starts_with("resp_")) && reply.usage.is_some());
    }
    assert_eq!(say("anything", "qa", "SAY hello").unwrap().text.as_deref(), Some("hello"));
    assert_eq!(endpoint.dialect().tools, if old { ToolShape::Nested } else { ToolShape::Flat });
    if old {
        return;
    }

    let reply = say(engineer, "engineer", "[n-2 try 1] CALL task_status {\"taskId\":\"t-1\"}").unwrap();
    assert_eq!((reply.calls.len(), &reply.text), (1, &None), "{reply:?}");
    assert_eq!((&*reply.calls[0].name, &*reply.calls[0].arguments), ("task_status", "{\"taskId\":\"t-1\"}"));
    let outputs =
        [ToolOutput { call_id: reply.calls[0].call_id.clone(), output: "{\"ok\":true}".to_owned() }];
    let reply = turn(&gateway, "engineer", engineer, Input::Outputs(&outputs), &tool()).unwrap();
    assert!(reply.text.is_some() && reply.calls.is_empty());

    let clash = Tool { name: "session_status", ..tool() };
    let error = |result: Result<Reply, GatewayError>| {
        let error = result.unwrap_err();
        (error.class, error.why)
    };
    let refused = turn(&gateway, "engineer", engineer, Input::Message("SAY x"), &clash);
    assert_eq!(error(refused), (Class::Refused, Why::ToolsRefused));
    assert_eq!(error(say(engineer, "nobody", "SAY x")), (Class::Refused, Why::UnknownAgent));
    assert_eq!(error(say(engineer, "engineer", "FAIL 400 bad")), (Class::Refused, Why::ProviderRejected));
    assert_eq!(error(say(qa, "qa", "FAIL 401 bad key")), (Class::Transient, Why::ProviderRefused));
    assert_eq!(error(say(qa, "qa", "SAY cooling down")), (Class::Lost, Why::Internal));

    let stranger = self::endpoint("another-token").client(&Stop::new());
    let refused = turn(&stranger, "engineer", engineer, Input::Message("SAY x"), &tool());
    assert_eq!(error(refused), (Class::Closed, Why::TokenRefused));
}
