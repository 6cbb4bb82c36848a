//! The account, its backend and its key: each by itself, then whether they belong together.

use super::address;
use super::mistake::Problem;
use super::reader::Reader;
use super::settings::Account;
use super::table::{ACCOUNT_ID, CONVEX_URL, SERVICE_TOKEN};
use super::warning::Warning;
use mcr_model::BaseUrl;
use mcr_model::secret::Secret;

/// What every service token begins with.
const TOKEN_START: &str = "mc_service_";

/// The account, if all three variables are good.
pub(super) fn account(reader: &mut Reader) -> Option<Account> {
    let id = account_id(reader);
    let convex_url = convex_url(reader);
    let service_token = service_token(reader, id.as_deref());
    Some(Account { id: id?, convex_url: convex_url?, service_token: service_token? })
}

fn account_id(reader: &mut Reader) -> Option<String> {
    let id = reader.given_text(&ACCOUNT_ID)?;
    if id.starts_with(TOKEN_START) {
        reader.refuse(&ACCOUNT_ID, Problem::TokenAsAccount);
        return None;
    }
    // Tokens are taken apart at underscores: an id with one in it matches none.
    if id.contains('_') {
        reader.refuse(&ACCOUNT_ID, Problem::Underscore);
        return None;
    }
    Some(id)
}

fn convex_url(reader: &mut Reader) -> Option<BaseUrl> {
    let url = reader.url_with(&CONVEX_URL, address::convex_url)?;
    if !url.is_https() && !url.is_loopback() {
        reader.warn(Warning::InTheClear { name: CONVEX_URL.name, token: SERVICE_TOKEN.name });
    }
    Some(url)
}

/// The checks of the token, in the order in which the backend makes them.
fn service_token(reader: &mut Reader, account: Option<&str>) -> Option<Secret> {
    let token = reader.secret(&SERVICE_TOKEN)?;
    match token_problem(token.expose(), account) {
        // The account id may be some other secret, pasted into the wrong place.
        Some(Problem::TokenAccount { token_account, account }) => {
            let token_account = token_account.map(|id| reader.without_secrets(&id));
            let account = reader.without_secrets(&account);
            reader.refuse(&SERVICE_TOKEN, Problem::TokenAccount { token_account, account });
            None
        }
        Some(problem) => {
            reader.refuse(&SERVICE_TOKEN, problem);
            None
        }
        None => {
            // The account's part is public.
            let secret = token.expose().strip_prefix(TOKEN_START).and_then(|rest| rest.split_once('_'));
            if let Some((_, secret)) = secret {
                reader.warn_if_short("The secret part of SERVICE_TOKEN", secret);
            }
            Some(token)
        }
    }
}

fn token_problem(token: &str, account: Option<&str>) -> Option<Problem> {
    let Some(rest) = token.strip_prefix(TOKEN_START) else {
        return Some(Problem::TokenPrefix);
    };
    let (token_account, secret) = match rest.split_once('_') {
        Some((token_account, secret)) if !token_account.is_empty() && !secret.is_empty() => {
            (token_account, secret)
        }
        Some(_) | None => return Some(Problem::TokenStructure),
    };
    let account = account.filter(|account| *account != token_account)?;
    let shown = may_be_shown(token_account, secret).then(|| token_account.to_owned());
    Some(Problem::TokenAccount { token_account: shown, account: account.to_owned() })
}

/// Whether what stands in the account's place is an id, and not a piece of a secret with underscores in it.
fn may_be_shown(token_account: &str, secret: &str) -> bool {
    /// Ids of the backend have 32 characters, all of them small letters and digits.
    const ID_CHARS_MAX: usize = 40;
    /// Ids that people make up for tests.
    const SHORT_CHARS_MAX: usize = 16;
    let chars = token_account.len();
    let small = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let any = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let id = chars <= ID_CHARS_MAX && token_account.bytes().all(small);
    let short = chars <= SHORT_CHARS_MAX && token_account.bytes().all(any);
    (id || short) && !secret.contains(token_account)
}
