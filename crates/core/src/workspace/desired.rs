//! The files that an agent's workspace should have (runtime-behaviour §7.3).

use std::collections::BTreeMap;

use super::size::{FILE_CHARS_MAX, PROFILE_CHARS_MAX, USER_CHARS_MAX, fit};
use super::{FilePath, Layout, TOKEN_FILE, Warning, skills};
use mcr_model::clock::Millis;
use mcr_model::secret::Secret;
use mcr_model::{AgentProfile, limits};

/// One day.
const DAY_MS: i64 = 86_400_000;

/// The texts that all agents have in common.
#[derive(Clone, Debug)]
pub struct ProfileTexts {
    /// `AGENTS.md` without the agent's skills.
    pub agents: String,
    /// `HEARTBEAT.md`.
    pub heartbeat: String,
}

/// The files that a workspace should have.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The files that follow Mission Control, with their contents.
    pub files: BTreeMap<FilePath, String>,
    /// The files of the agent, which are created once, with their first contents.
    pub scaffold: BTreeMap<FilePath, &'static str>,
    /// The folders of the agent.
    pub folders: Vec<FilePath>,
    /// The names by which the gateway's configuration enables the agent's skills.
    pub skill_keys: Vec<String>,
    /// The layout of the files.
    pub layout: Layout,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
}

impl Desired {
    /// With a file that has the agent's token for the agent API.
    pub fn add_token(&mut self, token: &Secret) {
        self.files.insert(FilePath::known(TOKEN_FILE.to_owned()), format!("{}\n", token.expose()));
    }

    /// Whether the workspace should have nothing, because its agent was removed.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.scaffold.is_empty() && self.folders.is_empty()
    }
}

/// The files of this agent.
pub fn desired(profile: &AgentProfile, texts: &ProfileTexts, layout: Layout, now: Millis) -> Desired {
    let mut warnings = Vec::new();
    let skills = skills::usable(&profile.resolved_skills, &mut warnings);
    let listed = |heading| skills::list(heading, &skills);
    let agents = match layout {
        Layout::Current => format!("{}\n\n{}", texts.agents.trim(), listed("## Tools")),
        Layout::Former => texts.agents.clone(),
    };
    let mut parts = vec![
        // The most important first: the limit of all files together cuts the last.
        ("SOUL.md", profile.effective_soul_content.clone(), FILE_CHARS_MAX),
        ("AGENTS.md", agents, FILE_CHARS_MAX),
        ("USER.md", or_default(&profile.effective_user_md, USER_DEFAULT), USER_CHARS_MAX),
        ("IDENTITY.md", or_default(&profile.effective_identity_content, &identity(profile)), FILE_CHARS_MAX),
    ];
    if layout == Layout::Former {
        parts.push(("HEARTBEAT.md", texts.heartbeat.clone(), FILE_CHARS_MAX));
        parts.push(("TOOLS.md", listed("# Assigned skills"), FILE_CHARS_MAX));
    }
    let mut files = BTreeMap::new();
    let mut room = PROFILE_CHARS_MAX;
    for (name, text, most) in parts {
        let path = FilePath::known(name.to_owned());
        let text = format!("{}\n", text.trim());
        if text.trim().is_empty() {
            warnings.push(Warning::Blank(path));
            continue;
        }
        let (length, max) = (limits::chars(&text), most.min(room));
        if length > max {
            warnings.push(Warning::Cut { file: path.clone(), chars: length, max });
        }
        let text = fit(text, max);
        room = room.saturating_sub(limits::chars(&text));
        files.insert(path, text);
    }
    files.extend(skills.iter().filter_map(skills::UsableSkill::file));
    let skill_keys = skills.iter().filter_map(skills::UsableSkill::key).collect();
    let folders = vec![FilePath::known("deliverables".to_owned())];
    Desired { files, scaffold: scaffold(now), folders, skill_keys, layout, warnings }
}

/// `USER.md` of an account without such a text.
const USER_DEFAULT: &str = "# The people\n\nNothing is known yet. The owner can describe the people and the account in the \
    account's profile settings in Mission Control.";

fn identity(profile: &AgentProfile) -> String {
    format!("# {}\n\nRole: {}", profile.name.trim(), profile.role.trim())
}

fn or_default(text: &str, default: &str) -> String {
    if text.trim().is_empty() { default.to_owned() } else { text.to_owned() }
}

/// The agent's own files.
fn scaffold(now: Millis) -> BTreeMap<FilePath, &'static str> {
    let days = [-DAY_MS, 0, DAY_MS].map(|offset| {
        let date: String = Millis(now.0.saturating_add(offset)).to_string().chars().take(10).collect();
        (FilePath::known(format!("memory/{date}.md")), "")
    });
    let mut scaffold = BTreeMap::from(days);
    scaffold.insert(FilePath::known("MEMORY.md".to_owned()), "# Memory\n");
    scaffold.insert(FilePath::known("memory/WORKING.md".to_owned()), "# Current work\n");
    scaffold
}
