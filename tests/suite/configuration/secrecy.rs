//! No secret in any sentence, and every secret known to those who clean what is written.

use std::fmt::Write;

use mission_control_runtime::config::{Configuration, FileTrouble, Origin, TABLE};
use proptest::prelude::*;

use super::{ACCOUNT, Start, TOKEN, warnings};

/// Everything that can be said of a configuration, in one text.
fn everything_said(configuration: &Configuration) -> String {
    let report = &configuration.report;
    let mut said = format!("{configuration:?}\n{}\n", report.summary());
    for sentence in report.mistakes.iter().map(ToString::to_string) {
        said.push_str(&sentence);
    }
    for sentence in warnings(configuration) {
        said.push_str(&sentence);
    }
    for row in &report.rows {
        writeln!(said, "{} {} {} {:?}", row.name, row.value, row.origin, row.note).unwrap();
    }
    said
}

fn is_noted(configuration: &Configuration, secret: &str) -> bool {
    configuration.report.secrets.iter().any(|known| known.expose() == secret)
}

/// Names under which somebody may have put a secret: each spelling, as a file, and misspelt.
fn secret_names() -> Vec<String> {
    let spellings = TABLE.iter().filter(|variable| variable.is_secret()).flat_map(|v| v.spellings());
    spellings.flat_map(|name| [name.to_owned(), format!("{name}_FILE"), format!("{name}X")]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Issue: "Canary secrets in every secret variable … appear in no output."
    #[test]
    fn no_secret_is_ever_said(
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
        // Somebody's confusion: the same value in places that are no secret.
        start = if pasted { start.set("ACCOUNT_ID", &value) } else { start };
        for name in ["LOG_LEVEL", "DROPLET_ID", "HEALTH_PORT", "CONVEX_URL", "HEALTH_HOST", "UPGRADE_MODE"] {
            start = start.set(name, &value);
        }
        let said = everything_said(&start.file(&text).go());
        prop_assert!(!said.contains(&canary), "{said}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is given, there is an answer, and each sentence of it is one printable line.
    #[test]
    fn any_value_gets_an_answer(
        at in 0..TABLE.len(),
        value in prop_oneof![any::<String>(), "[\"' \t0-9a-z:/@_\\[\\]#=.%-]{0,40}", "https?://[^ ]{0,20}"],
        line in prop_oneof![any::<String>(), "[A-Z_]{0,20} ?= ?[\"'#a-z \t]{0,20}"],
    ) {
        let start = Start::good().set(TABLE[at].name, &value).set(&value, "x").file(&line);
        let configuration = start.go();
        prop_assert_eq!(configuration.settings.is_some(), configuration.report.mistakes.is_empty());
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

/// A key pasted where the account id belongs is not repeated by the sentence about the token.
#[test]
fn a_key_in_the_place_of_the_account_is_not_said() {
    let start = Start::good().set("OPENAI_API_KEY", "sk-canary").set("ACCOUNT_ID", "sk-canary");
    let said = everything_said(&start.go());
    assert!(said.contains("but ACCOUNT_ID is ***") && !said.contains("sk-canary"), "{said}");
}

/// Both spellings of an alias, the file, the environment, good or not: all are known to the redaction.
#[test]
fn every_secret_that_was_found_is_noted() {
    let start = Start::good()
        .set("AI_GATEWAY_API_KEY", "one-key")
        .set("VERCEL_AI_GATEWAY_API_KEY", "another-key")
        .set("GITHUB_TOKEN", "'gh-key'")
        .set("OPENCLAW_GATEWAY_TOKEN", "bad token")
        .set("BRAVE_API_KEY_FILE", "/run/brave")
        .set("SERVICE_TOKKEN", "misspelt-key")
        .set("DROPLET_ID", "mc_service_pasted_here")
        .secret_file("/run/brave", Ok("brave-key\n"))
        .file("SERVICE_TOKEN=hidden-key\nGITHUB_TOKENS=plural-key\nOPENAI_API_KEY=first-key\nOPENAI_API_KEY=second-key\n");
    let configuration = start.go();
    let secrets = [
        TOKEN,
        "one-key",
        "another-key",
        "gh-key",
        "bad token",
        "brave-key",
        "misspelt-key",
        "mc_service_pasted_here",
        "hidden-key",
        "plural-key",
        "first-key",
        "second-key",
    ];
    for secret in secrets {
        assert!(is_noted(&configuration, secret), "{secret}");
    }
    assert_eq!(configuration.report.secrets.len(), secrets.len());
    let settings = start.set("OPENCLAW_GATEWAY_TOKEN", "good-token").settings();
    assert_eq!(settings.secrets().count(), secrets.len());
    assert!(settings.secrets().any(|secret| secret.expose() == "good-token"));
    assert!(settings.workspace.vercel_models);
    assert!(!format!("{settings:?}").contains("s3cr3t"));
}

#[test]
fn two_names_for_one_thing_are_warned_if_they_differ() {
    let both = Start::good().set("GH_TOKEN", "one").set("GITHUB_TOKEN", "two");
    assert_eq!(
        both.warnings(),
        ["GH_TOKEN and GITHUB_TOKEN are both set, with different values; GH_TOKEN counts."]
    );
    assert!(both.set("GITHUB_TOKEN", "one").warnings().is_empty());
    let alias = Start::good().set("VERCEL_AI_GATEWAY_API_KEY", "k").go().report;
    let note = alias.row("AI_GATEWAY_API_KEY").unwrap().note.clone();
    assert_eq!(note.as_deref(), Some("given as VERCEL_AI_GATEWAY_API_KEY"));
}

/// Issue item 2: "`NAME_FILE=/path` for secrets."
#[test]
fn a_secret_may_stand_in_a_file() {
    let start = Start::good().unset("SERVICE_TOKEN").set("SERVICE_TOKEN_FILE", " '/run/token' ");
    for content in [TOKEN.to_owned(), format!("{TOKEN}\n"), format!("{TOKEN}\r\n")] {
        let start = start.clone().secret_file("/run/token", Ok(&content));
        assert_eq!(start.settings().account.service_token.expose(), TOKEN);
        let origin = start.go().report.row("SERVICE_TOKEN").unwrap().origin.clone();
        assert_eq!(origin, Origin::NameFile { name: "SERVICE_TOKEN_FILE".into(), path: "/run/token".into() });
    }
    // The env file may name it too; the environment comes first.
    let named = Start::good().file("SERVICE_TOKEN_FILE=/run/token\n");
    assert_eq!(named.settings().account.service_token.expose(), TOKEN);
    let named = named.unset("SERVICE_TOKEN").secret_file("/run/token", Ok(TOKEN));
    assert_eq!(named.settings().account.id, ACCOUNT);
}

#[test]
fn an_unusable_secret_file_is_a_sentence() {
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
    let two_lines = start.secret_file("/run/token", Ok("mc_service\nx")).mistake();
    assert!(two_lines.starts_with("SERVICE_TOKEN_FILE (SERVICE_TOKEN_FILE=/run/token) is ***: character 11"));
    // What is no path may be the secret itself.
    let pasted = Start::good().unset("SERVICE_TOKEN").set("SERVICE_TOKEN_FILE", TOKEN);
    let mistake = pasted.mistake();
    assert!(mistake.contains("expected the path of a file") && !mistake.contains("s3cr3t"), "{mistake}");
    assert!(is_noted(&pasted.go(), TOKEN));
}

#[test]
fn a_secret_that_is_given_twice_must_be_the_same() {
    let start = Start::good().set("SERVICE_TOKEN_FILE", "/run/token");
    start.clone().secret_file("/run/token", Ok(TOKEN)).settings();
    let mistake = start.secret_file("/run/token", Ok("mc_service_x_y")).mistake();
    let words = "SERVICE_TOKEN_FILE is given too, with another value; drop one of the two.";
    assert_eq!(mistake, format!("SERVICE_TOKEN (environment) is ***: {words}"));
}
