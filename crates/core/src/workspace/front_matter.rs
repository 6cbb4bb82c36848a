//! The front matter of a skill (runtime-behaviour ).

use super::FolderName;
use mcr_model::Skill;

/// The longest description in a front matter.
const DESCRIPTION_CHARS_MAX: usize = 200;

/// The line before and after the front matter.
const FENCE: &str = "---";

/// The skill's text with a front matter that has a name and a description. Fields that exist stay as they are.
pub fn with_front_matter(skill: &Skill, name: &FolderName) -> String {
    let text = skill.content_markdown.as_deref().unwrap_or_default().trim();
    let named = format!("name: {name}");
    let described = || format!("description: {}", quoted(&description(skill, name)));
    let Some((fields, body)) = split(text) else {
        return format!("{FENCE}\n{named}\n{}\n{FENCE}\n\n{text}\n", described());
    };
    let mut lines: Vec<String> = fields.iter().map(|line| (*line).to_owned()).collect();
    let place = |lines: &[String], key| lines.iter().position(|line| value(line, key).is_some());
    if place(&lines, "name").is_none() {
        lines.insert(0, named);
    }
    if place(&lines, "description").is_none() {
        let after_name = place(&lines, "name").map_or(0, |name| name + 1);
        lines.insert(after_name, described());
    }
    format!("{FENCE}\n{}\n{FENCE}\n{body}\n", lines.join("\n"))
}

/// The name by which the gateway's configuration enables the skill: that of the front matter, else the folder's.
pub fn skill_key(text: &str, name: &FolderName) -> String {
    let fields = split(text).map(|(fields, _)| fields).unwrap_or_default();
    let found = fields.iter().find_map(|line| value(line, "name")).map(plain);
    found.filter(|key| !key.is_empty()).unwrap_or_else(|| name.as_str().to_owned())
}

/// The lines of the front matter, and the text behind it.
fn split(text: &str) -> Option<(Vec<&str>, &str)> {
    let rest = text.strip_prefix(FENCE)?;
    let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n'))?;
    let mut from = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == FENCE {
            return Some((rest[..from].lines().collect(), &rest[from + line.len()..]));
        }
        from += line.len();
    }
    None
}

/// The value of a line with this key at its start.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()).filter(|value| !value.is_empty())
}

/// The text of a plain, single-quoted or double-quoted scalar.
fn plain(scalar: &str) -> String {
    if let Ok(text) = serde_json::from_str::<String>(scalar) {
        return text;
    }
    match scalar.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\'')) {
        Some(inner) => inner.replace("''", "'"),
        None => scalar.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// One line about the skill, from the first of its texts that is not blank.
pub(super) fn description(skill: &Skill, name: &FolderName) -> String {
    let candidates = [skill.description.as_deref().unwrap_or_default(), &skill.name, name.as_str()];
    let text = candidates.into_iter().map(str::trim).find(|text| !text.is_empty()).unwrap_or_default();
    let line: Vec<&str> = text.split_whitespace().collect();
    line.join(" ").chars().take(DESCRIPTION_CHARS_MAX).collect()
}
