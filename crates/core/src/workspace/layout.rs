//! Which files a release of the gateway reads from a workspace (openclaw-gateway §12.3).

use serde::{Deserialize, Serialize};

use crate::gateway::dialect::Release;

/// The files that a release reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Since 2026.9: skills are a section of `AGENTS.md`. The gateway's doctor would turn a `HEARTBEAT.md` into a
    /// second heartbeat.
    #[default]
    Current,
    /// Before: skills are in `TOOLS.md`, the checklist of heartbeats in `HEARTBEAT.md`.
    Former,
}

/// The first release that was run without `TOOLS.md` and `HEARTBEAT.md`.
const CURRENT: Release = Release { year: 2026, month: 9, number: 0 };

impl Layout {
    /// The files that this release reads.
    pub fn of(release: Release) -> Self {
        if release >= CURRENT { Self::Current } else { Self::Former }
    }

    /// The files that releases of this layout do not read any more.
    pub fn retired(self) -> &'static [&'static str] {
        match self {
            Self::Current => &["HEARTBEAT.md", "TOOLS.md"],
            Self::Former => &[],
        }
    }
}
