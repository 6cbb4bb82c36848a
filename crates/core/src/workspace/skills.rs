//! The skills of an agent, as files and as a list.

use std::collections::BTreeSet;

use super::front_matter::{description, skill_key, with_front_matter};
use super::{FilePath, FolderName, SKILLS, Warning};
use mcr_model::{Skill, limits};

/// The longest slug that a warning shows.
const SHOWN_CHARS: usize = 40;

/// A skill that is usable.
pub(super) struct UsableSkill<'a> {
    skill: &'a Skill,
    name: FolderName,
    /// The content of its file; `None` if the skill has no text.
    text: Option<String>,
}

/// The skills of an agent in its order, without those that are not usable.
pub(super) fn usable<'a>(skills: &'a [Skill], warnings: &mut Vec<Warning>) -> Vec<UsableSkill<'a>> {
    let mut seen = BTreeSet::new();
    let mut ids = BTreeSet::new();
    let mut usable = Vec::new();
    for skill in skills {
        // An agent may have a skill twice, which is no mistake.
        if !ids.insert(skill.id.as_str()) {
            continue;
        }
        let shown = || skill.slug.chars().take(SHOWN_CHARS).collect::<String>();
        let text = skill.content_markdown.as_deref().unwrap_or_default();
        match FolderName::of(&skill.slug) {
            Err(why) => warnings.push(Warning::SkillName { slug: shown(), why }),
            Ok(_) if text.len() > limits::SKILL_BYTES => {
                warnings.push(Warning::SkillSize { slug: shown(), bytes: text.len() });
            }
            Ok(name) if !seen.insert(name.folded()) => warnings.push(Warning::SkillTwice(shown())),
            Ok(name) => {
                let text = (!text.trim().is_empty()).then(|| with_front_matter(skill, &name));
                usable.push(UsableSkill { skill, name, text });
            }
        }
    }
    usable
}

impl UsableSkill<'_> {
    /// Its file, if it has one.
    pub(super) fn file(&self) -> Option<(FilePath, String)> {
        let path = FilePath::known(format!("{SKILLS}/{}/SKILL.md", self.name));
        Some((path, self.text.clone()?))
    }

    /// The name by which the gateway's configuration enables it, if it has a file.
    pub(super) fn key(&self) -> Option<String> {
        self.text.as_deref().map(|text| skill_key(text, &self.name))
    }

    fn line(&self) -> String {
        let about = description(self.skill, &self.name);
        let name: Vec<&str> = self.skill.name.split_whitespace().collect();
        let name = if name.is_empty() { self.name.as_str().to_owned() } else { name.join(" ") };
        match self.skill.description.as_deref().map(str::trim) {
            Some(text) if !text.is_empty() => format!("- **{name}** ({}): {about}\n", self.name),
            _ => format!("- **{name}** ({})\n", self.name),
        }
    }
}

/// The list of an agent's skills in Markdown, under this heading.
pub(super) fn list(heading: &str, skills: &[UsableSkill<'_>]) -> String {
    let lines: String = skills.iter().map(UsableSkill::line).collect();
    if lines.is_empty() {
        return format!("{heading}\n\nNo assigned skills\n");
    }
    format!(
        "{heading}\n\nBefore you start, choose the skill that fits, read `{SKILLS}/<slug>/SKILL.md` and follow it. Use only \
         skills of this list.\n\n{lines}"
    )
}
