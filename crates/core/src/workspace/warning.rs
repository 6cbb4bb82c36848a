//! What the operator should know about a workspace. Nothing here keeps the other files from being written.

use std::fmt;

use super::{FilePath, OWN_FOLDER, UnusableName};

/// A remark about one workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The gateway reads only the beginning of a file.
    Cut {
        /// The file.
        file: FilePath,
        /// Its full length.
        chars: usize,
        /// The length that the gateway reads.
        max: usize,
    },
    /// A text of the profile is blank, so its file is not written.
    Blank(FilePath),
    /// A file that the runtime did not write has the name of a file of the profile.
    Foreign(FilePath),
    /// Another program changed a file of the profile. Mission Control's text replaces it, and a copy is kept.
    Changed(FilePath),
    /// A file that is no longer needed stays, because another program changed it.
    Left(FilePath),
    /// Something other than a regular file has the name of a file.
    Obstacle(FilePath),
    /// A skill is left out because of its slug.
    SkillName {
        /// The slug, shortened.
        slug: String,
        /// What is wrong with it.
        why: UnusableName,
    },
    /// A skill is left out because an earlier one has the same slug.
    SkillTwice(String),
    /// A skill is left out because it is too long.
    SkillSize {
        /// The slug.
        slug: String,
        /// Its length.
        bytes: usize,
    },
    /// The manifest cannot be read, so files are treated as if the runtime had not written them.
    Manifest(String),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { file, chars, max } => {
                write!(
                    f,
                    "{file} has {chars} characters, and the gateway reads {max}: shorten its text in Mission Control"
                )
            }
            Self::Blank(file) => write!(f, "{file} has no text in Mission Control, so it is not written"),
            Self::Foreign(file) => write!(
                f,
                "{file} exists and was not written by the runtime, so it stays: move it away to get Mission Control's text"
            ),
            Self::Changed(file) => write!(
                f,
                "{file} was changed outside of Mission Control and was replaced: the changed text is in {OWN_FOLDER}/replaced"
            ),
            Self::Left(file) => write!(f, "{file} is no longer needed, but was changed, so it stays"),
            Self::Obstacle(file) => {
                write!(f, "{file} is not a regular file, so it cannot be written: remove it")
            }
            Self::SkillName { slug, why } => write!(f, "the skill {slug:?} is left out: its slug {why}"),
            Self::SkillTwice(slug) => {
                write!(
                    f,
                    "a second skill with the slug {slug:?} is left out: slugs must be unique, in any case of letters"
                )
            }
            Self::SkillSize { slug, bytes } => {
                write!(f, "the skill {slug:?} is left out: its text has {bytes} bytes")
            }
            Self::Manifest(why) => write!(f, "the list of written files cannot be read: {why}"),
        }
    }
}
