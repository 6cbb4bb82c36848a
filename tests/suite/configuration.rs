//! Variables, files and mistakes: each mistake is a clear sentence.
//!
//! The rows come from http-and-tools.md §1 and §9.1, whose rules the comments cite.

use std::collections::{BTreeMap, BTreeSet};

use mission_control_runtime::config::{
    self, Configuration, FileSource, FileTrouble, SecretFile, Settings, Sources,
};

/// The addresses of the backend, the gateway and our server, and the address for agents.
mod addresses;
/// The commands that the runtime runs, and the file that it writes for the gateway.
mod commands;
/// The account and its token.
mod credentials;
/// The documents are generated from the table.
mod documents;
/// Real files and a real environment.
mod edge;
/// The effect of each variable in this version.
mod effects;
/// The env file.
mod env_file;
/// Unknown names.
mod names;
/// No sentence contains a secret.
mod secrecy;
/// The values of each variable.
mod values;

/// An account id in the backend's form.
const ACCOUNT: &str = "k57a1b2c3d4e5f6g7h8j9k0m1n2p3q4r";

/// A token for that account.
const TOKEN: &str = "mc_service_k57a1b2c3d4e5f6g7h8j9k0m1n2p3q4r_s3cr3ts3cr3t";

/// The input of a start, built step by step.
#[derive(Clone, Default)]
struct Start {
    environment: BTreeMap<String, String>,
    garbled: BTreeSet<String>,
    file: FileSource,
    secret_files: BTreeMap<String, Result<SecretFile, FileTrouble>>,
}

impl Start {
    /// §9.1: "valid account, https backend URL, matching token".
    fn good() -> Self {
        Self::default()
            .set("ACCOUNT_ID", ACCOUNT)
            .set("CONVEX_URL", "https://happy-otter-123.convex.cloud")
            .set("SERVICE_TOKEN", TOKEN)
            .set("HOME", "/home/mc")
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn unset(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    fn file(mut self, text: &str) -> Self {
        self.file = FileSource::Text { path: "test.env".into(), text: text.into(), open_to_all: false };
        self
    }

    fn secret_file(mut self, path: &str, content: Result<&str, FileTrouble>) -> Self {
        let content = content.map(|text| SecretFile { text: text.to_owned(), open_to_all: false });
        self.secret_files.insert(path.to_owned(), content);
        self
    }

    fn open_secret_file(mut self, path: &str, text: &str) -> Self {
        let content = SecretFile { text: text.to_owned(), open_to_all: true };
        self.secret_files.insert(path.to_owned(), Ok(content));
        self
    }

    fn go(&self) -> Configuration {
        config::resolve(&Sources {
            environment: &self.environment,
            garbled: &self.garbled,
            file: &self.file,
            read_secret: &|path| self.secret_files.get(path).cloned().unwrap_or(Err(FileTrouble::Missing)),
        })
    }

    /// The settings of a start that must succeed.
    fn settings(&self) -> Settings {
        let configuration = self.go();
        let mistakes = mistakes(&configuration);
        configuration.settings.unwrap_or_else(|| panic!("{mistakes:#?}"))
    }

    /// The only mistake of a start that must fail.
    fn mistake(&self) -> String {
        let configuration = self.go();
        assert!(configuration.settings.is_none());
        let mistakes = mistakes(&configuration);
        assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
        mistakes[0].clone()
    }

    /// The warnings of a start that must succeed.
    fn warnings(&self) -> Vec<String> {
        let configuration = self.go();
        assert!(configuration.settings.is_some(), "{:#?}", mistakes(&configuration));
        warnings(&configuration)
    }

    /// The effective value of a variable, as `doctor` shows it.
    fn effective(&self, name: &str) -> String {
        self.go().report.row(name).unwrap_or_else(|| panic!("{name} has no row")).shown().to_owned()
    }

    /// The row of a variable, as `doctor` shows it.
    fn row(&self, name: &str) -> String {
        self.go().report.row(name).unwrap_or_else(|| panic!("{name} has no row")).to_string()
    }
}

/// A start with this value fails with a sentence that contains these words.
fn check_mistake(name: &str, value: &str, words: &str) {
    let mistake = Start::good().set(name, value).mistake();
    assert!(mistake.starts_with(name) && mistake.contains(words), "{name}={value:?}: {mistake}");
}

fn mistakes(configuration: &Configuration) -> Vec<String> {
    configuration.report.errors().map(ToString::to_string).collect()
}

fn warnings(configuration: &Configuration) -> Vec<String> {
    configuration.report.warnings().map(ToString::to_string).collect()
}

/// Ten mistakes are reported in one start as ten sentences.
#[test]
fn ten_mistakes_are_ten_sentences() {
    let start = Start::good()
        .set("CONVEX_URL", "happy-otter-123.convex.cloud")
        .set("SERVICE_TOKEN", "mc_service_another_s3cr3t")
        .set("HEALTH_PORT", "30000abc")
        .set("HEALTH_HOST", "local host")
        .set("TASK_STATUS_BASE_URL", "runtime")
        .set("OPENCLAW_GATEWAY_URL", "ftp://gateway")
        .set("OPENCLAW_PROFILE_SYNC", "maybe")
        .set("LOG_LEVEL", "loud")
        .set("LOG_FORMAT", "xml")
        .set("UPGRADE_MODE", "exti");
    let configuration = start.go();
    assert!(configuration.settings.is_none());
    let sentences = mistakes(&configuration);
    assert_eq!(sentences.len(), 10, "{sentences:#?}");
    for (name, value) in start.environment.iter().filter(|(name, _)| *name != "HOME") {
        let about: Vec<_> = sentences.iter().filter(|sentence| sentence.starts_with(name.as_str())).collect();
        assert_eq!(about.len(), usize::from(name != "ACCOUNT_ID"), "{name}: {sentences:#?}");
        let shown = name != "SERVICE_TOKEN" && name != "ACCOUNT_ID";
        assert!(!shown || about[0].contains(value.as_str()), "{name}: {sentences:#?}");
    }
    for sentence in &sentences {
        assert!(sentence.lines().count() == 1 && sentence.len() < 400, "{sentence}");
    }
}

/// Every row of the table is read, checked and shown, with or without mistakes.
#[test]
fn every_variable_has_a_row() {
    let names: Vec<_> = config::TABLE.iter().map(|variable| variable.name).collect();
    for start in [Start::good(), Start::default(), Start::default().set("HEALTH_PORT", "x")] {
        let report = start.go().report;
        assert_eq!(report.rows.iter().map(|row| row.name).collect::<Vec<_>>(), names);
    }
    let distinct: BTreeSet<_> = config::TABLE.iter().flat_map(|variable| variable.spellings()).collect();
    assert_eq!(distinct.len(), config::TABLE.iter().map(|v| v.spellings().count()).sum::<usize>());
}

/// The value for people and for programs if a variable is set, blank or not set.
#[test]
fn a_row_shows_whether_its_variable_is_set() {
    let start = Start::default().set("OPENCLAW_GATEWAY_URL", "").set("HEALTH_PORT", "4000");
    let rows = [
        ("ACCOUNT_ID", None, "ACCOUNT_ID = (not set; required)"),
        ("SERVICE_TOKEN", None, "SERVICE_TOKEN = (not set; required)"),
        ("OPENAI_API_KEY", None, "OPENAI_API_KEY = (not set)"),
        (
            "OPENCLAW_SESSION_RETENTION_DAYS",
            None,
            "OPENCLAW_SESSION_RETENTION_DAYS = (not set; the gateway's own rule)",
        ),
        (
            "OPENCLAW_GATEWAY_URL",
            Some(""),
            "OPENCLAW_GATEWAY_URL = (blank) (environment; no gateway: nothing is sent to agents)",
        ),
        ("HEALTH_PORT", Some("4000"), "HEALTH_PORT = 4000 (environment)"),
        ("LOG_LEVEL", Some("info"), "LOG_LEVEL = info (default)"),
    ];
    for (name, value, shown) in rows {
        assert_eq!(start.row(name), shown);
        assert_eq!(start.go().report.row(name).unwrap().value.as_deref(), value, "{name}");
    }
    let remote = Start::good().set("OPENCLAW_GATEWAY_URL", "https://gateway.example.com");
    assert_eq!(remote.row("OPENCLAW_GATEWAY_TOKEN"), "OPENCLAW_GATEWAY_TOKEN = (not set; required)");
}

/// W27: "one summary log line of effective config (secrets masked)".
#[test]
fn the_summary_is_one_line_with_the_given_variables() {
    let start = Start::good()
        .set("DELIVERY_INTERVAL", "1000")
        .set("DROPLET_REGION", "fra 1")
        .set("OPENCLAW_GATEWAY_URL", " ")
        .file("LOG_LEVEL=debug\n");
    assert_eq!(
        start.go().report.summary(),
        format!(
            "ACCOUNT_ID={ACCOUNT} CONVEX_URL=https://happy-otter-123.convex.cloud SERVICE_TOKEN=*** \
             OPENCLAW_GATEWAY_URL=(blank) DELIVERY_INTERVAL=1000 LOG_LEVEL=debug DROPLET_REGION=\"fra 1\""
        )
    );
}
