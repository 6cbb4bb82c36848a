//! Skills that a queue component publishes for all its agents: bundles of text files with checksums.
//!
//! `manifest` is the document that lists them, and [`check()`] refuses it as a whole if one skill is not right. A skill on
//! the disk has a marker file ([`MARKER`]) with the checksum of its bundle, so [`verify()`] finds what was changed. [`pack()`]
//! makes a bundle of a folder.
//!
//! The checksum of a bundle depends on the order of its files: that of the publisher's collation, not of the bytes
//! (`collation`).

mod check;
mod collation;
mod files;
mod hash;
mod manifest;
mod pack;
mod release;
mod verify;

pub use check::{CheckedManifest, CheckedSkill, check};
pub use files::{BUNDLE_BYTES_MAX, MARKER, clean_path};
pub use manifest::{ManifestFile, ManifestSkill, SkillManifest};
pub use pack::{Bundle, BundleFile, PackRequest, pack};
pub use release::{ReleasedSkill, manifest_version, marker_of};
pub use verify::{SkillFolder, SkillState, verify};
