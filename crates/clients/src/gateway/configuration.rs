//! Reads the gateway's configuration over its WebSocket. The gateway shows it without its secrets, to a client that may
//! read.

use serde_json::json;

use super::HttpGateway;
use super::conversation::Conversation;
use super::socket::SocketFailure;
use mcr_core::gateway::codec::TurnFailure;
use mcr_core::gateway::{Class, Why};
use mcr_core::gateway_config::ShownConfiguration;

/// Asks for the configuration. An error says why the gateway does not show it.
pub(super) fn read(gateway: &HttpGateway) -> Result<ShownConfiguration, TurnFailure> {
    ask(gateway).map_err(|failure| match failure {
        SocketFailure::Away(failure) => failure,
        SocketFailure::Temporary(words) => {
            TurnFailure::new(Class::Closed, Why::Unreachable).with_detail(words)
        }
        SocketFailure::Declined(words) => {
            TurnFailure::new(Class::Refused, Why::NotOverSocket).with_detail(words)
        }
    })
}

fn ask(gateway: &HttpGateway) -> Result<ShownConfiguration, SocketFailure> {
    let mut conversation = Conversation::begin(gateway)?;
    let answer = conversation.request("config.get", &json!({}))?;
    conversation.end();
    ShownConfiguration::read(answer.get())
        .ok_or_else(|| SocketFailure::Declined("its answer to config.get is not understood".to_owned()))
}
