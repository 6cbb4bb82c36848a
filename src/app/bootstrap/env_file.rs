//! Values into an env file: lines of the same names are replaced, all others stay.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use mcr_model::secret::Secret;

/// The most values.
const VALUES_MAX: usize = 200;

/// The longest value.
const VALUE_CHARS_MAX: usize = 8_192;

/// The values of an env file's text.
pub(super) fn parsed(text: &str) -> Result<Vec<(String, Secret)>, String> {
    let mut values: Vec<(String, Secret)> = Vec::new();
    let file = mcr_config::EnvFile::parse("standard input", text);
    if let Some(found) = file.first_error() {
        return Err(found);
    }
    for (name, value) in file.values() {
        checked(name, value)?;
        values.push((name.to_owned(), Secret::new(value)));
    }
    if values.is_empty() {
        return Err("it sets no variable".to_owned());
    }
    Ok(values)
}

/// Refuses a value that an env file cannot hold. The value is not shown: it may be a secret.
pub(super) fn checked(name: &str, value: &str) -> Result<(), String> {
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_name || name.len() > 100 {
        return Err("a name is no name of a variable".to_owned());
    }
    if value.chars().any(char::is_control) || value.chars().count() > VALUE_CHARS_MAX {
        return Err(format!("the value of {name} is not one line of at most {VALUE_CHARS_MAX} characters"));
    }
    if value.contains('"') && value.contains('\'') {
        return Err(format!("the value of {name} has both kinds of quotes"));
    }
    Ok(())
}

/// Writes the values completely or not at all. When this returns, the file is on the disk, and only its owner reads it.
pub(super) fn merge(path: &Path, values: &[(String, Secret)]) -> Result<(), String> {
    if values.len() > VALUES_MAX {
        return Err(format!("{} values are too many: {VALUES_MAX} are allowed", values.len()));
    }
    let shown = path.display();
    let failed = |what: &str, why: std::io::Error| format!("{shown} cannot be {what}: {why}");
    let before = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(why) if why.kind() == ErrorKind::NotFound => String::new(),
        Err(why) => return Err(failed("read", why)),
    };
    let names: BTreeSet<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    let is_replaced = |line: &str| {
        let name = line.trim_start().trim_start_matches("export ").split('=').next().unwrap_or_default();
        line.contains('=') && names.contains(name.trim())
    };
    let mut text = String::new();
    for line in before.lines().filter(|line| !is_replaced(line)) {
        text.push_str(line);
        text.push('\n');
    }
    for (name, value) in values {
        let value = value.expose();
        let is_bare = !value.contains(['#', '"', '\'', ' ', '\t']);
        let quote = match (is_bare, value.contains('"')) {
            (true, _) => "",
            (false, true) => "'",
            (false, false) => "\"",
        };
        text.extend([name, "=", quote, value, quote, "\n"]);
    }
    let mut draft = path.as_os_str().to_owned();
    draft.push(OsStr::new(".new"));
    let draft = Path::new(&draft);
    // A killed run may have left it.
    match fs::remove_file(draft) {
        Err(why) if why.kind() != ErrorKind::NotFound => return Err(failed("written", why)),
        Ok(()) | Err(_) => {}
    }
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(draft, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    })();
    written.map_err(|why| failed("written", why))
}
