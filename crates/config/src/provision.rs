//! The settings of new machines: of `provision`, which makes them, and of `bootstrap`, which runs on them.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::table::{
    DIGITALOCEAN_API_BASE_URL, DIGITALOCEAN_TOKEN, PROVISION_AGENTS, PROVISION_DESTROY_ON_TIMEOUT,
    PROVISION_IMAGE, PROVISION_NODE_VERSION, PROVISION_OPENCLAW_VERSION, PROVISION_REGION,
    PROVISION_RELEASE_SHA256, PROVISION_RELEASE_URL, PROVISION_SIZE, PROVISION_SSH_KEYS, PROVISION_STATE_DIR,
    PROVISION_TAG, PROVISION_TIMEOUT_S, RUNTIME_BOOTSTRAP_TOKEN_FILE, RUNTIME_BOOTSTRAP_URL,
};
use mcr_model::BaseUrl;
use mcr_model::secret::Secret;

/// The settings of `provision`, which needs no account of its own.
#[derive(Clone, Debug)]
pub struct ProvisionSettings {
    /// The address of the provider's API.
    pub base: BaseUrl,
    /// The token for it.
    pub token: Option<Secret>,
    /// Where a new machine runs.
    pub region: String,
    /// Its size.
    pub size: String,
    /// Its image.
    pub image: String,
    /// Who may log in.
    pub ssh_keys: Vec<String>,
    /// The tag of all machines.
    pub tag: String,
    /// The archive that a new machine installs.
    pub release_url: Option<String>,
    /// Its checksum.
    pub release_sha256: Option<String>,
    /// The version of OpenClaw.
    pub openclaw_version: Option<String>,
    /// The version of Node.
    pub node_version: Option<String>,
    /// The slugs of the agents.
    pub agents: Vec<String>,
    /// How long a new machine may take until it reports.
    pub timeout: Duration,
    /// Whether it is destroyed afterwards.
    pub destroy_on_timeout: bool,
    /// Where `provision` keeps what it knows.
    pub state_dir: PathBuf,
}

/// The settings of `bootstrap`.
#[derive(Clone, Debug)]
pub struct BootstrapSettings {
    /// The control plane.
    pub url: Option<BaseUrl>,
    /// The file with the one-time token.
    pub token_file: PathBuf,
}

/// None if a value cannot be used.
pub(super) fn read(reader: &mut Reader) -> Option<ProvisionSettings> {
    let base = reader.url(&DIGITALOCEAN_API_BASE_URL);
    let token = reader.secret(&DIGITALOCEAN_TOKEN);
    if token.is_some() && base.as_ref().is_some_and(|base| !base.is_https() && !base.is_loopback()) {
        reader.warn_of_clear_text(&DIGITALOCEAN_API_BASE_URL, &DIGITALOCEAN_TOKEN);
    }
    let list = |text: Option<String>| -> Vec<String> {
        let text = text.unwrap_or_default();
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let settings = ProvisionSettings {
        base: base?,
        token,
        region: reader.text(&PROVISION_REGION),
        size: reader.text(&PROVISION_SIZE),
        image: reader.text(&PROVISION_IMAGE),
        ssh_keys: list(reader.given_text(&PROVISION_SSH_KEYS)),
        tag: reader.text(&PROVISION_TAG),
        release_url: reader.given_text(&PROVISION_RELEASE_URL),
        release_sha256: reader.given_text(&PROVISION_RELEASE_SHA256),
        openclaw_version: reader.given_text(&PROVISION_OPENCLAW_VERSION),
        node_version: reader.given_text(&PROVISION_NODE_VERSION),
        agents: list(reader.given_text(&PROVISION_AGENTS)),
        timeout: Duration::from_secs(reader.number(&PROVISION_TIMEOUT_S)),
        destroy_on_timeout: reader.flag(&PROVISION_DESTROY_ON_TIMEOUT),
        state_dir: reader.text(&PROVISION_STATE_DIR).into(),
    };
    let rows = [
        &DIGITALOCEAN_API_BASE_URL,
        &DIGITALOCEAN_TOKEN,
        &PROVISION_REGION,
        &PROVISION_SIZE,
        &PROVISION_IMAGE,
        &PROVISION_SSH_KEYS,
        &PROVISION_TAG,
        &PROVISION_RELEASE_URL,
        &PROVISION_RELEASE_SHA256,
        &PROVISION_OPENCLAW_VERSION,
        &PROVISION_NODE_VERSION,
        &PROVISION_AGENTS,
        &PROVISION_TIMEOUT_S,
        &PROVISION_DESTROY_ON_TIMEOUT,
        &PROVISION_STATE_DIR,
    ];
    rows.into_iter().all(|variable| !reader.was_refused(variable)).then_some(settings)
}

/// None if a value cannot be used.
pub(super) fn read_bootstrap(reader: &mut Reader) -> Option<BootstrapSettings> {
    let url = reader.url(&RUNTIME_BOOTSTRAP_URL);
    let token_file = reader.text(&RUNTIME_BOOTSTRAP_TOKEN_FILE).into();
    let rows = [&RUNTIME_BOOTSTRAP_URL, &RUNTIME_BOOTSTRAP_TOKEN_FILE];
    let is_usable = rows.into_iter().all(|variable| !reader.was_refused(variable));
    is_usable.then_some(BootstrapSettings { url, token_file })
}
