//! Reads and checks the account, its backend and its service token, and checks that they belong together.

use super::address;
use super::reader::Reader;
use super::settings::Account;
use super::table::{ACCOUNT_ID, CONVEX_URL, SERVICE_TOKEN};
use super::worker;
use mcr_model::BaseUrl;
use mcr_model::secret::Secret;

/// The prefix of every service token.
const TOKEN_START: &str = "mc_service_";

/// The placeholders in the sample configuration of the README.
const SAMPLE_ACCOUNT: &str = "your-account-id";
const SAMPLE_DEPLOYMENT: &str = "your-deployment.";

/// The account, if all three variables are valid.
pub(super) fn account(reader: &mut Reader) -> Option<Account> {
    if reader.is_worker {
        return worker::account(reader);
    }
    let id = account_id(reader);
    let convex_url = convex_url(reader);
    let service_token = service_token(reader, id.as_deref());
    Some(Account { id: id?, convex_url: convex_url?, service_token: service_token? })
}

fn account_id(reader: &mut Reader) -> Option<String> {
    let id = reader.given_text(&ACCOUNT_ID)?;
    if id.starts_with(TOKEN_START) {
        reader.refuse(
            &ACCOUNT_ID,
            "this is a service token; expected the id of an account. Give the token as SERVICE_TOKEN.",
        );
        return None;
    }
    if id == SAMPLE_ACCOUNT {
        reader.refuse(
            &ACCOUNT_ID,
            "this is the placeholder of the sample configuration. Copy the id of your account from Mission Control.",
        );
        return None;
    }
    // A token is split at underscores, so an id with an underscore matches no token.
    if id.contains('_') {
        let problem = "an account id has no underscore; no service token can match this one. Copy the id from the account \
                       that the token is for.";
        reader.refuse(&ACCOUNT_ID, problem);
        return None;
    }
    Some(id)
}

fn convex_url(reader: &mut Reader) -> Option<BaseUrl> {
    let url = reader.url_with(&CONVEX_URL, address::convex_url)?;
    if url.host().starts_with(SAMPLE_DEPLOYMENT) {
        reader.refuse(
            &CONVEX_URL,
            "this is the placeholder of the sample configuration. Copy the address of your deployment from its dashboard.",
        );
        return None;
    }
    if !url.is_https() && !url.is_loopback() {
        reader.warn_of_clear_text(&CONVEX_URL, &SERVICE_TOKEN);
    }
    Some(url)
}

/// The service token, checked in the order of the backend.
fn service_token(reader: &mut Reader, account: Option<&str>) -> Option<Secret> {
    let token = reader.secret(&SERVICE_TOKEN)?;
    if let Some(problem) = token_problem(reader, token.expose(), account) {
        reader.refuse(&SERVICE_TOKEN, &problem);
        return None;
    }
    // The account part of the token is public.
    let secret = token.expose().strip_prefix(TOKEN_START).and_then(|rest| rest.split_once('_'));
    if let Some((_, secret)) = secret {
        reader.warn_if_short(&SERVICE_TOKEN, "The secret part of SERVICE_TOKEN", secret);
    }
    Some(token)
}

fn token_problem(reader: &Reader, token: &str, account: Option<&str>) -> Option<String> {
    let Some(rest) = token.strip_prefix(TOKEN_START) else {
        // A full stop after the prefix would pass for the rest of a token, and be hidden.
        return Some(
            "invalid format. Expected a token starting with mc_service_ as the dashboard issues it."
                .to_owned(),
        );
    };
    let parts = rest.split_once('_').filter(|(id, secret)| !id.is_empty() && !secret.is_empty());
    let Some((token_account, secret)) = parts else {
        return Some("invalid structure. Expected mc_service_{accountId}_{secret}.".to_owned());
    };
    let account = account.filter(|account| *account != token_account)?;
    // The account id may be another secret, pasted into the wrong place.
    let account = reader.without_secrets(account);
    let shown = may_be_shown(token_account, secret).then(|| reader.without_secrets(token_account));
    let token_account = shown.as_deref().unwrap_or("another account");
    Some(format!(
        "account mismatch. Token is for {token_account}, but ACCOUNT_ID is {account}. Copy both from the \
         same account."
    ))
}

/// Whether the account part of a token is an id, and not a piece of a secret that contains underscores.
fn may_be_shown(token_account: &str, secret: &str) -> bool {
    /// Ids of the backend have 32 characters: lower-case letters and digits.
    const ID_CHARS_MAX: usize = 40;
    /// The longest id that people invent for tests.
    const SHORT_CHARS_MAX: usize = 16;
    let chars = token_account.len();
    let small = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let any = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let id = chars <= ID_CHARS_MAX && token_account.bytes().all(small);
    let short = chars <= SHORT_CHARS_MAX && token_account.bytes().all(any);
    (id || short) && !secret.contains(token_account)
}
