//! The chat channels, enabled by their tokens.

use super::Remark;
use super::form::Form;
use super::secret::{self, Referred};
use super::tree::Tree;
use mcr_model::GatewayEnvironment;

pub(super) fn apply(
    tree: &mut Tree,
    environment: &GatewayEnvironment,
    form: Form,
    remarks: &mut Vec<Remark>,
) {
    let slack = match (environment.slack_bot_token, environment.slack_app_token) {
        (Some(bot), Some(app)) => (Some(bot), Some(app)),
        (None, None) => (None, None),
        (Some(given), None) | (None, Some(given)) => {
            let missing = if given == "SLACK_BOT_TOKEN" { "SLACK_APP_TOKEN" } else { "SLACK_BOT_TOKEN" };
            remarks.push(Remark::HalfOfSlack { given, missing });
            (None, None)
        }
    };
    let tokens = [
        ("telegram", "botToken", environment.telegram_token, "TELEGRAM_BOT_TOKEN"),
        ("discord", "token", environment.discord_token, "DISCORD_BOT_TOKEN"),
        ("slack", "botToken", slack.0, "SLACK_BOT_TOKEN"),
        ("slack", "appToken", slack.1, "SLACK_APP_TOKEN"),
    ];
    for (channel, key, set, variable) in tokens {
        match secret::refer(tree, &["channels", channel, key], set, &[variable], form) {
            Referred::Written => tree.set_default(&["channels", channel, "enabled"], true),
            // Without its tokens, nothing is left that the channel could use.
            Referred::Removed if is_only_enabled(tree, channel) => {
                drop(tree.remove(&["channels", channel]));
            }
            Referred::Removed | Referred::Untouched => {}
        }
    }
}

/// Whether a channel has nothing but its switch.
fn is_only_enabled(tree: &Tree, channel: &str) -> bool {
    let settings = tree.get(&["channels", channel]).and_then(|value| value.as_object());
    settings.is_some_and(|settings| settings.keys().all(|key| key == "enabled"))
}
