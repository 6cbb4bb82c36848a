//! The env file with the stored keys.
//!
//! Three programs read it: the container's start script, systemd (`EnvironmentFile=`) and the runtime itself, for a gateway
//! that it starts. They differ in quotes and backslashes, so a value is written only in a form that all three read alike.

use std::collections::{BTreeMap, BTreeSet};

use super::StoredKey;
use super::name::{self, KeyRefusal};
use mcr_model::secret::Secret;

/// The longest value. Mission Control accepts no longer one.
const VALUE_BYTES_MAX: usize = 8_192;

/// The most keys. With the longest values the file has half the size that its readers accept.
const KEYS_MAX: usize = 60;

/// The largest file, in bytes.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The file for a set of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// The first line of the file. A file with another first line belongs to a person or to another account.
    pub header: String,
    /// The text of the file.
    pub text: Secret,
    /// The variables that it sets.
    pub names: BTreeSet<String>,
    /// The keys that it lacks: the number of a key with a bad name, otherwise the name, and the reason.
    pub refused: Vec<(String, KeyRefusal)>,
}

impl KeyFile {
    /// The file for these keys of an account. Equal keys make an equal file, in whatever order they come.
    pub fn of(account: &str, keys: &[StoredKey]) -> Self {
        let account: String = account.chars().filter(char::is_ascii_graphic).collect();
        let header = format!(
            "# Written by mission-control-runtime for the account {account}, with the keys stored in Mission Control. \
             Changes are overwritten.\n"
        );
        let mut lines: BTreeMap<&str, String> = BTreeMap::new();
        let mut refused = Vec::new();
        for (number, key) in keys.iter().enumerate() {
            let line = match name::refused(&key.name) {
                Some(why) => Err(why),
                None if lines.contains_key(key.name.as_str()) => Err(KeyRefusal::Duplicate),
                None if lines.len() >= KEYS_MAX => Err(KeyRefusal::TooMany),
                None => quoted(key.value.expose()).map(|value| format!("{}={value}\n", key.name)),
            };
            match line {
                Ok(line) => drop(lines.insert(&key.name, line)),
                // The name may be a key in the wrong field.
                Err(KeyRefusal::BadName) => {
                    refused.push((format!("key {}", number + 1), KeyRefusal::BadName));
                }
                Err(why) => refused.push((key.name.clone(), why)),
            }
        }
        let text: String = lines.values().map(String::as_str).collect();
        Self {
            text: Secret::new(format!("{header}{text}")),
            header,
            names: lines.into_keys().map(str::to_owned).collect(),
            refused,
        }
    }
}

/// The value as it stands behind `=`.
fn quoted(value: &str) -> Result<String, KeyRefusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:+=@,%~".contains(c);
    match () {
        () if value.is_empty() => Err(KeyRefusal::Empty),
        () if value.len() > VALUE_BYTES_MAX => Err(KeyRefusal::TooLong),
        () if value.contains(char::is_control) => Err(KeyRefusal::Control),
        () if value.chars().all(plain) => Ok(value.to_owned()),
        () if !value.contains('\'') => Ok(format!("'{value}'")),
        // systemd reads backslashes between double quotes, and the start script does not.
        () if !value.contains(['"', '\\']) => Ok(format!("\"{value}\"")),
        () => Err(KeyRefusal::Unquotable),
    }
}

/// The variables of a file that [`KeyFile::of`] has made. Other lines are skipped.
pub fn entries(text: &str) -> Vec<(&str, &str)> {
    let bare = |value| unquoted(value, '\'').or_else(|| unquoted(value, '"')).unwrap_or(value);
    let line = |line| {
        let (name, value) = str::split_once(line, '=')?;
        name::refused(name).is_none().then(|| (name, bare(value)))
    };
    text.lines().filter_map(line).collect()
}

fn unquoted(value: &str, quote: char) -> Option<&str> {
    value.strip_prefix(quote)?.strip_suffix(quote)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(name: &str, value: &str) -> StoredKey {
        StoredKey { name: name.to_owned(), value: Secret::new(value) }
    }

    fn written(keys: &[StoredKey]) -> KeyFile {
        KeyFile::of("acc", keys)
    }

    #[test]
    fn equal_keys_make_an_equal_file_in_any_order() {
        let (one, two) = (key("B_KEY", "b"), key("A_KEY", "a/b+c="));
        let file = written(&[one.clone(), two.clone()]);
        assert_eq!(file, written(&[two, one]));
        let header = &file.header;
        assert_eq!(file.text.expose(), format!("{header}A_KEY=a/b+c=\nB_KEY=b\n"));
        assert!(header.starts_with("# ") && header.ends_with('\n') && header.lines().count() == 1);
        assert_eq!(written(&[]).text.expose(), header);
        assert_ne!(KeyFile::of("other", &[]).header, *header);
        assert_eq!(KeyFile::of("acc\nLD_PRELOAD=x", &[]).header.lines().count(), 1);
    }

    #[test]
    fn refused_keys_are_named_without_their_values() {
        use KeyRefusal::{BadName, Control, DecidesPrograms, Duplicate, Empty, TooLong, Unquotable};
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        let rows = [
            ("A_KEY", "canary\nLD_PRELOAD=/tmp/x", Control),
            ("A_KEY", "canary\0", Control),
            ("A_KEY", "canary\r", Control),
            ("A_KEY", "canary\u{85}", Control),
            ("A_KEY", "", Empty),
            ("A_KEY", long.as_str(), TooLong),
            ("A_KEY", "can'ary\\", Unquotable),
            ("A_KEY", "can'\"ary", Unquotable),
            ("LD_PRELOAD", "canary", DecidesPrograms),
        ];
        for (name, value, why) in rows {
            let file = written(&[key(name, value), key("B_KEY", "b")]);
            assert_eq!(file.refused, [(name.to_owned(), why)]);
            assert_eq!(file.text.expose(), format!("{}B_KEY=b\n", file.header), "the other keys are written");
        }
        let file = written(&[key("sk-canary", "ANTHROPIC"), key("A_KEY", "1"), key("A_KEY", "2")]);
        assert_eq!(file.refused, [("key 1".to_owned(), BadName), ("A_KEY".to_owned(), Duplicate)]);
        assert!(!format!("{file:?}").contains("canary"));
        let many: Vec<StoredKey> = (0..=KEYS_MAX).map(|n| key(&format!("K{n}_KEY"), "v")).collect();
        let file = written(&many);
        assert_eq!((file.names.len(), file.refused.len()), (KEYS_MAX, 1));
        let largest = KEYS_MAX * (VALUE_BYTES_MAX + 256) + file.header.len();
        assert!(u64::try_from(largest).unwrap() < FILE_BYTES_MAX);
    }

    proptest! {
        /// A value never sets a second variable, and is read as it was stored.
        #[test]
        fn what_is_written_is_read_back(values in proptest::collection::vec("[ -~\u{a0}-\u{ff}\n\0]{0,40}", 0..4)) {
            let keys: Vec<StoredKey> =
                values.iter().enumerate().map(|(n, value)| key(&format!("K{n}_KEY"), value)).collect();
            let file = written(&keys);
            let read = entries(file.text.expose());
            prop_assert_eq!(read.len(), file.names.len());
            prop_assert_eq!(file.names.len() + file.refused.len(), keys.len());
            for (name, value) in read {
                let stored = keys.iter().find(|key| key.name == name).unwrap();
                prop_assert_eq!(value, stored.value.expose());
            }
        }
    }
}
