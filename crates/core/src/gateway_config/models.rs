//! Model providers: one key opens all models through the Vercel AI Gateway, or each provider has its own.

use serde_json::{Value, json};

use super::Remark;
use super::form::Form;
use super::secret::{self, Referred, VERCEL_KEY};
use super::tree::Tree;
use mcr_model::GatewayEnvironment;

/// A model that Mission Control offers for agents.
#[derive(Debug)]
pub struct MissionControlModel {
    /// Its name in Mission Control.
    pub stored: &'static str,
    /// Its vendor and name at the Vercel AI Gateway.
    vercel: &'static str,
    /// Its provider and name without the Vercel AI Gateway.
    direct: &'static str,
    name: &'static str,
    context_window: u64,
}

impl MissionControlModel {
    /// The model that is stored under this name.
    pub fn find(stored: &str) -> Option<&'static Self> {
        MODELS.iter().find(|model| model.stored == stored.trim())
    }

    /// How the gateway's configuration names the model.
    pub fn written(&self, through_vercel: bool) -> String {
        if through_vercel { prefixed(self.vercel) } else { self.direct.to_owned() }
    }

    /// Whether a configuration means this model, by a current or a former name.
    fn is_named(&self, name: &str) -> bool {
        let bare = name.strip_prefix(VERCEL).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
        [self.vercel, self.direct].contains(&bare)
    }
}

/// Every model of Mission Control. The first is the default, the others take over in this order.
pub const MODELS: [MissionControlModel; 4] = [
    MissionControlModel {
        stored: "minimax-m2.5",
        vercel: "minimax/minimax-m2.5",
        direct: "minimax/minimax-m2.5",
        name: "MiniMax M2.5",
        context_window: 200_000,
    },
    MissionControlModel {
        stored: "claude-haiku-4.5",
        vercel: "anthropic/claude-haiku-4.5",
        // The gateway sends the name unchanged, and Anthropic spells it with a hyphen.
        direct: "anthropic/claude-haiku-4-5",
        name: "Claude Haiku 4.5",
        context_window: 200_000,
    },
    MissionControlModel {
        stored: "kimi-k2.5",
        vercel: "moonshotai/kimi-k2.5",
        direct: "moonshotai/kimi-k2.5",
        name: "Kimi K2.5",
        context_window: 256_000,
    },
    MissionControlModel {
        stored: "gpt-5-nano",
        vercel: "openai/gpt-5-nano",
        direct: "openai/gpt-5-nano",
        name: "GPT-5 nano",
        context_window: 128_000,
    },
];

/// Its id as a provider.
const VERCEL: &str = "vercel-ai-gateway";

/// The switch of the plugin for the same provider.
const PLUGIN_SWITCH: [&str; 4] = ["plugins", "entries", VERCEL, "enabled"];

/// Models that earlier configurations named and no provider offers any more.
const RETIRED: [&str; 2] = ["anthropic/claude-sonnet-4.5", "anthropic/claude-opus-4.5"];

/// A provider with a key of its own.
struct Provider {
    id: &'static str,
    base_url: &'static str,
    api: &'static str,
    /// The variables that may hold its key.
    variables: &'static [&'static str],
}

const PROVIDERS: [Provider; 3] = [
    Provider {
        id: VERCEL,
        base_url: "https://ai-gateway.vercel.sh",
        api: "anthropic-messages",
        variables: &VERCEL_KEY,
    },
    Provider {
        id: "anthropic",
        base_url: "https://api.anthropic.com",
        api: "anthropic-messages",
        variables: &["ANTHROPIC_API_KEY"],
    },
    Provider {
        id: "openai",
        base_url: "https://api.openai.com/v1",
        api: "openai-responses",
        variables: &["OPENAI_API_KEY"],
    },
];

pub(super) fn apply(
    tree: &mut Tree,
    environment: &GatewayEnvironment,
    form: Form,
    remarks: &mut Vec<Remark>,
) {
    normalize(tree);
    let keys = match environment.vercel_key {
        Some(key) => [Some(key), None, None],
        None => [None, environment.anthropic_key, environment.openai_key],
    };
    for (provider, key) in PROVIDERS.iter().zip(keys) {
        write_provider(tree, provider, key, form);
    }
    let through_vercel = environment.vercel_key.is_some();
    write_profile(tree, through_vercel);
    let offered: Vec<&MissionControlModel> = MODELS
        .iter()
        .filter(|model| match model.direct.split_once('/') {
            _ if through_vercel => true,
            Some(("anthropic", _)) => environment.anthropic_key.is_some(),
            Some(("openai", _)) => environment.openai_key.is_some(),
            _ => false,
        })
        .collect();
    write_choice(tree, &offered, through_vercel);
    let has_provider = tree.get(&["models", "providers"]).is_some_and(|providers| providers != &json!({}));
    if offered.is_empty() && !has_provider {
        remarks.push(Remark::NoProvider);
    }
}

fn prefixed(vercel: &str) -> String {
    format!("{VERCEL}/{vercel}")
}

/// How a generated model is named for this gateway. A model that is not of Mission Control keeps its name, but for the
/// prefix of a vendor that the Vercel AI Gateway serves.
pub(super) fn named(model: &str, through_vercel: bool) -> String {
    if let Some(known) = MODELS.iter().find(|known| known.is_named(model)) {
        return known.written(through_vercel);
    }
    let vendor = model.split_once('/').map(|(vendor, _)| vendor);
    let is_served =
        MODELS.iter().any(|known| known.vercel.split_once('/').map(|(vendor, _)| vendor) == vendor);
    if through_vercel && is_served { prefixed(model) } else { model.to_owned() }
}

/// Brings the default model and the known models into the form of objects.
fn normalize(tree: &mut Tree) {
    let model = ["agents", "defaults", "model"];
    if let Some(primary) = tree.text(&model).map(str::to_owned) {
        tree.set(&model, json!({ "primary": primary, "fallbacks": [] }));
    }
    let models = ["agents", "defaults", "models"];
    if let Some(Value::Array(list)) = tree.get(&models) {
        let names = list.iter().filter_map(Value::as_str);
        let known: serde_json::Map<String, Value> = names.map(|name| (name.to_owned(), json!({}))).collect();
        tree.set(&models, known);
    }
    for retired in RETIRED {
        for name in [retired.to_owned(), prefixed(retired)] {
            tree.remove(&["agents", "defaults", "models", &name]);
        }
    }
}

/// Writes a provider that has a key. A provider with a key of the operator's stays as it is.
fn write_provider(tree: &mut Tree, provider: &Provider, key: Option<&str>, form: Form) {
    let path = ["models", "providers", provider.id];
    let own_key = tree.get(&[path[0], path[1], path[2], "apiKey"]);
    if own_key.is_some_and(|value| !secret::refers_to(value, provider.variables)) {
        return;
    }
    let at = |key| [path[0], path[1], path[2], key];
    match secret::refer(tree, &at("apiKey"), key, provider.variables, form) {
        Referred::Written => {
            tree.set_default(&at("baseUrl"), provider.base_url);
            tree.set_default(&at("api"), provider.api);
            tree.set_default(&at("models"), catalog(provider));
            let may_switch = matches!(form, Form::Entries | Form::List { absent_plugins: true, .. });
            if provider.id == VERCEL && may_switch {
                // The provider is complete. The gateway would otherwise download its plugin at each start, and some
                // releases do not start if that fails.
                tree.set_default(&PLUGIN_SWITCH, false);
            }
        }
        // Without its key, the rest of what was written for it cannot be used.
        Referred::Removed => {
            tree.remove(&path);
            if provider.id == VERCEL {
                tree.remove(&PLUGIN_SWITCH);
            }
        }
        Referred::Untouched => {}
    }
}

/// The models of a provider. The Vercel AI Gateway has all of them, by vendor and name.
fn catalog(provider: &Provider) -> Value {
    let entries = MODELS.iter().filter_map(|model| {
        let id = match provider.id {
            VERCEL => model.vercel,
            id => model.direct.strip_prefix(id)?.strip_prefix('/')?,
        };
        Some(json!({ "id": id, "name": model.name, "contextWindow": model.context_window }))
    });
    entries.collect()
}

/// The gateway finds the key of the Vercel AI Gateway by this profile. The key itself does not belong there.
fn write_profile(tree: &mut Tree, has_key: bool) {
    let name = format!("{VERCEL}:default");
    let profile = ["auth", "profiles", &name];
    if has_key {
        tree.set_default(&["auth", "profiles", &name, "provider"], VERCEL);
        tree.set_default(&["auth", "profiles", &name, "mode"], "api_key");
    } else if tree.get(&["models", "providers", VERCEL]).is_none() {
        tree.remove(&profile);
    }
    tree.remove(&["auth", "profiles", &name, "apiKey"]);
}

/// Writes the default model, its fallbacks and the aliases. A default that is not of Mission Control is the operator's
/// choice and stays.
fn write_choice(tree: &mut Tree, offered: &[&MissionControlModel], through_vercel: bool) {
    let names: Vec<String> = offered.iter().map(|model| model.written(through_vercel)).collect();
    let known = ["agents", "defaults", "models"];
    let stale: Vec<String> = tree
        .get(&known)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(name, settings)| {
            let model = MODELS.iter().find(|model| model.is_named(name));
            !names.contains(name) && model.is_some_and(|model| **settings == json!({ "alias": model.stored }))
        })
        .map(|(name, _)| name.clone())
        .collect();
    for name in stale {
        tree.remove(&["agents", "defaults", "models", &name]);
    }
    for (name, model) in names.iter().zip(offered) {
        tree.set_default(&["agents", "defaults", "models", name, "alias"], model.stored);
    }
    let model = ["agents", "defaults", "model"];
    let primary = tree.text(&["agents", "defaults", "model", "primary"]);
    if primary.is_some_and(|primary| !MODELS.iter().any(|model| model.is_named(primary))) {
        return;
    }
    match names.split_first() {
        Some((primary, fallbacks)) => tree.set(&model, json!({ "primary": primary, "fallbacks": fallbacks })),
        None => drop(tree.remove(&model)),
    }
}
