//! The exchange of a one-time token for the secrets of a new machine.
//!
//! A token is valid once, for 15 minutes, and only from the public address of the machine that it was made for. The service
//! token is made during the exchange, so that nothing else can know it. If the answer is lost, the token is used up: the
//! machine is replaced, or a person issues another token.

use std::net::IpAddr;

use log::warn;
use serde_json::{Value, json};

use super::{ProvisionSettings, state};
use crate::account_setup::new_token;
use crate::answer::Refusal;
use crate::auth;
use crate::engine::Engine;
use crate::rows::Provision;
use crate::rules::system_config;
use crate::store::{Doc, PROVISION_BY_TOKEN, StoreError, Tx};
use crate::vault;

/// The longest token that is looked up.
const TOKEN_BYTES_MAX: usize = 200;

/// Why a machine gets nothing.
#[derive(Debug)]
pub enum BootstrapRefusal {
    /// The token is unknown, used, too old, or comes from another address. The answer does not say which.
    Refused,
    /// The token is good, but the provider has not named the machine's address yet.
    NotYet,
    /// The data could not be read or written. The token was not used.
    Fault(Refusal),
}

impl From<StoreError> for BootstrapRefusal {
    fn from(why: StoreError) -> Self {
        Self::Fault(why.into())
    }
}

impl From<Refusal> for BootstrapRefusal {
    fn from(why: Refusal) -> Self {
        Self::Fault(why)
    }
}

/// The machine of a token that may be exchanged from this address now.
fn admitted(tx: &Tx<'_>, token: &str, from: IpAddr) -> Result<Doc<Provision>, BootstrapRefusal> {
    let refused = BootstrapRefusal::Refused;
    if token.len() > TOKEN_BYTES_MAX || !system_config::is_on(tx, system_config::PROVISIONING)? {
        return Err(refused);
    }
    let hash = auth::hash(token);
    let found = tx.find::<Provision>(PROVISION_BY_TOKEN, &[Some(&hash)]).first()?;
    let Some(machine) = found else { return Err(refused) };
    if machine.row.token_used_at.is_some()
        || machine.row.token_expires_at.is_none_or(|expires_at| tx.now() > expires_at)
    {
        return Err(refused);
    }
    let Some(address) = &machine.row.address else { return Err(BootstrapRefusal::NotYet) };
    if address.parse::<IpAddr>().is_ok_and(|address| address == from) {
        return Ok(machine);
    }
    warn!(provision = machine.id.as_str(); "A one-time token came from an address that is not its machine's");
    Err(refused)
}

impl Engine {
    /// Exchanges a one-time token for the environment of a runtime.
    pub fn bootstrap(
        &self,
        token: &str,
        from: IpAddr,
        settings: &ProvisionSettings,
    ) -> Result<Value, BootstrapRefusal> {
        // Guesses only read, so that they delay nobody who writes.
        self.store.read(|tx| admitted(tx, token, from).map(drop))?;
        let environment = self.store.write(|tx| {
            let mut machine = admitted(tx, token, from)?;
            let Some(mut account) = tx.get(&machine.row.account_id)? else {
                return Err(BootstrapRefusal::Refused);
            };
            let before = account.clone();
            let service_token = new_token(tx, &mut account)?;
            let hash = account.row.service_token_hash.clone().unwrap_or_default();
            state::supplied(tx, &mut machine, hash, settings.timeout_ms)?;
            self.keep_token_of(&before, &service_token)?;
            let gateway_token: [u8; 32] = vault::random().map_err(Refusal::from)?;
            let row = &machine.row;
            Ok(json!({"environment": {
                "ACCOUNT_ID": account.id.as_str(),
                "CONVEX_URL": settings.public_url.as_str(),
                "SERVICE_TOKEN": service_token,
                "OPENCLAW_GATEWAY_TOKEN": vault::hex(&gateway_token),
                "DROPLET_ID": row.machine_id.clone().unwrap_or_default(),
                "DROPLET_IP": row.address.clone().unwrap_or_default(),
                "DROPLET_REGION": row.region,
            }}))
        })?;
        self.settle_token();
        Ok(environment)
    }
}
