//! Slugs: the names in mentions, session keys and paths.

use crate::answer::ensure;
use crate::call::Call;
use crate::store::{Id, Index, Row};
use crate::{Options, Refusal};

/// The maximum length of a slug. It becomes the name of a folder.
const CHARS: usize = 64;

/// How to look up the slugs of one kind of row.
pub(crate) struct SlugIndex {
    /// The kind, as an error names it.
    pub(crate) kind: &'static str,
    /// The index by account and slug.
    pub(crate) index: Index,
}

/// Refuses a slug that another row has, and a slug that is not a valid folder name. The original accepts any text,
/// and so does `Options::original`. The row `of_itself` may keep its slug.
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

/// Refuses a slug that is not a valid folder name, unless the options request the original behaviour.
pub(crate) fn check_form(slug: &str, options: Options) -> Result<(), Refusal> {
    let plain = slug.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let well_formed = plain && !slug.is_empty() && slug.len() <= CHARS;
    ensure!(
        options.original || well_formed,
        "Invalid slug: only lower-case letters, digits and hyphens, at most {CHARS}"
    );
    Ok(())
}
