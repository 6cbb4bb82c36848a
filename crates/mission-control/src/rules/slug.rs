//! Slugs: the names that stand in mentions, sessions and paths.

use crate::answer::ensure;
use crate::call::Call;
use crate::store::{Id, Index, Row};
use crate::{Options, Refusal};

/// The longest slug; it becomes a folder's name.
const CHARS: usize = 64;

/// Where the slugs of one kind of row are looked up.
pub(crate) struct SlugIndex {
    /// What a refusal calls such a row.
    pub(crate) kind: &'static str,
    /// The index by account and slug.
    pub(crate) index: Index,
}

/// Refuses a slug that another row has already, and, unless all is as in the original (which takes any text), one that
/// could not be a folder's name. `of_itself` may keep it.
pub(crate) fn check<R: Row>(
    call: &Call<'_>,
    among: &SlugIndex,
    slug: &str,
    of_itself: Option<&Id<R>>,
) -> Result<(), Refusal> {
    check_form(slug, call.options)?;
    let found = call.tx.find::<R>(among.index, &[Some(call.account_id().as_str()), Some(slug)]).rows()?;
    let taken = found.iter().any(|other| Some(&other.id) != of_itself);
    ensure!(!taken, "Conflict: {} slug already exists in this account", among.kind);
    Ok(())
}

/// Refuses a slug that could not be a folder's name, unless all is as in the original.
pub(crate) fn check_form(slug: &str, options: Options) -> Result<(), Refusal> {
    let plain = slug.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let well_formed = plain && !slug.is_empty() && slug.len() <= CHARS;
    ensure!(
        options.original || well_formed,
        "Invalid slug: only lower-case letters, digits and hyphens, at most {CHARS}"
    );
    Ok(())
}
