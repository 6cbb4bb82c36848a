//! What the operator should know about a merged configuration.

use std::fmt;

/// A remark about a merged configuration. The gateway starts with it all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// At this path, an object is required, and something else was there.
    Replaced(String),
    /// At this path, a value of another type was expected. It is ignored.
    WrongType {
        /// The path.
        path: &'static str,
        /// The expected type, with its article.
        expected: &'static str,
    },
    /// `OPENCLAW_BIND_HOST` is not an address that the gateway can listen on.
    NoIpv4Address(String),
    /// The gateway was to listen on the network without authentication.
    NoTokenForNetwork,
    /// There is a key of no model provider.
    NoProvider,
    /// One of the two tokens of Slack is set.
    HalfOfSlack {
        /// The variable that is set.
        given: &'static str,
        /// The other one.
        missing: &'static str,
    },
    /// An agent has no usable id.
    BadAgent(String),
    /// The provider of an agent's model is not configured.
    UnknownProvider {
        /// The agent.
        agent: String,
        /// Its model.
        model: String,
    },
    /// No binding says which of several agents answers on a channel.
    UnboundChannel(String),
    /// `OPENCLAW_SESSION_RETENTION_DAYS` is 0.
    RetentionOfNoDays,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaced(path) if path.is_empty() => {
                f.write_str("The configuration was not an object and was replaced.")
            }
            Self::Replaced(path) => {
                write!(f, "The setting `{path}` was not an object and was replaced, because settings below it are required.")
            }
            Self::WrongType { path, expected } => {
                write!(f, "The setting `{path}` is not {expected} and is left out.")
            }
            Self::NoIpv4Address(host) => write!(
                f,
                "OPENCLAW_BIND_HOST is {host:?}, and the gateway listens on IPv4 addresses only, so it listens on \
                 loopback. Set 0.0.0.0, 127.0.0.1 or one IPv4 address of this machine."
            ),
            Self::NoTokenForNetwork => f.write_str(
                "OPENCLAW_BIND_HOST asks for the network, but OPENCLAW_GATEWAY_TOKEN is not set, so the gateway listens \
                 on loopback only. Set OPENCLAW_GATEWAY_TOKEN for the gateway and the runtime.",
            ),
            Self::NoProvider => f.write_str(
                "No model provider is configured, so agents cannot answer. Set AI_GATEWAY_API_KEY (all models), \
                 ANTHROPIC_API_KEY or OPENAI_API_KEY, or add a provider under `models.providers`.",
            ),
            Self::HalfOfSlack { given, missing } => write!(
                f,
                "{given} is set, but {missing} is not, so Slack stays off. Slack needs both: the bot token (xoxb-…) and \
                 the app-level token (xapp-…)."
            ),
            Self::BadAgent(id) => write!(
                f,
                "The agent {id:?} is left out: its id must be unique and consist of letters, digits, `-` and `_`."
            ),
            Self::UnknownProvider { agent, model } => write!(
                f,
                "The agent `{agent}` uses the model `{model}`, but `models.providers` does not have its provider. Turns \
                 of the agent fail unless the gateway has the provider built in, and its key."
            ),
            Self::UnboundChannel(channel) => write!(
                f,
                "The channel `{channel}` has several agents to choose from and answers nothing. Add a binding: \
                 {{\"agentId\": \"…\", \"match\": {{\"channel\": \"{channel}\"}}}} under `bindings`."
            ),
            Self::RetentionOfNoDays => f.write_str(
                "OPENCLAW_SESSION_RETENTION_DAYS is 0, but the gateway cannot archive sessions that are in use. Sessions \
                 are archived after one day without use.",
            ),
        }
    }
}
