//! Global skills: versioned bundles of files, and which version each channel has (worker-pool B.10).
//!
//! The checks and the checksums of a bundle are those of `core::skills`, which also checks manifests for workers. A bundle
//! with a mistake is refused as a whole.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::rows::{SkillFile, SkillRelease, SkillVersion};
use super::{LIMIT, clamped};
use crate::answer::{Refusal, ensure};
use crate::call::{Answer, Call};
use crate::function::Function;
use crate::number;
use crate::store::{Doc, RELEASES_OF_CHANNEL, SKILL_RELEASES, SKILL_VERSION, SKILL_VERSIONS, StoreError, Tx};
use crate::validate::{Arg, Is, may, need};
use mcr_core::skills::{MARKER, PackRequest, ReleasedSkill, manifest_version, marker_of, pack};

const LAYOUT: &str = "openclaw-workspace-skill-v1";
const STABLE: &str = "stable";
const ACTIVE: &str = "active";
/// Whether a release is the current one. A text, because indexes compare texts.
const YES: &str = "yes";
const NO: &str = "no";
/// The most skills of a channel, as many as a worker takes.
const SKILLS_MAX: usize = 1_000;
/// The longest name, description and entry point.
const TEXT_BYTES: usize = 2_000;

const FILE: Is = Is::Object(&[need("path", Is::Text), need("content", Is::Text), need("sha256", Is::Text)]);
const CHANNEL: Arg = may("releaseChannel", Is::OneOf(&[STABLE, "canary"]));
const STATUS: Is = Is::OneOf(&[ACTIVE, "disabled"]);
const SLUG: Arg = need("slug", Is::Text);
const ACTOR: Arg = may("actor", Is::Text);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::pool_mutation(
        "agentFactory:globalSkillsDeploy",
        &[
            SLUG,
            may("displayName", Is::Text),
            may("description", Is::Text),
            need("version", Is::Text),
            need("files", Is::List(&FILE)),
            may("entryPoint", Is::Text),
            may("moduleFormat", Is::OneOf(&["esm", "cjs"])),
            CHANNEL,
            ACTOR,
        ],
        deploy,
    ),
    Function::pool_query("agentFactory:globalSkillsList", &[CHANNEL, may("status", STATUS), LIMIT], list),
    Function::pool_mutation(
        "agentFactory:globalSkillsSetStatus",
        &[SLUG, need("status", STATUS), ACTOR],
        set_status,
    ),
    Function::pool_mutation("agentFactory:globalSkillsDelete", &[SLUG], delete),
    Function::worker_query(
        "agentFactory:workerGlobalSkillsManifest",
        &[may("workspaceId", Is::Text), may("workerId", Is::Text), CHANNEL],
        manifest,
    ),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeployArgs {
    slug: String,
    display_name: Option<String>,
    description: Option<String>,
    version: String,
    files: Vec<SkillFile>,
    entry_point: Option<String>,
    module_format: Option<String>,
    release_channel: Option<String>,
    actor: Option<String>,
}

/// Checks a bundle, and returns the version that it makes.
fn checked(args: &DeployArgs, now: f64) -> Result<SkillVersion, Refusal> {
    for text in [&args.display_name, &args.description, &args.entry_point].into_iter().flatten() {
        ensure!(text.len() <= TEXT_BYTES, "A text of the skill has more than {TEXT_BYTES} bytes: shorten it");
    }
    let files = args.files.iter().map(|file| (file.path.clone(), file.content.clone())).collect();
    let packed = pack(PackRequest { slug: &args.slug, version: &args.version, files })
        .map_err(|mistakes| Refusal::thrown(format!("The skill is refused. {}", mistakes.join(". "))))?;
    let given: BTreeMap<&str, &str> =
        args.files.iter().map(|file| (file.path.trim_start_matches('/'), file.sha256.as_str())).collect();
    ensure!(given.len() == packed.files.len(), "The skill is refused. Two files have the same path");
    for file in &packed.files {
        let sum = given.get(file.path.as_str()).copied().unwrap_or_default();
        ensure!(
            sum.eq_ignore_ascii_case(&file.sha256),
            "The skill is refused. The checksum of `{}` is {}, not `{sum}`: pack it with `skills pack`",
            file.path,
            file.sha256
        );
    }
    let format = args.module_format.as_deref().unwrap_or(packed.module_format);
    ensure!(
        format == packed.module_format,
        "The skill is refused. Its script is of the format {}, not {format}",
        packed.module_format
    );
    let file = |file: mcr_core::skills::BundleFile| SkillFile {
        path: file.path,
        content: file.content,
        sha256: file.sha256,
    };
    Ok(SkillVersion {
        slug: packed.slug,
        version: packed.version,
        module_format: packed.module_format.to_owned(),
        entry_point: args.entry_point.clone().unwrap_or_else(|| packed.entry_point.to_owned()),
        sha256: packed.sha256,
        files: packed.files.into_iter().map(file).collect(),
        status: ACTIVE.to_owned(),
        created_at: now,
        display_name: args.display_name.clone(),
        description: args.description.clone(),
        actor: args.actor.clone(),
    })
}

/// Stores a version, and makes it the only active release of its channel.
fn deploy(call: &Call<'_>) -> Answer {
    let args: DeployArgs = call.args()?;
    let (tx, now) = (call.tx, call.now());
    let new = checked(&args, now)?;
    let channel = args.release_channel.unwrap_or_else(|| STABLE.to_owned());
    let known: Option<Doc<SkillVersion>> =
        tx.find(SKILL_VERSION, &[Some(&new.slug), Some(&new.version)]).first()?;
    let version = match known {
        Some(known) => {
            let is_same = known.row.sha256 == new.sha256
                && known.row.module_format == new.module_format
                && known.row.entry_point == new.entry_point;
            ensure!(
                is_same,
                "The version {} of {} exists with another content: give the change another version",
                new.version,
                new.slug
            );
            known
        }
        None => tx.insert(new)?,
    };
    let SkillVersion { slug, version: number, sha256, .. } = &version.row;
    for mut release in tx.find::<SkillRelease>(SKILL_RELEASES, &[Some(slug)]).rows()? {
        if release.row.release_channel == channel && release.row.is_active == YES {
            NO.clone_into(&mut release.row.is_active);
            tx.put(&release)?;
        }
    }
    let release = tx.insert(SkillRelease {
        slug: slug.clone(),
        version: number.clone(),
        release_channel: channel.clone(),
        is_active: YES.to_owned(),
        released_at: now,
        actor: args.actor,
    })?;
    Ok(json!({
        "skillId": version.id.as_str(),
        "versionId": version.id.as_str(),
        "releaseId": release.id.as_str(),
        "slug": slug,
        "version": number,
        "sha256": sha256,
        "releaseChannel": channel,
    }))
}

/// The active releases of a channel with their versions, by slug.
fn released(tx: &Tx<'_>, channel: &str) -> Result<Vec<(SkillRelease, SkillVersion)>, StoreError> {
    let releases = tx.find::<SkillRelease>(RELEASES_OF_CHANNEL, &[Some(channel), Some(YES)]);
    let mut found = Vec::new();
    for Doc { row, .. } in releases.limit(SKILLS_MAX).rows()? {
        let version =
            tx.find::<SkillVersion>(SKILL_VERSION, &[Some(&row.slug), Some(&row.version)]).first()?;
        found.extend(version.map(|version| (row, version.row)));
    }
    found.sort_by(|(_, one), (_, other)| (&one.slug, &one.version).cmp(&(&other.slug, &other.version)));
    Ok(found)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SkillListArgs {
    release_channel: Option<String>,
    status: Option<String>,
    workspace_id: Option<String>,
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

fn list(call: &Call<'_>) -> Answer {
    let args: SkillListArgs = call.args()?;
    let channels =
        args.release_channel.map_or_else(|| vec![STABLE.to_owned(), "canary".to_owned()], |one| vec![one]);
    let mut rows = Vec::new();
    for channel in channels {
        for (release, version) in released(call.tx, &channel)? {
            if args.status.as_ref().is_some_and(|status| *status != version.status) {
                continue;
            }
            rows.push(json!({
                "slug": version.slug,
                "displayName": version.display_name,
                "description": version.description,
                "status": version.status,
                "version": version.version,
                "sha256": version.sha256,
                "moduleFormat": version.module_format,
                "entryPoint": version.entry_point,
                "releaseChannel": release.release_channel,
                "releasedAt": release.released_at,
                "fileCount": version.files.len(),
            }));
        }
    }
    rows.truncate(clamped(args.limit, 100, SKILLS_MAX));
    Ok(Value::Array(rows))
}

#[derive(Deserialize)]
struct SlugArgs {
    slug: String,
    #[serde(default)]
    status: String,
}

/// All versions of a skill, or a refusal.
fn versions(call: &Call<'_>, slug: &str) -> Result<Vec<Doc<SkillVersion>>, Refusal> {
    let found: Vec<Doc<SkillVersion>> = call.tx.find(SKILL_VERSIONS, &[Some(slug)]).rows()?;
    ensure!(!found.is_empty(), "The skill {slug} does not exist");
    Ok(found)
}

fn set_status(call: &Call<'_>) -> Answer {
    let args: SlugArgs = call.args()?;
    for mut version in versions(call, &args.slug)? {
        version.row.status.clone_from(&args.status);
        call.tx.put(&version)?;
    }
    Ok(json!({"slug": args.slug, "status": args.status}))
}

/// Removes a skill with its versions and releases.
fn delete(call: &Call<'_>) -> Answer {
    let args: SlugArgs = call.args()?;
    let versions = versions(call, &args.slug)?;
    let releases: Vec<Doc<SkillRelease>> = call.tx.find(SKILL_RELEASES, &[Some(&args.slug)]).rows()?;
    for version in &versions {
        call.tx.delete(&version.id)?;
    }
    for release in &releases {
        call.tx.delete(&release.id)?;
    }
    Ok(json!({
        "slug": args.slug, "deletedSkill": true, "deletedVersions": versions.len(), "deletedReleases": releases.len(),
    }))
}

/// The skills of a channel for a worker. Each skill stands alone: a disabled one is left out.
fn manifest(call: &Call<'_>) -> Answer {
    let args: SkillListArgs = call.args()?;
    let channel = args.release_channel.unwrap_or_else(|| STABLE.to_owned());
    let mut found = released(call.tx, &channel)?;
    found.retain(|(_, version)| version.status == ACTIVE);
    let mut skills = Vec::new();
    for (_, row) in &found {
        let marker = marker_of(&released_skill(row));
        let marker = json!({"path": MARKER, "content": marker.content, "sha256": marker.sha256});
        let files = row.files.iter().map(|file| json!(file)).chain([marker]);
        skills.push(json!({
            "slug": row.slug,
            "version": row.version,
            "moduleFormat": row.module_format,
            "entryPoint": row.entry_point,
            "sha256": row.sha256,
            "skillDirName": row.slug,
            "files": files.collect::<Value>(),
        }));
    }
    let sums: Vec<ReleasedSkill<'_>> = found.iter().map(|(_, row)| released_skill(row)).collect();
    Ok(json!({
        "layoutVersion": LAYOUT,
        "manifestVersion": manifest_version(&sums),
        "generatedAt": call.now(),
        "releaseChannel": channel,
        "workspaceId": args.workspace_id.unwrap_or_else(|| "default".to_owned()),
        "skills": skills,
    }))
}

fn released_skill(row: &SkillVersion) -> ReleasedSkill<'_> {
    ReleasedSkill {
        slug: &row.slug,
        version: &row.version,
        sha256: &row.sha256,
        entry_point: &row.entry_point,
        module_format: &row.module_format,
        files: row.files.iter().map(|file| (file.path.as_str(), file.sha256.as_str())).collect(),
    }
}
