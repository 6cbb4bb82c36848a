//! References to variables that hold secrets. The file never contains the secret itself.

use serde_json::{Value, json};

use super::form::Form;
use super::tree::{Path, Tree};

/// How a file of this form refers to a variable where a secret is expected.
pub(super) fn reference(variable: &str, form: Form) -> Value {
    match form {
        Form::Entries => json!({"source": "env", "provider": "default", "id": variable}),
        Form::List { .. } => substitution(variable),
    }
}

/// How every file refers to a variable inside a text. The gateway's audit of secrets takes it for the secret.
pub(super) fn substitution(variable: &str) -> Value {
    json!(format!("${{{variable}}}"))
}

/// The variable that a value refers to, in either form.
fn variable_of(value: &Value) -> Option<&str> {
    if let Some(text) = value.as_str() {
        return text.strip_prefix("${")?.strip_suffix('}');
    }
    (value.get("source")? == "env").then(|| value.get("id")?.as_str())?
}

/// Whether a value refers to one of these variables.
pub(super) fn refers_to(value: &Value, variables: &[&str]) -> bool {
    variable_of(value).is_some_and(|variable| variables.contains(&variable))
}

/// What [`refer`] has done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Referred {
    /// The value refers to the variable.
    Written,
    /// The value referred to a variable that is no longer set.
    Removed,
    /// The value, if any, is the operator's own.
    Untouched,
}

/// Writes a reference to the variable that is set. If none is, removes a reference to one of `variables`, because the
/// gateway could not resolve it.
pub(super) fn refer(
    tree: &mut Tree,
    path: Path<'_>,
    set: Option<&str>,
    variables: &[&str],
    form: Form,
) -> Referred {
    match set {
        Some(variable) => {
            tree.set(path, reference(variable, form));
            Referred::Written
        }
        None if tree.get(path).is_some_and(|value| refers_to(value, variables)) => {
            tree.remove(path);
            Referred::Removed
        }
        None => Referred::Untouched,
    }
}

/// The variables that may hold the gateway's token.
pub(super) const GATEWAY_TOKEN: [&str; 2] = ["OPENCLAW_GATEWAY_TOKEN", "CLAWDBOT_GATEWAY_TOKEN"];
/// The variables that may hold the key of the Vercel AI Gateway.
pub(super) const VERCEL_KEY: [&str; 2] = ["AI_GATEWAY_API_KEY", "VERCEL_AI_GATEWAY_API_KEY"];
/// The variables that may hold the token of GitHub.
pub(super) const GITHUB_TOKEN: [&str; 2] = ["GH_TOKEN", "GITHUB_TOKEN"];
