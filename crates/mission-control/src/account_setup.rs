//! Creates an account with its first person and its service token.

use serde_json::json;

use super::answer::Refusal;
use super::auth;
use super::rows::{Account, Membership, Settings};
use super::rules::activity::{self, Actor, Target};
use super::store::{ACCOUNT_BY_SLUG, Doc, StoreError, Tx};
use super::vault;

/// A new account and its service token. Only the hash of the token is stored, so this is the only copy.
pub(super) struct NewAccount {
    pub(super) account: Doc<Account>,
    pub(super) service_token: String,
}

/// The first person of a new account.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The person's id.
    pub user_id: &'a str,
    /// The name that others see.
    pub name: &'a str,
    /// The e-mail address.
    pub email: &'a str,
}

/// Creates an account with an owner (backend-contract §8).
pub(super) fn create_account(
    tx: &Tx<'_>,
    name: &str,
    slug: &str,
    owner: Owner<'_>,
) -> Result<NewAccount, Refusal> {
    if tx.find::<Account>(ACCOUNT_BY_SLUG, &[Some(slug)]).first()?.is_some() {
        return Err(Refusal::thrown("Conflict: Account slug already exists"));
    }
    let mut account = tx.insert(Account {
        name: name.to_owned(),
        slug: slug.to_owned(),
        plan: "free".to_owned(),
        runtime_status: "offline".to_owned(),
        created_at: tx.now(),
        settings: Settings::default(),
        ..Account::default()
    })?;
    let service_token = new_token(tx, &mut account)?;
    let owner = tx.insert(Membership {
        account_id: account.id.clone(),
        user_id: owner.user_id.to_owned(),
        user_name: owner.name.to_owned(),
        user_email: owner.email.to_owned(),
        role: "owner".to_owned(),
        joined_at: tx.now(),
        ..Membership::default()
    })?;
    let target = Target { kind: "account", id: account.id.as_str(), name: Some(name) };
    activity::record(
        tx,
        &account.id,
        "account_created",
        &Actor::person(&owner.row),
        &target,
        Some(json!({})),
    )?;
    Ok(NewAccount { account, service_token })
}

/// Issues a new token for the account. The previous token becomes invalid.
pub(super) fn new_token(tx: &Tx<'_>, account: &mut Doc<Account>) -> Result<String, StoreError> {
    let random: [u8; 32] = vault::random().map_err(|why| StoreError::Fault(why.to_string()))?;
    let secret = vault::hex(&random);
    account.row.service_token_hash = Some(auth::hash(&secret));
    tx.put(account)?;
    Ok(format!("mc_service_{}_{secret}", account.id))
}
