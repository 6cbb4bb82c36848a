//! The configuration documents are generated from the table of variables.

use mission_control_runtime::config::{Diagnostic, TABLE, documents};

use super::{ACCOUNT, Start, TOKEN};
use crate::support::documents::{check_fresh, with_block};

#[test]
fn the_documents_follow_the_table() {
    check_fresh(".env.example", |_| documents::env_example());
    check_fresh("docs/configuration.md", |page| {
        with_block(page, "configuration", &documents::configuration_table())
    });
    check_fresh("docs/openclaw-setup.md", |page| with_block(page, "gateway", &documents::gateway_table()));
    check_fresh("docs/migrating-from-typescript.md", |page| {
        with_block(page, "migration", &documents::migration_table())
    });
}

/// The example is a valid env file. Only its blank values are missing, and with them it gives the defaults.
#[test]
fn the_example_can_be_used() {
    let example = documents::env_example();
    let mistake = Start::default().set("HOME", "/home/mc").file(&example).mistake();
    assert!(mistake.contains("variables: ACCOUNT_ID, CONVEX_URL, SERVICE_TOKEN."), "{mistake}");

    let filled = example
        .replace("\nACCOUNT_ID=\n", &format!("\nACCOUNT_ID={ACCOUNT}\n"))
        .replace("\nCONVEX_URL=\n", "\nCONVEX_URL=https://happy-otter-123.convex.cloud\n")
        .replace("\nSERVICE_TOKEN=\n", &format!("\nSERVICE_TOKEN={TOKEN}\n"));
    assert!(Start::default().set("HOME", "/home/mc").file(&filled).warnings().is_empty());

    // With every default uncommented, only the blank gateway address would change the settings.
    let uncommented: String = filled
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_uppercase()) => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let (plain, full) =
        (Start::good().go().report, Start::default().set("HOME", "/home/mc").file(&uncommented).go().report);
    // Only variables without effect yet are warned about, and only if they are set. The gateway's own default is smaller
    // than the runtime's.
    let expected = ["is not yet in effect", "turns will wait at the gateway"];
    let is_expected = |warning: &Diagnostic| expected.iter().any(|words| warning.message.contains(words));
    assert!(full.errors().next().is_none() && full.warnings().all(is_expected), "{full:?}");
    for (plain, full) in plain.rows.iter().zip(&full.rows) {
        assert_eq!((plain.name, &plain.value), (full.name, &full.value));
    }
}

#[test]
fn every_row_is_readable() {
    let table = documents::configuration_table();
    let example = documents::env_example();
    for variable in TABLE {
        assert!(variable.about.ends_with('.'), "{}: a sentence ends with a full stop", variable.name);
        for name in variable.spellings() {
            assert!(table.contains(&format!("`{name}`")) && example.contains(name), "{name}");
        }
    }
    for line in table.lines().chain(documents::migration_table().lines()).filter(|l| l.starts_with("| `")) {
        let bars = line.replace("\\|", "").matches('|').count();
        assert!(bars == 6 || bars == 5, "{line}");
    }
    for (name, words) in [
        ("SERVICE_TOKEN", "| a secret, or its file in `SERVICE_TOKEN_FILE` |"),
        (
            "OPENCLAW_GATEWAY_TOKEN",
            "| a secret, or for the runtime its file in `OPENCLAW_GATEWAY_TOKEN_FILE` |",
        ),
        ("OPENAI_API_KEY", "| a secret, not as a file |"),
    ] {
        let line = table.lines().find(|line| line.starts_with(&format!("| `{name}`"))).unwrap();
        assert!(line.contains(words), "{line}");
    }
    let header = example.replace("\n# ", " ");
    assert!(
        header.contains("a blank OPENCLAW_GATEWAY_URL means no gateway") && header.contains("`make docs`")
    );
    for name in ["HEALTH_PORT", "DELIVERY_INTERVAL", "AGENT_SYNC_INTERVAL", "OPENCLAW_REQUEST_TIMEOUT_MS"] {
        assert!(documents::migration_table().contains(name), "{name} differs");
    }
}
