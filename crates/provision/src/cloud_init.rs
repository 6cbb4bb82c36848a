//! What a new virtual machine does at its first start: the shipped cloud-init template with its values filled in.
//!
//! User data can be read by every program on the machine for as long as it lives. So it holds no secret but a one-time
//! token, which the machine exchanges for its environment.

use std::fmt;

use mcr_model::BaseUrl;
use mcr_model::secret::Secret;

/// The template, as it is shipped for people.
const TEMPLATE: &str = include_str!("../../../packaging/cloud-init.yaml");

/// Where the machine finds its one-time token.
pub const TOKEN_FILE: &str = "/etc/mission-control-bootstrap.token";

/// What a machine is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineContents {
    /// The archive of the runtime.
    pub release_url: String,
    /// Its SHA-256, in hexadecimal digits.
    pub release_sha256: String,
    /// The version of OpenClaw; the template's own without it.
    pub openclaw_version: Option<String>,
    /// The version of Node; the template's own without it.
    pub node_version: Option<String>,
    /// The slugs of the account's agents; the template's own without them.
    pub agents: Vec<String>,
    /// The account.
    pub account: String,
    /// The address of Mission Control, if it is known already.
    pub convex_url: Option<String>,
    /// Where the machine gets its secrets. Without it, a person brings them.
    pub bootstrap: Option<BootstrapSource>,
}

/// Where a machine gets its environment, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapSource {
    /// The control plane.
    pub url: BaseUrl,
    /// The token. It works once and for a quarter of an hour.
    pub token: Secret,
}

/// Why the template cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadContents(String);

impl fmt::Display for BadContents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The user data of a machine.
pub fn user_data(contents: &MachineContents) -> Result<Secret, BadContents> {
    let mut text = TEMPLATE.to_owned();
    let bad = |what: &str, value: &str, expected: &str| {
        Err(BadContents(format!("{what} `{}` cannot be used: expected {expected}", value.escape_debug())))
    };
    let url = &contents.release_url;
    if !(url.starts_with("https://") && is_plain(url, "-_.~:/?#[]@!&*+,;=%")) {
        return bad("The address of the release", url, "an https address");
    }
    let digest = &contents.release_sha256;
    if digest.len() != 64
        || !digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    {
        return bad("The checksum of the release", digest, "64 hexadecimal digits");
    }
    if !is_plain(&contents.account, "-_.:") {
        return bad(
            "The account",
            &contents.account,
            "letters, digits, hyphens, underscores, full stops and colons",
        );
    }
    let mut values = vec![
        ("      RELEASE_URL=", format!("'{url}'")),
        ("      RELEASE_SHA256=", digest.clone()),
        ("      ACCOUNT_ID=", contents.account.clone()),
    ];
    let versions = [
        ("      NODE_VERSION=", &contents.node_version),
        ("      OPENCLAW_VERSION=", &contents.openclaw_version),
    ];
    for (line, version) in versions {
        if let Some(version) = version {
            if !is_plain(version, "-_.+") {
                return bad("The version", version, "letters, digits, hyphens and full stops");
            }
            values.push((line, version.clone()));
        }
    }
    if let Some(agent) = contents.agents.iter().find(|agent| !is_plain(agent, "-_")) {
        return bad("The agent", agent, "a slug");
    }
    if !contents.agents.is_empty() {
        values.push(("      OPENCLAW_AGENTS=", contents.agents.join(",")));
    }
    if let Some(url) = &contents.convex_url {
        if !is_plain(url, "-_.~:/[]%") {
            return bad("The address of Mission Control", url, "an http or https address");
        }
        values.push(("      CONVEX_URL=", url.clone()));
    }
    if let Some(BootstrapSource { url, token }) = &contents.bootstrap {
        if !(url.is_https() || url.is_loopback()) || !is_plain(url.as_str(), "-_.~:/[]%") {
            return bad("The address of the control plane", url.as_str(), "an https address");
        }
        if !is_plain(token.expose(), "-_.~+/=") {
            return Err(BadContents(
                "The one-time token cannot be used: it has characters that need quotes".to_owned(),
            ));
        }
        values.push(("      RUNTIME_BOOTSTRAP_URL=", url.as_str().to_owned()));
    }
    for (line, value) in values {
        text = filled(&text, line, &value)?;
    }
    if let Some(BootstrapSource { token, .. }) = &contents.bootstrap {
        let file = format!(
            "write_files:\n  - path: {TOKEN_FILE}\n    owner: root:root\n    permissions: '0600'\n    content: |\n      {}\n\n",
            token.expose()
        );
        text = text.replacen("write_files:\n", &file, 1);
    }
    Ok(Secret::new(text))
}

/// The text with another value in the first line that begins with this.
fn filled(text: &str, line: &str, value: &str) -> Result<String, BadContents> {
    let missing = || BadContents(format!("The cloud-init template has no line `{}`", line.trim()));
    let at = text.find(&format!("\n{line}")).ok_or_else(missing)? + 1 + line.len();
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    Ok(format!("{}{value}{}", &text[..at], &text[end..]))
}

/// Whether a value needs no quotes, neither in YAML nor in a shell nor in an env file.
fn is_plain(value: &str, signs: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || signs.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents() -> MachineContents {
        MachineContents {
            release_url: "https://example.com/mcr.tar.gz?x=1&y=2".to_owned(),
            release_sha256: "ab".repeat(32),
            openclaw_version: Some("2026.9.7".to_owned()),
            node_version: Some("24.22.0".to_owned()),
            agents: vec!["engineer".to_owned(), "qa".to_owned()],
            account: "acc0unt".to_owned(),
            convex_url: Some("https://otter-1.convex.cloud".to_owned()),
            bootstrap: None,
        }
    }

    #[test]
    fn each_value_is_filled_in_once_and_nothing_else_changes() {
        let text = user_data(&contents()).unwrap();
        let changed: Vec<(&str, &str)> =
            TEMPLATE.lines().zip(text.expose().lines()).filter(|(one, other)| one != other).collect();
        let now: Vec<&str> = changed.iter().map(|(_, now)| now.trim()).collect();
        let expected = [
            "ACCOUNT_ID=acc0unt",
            "CONVEX_URL=https://otter-1.convex.cloud",
            "OPENCLAW_AGENTS=engineer,qa",
            "RELEASE_URL='https://example.com/mcr.tar.gz?x=1&y=2'",
            &format!("RELEASE_SHA256={}", "ab".repeat(32)),
            "NODE_VERSION=24.22.0",
            "OPENCLAW_VERSION=2026.9.7",
        ];
        assert_eq!(now, expected);
        assert_eq!(TEMPLATE.lines().count(), text.expose().lines().count());
    }

    #[test]
    fn a_one_time_token_comes_with_its_address() {
        let bootstrap = BootstrapSource {
            url: BaseUrl::parse("https://board.example.com").unwrap(),
            token: Secret::new("0ne-t1me-c4nary"),
        };
        let with = MachineContents { bootstrap: Some(bootstrap), ..contents() };
        let text = user_data(&with).unwrap();
        assert_eq!(text.expose().matches("0ne-t1me-c4nary").count(), 1);
        assert!(text.expose().contains("\n  - path: /etc/mission-control-bootstrap.token\n"));
        assert!(text.expose().contains("\n      RUNTIME_BOOTSTRAP_URL=https://board.example.com\n"));
        assert!(!format!("{with:?}").contains("c4nary"));
    }

    type Change = fn(&mut MachineContents);

    #[test]
    fn a_value_that_could_mean_something_else_is_refused() {
        let with = |change: Change| {
            let mut contents = contents();
            change(&mut contents);
            user_data(&contents).map(|_| ()).unwrap_err().to_string()
        };
        let rows: [(&str, Change); 9] = [
            ("address of the release", |it| it.release_url = "http://example.com/a".to_owned()),
            ("address of the release", |it| it.release_url = "https://example.com/'$(id)'".to_owned()),
            ("checksum", |it| it.release_sha256 = "AB".repeat(32)),
            ("account", |it| it.account = "a\nSERVICE_TOKEN=x".to_owned()),
            ("version", |it| it.node_version = Some("1; id".to_owned())),
            ("agent", |it| it.agents = vec!["a b".to_owned()]),
            ("Mission Control", |it| it.convex_url = Some("https://a b".to_owned())),
            ("control plane", |it| {
                it.bootstrap = Some(BootstrapSource {
                    url: BaseUrl::parse("http://board.example.com").unwrap(),
                    token: Secret::new("x"),
                });
            }),
            ("one-time token", |it| {
                it.bootstrap = Some(BootstrapSource {
                    url: BaseUrl::parse("https://board.example.com").unwrap(),
                    token: Secret::new("a'b\n"),
                });
            }),
        ];
        for (part, change) in rows {
            let why = with(change);
            assert!(why.contains(part), "{part}: {why}");
        }
    }
}
