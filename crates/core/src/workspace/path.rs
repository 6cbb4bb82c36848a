//! Names and paths that cannot leave a workspace (runtime-behaviour A-8).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::OWN_FOLDER;

/// The longest name. The gateway shortens longer ids of agents.
pub const NAME_CHARS_MAX: usize = 64;

/// The most folders in a path, and its file.
const PARTS_MAX: usize = 4;

/// Names that no file can have on a volume of Windows.
const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];

/// The slug of an agent or a skill, as the name of its folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderName(String);

impl FolderName {
    /// The folder name of a slug. Spaces and slashes at both ends are left out.
    pub fn of(slug: &str) -> Result<Self, UnusableName> {
        let name = slug.trim().trim_matches('/');
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() {
            return Err(UnusableName::Blank);
        }
        if name.chars().nth(NAME_CHARS_MAX).is_some() {
            return Err(UnusableName::TooLong);
        }
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(is_plain) {
            return Err(UnusableName::Characters);
        }
        if is_reserved(name) {
            return Err(UnusableName::Reserved);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name for comparisons: the gateway and some disks ignore the case of letters.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let port = |prefix| {
        name.strip_prefix(prefix)
            .is_some_and(|rest: &str| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit())
    };
    RESERVED.contains(&name.as_str()) || port("com") || port("lpt")
}

/// Why a slug is not usable as the name of a folder. The text is the end of a sentence about the slug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusableName {
    /// It is blank.
    Blank,
    /// It is too long.
    TooLong,
    /// It has characters that a folder name must not have.
    Characters,
    /// Some systems reserve the name.
    Reserved,
}

impl fmt::Display for UnusableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("is blank"),
            Self::TooLong => write!(f, "has more than {NAME_CHARS_MAX} characters"),
            Self::Characters => {
                f.write_str("must begin with a letter or digit and consist of letters, digits, `-` and `_`")
            }
            Self::Reserved => f.write_str("is a name that some systems reserve"),
        }
    }
}

/// The path of a file, relative to the workspace. It cannot leave the workspace or enter the runtime's own folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePath(String);

impl FilePath {
    /// Parses a relative path with `/` between its parts.
    pub fn parse(path: &str) -> Option<Self> {
        let mut parts = path.split('/');
        let first = parts.clone().next()?;
        let is_plain = |part: &str| {
            !part.is_empty()
                && part.len() <= 2 * NAME_CHARS_MAX
                && !part.starts_with("..")
                && part != "."
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let is_short = parts.clone().nth(PARTS_MAX).is_none();
        let is_own = first.eq_ignore_ascii_case(OWN_FOLDER);
        (is_short && !is_own && parts.all(is_plain)).then(|| Self(path.to_owned()))
    }

    /// A path of this crate's own words and checked names.
    pub(super) fn known(path: String) -> Self {
        debug_assert!(Self::parse(&path).is_some(), "{path}");
        Self(path)
    }

    /// The path with `/` between its parts.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folders of the path, and the name of its file.
    pub fn split(&self) -> (Vec<&str>, &str) {
        let (folders, name) = self.0.rsplit_once('/').unwrap_or(("", &self.0));
        (folders.split('/').filter(|folder| !folder.is_empty()).collect(), name)
    }
}

impl TryFrom<String> for FilePath {
    type Error = String;

    fn try_from(path: String) -> Result<Self, String> {
        Self::parse(&path).ok_or_else(|| format!("{path:?} is no path inside a workspace"))
    }
}

impl From<FilePath> for String {
    fn from(path: FilePath) -> Self {
        path.0
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
