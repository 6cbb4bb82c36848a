//! Which files a skill may and must have.

/// The file that says which skill a folder holds. The publisher writes it.
pub const MARKER: &str = ".af-global-skill.json";

/// The file that agents read.
pub(super) const INSTRUCTIONS: &str = "SKILL.md";

/// The most bytes that the files of a bundle have together.
pub const BUNDLE_BYTES_MAX: usize = 200_000;

/// The longest path, and the most of its parts.
const PATH_CHARS_MAX: usize = 200;

/// The forms of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModuleFormat {
    Esm,
    Cjs,
}

impl ModuleFormat {
    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "esm" => Some(Self::Esm),
            "cjs" => Some(Self::Cjs),
            _ => None,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Esm => "esm",
            Self::Cjs => "cjs",
        }
    }

    /// The file that is run.
    pub(super) fn script(self) -> &'static str {
        match self {
            Self::Esm => "scripts/index.mjs",
            Self::Cjs => "scripts/index.cjs",
        }
    }
}

/// The path of a file within its skill: relative, with slashes. The error is the end of the sentence "the path … ".
///
/// The component turns backslashes into slashes and drops leading slashes, and so does this. But it accepts `..` as a last
/// part. Here no part may be empty, `.` or `..`, so that a path has one spelling and stays in its folder.
pub fn clean_path(path: &str) -> Result<String, String> {
    let path = path.replace('\\', "/");
    let path = path.trim_start_matches('/');
    if path.is_empty() {
        return Err("is empty".to_owned());
    }
    if path.chars().count() > PATH_CHARS_MAX {
        return Err(format!("has more than {PATH_CHARS_MAX} characters"));
    }
    if path.chars().any(char::is_control) {
        return Err("has a control character".to_owned());
    }
    match path.split('/').find(|part| matches!(*part, "" | "." | "..")) {
        Some("") => Err("has an empty part".to_owned()),
        Some(part) => Err(format!("has the part `{part}`")),
        None => Ok(path.to_owned()),
    }
}

/// The slug of a skill, in lower case. The error is the end of the sentence "the name … ".
pub(super) fn clean_slug(text: &str) -> Result<String, String> {
    let slug = text.trim().to_lowercase();
    let is_first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_further = |c: char| is_first(c) || c == '-' || c == '_';
    let fits = (2..=128).contains(&slug.len()) && slug.starts_with(is_first) && slug.chars().all(is_further);
    if fits {
        Ok(slug)
    } else {
        Err("needs 2 to 128 letters, digits, - or _, the first of them a letter or digit".to_owned())
    }
}

/// The folder of a skill: lower case, and `-` in place of what a name may not have.
pub(super) fn folder_name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let name: String = text.to_lowercase().chars().map(plain).collect();
    if name.is_empty() { "unnamed-skill".to_owned() } else { name }
}

/// Whether this is a version: `x.y.z`, and a suffix after `-` or `+`.
pub(super) fn is_version(text: &str) -> bool {
    let (numbers, suffix) = match text.find(['-', '+']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let is_number =
        |part: &str| !part.is_empty() && part.len() <= 10 && part.bytes().all(|b| b.is_ascii_digit());
    let is_suffix = |suffix: &str| {
        !suffix.is_empty()
            && suffix.len() <= 100
            && suffix.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b))
    };
    numbers.split('.').count() == 3 && numbers.split('.').all(is_number) && suffix.is_none_or(is_suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// worker-pool B.10, the inputs under the original rule; F.34 demands the stricter one.
    #[test]
    fn a_path_stays_in_its_folder_and_has_one_spelling() {
        let rows = [
            ("SKILL.md", Some("SKILL.md")),
            ("scripts/index.mjs", Some("scripts/index.mjs")),
            ("scripts\\index.mjs", Some("scripts/index.mjs")),
            ("/etc/x", Some("etc/x")),
            ("//etc/x", Some("etc/x")),
            ("a..b/c...", Some("a..b/c...")),
            ("../x", None),
            ("a/../b", None),
            ("..", None),
            ("a/..", None),
            ("a\\..\\b", None),
            (".", None),
            ("./x", None),
            ("a//b", None),
            ("a/", None),
            ("", None),
            ("/", None),
            ("a\nb", None),
        ];
        for (path, expected) in rows {
            assert_eq!(clean_path(path).ok().as_deref(), expected, "{path:?}");
        }
        assert!(clean_path(&"a".repeat(201)).is_err());
    }

    #[test]
    fn slugs_folders_and_versions() {
        for (text, expected) in [
            ("demo", Some("demo")),
            (" Demo-2_x ", Some("demo-2_x")),
            ("2d", Some("2d")),
            ("d", None),
            ("-demo", None),
            ("de mo", None),
            ("dé", None),
            ("", None),
        ] {
            assert_eq!(clean_slug(text).ok().as_deref(), expected, "{text:?}");
        }
        assert!(clean_slug(&"a".repeat(129)).is_err() && clean_slug(&"a".repeat(128)).is_ok());
        for (text, expected) in
            [("Demo", "demo"), ("a b/c", "a-b-c"), ("..", "--"), ("", "unnamed-skill"), ("é", "-")]
        {
            assert_eq!(folder_name(text), expected);
        }
        for good in ["1.0.0", "0.0.1-rc.1", "1.2.3+build-7"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["1.0", "1.0.0.0", "v1.0.0", "1.0.0-", "1.0.x", "", "1.0.0 ", "1..0"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
