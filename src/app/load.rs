//! Reads the sources of the configuration: the environment, the env file, and the files that hold secrets.
//!
//! This is the input side of `config`, which validates what is read here. Nothing here is global, so a test
//! can supply its own environment and its own `/etc`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mcr_clients::wire::{BadRootsReason, Roots};
use mcr_config::table::{SSL_CERT_FILE, STATE_DIR, TABLE};
use mcr_config::{Both, Configuration, FileSource, FileTrouble, SecretFile, Sources};

/// The env file that is read if it exists and no other is named.
pub const DEFAULT_ENV_FILE: &str = "/etc/mission-control-runtime.env";

/// The former default folder for state, before each user had one.
const FORMER_STATE: &str = ".mission-control-runtime";

/// The largest env file. A larger file is something else.
const ENV_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The largest secret file: a secret is one line.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// The largest certificate file: bundles have a few hundred kilobytes.
const CERT_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The environment that a command runs in.
pub struct Surroundings {
    /// The environment variables.
    pub variables: Vec<(OsString, OsString)>,
    /// The env file to read if none is named and it exists.
    pub default_env_file: PathBuf,
    /// The working directory.
    pub working_directory: PathBuf,
}

impl Surroundings {
    /// The environment of this process.
    pub fn of_this_process() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
            default_env_file: DEFAULT_ENV_FILE.into(),
            // A deleted working directory contains no file, so an empty path serves as well.
            working_directory: std::env::current_dir().unwrap_or_default(),
        }
    }

    /// The variables whose value is UTF-8, and the names of the others.
    pub(super) fn texts(&self) -> (BTreeMap<String, String>, BTreeSet<String>) {
        let mut environment = BTreeMap::new();
        let mut garbled = BTreeSet::new();
        for (name, value) in &self.variables {
            // A name that is not UTF-8 is no variable of this program.
            let Some(name) = name.to_str() else { continue };
            match value.to_str() {
                Some(value) => drop(environment.insert(name.to_owned(), value.to_owned())),
                None => drop(garbled.insert(name.to_owned())),
            }
        }
        (environment, garbled)
    }
}

/// Loads the settings from the environment and the env file (the named one, or the default if it exists).
/// Without settings, the report has every reason.
pub fn load(env_file: Option<&Path>, surroundings: &Surroundings) -> Configuration {
    load_with(env_file, surroundings, mcr_config::resolve)
}

/// As [`load`], for a worker of a pool, which has no account.
pub fn load_worker(env_file: Option<&Path>, surroundings: &Surroundings) -> Configuration {
    load_with(env_file, surroundings, mcr_config::resolve_worker)
}

fn load_with(
    env_file: Option<&Path>,
    surroundings: &Surroundings,
    resolve: fn(&Sources<'_>) -> Configuration,
) -> Configuration {
    let (environment, garbled) = surroundings.texts();
    let mut configuration = resolve(&Sources {
        environment: &environment,
        garbled: &garbled,
        file: &find_env_file(env_file, &surroundings.default_env_file),
        read_secret: &|path| {
            let (text, mode) = read_text(Path::new(path), SECRET_FILE_BYTES_MAX)?;
            Ok(SecretFile { text, open_to_all: is_open_to_all(mode) })
        },
    });
    check_certificates(&mut configuration);
    check_former_state(&mut configuration, &surroundings.working_directory);
    configuration
}

/// Whether this process has a configuration: a variable that only this program uses, or the default env file.
pub fn is_configured() -> bool {
    let surroundings = Surroundings::of_this_process();
    let ours = |name: &str| TABLE.iter().any(|variable| variable.name == name && !variable.common);
    let rows = load(None, &surroundings).report.rows;
    // The entry itself counts: a file that cannot be read is reported by the start.
    surroundings.default_env_file.symlink_metadata().is_ok()
        || rows.iter().any(|row| row.origin.is_given() && ours(row.name))
}

/// Checks the former default folder: state there must not be forgotten when no variable names a folder.
fn check_former_state(configuration: &mut Configuration, working_directory: &Path) {
    let Some(row) = configuration.report.row(STATE_DIR.name).filter(|row| !row.origin.is_given()) else {
        return;
    };
    let (former, now) = (working_directory.join(FORMER_STATE), row.value.clone().unwrap_or_default());
    // Checks the entry itself, not its target: nothing is opened here.
    let holds_ledger = |folder: &Path| folder.join("ledger.sqlite").symlink_metadata().is_ok();
    if now.is_empty() || !holds_ledger(&former) {
        return;
    }
    let both = match Path::new(&now) {
        now if holds_ledger(now) => Both::WithLedger,
        now if now.exists() => Both::WithoutLedger,
        _ => Both::Missing,
    };
    configuration.refuse_former_state(&former.display().to_string(), &now, both);
}

fn find_env_file(named: Option<&Path>, default: &Path) -> FileSource {
    let path = named.unwrap_or(default);
    let shown = path.display().to_string().replace(char::is_control, "?");
    match read_text(path, ENV_FILE_BYTES_MAX) {
        Ok((text, mode)) => FileSource::Text { path: shown, text, open_to_all: is_open_to_all(mode) },
        Err(FileTrouble::Missing) if named.is_none() => FileSource::None,
        Err(FileTrouble::Forbidden) if named.is_none() => FileSource::Withheld { path: shown },
        Err(trouble) => FileSource::Unusable { path: shown, trouble },
    }
}

/// Checks that the certificates can be loaded. They are loaded again when the first connection is made.
fn check_certificates(configuration: &mut Configuration) {
    let row = configuration.report.row(SSL_CERT_FILE.name);
    // A note means that the value has been refused already.
    let Some(row) = row.filter(|row| row.origin.is_given() && row.note.is_none()) else { return };
    let Some(path) = &row.value else { return };
    let path = PathBuf::from(path);
    let read = read_bytes(&path, CERT_FILE_BYTES_MAX).map(drop);
    let loaded = read.and_then(|()| match Roots::load(Some(&path)) {
        Ok(_) => Ok(()),
        Err(bad) => Err(match bad.reason {
            BadRootsReason::Missing => FileTrouble::Missing,
            BadRootsReason::Directory => FileTrouble::Directory,
            BadRootsReason::Unreadable(_) => FileTrouble::Unreadable,
            BadRootsReason::TooLarge => FileTrouble::TooLarge { bytes_max: CERT_FILE_BYTES_MAX },
            BadRootsReason::Empty => FileTrouble::NoCertificate,
            BadRootsReason::Malformed(number) => FileTrouble::BadCertificate(number),
        }),
    });
    if let Err(trouble) = loaded {
        configuration.refuse_file(&SSL_CERT_FILE, trouble);
    }
}

fn is_open_to_all(mode: u32) -> bool {
    mode & 0o004 != 0
}

/// Reads a file's text and its permissions.
pub(super) fn read_text(path: &Path, bytes_max: u64) -> Result<(String, u32), FileTrouble> {
    let (bytes, mode) = read_bytes(path, bytes_max)?;
    String::from_utf8(bytes).map(|text| (text, mode)).map_err(|_| FileTrouble::NotText)
}

fn read_bytes(path: &Path, bytes_max: u64) -> Result<(Vec<u8>, u32), FileTrouble> {
    // Checked before opening: a pipe without a writer would block the open call forever.
    let facts = fs::metadata(path).map_err(|e| trouble(&e))?;
    if facts.is_dir() {
        return Err(FileTrouble::Directory);
    }
    if !facts.is_file() {
        return Err(FileTrouble::Special);
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|e| trouble(&e))?;
    // One byte more than allowed reveals a file that is too large, whatever its reported length.
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|e| trouble(&e))?;
    if bytes.len() as u64 > bytes_max {
        return Err(FileTrouble::TooLarge { bytes_max });
    }
    Ok((bytes, facts.permissions().mode()))
}

fn trouble(error: &std::io::Error) -> FileTrouble {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => FileTrouble::Missing,
        ErrorKind::IsADirectory => FileTrouble::Directory,
        ErrorKind::PermissionDenied => FileTrouble::Forbidden,
        _ => FileTrouble::Unreadable,
    }
}
