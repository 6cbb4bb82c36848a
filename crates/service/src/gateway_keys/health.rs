//! The part of `/health` about the stored keys. It has names, never values.

use std::collections::BTreeSet;

use serde::Serialize;

use mcr_model::clock::Millis;

/// The state of the stored keys.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayKeysHealth {
    /// The state in one word.
    pub state: KeysState,
    /// The env file for the gateway.
    pub file: String,
    /// The variables in it.
    pub names: BTreeSet<String>,
    /// When it was written; none if it does not exist.
    pub written_at: Option<Millis>,
    /// The keys that are not in it, with the reason.
    pub refused: Vec<(String, String)>,
    /// When Mission Control last returned the keys.
    pub last_sync_at: Option<Millis>,
    /// Why the last sync failed, redacted; none if it succeeded.
    pub last_error: Option<String>,
    /// Whether a person must look at that error. A Mission Control that is away is reported elsewhere.
    #[serde(skip)]
    pub needs_attention: bool,
}

/// The state of the stored keys in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeysState {
    /// `SECRETS_SYNC_INTERVAL` is 0.
    #[default]
    Off,
    /// Mission Control has not answered yet.
    Starting,
    /// Mission Control stores no keys.
    NotOffered,
    /// The file has the stored keys.
    InSync,
    /// Mission Control returned no keys, and the next answer must confirm that.
    Confirming,
    /// The last sync failed. The file is as it was.
    Failing,
}
