//! The command `gateway-config`: writes the configuration of the OpenClaw gateway from the environment, a template and
//! what the runtime generated.
//!
//! `mcr_core::gateway_config` decides what the file contains. This reads and writes the files. The gateway reads its file
//! while it runs, so the file is replaced as a whole, and only if its meaning changes.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::exit::Exit;
use super::load::{Surroundings, read_text};
use super::{complain, print};
use mcr_config::FileTrouble;
use mcr_core::gateway::dialect::Release;
use mcr_core::gateway_config::{Sources, merge};
use mcr_files::{Access, Folder};
use mcr_model::visible;

/// A larger file is something else.
const CONFIG_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The permissions that the file may have. Its group may be that of the gateway and the runtime.
const PERMITTED: u32 = 0o640;

/// Where browsers are if the variable names none that exists, in the order of preference.
const BROWSERS: [&str; 3] = ["/usr/bin/brave-browser", "/usr/bin/chromium", "/usr/bin/chromium-browser"];

/// The options of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayConfig {
    /// The base on the first start.
    pub template: PathBuf,
    /// The gateway's present file. If `None`, it is `out`.
    pub existing: Option<PathBuf>,
    /// What the runtime generated.
    pub generated: Option<PathBuf>,
    /// The file to write.
    pub out: PathBuf,
    /// The gateway's release, as it prints it.
    pub release: Option<String>,
    /// Whether to report only, and to write nothing.
    pub check: bool,
}

/// Writes the gateway's configuration.
pub fn gateway_config(options: &GatewayConfig) -> Exit {
    match run(options, &Surroundings::of_this_process()) {
        Ok(done) => print(&format!("{done}\n")),
        Err((exit, why)) => {
            complain(&why);
            exit
        }
    }
}

/// What was done, as a line; or why nothing was done, with the exit code.
fn run(options: &GatewayConfig, surroundings: &Surroundings) -> Result<String, (Exit, String)> {
    let refused = |why: String| (Exit::Misconfigured, why);
    let release = options.release.as_deref().map(release).transpose().map_err(refused)?;
    let (environment, garbled) = surroundings.texts();
    let (mut requested, diagnostics) = mcr_config::container(&environment, &garbled);
    for found in &diagnostics {
        warn(&found.message);
    }
    let out = options.out.display();
    if mcr_config::prevents(&diagnostics) {
        return Err(refused(format!("{out} stays as it is. Correct the variables above, then start again.")));
    }
    let existing_path = options.existing.as_ref().unwrap_or(&options.out);
    let existing = read(existing_path).map_err(|why| {
        refused(format!(
            "{why} {out} stays as it is. Repair the file, or move it away to begin with the template."
        ))
    })?;
    let template = match &existing {
        Some(_) => Value::Null,
        None => read(&options.template)
            .and_then(|found| found.ok_or_else(|| unusable(&options.template, FileTrouble::Missing)))
            .map_err(|why| refused(format!("The template is required on the first start. {why}")))?,
    };
    let generated = match options.generated.as_deref().map_or(Ok(None), read) {
        Ok(generated) => generated,
        Err(why) => {
            warn(&format!("{why} The agents stay as they are."));
            None
        }
    };
    requested.browser = browser(requested.browser);
    let merged = merge(&Sources {
        environment: &requested,
        template: &template,
        existing: existing.as_ref(),
        generated: generated.as_ref(),
        release,
    });
    for remark in &merged.remarks {
        warn(&remark.to_string());
    }
    let present = if options.existing.is_none() || *existing_path == options.out {
        existing
    } else {
        // A file that cannot be read is replaced.
        read(&options.out).ok().flatten()
    };
    if present.as_ref() == Some(&merged.config) {
        let is_narrowed = narrow(&options.out, options.check).map_err(|why| (Exit::Failed, why))?;
        return Ok(match is_narrowed {
            false => format!("{out} is up to date."),
            true if options.check => format!("{out} is up to date, but other users may read or change it."),
            true => {
                format!("{out} is up to date. Other users could read or change it, which is now withdrawn.")
            }
        });
    }
    if options.check {
        return Ok(format!("{out} would change."));
    }
    write(&options.out, &merged.config).map_err(|why| (Exit::Failed, why))?;
    Ok(format!("{out} is written."))
}

/// Reads `2026.9.6` or the line that the gateway prints, such as `OpenClaw 2026.9.6 (eb377ac)`.
fn release(text: &str) -> Result<Release, String> {
    text.split_whitespace().find_map(Release::parse).ok_or_else(|| {
        format!("--release {text:?} names no release of the gateway. Give it like 2026.9.6, or leave the option out.")
    })
}

/// Reads a configuration. `None` if there is no file, or nothing in it.
pub(super) fn read(path: &Path) -> Result<Option<Value>, String> {
    let text = match read_text(path, CONFIG_BYTES_MAX) {
        Ok((text, _)) => text,
        Err(FileTrouble::Missing) => return Ok(None),
        Err(trouble) => return Err(unusable(path, trouble)),
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    match serde_json::from_str(&text) {
        Ok(config @ Value::Object(_)) => Ok(Some(config)),
        Ok(_) => Err(format!("{} contains no JSON object.", path.display())),
        Err(why) => Err(format!(
            "{} is not JSON: {why}. Comments and trailing commas are not understood here.",
            path.display()
        )),
    }
}

fn unusable(path: &Path, trouble: FileTrouble) -> String {
    format!("{} cannot be used: {trouble}.", path.display())
}

/// Replaces the file. Only its owner may read it: the operator may have written secrets into it.
fn write(path: &Path, config: &Value) -> Result<(), String> {
    // A link stays, and the file that it names changes.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let failed = |why: String| {
        format!("{} cannot be written: {why}. Check its folder, its owner and the disk.", path.display())
    };
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| failed("the path does not end with a file name".to_owned()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let folder = Folder::open(folder, Access::OwnerOrRoot).map_err(|why| {
        if why.is_missing() {
            let (out, folder) = (path.display(), folder.display());
            return format!(
                "{out} cannot be written: its folder does not exist. Run `mkdir -p -m 700 {folder}`."
            );
        }
        failed(why.to_string())
    })?;
    let text = serde_json::to_string_pretty(config).map_err(|why| failed(why.to_string()))?;
    folder.write(name, format!("{text}\n").as_bytes()).map_err(|why| failed(why.to_string()))
}

/// Withdraws the permissions of other users on the file, and of its group all but reading: the operator may have written
/// secrets into it. Returns whether there were any. A check only reports them.
fn narrow(path: &Path, is_check: bool) -> Result<bool, String> {
    let failed = |why| {
        format!("the permissions of {} cannot be changed: {why}. Run `chmod 600` on it.", path.display())
    };
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o7777;
    if mode & PERMITTED == mode {
        return Ok(false);
    }
    if !is_check {
        std::fs::set_permissions(path, Permissions::from_mode(mode & PERMITTED)).map_err(failed)?;
    }
    Ok(true)
}

/// The browser that the variable names, or another one that is installed. Without the variable, agents get no browser:
/// its settings are those of a container, where it runs without its sandbox.
fn browser(named: Option<String>) -> Option<String> {
    let named = named?;
    if Path::new(&named).is_file() {
        return Some(named);
    }
    warn(&format!("OPENCLAW_BROWSER_EXECUTABLE_PATH is {named:?}: there is no such file."));
    BROWSERS.into_iter().find(|path| Path::new(path).is_file()).map(str::to_owned)
}

fn warn(message: &str) {
    // If standard error is closed, the file is written all the same.
    let _ = writeln!(std::io::stderr(), "warning: {}", visible::lines(message));
}
