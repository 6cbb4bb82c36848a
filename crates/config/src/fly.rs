//! The settings of the clean-up of a Fly app.

use std::time::Duration;

use super::reader::Reader;
use super::table::{FLY_API_BASE_URL, FLY_API_TOKEN, FLY_CLEANUP_MIN_AGE_S, FLY_CLEANUP_NAME_PREFIX};
use mcr_model::BaseUrl;
use mcr_model::secret::Secret;

/// The settings of `fly-cleanup`, which needs no account.
#[derive(Clone, Debug)]
pub struct FlyCleanupSettings {
    /// The address of the Machines API.
    pub base: BaseUrl,
    /// The token for it.
    pub token: Option<Secret>,
    /// Only machines whose names begin with this are deleted.
    pub name_prefix: Option<String>,
    /// Only what is at least this old is deleted.
    pub age_min: Duration,
}

/// None if a value cannot be used: a filter that is not understood must not be left out.
pub(super) fn read(reader: &mut Reader) -> Option<FlyCleanupSettings> {
    let base = reader.url(&FLY_API_BASE_URL);
    let token = reader.secret(&FLY_API_TOKEN);
    if token.is_some() && base.as_ref().is_some_and(|base| !base.is_https() && !base.is_loopback()) {
        reader.warn_of_clear_text(&FLY_API_BASE_URL, &FLY_API_TOKEN);
    }
    let name_prefix = reader.given_text(&FLY_CLEANUP_NAME_PREFIX);
    let age_min = Duration::from_secs(reader.number(&FLY_CLEANUP_MIN_AGE_S));
    let rows = [&FLY_API_BASE_URL, &FLY_API_TOKEN, &FLY_CLEANUP_NAME_PREFIX, &FLY_CLEANUP_MIN_AGE_S];
    let is_usable = rows.into_iter().all(|variable| !reader.was_refused(variable));
    Some(FlyCleanupSettings { base: base?, token, name_prefix, age_min }).filter(|_| is_usable)
}
