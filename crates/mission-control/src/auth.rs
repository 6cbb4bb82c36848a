//! Authenticates callers by the service token of an account (backend-contract §1.3).

use ring::digest;
use serde_json::{Map, Value};

use super::answer::{Refusal, ensure};
use super::rows::Account;
use super::store::{Doc, Id, Tx};
use super::vault::hex;
use mcr_model::limits;
pub(super) use mcr_model::secret::same;

/// The prefix of every service token.
pub(super) const PREFIX: &str = "mc_service_";

/// AUTH of §2: the account of the token. It must be the account that the call names.
pub(super) fn by_service_token(tx: &Tx<'_>, args: &Map<String, Value>) -> Result<Doc<Account>, Refusal> {
    let text = |name: &str| args.get(name).and_then(Value::as_str).unwrap_or_default();
    let token = text("serviceToken");
    ensure!(limits::chars(token) <= limits::SERVICE_TOKEN_CHARS, "Invalid service token");
    ensure!(token.starts_with(PREFIX), "Invalid service token format");
    let parts: Vec<&str> = token.split('_').collect();
    ensure!(parts.len() >= 4, "Invalid service token structure");
    let Some(id) = Id::<Account>::parse(parts[2]) else {
        let detail = "Value does not match validator.\nPath: .accountId\nValue: \"***\"\nValidator: v.id(\"accounts\")";
        return Err(Refusal::Arguments(detail.to_owned()));
    };
    let account = tx.get(&id)?;
    let Some(account) = account else { return Err(Refusal::thrown("Not found: Account does not exist")) };
    let Some(stored) = &account.row.service_token_hash else {
        return Err(Refusal::thrown("Forbidden: Account has no service token configured"));
    };
    let given = hash(&parts[3..].join("_"));
    ensure!(same(stored.as_bytes(), given.as_bytes()), "Invalid service token");
    ensure!(account.id.as_str() == text("accountId"), "Forbidden: Service token does not match account");
    Ok(account)
}

/// The stored form of a token: the SHA-256 of its last part, in lower-case hex.
pub(super) fn hash(secret: &str) -> String {
    hex(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref())
}
