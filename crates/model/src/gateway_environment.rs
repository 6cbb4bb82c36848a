//! What the environment of the gateway's container asks of the gateway's configuration.

/// The variables of the gateway's container. A secret is given by the name of the variable that holds it, so that no file
/// and no message can contain the secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayEnvironment {
    /// The token that clients of the gateway send.
    pub gateway_token: Option<&'static str>,
    /// The slugs of the agents that the gateway must know.
    pub agents: Vec<String>,
    /// The address to listen on.
    pub bind_host: Option<String>,
    /// The number of turns at once.
    pub max_concurrent: u64,
    /// The key of the Vercel AI Gateway.
    pub vercel_key: Option<&'static str>,
    /// The key of Anthropic, used without a Vercel key.
    pub anthropic_key: Option<&'static str>,
    /// The key of OpenAI, used without a Vercel key.
    pub openai_key: Option<&'static str>,
    /// The key of Brave Search.
    pub brave_key: Option<&'static str>,
    /// The agents' access to GitHub.
    pub github_token: Option<&'static str>,
    /// The token of the Telegram bot.
    pub telegram_token: Option<&'static str>,
    /// The token of the Discord bot.
    pub discord_token: Option<&'static str>,
    /// The bot token of the Slack app.
    pub slack_bot_token: Option<&'static str>,
    /// The app-level token of the Slack app.
    pub slack_app_token: Option<&'static str>,
    /// The days without use after which the gateway archives a session.
    pub retention_days: Option<u64>,
    /// Whether the gateway applies changes of its file while it runs.
    pub config_reload: bool,
    /// The path of the browser for agents.
    pub browser: Option<String>,
}
