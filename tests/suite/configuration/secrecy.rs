//! No sentence contains a secret, and the redaction knows every secret.

use std::collections::BTreeSet;
use std::fmt::Write;

use mission_control_runtime::config::{Configuration, FileSource, FileTrouble, Origin, TABLE};
use mission_control_runtime::redact::Redactor;
use proptest::prelude::*;

use super::{ACCOUNT, Start, TOKEN, warnings};

/// All texts about a configuration, concatenated.
fn all_texts(configuration: &Configuration) -> String {
    let report = &configuration.report;
    let mut said = format!("{configuration:?}\n{}\n", report.summary());
    for sentence in report.errors().map(ToString::to_string) {
        said.push_str(&sentence);
    }
    for sentence in warnings(configuration) {
        said.push_str(&sentence);
    }
    for row in &report.rows {
        writeln!(said, "{row}").unwrap();
    }
    said
}

fn is_redacted(configuration: &Configuration, secret: &str) -> bool {
    configuration.report.secrets.iter().any(|known| known.expose() == secret)
}

/// Names under which a person may have stored a secret: each spelling, as a file, and misspelt.
fn secret_names() -> Vec<String> {
    let spellings = TABLE.iter().filter(|variable| variable.is_secret()).flat_map(|v| v.spellings());
    spellings.flat_map(|name| [name.to_owned(), format!("{name}_FILE"), format!("{name}X")]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Marked secrets in every secret variable appear in no output.
    #[test]
    fn no_secret_appears_in_any_text(
        shape in prop_oneof![
            Just("{}"), Just("mc_service_{}"), Just("mc_service_other_{}"), Just("\"{}"), Just("{} {}"),
            Just("{}\u{7}"), Just("'{}'"), Just("mc_service_k57a1b2c3d4e5f6g7h8j9k0m1n2p3q4r_{}"), Just("{}=\n"),
        ],
        tail in "[a-zA-Z0-9]{8}",
        in_file in any::<bool>(),
        pasted in any::<bool>(),
    ) {
        let canary = format!("cAnArY{tail}");
        let value = shape.replace("{}", &canary);
        let mut start = Start::good();
        let mut text = String::new();
        for name in secret_names() {
            if in_file {
                start = start.unset(&name);
                writeln!(text, "{name}={value}").unwrap();
            } else {
                start = start.set(&name, &value);
            }
        }
        // The same value in places that are not secret, by mistake.
        start = if pasted { start.set("ACCOUNT_ID", &value) } else { start };
        for name in ["LOG_LEVEL", "DROPLET_ID", "HEALTH_PORT", "CONVEX_URL", "HEALTH_HOST", "UPGRADE_MODE"] {
            start = start.set(name, &value);
        }
        let said = all_texts(&start.file(&text).go());
        prop_assert!(!said.contains(&canary), "{said}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any input gets an answer, and each of its sentences is one printable line.
    #[test]
    fn any_value_gets_an_answer(
        at in 0..TABLE.len(),
        value in prop_oneof![any::<String>(), "[\"' \t0-9a-z:/@_\\[\\]#=.%-]{0,40}", "https?://[^ ]{0,20}"],
        line in prop_oneof![any::<String>(), "[A-Z_]{0,20} ?= ?[\"'#a-z \t]{0,20}"],
    ) {
        let start = Start::good().set(TABLE[at].name, &value).set(&value, "x").file(&line);
        let configuration = start.go();
        prop_assert_eq!(configuration.settings.is_some(), configuration.report.errors().next().is_none());
        let mut said = super::mistakes(&configuration);
        said.extend(warnings(&configuration));
        said.push(configuration.report.summary());
        for sentence in said {
            prop_assert!(!sentence.contains(char::is_control), "{sentence:?}");
        }
        if let Some(settings) = configuration.settings {
            settings.http.base_url(settings.http.port);
        }
    }
}

/// A key in the place of the account id does not appear in the sentence about the token.
#[test]
fn a_key_in_the_place_of_the_account_is_not_shown() {
    let start = Start::good().set("OPENAI_API_KEY", "sk-canary").set("ACCOUNT_ID", "sk-canary");
    let said = all_texts(&start.go());
    assert!(said.contains("but ACCOUNT_ID is ***") && !said.contains("sk-canary"), "{said}");
}

/// The redaction knows both spellings of an alias, the file and the environment, valid or not.
#[test]
fn every_found_secret_is_redacted() {
    let start = Start::good()
        .set("AI_GATEWAY_API_KEY", "one-key")
        .set("VERCEL_AI_GATEWAY_API_KEY", "another-key")
        .set("GITHUB_TOKEN", "'gh-key'")
        .set("BRAVE_API_KEY", "bad key")
        .set("OPENCLAW_GATEWAY_TOKEN_FILE", "/run/gateway")
        .set("SERVICE_TOKKEN", "misspelt-key")
        .set("DROPLET_ID", "mc_service_pasted_here")
        .secret_file("/run/gateway", Ok("gateway-key\n"))
        .file("SERVICE_TOKEN=hidden-key\nGITHUB_TOKENS=plural-key\nOPENAI_API_KEY=first-key\nOPENAI_API_KEY=second-key\n");
    let configuration = start.go();
    let secrets = [
        TOKEN,
        "one-key",
        "another-key",
        "gh-key",
        "bad key",
        "gateway-key",
        "misspelt-key",
        "mc_service_pasted_here",
        "hidden-key",
        "plural-key",
        "first-key",
        "second-key",
    ];
    for secret in secrets {
        assert!(is_redacted(&configuration, secret), "{secret}");
    }
    assert_eq!(configuration.report.secrets.len(), secrets.len());
    let settings = start.set("BRAVE_API_KEY", "good-key").settings();
    assert_eq!(settings.secrets().count(), secrets.len());
    assert!(settings.secrets().any(|secret| secret.expose() == "good-key"));
    assert!(!format!("{settings:?}").contains("s3cr3t"));
}

#[test]
fn two_spellings_with_different_values_are_warned() {
    let both = Start::good().set("GH_TOKEN", "one").set("GITHUB_TOKEN", "two");
    assert_eq!(
        both.warnings(),
        ["GH_TOKEN and GITHUB_TOKEN are both set, to different values; GH_TOKEN is used."]
    );
    assert!(both.set("GITHUB_TOKEN", "one").warnings().is_empty());
    let alias = Start::good().set("VERCEL_AI_GATEWAY_API_KEY", "k").go().report;
    let note = alias.row("AI_GATEWAY_API_KEY").unwrap().note.clone();
    assert_eq!(note.as_deref(), Some("given as VERCEL_AI_GATEWAY_API_KEY"));
}

/// `NAME_FILE=/path` reads a secret from a file.
#[test]
fn a_secret_may_come_from_a_file() {
    let start = Start::good().unset("SERVICE_TOKEN").set("SERVICE_TOKEN_FILE", " '/run/token' ");
    for content in [
        TOKEN.to_owned(),
        format!("{TOKEN}\n"),
        format!("{TOKEN}\r\n"),
        format!("\u{feff}{TOKEN}\n"),
        format!("\n \n  {TOKEN} \n\n"),
    ] {
        let start = start.clone().secret_file("/run/token", Ok(&content));
        assert_eq!(start.settings().account.service_token.expose(), TOKEN);
        let origin = start.go().report.row("SERVICE_TOKEN").unwrap().origin.clone();
        assert_eq!(origin, Origin::NameFile { name: "SERVICE_TOKEN_FILE".into(), path: "/run/token".into() });
    }
    // The env file can name it, too. The environment overrides it.
    let named = Start::good().file("SERVICE_TOKEN_FILE=/run/token\n");
    assert_eq!(named.settings().account.service_token.expose(), TOKEN);
    let named = named.unset("SERVICE_TOKEN").secret_file("/run/token", Ok(TOKEN));
    assert_eq!(named.settings().account.id, ACCOUNT);
}

#[test]
fn an_unusable_secret_file_is_a_clear_error() {
    let start = Start::good().unset("SERVICE_TOKEN").set("SERVICE_TOKEN_FILE", "/run/token");
    let rows = [
        (Err(FileTrouble::Missing), "there is no such file"),
        (Err(FileTrouble::Directory), "it is a directory, not a file"),
        (Err(FileTrouble::Forbidden), "this user may not read it"),
        (Err(FileTrouble::TooLarge { bytes_max: 65_536 }), "it is larger than 64 KiB"),
        (Err(FileTrouble::NotText), "it is not UTF-8 text"),
        (Ok(""), "it is empty"),
        (Ok(" \n"), "it is empty"),
    ];
    for (content, words) in rows {
        let mistake = start.clone().secret_file("/run/token", content).mistake();
        assert_eq!(
            mistake,
            format!("SERVICE_TOKEN_FILE (environment) is \"/run/token\": the file cannot be used: {words}.")
        );
    }
    let said = |content| start.clone().secret_file("/run/token", Ok(content)).mistake();
    let tail = "it must contain the secret and nothing else.";
    let lines = format!("SERVICE_TOKEN_FILE=/run/token: the file contains more than one line; {tail}");
    assert_eq!(said("mc_service\nx"), lines);
    assert_eq!(said("SERVICE_TOKEN=mc_service_a_b\nGH_TOKEN=x"), lines);
    assert_eq!(
        said("mc_service_a b"),
        format!("SERVICE_TOKEN_FILE=/run/token: the file contains blanks; {tail}")
    );
    assert_eq!(
        said("sk-123"),
        "SERVICE_TOKEN_FILE=/run/token: invalid format. Expected a token starting with mc_service_ as \
         the dashboard issues it."
    );
    let canary = format!("# {ACCOUNT}\nSERVICE_TOKEN={TOKEN}");
    assert!(is_redacted(&start.secret_file("/run/token", Ok(&canary)).go(), TOKEN));
    // A text that is not a path may be the secret itself.
    let pasted = Start::good().unset("SERVICE_TOKEN").set("SERVICE_TOKEN_FILE", TOKEN);
    let mistake = pasted.mistake();
    assert!(mistake.contains("expected a file path") && !mistake.contains("s3cr3t"), "{mistake}");
    assert!(is_redacted(&pasted.go(), TOKEN));
}

#[test]
fn a_secret_that_is_given_twice_must_be_equal() {
    let start = Start::good().set("SERVICE_TOKEN_FILE", "/run/token");
    start.clone().secret_file("/run/token", Ok(TOKEN)).settings();
    let mistake = start.secret_file("/run/token", Ok("mc_service_x_y")).mistake();
    let words = "SERVICE_TOKEN_FILE is set too, to a different value; remove one of the two.";
    assert_eq!(mistake, format!("SERVICE_TOKEN (environment) is ***: {words}"));
}

/// Every kind of mistake and warning that values can cause, in both places.
const RICH: &[(&str, &[&str])] = &[
    ("ACCOUNT_ID", &["", "acc_1", "acc 1", "acc\u{7}", "é", "…", "acc # x", "other", "mc_service_a_b"]),
    (
        "CONVEX_URL",
        &[
            "",
            "otter",
            "https://otter.convex.site",
            "ws://otter",
            "http://10.0.0.7",
            "https://a/?x",
            "https://…",
            "x # y",
        ],
    ),
    (
        "SERVICE_TOKEN",
        &[
            "",
            "sk-123",
            "mc_service_",
            "mc_service_other_s3cr3t",
            "a b",
            "a\u{7}",
            "é",
            "mc_service_…",
            "mc_service_a_b # x",
        ],
    ),
    ("SERVICE_TOKEN_FILE", &["/missing", "/lines", "/blanks", "/wrong", "/open", "no-path", "/missing # x"]),
    (
        "OPENCLAW_GATEWAY_URL",
        &["", "gateway", "ftp://gateway", "gateway:1", "http://10.0.0.1", "https://a:b@c"],
    ),
    ("OPENCLAW_GATEWAY_TOKEN", &["", "x", "local", "two words", "good-token"]),
    ("OPENCLAW_GATEWAY_TOKEN_FILE", &["/open", "/missing", "no-path"]),
    ("OPENCLAW_REQUEST_TIMEOUT_MS", &["1", "299999", "abc"]),
    ("HEALTH_HOST", &["0.0.0.0", "local host"]),
    ("HEALTH_PORT", &["70000", "-3", "1 # x"]),
    ("TASK_STATUS_BASE_URL", &["runtime", "http://runtime:3001"]),
    ("HEALTH_CHECK_INTERVAL", &["300000"]),
    ("AGENT_SYNC_INTERVAL", &["0"]),
    ("DELIVERY_BACKOFF_MAX_MS", &["0"]),
    ("OPENCLAW_MAX_CONCURRENT", &["4", "many", "99"]),
    ("DROPLET_ID", &["x # y", "a\tb", "'x' y"]),
    ("LOG_LEVEL", &["loud"]),
    ("OPENCLAW_PROFILE_SYNC", &["maybe"]),
    ("SSL_CERT_FILE", &["a\u{7}"]),
    ("GH_TOKEN", &["one", "two words"]),
    ("GITHUB_TOKEN", &["two"]),
    ("AI_GATEWAY_API_KEY", &["one key"]),
    ("AI_GATEWAY_API_KEY_FILE", &["/missing"]),
    ("OPENAI_API_KEY_FILE", &["/x", "pasted"]),
    ("ACCOUNT_ID_FILE", &["/x"]),
    ("SERVICE_TOKKEN", &["x"]),
    ("HEALTH_PROT", &["1"]),
];

/// The redaction leaves our own sentences unchanged, because a redacted sentence is useless.
#[test]
fn our_own_sentences_are_not_redacted() {
    let redactor = Redactor::default();
    let start = Start::good()
        .secret_file("/lines", Ok("one\ntwo"))
        .secret_file("/blanks", Ok("one two"))
        .secret_file("/wrong", Ok("sk-123"))
        .open_secret_file("/open", "mc_service_other_s3cr3t");
    let mut starts = vec![Start::default()];
    for file in [
        FileSource::Withheld { path: "/e".into() },
        FileSource::Unusable { path: "/e".into(), trouble: FileTrouble::Missing },
    ] {
        starts.push(Start { file, ..start.clone() });
    }
    let broken =
        "no equals\nA B=x\nSERVICE_TOKEN=\"x\nSERVICE_TOKEN='x' y\nGH_TOKEN=a\nGH_TOKEN=b\nTOKEN=x\nabc=x\n";
    let file = FileSource::Text { path: "/e".into(), text: broken.into(), open_to_all: true };
    starts.push(Start { file, ..start.clone() });
    for (name, values) in RICH {
        for value in *values {
            starts.push(start.clone().set(name, value));
            starts.push(start.clone().unset("SERVICE_TOKEN").set(name, value));
            starts.push(start.clone().unset(name).file(&format!("{name}={value}\n")));
        }
    }
    starts.push(
        start
            .clone()
            .set("OPENCLAW_GATEWAY_URL", "http://10.0.0.1")
            .set("OPENCLAW_GATEWAY_TOKEN", "good-token"),
    );
    starts.push(start.set("GH_TOKEN", "one").set("GITHUB_TOKEN", "two"));
    let mut said = BTreeSet::new();
    for configuration in starts.iter().map(Start::go) {
        said.extend(super::mistakes(&configuration));
        said.extend(warnings(&configuration));
        said.extend(configuration.report.rows.iter().map(ToString::to_string));
    }
    assert!(said.len() > 150, "{}", said.len());
    for sentence in said {
        assert_eq!(redactor.clean(&sentence), sentence);
    }
}
