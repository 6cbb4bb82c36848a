//! Which variables a stored key may set.
//!
//! Mission Control is another machine. Its keys must not decide which programs the gateway runs, or where it connects.

/// The longest name.
const NAME_BYTES_MAX: usize = 128;

/// Variables that the gateway's start script needs before it reads an env file. The script refuses them, too.
pub const READ_BEFORE_THE_FILE: &[&str] = &[
    "OPENCLAW_STATE_DIR",
    "OPENCLAW_CONFIG_PATH",
    "OPENCLAW_ENV_FILE",
    "OPENCLAW_KEYS_FILE",
    "OPENCLAW_WORKSPACE_ROOT",
    "OPENCLAW_TEMPLATE",
    "OPENCLAW_GATEWAY_PORT",
    "OPENCLAW_WATCH_SECONDS",
    "OPENCLAW_CONFIG_RELOAD",
];

/// Variables that decide which programs run, as patterns of the shell. The start script refuses them, too.
pub const DECIDE_PROGRAMS: &[&str] = &[
    "PATH",
    "HOME",
    "IFS",
    "ENV",
    "BASH_*",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "LD_*",
    "GLIBC_TUNABLES",
    "NODE_OPTIONS",
    "NODE_PATH",
    "GIT_SSH*",
    "GIT_EXEC_PATH",
    "GIT_CONFIG*",
    "GIT_*EDITOR",
    "GIT_PAGER",
    "GIT_EXTERNAL_DIFF",
    "GIT_PROXY_COMMAND",
    "GIT_TEMPLATE_DIR",
    "*_ASKPASS",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "PERL5*",
    "PYTHON*",
    "RUBYOPT",
    "RUBYLIB",
    "[Nn][Pp][Mm]_[Cc][Oo][Nn][Ff][Ii][Gg]_*",
];

/// Variables that configure the gateway, its connections or this runtime. People may set them in a file of their own.
const CONFIGURE: &[&str] = &[
    "OPENCLAW_*",
    "CLAWDBOT_*",
    "NODE_*",
    "SSL_CERT_*",
    "*_PROXY",
    "*_proxy",
    "SHELL",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "ACCOUNT_ID",
    "SERVICE_TOKEN",
    "CONVEX_*",
    "ADMIN_KEY",
    "SECRETS_MASTER_KEY*",
    "NOTIFY_SOCKET",
];

/// How the names of keys end, in any case. Everything else may decide what the gateway does, such as `ANTHROPIC_BASE_URL`.
const ENDS_OF_KEYS: &[&str] = &["_KEY", "_KEY_ID", "_TOKEN", "_SECRET", "_PASSWORD"];

/// Why a key is not written. No text repeats a value, or a name that may be a value in the wrong field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// The name is no name of a variable.
    BadName,
    /// The variable decides which programs run.
    DecidesPrograms,
    /// The variable configures the gateway or the runtime.
    Configures,
    /// The variable is not named like a key.
    NoKey,
    /// The name occurs twice.
    Duplicate,
    /// The value is empty.
    Empty,
    /// The value is too long.
    TooLong,
    /// The value contains a line break, a NUL or another control character.
    Control,
    /// The value cannot be quoted so that every reader of the file understands it.
    Unquotable,
    /// There are too many keys.
    TooMany,
}

impl KeyRefusal {
    /// The reason, to follow the name of the key.
    pub fn explain(self) -> &'static str {
        match self {
            Self::BadName => "is no name of a variable: use letters, digits and _",
            Self::DecidesPrograms => "decides which programs run, so a stored key may not set it",
            Self::Configures => "configures the gateway or the runtime, so a stored key may not set it",
            Self::NoKey => {
                "is not named like a key: the name must end in _KEY, _KEY_ID, _TOKEN, _SECRET or _PASSWORD"
            }
            Self::Duplicate => "is stored twice; only the first value is used",
            Self::Empty => "has an empty value",
            Self::TooLong => "has a value that is too long for a key",
            Self::Control => "has a value with a line break or another control character: paste only the key",
            Self::Unquotable => "has a value with quotes and backslashes that an env file cannot hold",
            Self::TooMany => "is not used, because Mission Control has more keys than an env file may hold",
        }
    }
}

/// Why this name may not be set, if so.
pub fn refused(name: &str) -> Option<KeyRefusal> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let well_formed = starts_well
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let one_of =
        |patterns: &[&str]| patterns.iter().any(|pattern| matches(pattern.as_bytes(), name.as_bytes()));
    match () {
        () if !well_formed => Some(KeyRefusal::BadName),
        () if one_of(DECIDE_PROGRAMS) => Some(KeyRefusal::DecidesPrograms),
        () if one_of(READ_BEFORE_THE_FILE) || one_of(CONFIGURE) => Some(KeyRefusal::Configures),
        () if !ENDS_OF_KEYS.iter().any(|end| name.to_ascii_uppercase().ends_with(end)) => {
            Some(KeyRefusal::NoKey)
        }
        () => None,
    }
}

/// Whether a name matches a pattern of the shell: `*`, and `[Xx]` for one of two letters.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', rest @ ..] => (0..=name.len()).any(|from| matches(rest, &name[from..])),
        [b'[', one, other, b']', rest @ ..] => {
            name.split_first().is_some_and(|(c, tail)| (c == one || c == other) && matches(rest, tail))
        }
        [c, rest @ ..] => name.split_first().is_some_and(|(first, tail)| first == c && matches(rest, tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_providers_are_allowed_and_dangerous_names_are_not() {
        use KeyRefusal::{BadName, Configures, DecidesPrograms, NoKey};
        let rows: &[(&str, Option<KeyRefusal>)] = &[
            ("ANTHROPIC_API_KEY", None),
            ("AI_GATEWAY_API_KEY", None),
            ("aws_secret", None),
            ("AWS_ACCESS_KEY_ID", None),
            ("GH_TOKEN", None),
            ("_X1", Some(NoKey)),
            ("PATHS", Some(NoKey)),
            ("GIT_AUTHOR_NAME", Some(NoKey)),
            ("ANTHROPIC_BASE_URL", Some(NoKey)),
            ("AWS_ENDPOINT_URL", Some(NoKey)),
            ("GCONV_PATH", Some(NoKey)),
            ("OPENSSL_CONF", Some(NoKey)),
            ("JAVA_TOOL_OPTIONS", Some(NoKey)),
            ("LUA_INIT", Some(NoKey)),
            ("PROMPT_COMMAND", Some(NoKey)),
            ("Http_Proxy", Some(NoKey)),
            ("SSLKEYLOGFILE", Some(NoKey)),
            ("", Some(BadName)),
            ("1KEY", Some(BadName)),
            ("A-KEY", Some(BadName)),
            ("A KEY", Some(BadName)),
            ("A\nLD_PRELOAD", Some(BadName)),
            ("SCHLÜSSEL", Some(BadName)),
            ("PATH", Some(DecidesPrograms)),
            ("LD_PRELOAD", Some(DecidesPrograms)),
            ("NODE_OPTIONS", Some(DecidesPrograms)),
            ("GIT_SEQUENCE_EDITOR", Some(DecidesPrograms)),
            ("SSH_ASKPASS", Some(DecidesPrograms)),
            ("nPm_cOnfIg_registry", Some(DecidesPrograms)),
            ("OPENCLAW_GATEWAY_TOKEN", Some(Configures)),
            ("OPENCLAW_STATE_DIR", Some(Configures)),
            ("NODE_TLS_REJECT_UNAUTHORIZED", Some(Configures)),
            ("HTTPS_PROXY", Some(Configures)),
            ("https_proxy", Some(Configures)),
            ("SERVICE_TOKEN", Some(Configures)),
            ("CONVEX_DEPLOY_KEY", Some(Configures)),
        ];
        for (name, expected) in rows {
            assert_eq!(refused(name), *expected, "{name:?}");
        }
        assert_eq!(refused(&"K".repeat(NAME_BYTES_MAX + 1)), Some(BadName));
    }
}
