//! What stays out of an archive.

/// Files of the gateway that belong to this machine and must not leave it: tokens, keys of the device, credentials.
const OF_MACHINE: &[&str] = &[
    ".clawdbot/openclaw.json*",
    ".clawdbot/clawdbot.json*",
    ".clawdbot/credentials",
    ".clawdbot/identity",
    ".clawdbot/devices",
    ".clawdbot/exec-approvals.json*",
    ".clawdbot/agents/*/agent/auth*.json*",
    ".clawdbot/bootstrap",
];

/// Secrets of the agent's work.
const SECRETS: &[&str] = &[
    ".env",
    ".env.*",
    ".ssh",
    ".gnupg",
    ".aws",
    ".netrc",
    ".npmrc",
    ".git-credentials",
    ".mission-control-token",
    "*.pem",
    "*.key",
];

/// Files that any process can make again.
const CACHES: &[&str] = &[
    ".clawdbot/logs",
    ".clawdbot/media",
    ".clawdbot/browser",
    ".clawdbot/cache",
    "workspace/skills.sync",
    "workspace/skills.quarantine",
    "*.log",
    "*.lock",
    "*.sock",
    "*.tmp",
    ".DS_Store",
];

/// The most patterns of an operator.
const PATTERNS_MAX: usize = 100;

/// The longest pattern.
const PATTERN_CHARS_MAX: usize = 200;

/// Why a path stays out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excluded {
    /// It belongs to this machine: every restore keeps the one that is there.
    OfMachine,
    /// It is a secret, or the operator excludes it: a restore keeps the one that is there, but not from another
    /// conversation.
    Private,
    /// It is a cache: nothing needs it.
    Cache,
}

/// The paths that stay out of archives: a fixed list, and the patterns of the operator.
///
/// A pattern with a slash names a path below the data folder, such as `workspace/videos`. One without a slash names a
/// file or folder anywhere. `*` stands for any characters except a slash. A folder stays out with all that is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotExcludes {
    own: Vec<String>,
}

impl SnapshotExcludes {
    /// The fixed list and these patterns, which are separated by commas. The error follows the name of the setting.
    pub fn parse(text: &str) -> Result<Self, String> {
        let patterns = text.split(',').map(str::trim).filter(|pattern| !pattern.is_empty());
        let own: Vec<String> = patterns.map(|pattern| pattern.trim_end_matches('/').to_owned()).collect();
        if own.len() > PATTERNS_MAX {
            return Err(format!("has more than {PATTERNS_MAX} patterns"));
        }
        let is_bad = |pattern: &&String| {
            pattern.chars().count() > PATTERN_CHARS_MAX
                || pattern.chars().any(char::is_control)
                || pattern.split('/').any(|part| matches!(part, "" | "." | ".."))
        };
        match own.iter().find(is_bad) {
            Some(pattern) => {
                let shown: String = pattern.chars().filter(|c| !c.is_control()).take(60).collect();
                Err(format!("has the pattern `{shown}`, which is no relative path"))
            }
            None => Ok(Self { own }),
        }
    }

    /// Whether this path stays out, and why. The path begins with the folder of the archive and has no `.` or `..`.
    pub fn of(&self, path: &str) -> Option<Excluded> {
        let named = |pattern: &str| matches(pattern, path);
        if OF_MACHINE.iter().any(|pattern| named(pattern)) {
            return Some(Excluded::OfMachine);
        }
        if SECRETS.iter().any(|pattern| named(pattern)) || self.own.iter().any(|pattern| named(pattern)) {
            return Some(Excluded::Private);
        }
        CACHES.iter().any(|pattern| named(pattern)).then_some(Excluded::Cache)
    }
}

/// Whether the pattern names this path or a folder above it.
fn matches(pattern: &str, path: &str) -> bool {
    if !pattern.contains('/') {
        return path.split('/').any(|part| part_matches(pattern, part));
    }
    let mut parts = path.split('/');
    pattern.split('/').all(|wanted| parts.next().is_some_and(|part| part_matches(wanted, part)))
}

/// Whether a pattern with `*` matches one name.
fn part_matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// worker-pool F.20.
    #[test]
    fn secrets_and_caches_stay_out_and_memory_does_not() {
        let excludes = SnapshotExcludes::parse("workspace/videos, *.iso ,").unwrap();
        let rows = [
            (".clawdbot/openclaw.json", Some(Excluded::OfMachine)),
            (".clawdbot/openclaw.json.bak", Some(Excluded::OfMachine)),
            (".clawdbot/identity/device.json", Some(Excluded::OfMachine)),
            (".clawdbot/agents/main/agent/auth-profiles.json", Some(Excluded::OfMachine)),
            (".clawdbot/credentials/telegram/token", Some(Excluded::OfMachine)),
            (".clawdbot/identity/device.key", Some(Excluded::OfMachine)),
            (".clawdbot/agents/main/.env", Some(Excluded::Private)),
            ("workspace/project/.env", Some(Excluded::Private)),
            ("workspace/project/.env.production", Some(Excluded::Private)),
            ("workspace/tls/server.key", Some(Excluded::Private)),
            ("workspace/videos/one.mp4", Some(Excluded::Private)),
            ("workspace/disk.iso", Some(Excluded::Private)),
            (".clawdbot/logs/gateway.txt", Some(Excluded::Cache)),
            (".clawdbot/media/in.png", Some(Excluded::Cache)),
            ("workspace/build.log", Some(Excluded::Cache)),
            (".clawdbot/agents/main/sessions/sessions.json", None),
            (".clawdbot/agents/main/sessions/1.jsonl", None),
            (".clawdbot/cron/jobs.json", None),
            ("workspace/MEMORY.md", None),
            ("workspace/memory/2026-01-01.md", None),
            ("workspace/credentials/notes.md", None),
            ("workspace/other/videos/one.mp4", None),
            ("workspace/environment", None),
        ];
        for (path, expected) in rows {
            assert_eq!(excludes.of(path), expected, "{path}");
        }
    }

    #[test]
    fn a_pattern_is_a_relative_path() {
        for bad in ["/etc", "a/../b", "a//b", "./a", "a\nb"] {
            assert!(SnapshotExcludes::parse(bad).unwrap_err().contains("no relative path"), "{bad:?}");
        }
        assert!(SnapshotExcludes::parse(&"a,".repeat(101)).is_err());
        for (pattern, name, expected) in [
            ("*", "any", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "acd", false),
            ("a*b*c", "a-b-b-c", true),
            ("ab*ba", "aba", false),
            ("abc", "abcd", false),
        ] {
            assert_eq!(part_matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
