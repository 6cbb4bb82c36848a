//! The agents' workspaces: which files each should have, and which operations bring the disk there.
//!
//! Mission Control stores each agent's profile, and the gateway reads an agent's profile from files. [`roster`] selects
//! the agents whose slugs are usable as folder names. [`desired()`] renders an agent's files for the [`Layout`] that the
//! gateway's release reads. [`plan()`] compares these files with the files that exist, and decides.
//!
//! The [`Manifest`] of a workspace lists the files that the runtime wrote, with their digests. A listed file follows
//! Mission Control, and is removed once Mission Control no longer has it. A file that is not listed belongs to a person
//! or to the agent, and is never changed. Files of the TypeScript runtime, which kept no list, are adopted
//! ([`FoundFiles::adopts`]).
//!
//! Every path is a [`FilePath`], which cannot leave the workspace.

mod desired;
mod digest;
mod front_matter;
mod gateway_file;
mod layout;
mod manifest;
mod path;
mod plan;
pub mod roster;
mod size;
mod skills;
mod texts;
mod warning;

pub use desired::{Desired, ProfileTexts, desired};
pub use digest::Digest;
pub use front_matter::{skill_key, with_front_matter};
pub use gateway_file::{ConfiguredAgent, gateway_file, names_workspace};
pub use layout::Layout;
pub use manifest::{FoundState, Managed, Manifest};
pub use path::{FilePath, FolderName, NAME_CHARS_MAX, UnusableName};
pub use plan::{FileChange, FoundFile, FoundFiles, Plan, paths, plan};
pub use size::{FILE_CHARS_MAX, PROFILE_CHARS_MAX, USER_CHARS_MAX};
pub use texts::{agents_text, heartbeat_text};
pub use warning::Warning;

/// The folder of the runtime in each workspace: the manifest and unfinished writes.
pub const OWN_FOLDER: &str = ".mission-control";

/// The file with the agent's token for the agent API.
pub const TOKEN_FILE: &str = ".mission-control-token";

/// The folder of skills in a workspace.
pub const SKILLS: &str = "skills";
