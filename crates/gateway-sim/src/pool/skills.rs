//! The manifest of the global skills, as the component publishes it (worker-pool B.10).

use serde_json::{Value, json};

use super::PoolPolicy;
use super::functions::CheckedArguments;
use super::producer::{SkillFile, SkillRelease};
use super::rows::PoolState;
use mcr_core::digest::full_digest;

/// The file that marks a managed skill.
const MARKER: &str = ".af-global-skill.json";

impl SkillRelease {
    /// The digest over the files, in their order.
    fn digest(&self) -> String {
        let block = |file: &SkillFile| format!("{}\n{}\n{}", file.path, file.digest(), file.content);
        let blocks: Vec<String> = self.files.iter().map(block).collect();
        full_digest(blocks.join("\n---\n").as_bytes())
    }

    /// The marker, with its keys in the order of the component.
    fn marker(&self) -> SkillFile {
        let text = |text: &str| Value::from(text).to_string();
        let content = format!(
            "{{\n  \"slug\": {},\n  \"version\": {},\n  \"sha256\": {},\n  \"managedBy\": \"agent-factory\",\n  \
             \"entryPoint\": \"default\",\n  \"moduleFormat\": {}\n}}\n",
            text(&self.slug),
            text(&self.version),
            text(&self.digest()),
            text(&self.module_format)
        );
        SkillFile { path: MARKER.to_owned(), content }
    }

    /// The line of the manifest's version.
    fn line(&self) -> String {
        let mut files: Vec<&SkillFile> = self.files.iter().collect();
        files.sort_by(|a, b| a.path.encode_utf16().cmp(b.path.encode_utf16()));
        let files: Vec<String> =
            files.iter().map(|file| format!("{}:{}", file.path, file.digest())).collect();
        format!("{}@{}:{}:{}", self.slug, self.version, self.digest(), files.join(","))
    }
}

impl SkillFile {
    fn digest(&self) -> String {
        full_digest(self.content.as_bytes())
    }

    fn json(&self) -> Value {
        json!({"path": self.path, "content": self.content, "sha256": self.digest()})
    }
}

/// The version of a manifest with these skills.
fn version_of(skills: &[&SkillRelease]) -> String {
    let lines: Vec<String> = skills.iter().map(|skill| skill.line()).collect();
    let text = if lines.is_empty() { "empty".to_owned() } else { lines.join("|") };
    full_digest(text.as_bytes())
}

/// The skills of a channel.
#[expect(clippy::unnecessary_wraps, reason = "the type of every function")]
pub(super) fn manifest(
    state: &mut PoolState,
    _: &PoolPolicy,
    args: &CheckedArguments<'_>,
    now: i64,
) -> Result<Value, String> {
    let channel = args.optional("releaseChannel").unwrap_or("stable");
    let mut skills: Vec<&SkillRelease> =
        state.skills.iter().filter(|skill| skill.channel == channel).collect();
    skills.sort_by(|a, b| (&a.slug, &a.version).cmp(&(&b.slug, &b.version)));
    let rows: Vec<Value> = skills
        .iter()
        .map(|skill| {
            let files: Vec<Value> =
                skill.files.iter().map(SkillFile::json).chain([skill.marker().json()]).collect();
            json!({
                "slug": skill.slug, "version": skill.version, "moduleFormat": skill.module_format,
                "entryPoint": "default", "sha256": skill.digest(), "skillDirName": skill.slug, "files": files,
            })
        })
        .collect();
    Ok(json!({
        "layoutVersion": "openclaw-workspace-skill-v1",
        "manifestVersion": version_of(&skills),
        "generatedAt": now,
        "releaseChannel": channel,
        "workspaceId": args.optional("workspaceId").unwrap_or("default"),
        "skills": rows,
    }))
}
