//! The values of each variable.

use std::path::Path;
use std::time::Duration;

use mission_control_runtime::config::{Kind, LogFormat, LogLevel, LogOutput, TABLE};

use mission_control_runtime::model::WakeOn;

use super::{ACCOUNT, Start, TOKEN, check_mistake};

/// §1.2: the settings if only the required variables are given.
#[test]
fn unset_variables_have_the_documented_defaults() {
    let settings = Start::good().settings();
    assert_eq!(settings.account.id, ACCOUNT);
    assert_eq!(settings.account.service_token.expose(), TOKEN);
    assert_eq!((settings.http.host.as_str(), settings.http.port), ("127.0.0.1", 3001));
    assert_eq!(settings.http.base_url(3001).as_str(), "http://127.0.0.1:3001");
    assert_eq!(settings.gateway.url.unwrap().as_str(), "http://127.0.0.1:18789");
    assert!(settings.gateway.token.is_none(), "W15: no token, and never the word `local`");
    assert_eq!(settings.gateway.silence_max, Duration::from_mins(15));
    assert!(settings.gateway.client_tools);
    assert_eq!(settings.delivery.interval, Duration::from_secs(5));
    assert_eq!(settings.delivery.backoff_base, Duration::from_secs(5));
    assert_eq!(settings.delivery.backoff_max, Duration::from_mins(5));
    assert_eq!(settings.delivery.concurrent_sessions_max, 10);
    assert_eq!(settings.delivery.idle_interval, Duration::from_secs(15));
    assert_eq!(settings.delivery.list_limit, 50);
    assert_eq!((settings.delivery.tool_rounds_max, settings.delivery.tool_calls_max), (8, 32));
    assert_eq!(settings.agents.sync_interval, Duration::from_mins(1));
    assert_eq!(settings.agents.idle_sync_interval, Duration::from_mins(5));
    assert_eq!(settings.report_interval, Duration::from_secs(45));
    assert_eq!(settings.droplet.id, "unknown");
    assert_eq!(settings.droplet.ip, "unknown");
    assert_eq!(settings.droplet.region, "unknown");
    assert_eq!(settings.runtime_version, env!("CARGO_PKG_VERSION"), "W14");
    assert_eq!(settings.openclaw_version, None);
    assert_eq!(settings.state_dir, Path::new("/home/mc/.local/state/mission-control-runtime"));
    assert_eq!(settings.ssl_cert_file, None);
    assert_eq!((settings.log_level, settings.log_format), (LogLevel::Info, LogFormat::Text));
    assert_eq!(settings.log_output, LogOutput::Stderr);
    assert_eq!(Start::good().warnings(), Vec::<String>::new());
}

#[test]
fn wake_rules_name_a_rule_for_the_account_and_for_single_agents() {
    let rules = |text: &str| Start::good().set("WAKE_ON", text).settings().delivery.wake_on;
    let given = Start::good().settings().delivery.wake_on;
    assert_eq!((given.of("ben"), rules("").of("ben")), (WakeOn::All, WakeOn::All));
    assert_eq!(rules("Addressed").of("ben"), WakeOn::Addressed);
    let mixed = rules(" addressed , Squad-Lead = all,ben=addressed,");
    assert_eq!(
        (mixed.of("squad-lead"), mixed.of("BEN"), mixed.of("ada")),
        (WakeOn::All, WakeOn::Addressed, WakeOn::Addressed)
    );
    assert_eq!(rules("ben=addressed").of("ada"), WakeOn::All);
    let mistakes = [
        ("quiet", "is none of `all`, `addressed`"),
        ("ben=none", "is none of `all`, `addressed`"),
        ("=all", "names no agent"),
        ("all,addressed", "contradicts an earlier entry for the account"),
        ("ben=all,BEN=addressed", "contradicts an earlier entry for this agent"),
    ];
    for (text, words) in mistakes {
        check_mistake("WAKE_ON", text, words);
    }
}

#[test]
fn active_hours_are_two_times_of_a_day() {
    let hours =
        |text: &str| Start::good().set("HEARTBEAT_ACTIVE_HOURS", text).settings().heartbeats.active_hours;
    assert_eq!(Start::good().settings().heartbeats.active_hours, None);
    assert_eq!(hours("8:00 - 18:30").map(|hours| hours.to_string()).as_deref(), Some("08:00-18:30"));
    check_mistake(
        "HEARTBEAT_ACTIVE_HOURS",
        "office hours",
        "expected a part of the day such as `08:00-18:30`",
    );
    check_mistake("HEARTBEAT_ACTIVE_HOURS", "08:00-08:00", "the first and the last time are the same");
}

#[test]
fn budgets_limit_the_account_and_single_agents() {
    let given = Start::good().settings().budgets;
    assert!(!given.are_set() && given.zone.name() == "UTC" && given.prices.is_empty());
    let set = Start::good()
        .set("BUDGET_DAILY_TOKENS", "200000")
        .set("BUDGET_DAILY_USD", "12.50")
        .set("BUDGET_AGENTS", "Writer=1000,qa=5usd")
        .set("BUDGET_TIME_ZONE", "europe/berlin")
        .set("BUDGET_PRICES", "gpt-5=1.25/10,*=1/5")
        .settings()
        .budgets;
    assert_eq!(set.account.to_string(), "200,000 tokens and $12.5");
    assert_eq!(
        (set.agents["writer"].tokens, set.agents["qa"].nano_dollars),
        (Some(1_000), Some(5_000_000_000))
    );
    assert_eq!(
        (set.zone.name(), set.prices.cost(None, 1_000_000, 0)),
        ("Europe/Berlin", Some(1_000_000_000))
    );
    assert!(!Start::good().set("BUDGET_DAILY_TOKENS", "").settings().budgets.are_set());
    let mistakes = [
        ("BUDGET_DAILY_TOKENS", "0", "lets no turn start; leave it out to set no limit"),
        ("BUDGET_DAILY_TOKENS", "-5", "is no number of tokens"),
        ("BUDGET_DAILY_TOKENS", "1000000000000000000", "more than the largest budget"),
        ("BUDGET_DAILY_USD", "0", "lets no turn start"),
        ("BUDGET_DAILY_USD", "-1", "is no amount of dollars"),
        ("BUDGET_DAILY_USD", "1000000000000000000", "more than the largest budget"),
        ("BUDGET_AGENTS", "writer", "expected `SLUG=TOKENS` or `SLUG=AMOUNTusd`"),
        ("BUDGET_AGENTS", "writer=0", "lets no turn start"),
        ("BUDGET_TIME_ZONE", "Berlin", "Did you mean Europe/Berlin?"),
        ("BUDGET_TIME_ZONE", "Atlantis", "no time zone has this name"),
        ("HEARTBEAT_TIME_ZONE", "Berlin", "Did you mean Europe/Berlin?"),
        ("HEARTBEAT_TIME_ZONE", "Atlantis", "no time zone has this name"),
        ("BUDGET_PRICES", "gpt-5=1", "expected `MODEL=READ/WRITTEN`"),
    ];
    for (name, text, words) in mistakes {
        check_mistake(name, text, words);
    }
}

/// Without a ledger each process would start with a full budget.
#[test]
fn a_budget_needs_the_ledger() {
    let mistake = Start::good().set("BUDGET_AGENTS", "qa=5usd").set("LEDGER", "off").mistake();
    assert!(mistake.contains("a budget needs LEDGER=on"), "{mistake}");
    assert!(!Start::good().set("BUDGET_TIME_ZONE", "UTC").set("LEDGER", "off").settings().budgets.are_set());
}

/// §1.1 clamped-int and [REC]: every number of the table, below, above, far above, and at its limits.
#[test]
fn every_number_is_clamped_with_a_warning() {
    let mut numbers = 0;
    for variable in TABLE {
        let Kind::Integer { min, max, .. } = variable.kind else { continue };
        numbers += 1;
        // The warnings of these two would disturb the comparison.
        let start =
            Start::good().set("OPENCLAW_MAX_CONCURRENT", "16").set("DELIVERY_BACKOFF_BASE_MS", "1000");
        let above = (max + 1).to_string();
        let mut rows = vec![(above, max, true), ("99999999999999999999".to_owned(), max, true)];
        rows.extend([(min.to_string(), min, false), (max.to_string(), max, false)]);
        rows.push((format!(" {max} "), max, false));
        rows.push((format!("'00{max}'"), max, false));
        if min > 0 {
            rows.extend([((min - 1).to_string(), min, true), ("0".to_owned(), min, true)]);
        }
        for (given, used, clamped) in rows {
            let start = start.clone().set(variable.name, &given);
            assert_eq!(start.effective(variable.name), used.to_string(), "{}={given}", variable.name);
            let words = format!("{} (environment) is {given}; {used} is used (allowed: ", variable.name);
            let warned = start.warnings().iter().filter(|warning| warning.contains(&words)).count();
            assert_eq!(warned, usize::from(clamped), "{}={given}: {:?}", variable.name, start.warnings());
        }
    }
    assert_eq!(numbers, 44);
}

/// §1.1 [REC]: "parse integers strictly". Each of these is a mistake.
#[test]
fn an_invalid_number_is_a_mistake() {
    for garbage in ["30000abc", "1e3", "-1", "+1", "70000.5", "0x10", "５", "1 000", "1_000", "ten", "\"5"] {
        for variable in TABLE {
            let (min, max) = match variable.kind {
                Kind::Integer { min, max, .. } => (min, max),
                Kind::Port => (0, 65_535),
                _ => continue,
            };
            let start = Start::good().set("DELIVERY_BACKOFF_BASE_MS", "1000");
            let configuration = start.set(variable.name, garbage).go();
            let mut sentences = super::mistakes(&configuration);
            sentences.extend(super::warnings(&configuration));
            let words = format!("expected a whole number from {min} to {max}, digits only");
            let about: Vec<_> = sentences.iter().filter(|s| s.starts_with(variable.name)).collect();
            assert_eq!(about.len(), 1, "{}={garbage}: {sentences:?}", variable.name);
            assert!(about[0].contains(&words) && about[0].contains(garbage.trim_matches('"')), "{about:?}");
        }
    }
}

/// A port is not clamped, because another port is never what was meant.
#[test]
fn a_port_out_of_range_is_a_mistake() {
    for text in ["65536", "70000", "99999999999999999999", "-3"] {
        check_mistake("HEALTH_PORT", text, "expected a whole number from 0 to 65535, digits only.");
    }
    for (text, port) in [("0", 0), ("65535", 65_535), ("08080", 8080)] {
        let start = Start::good().set("HEALTH_PORT", text);
        assert_eq!((start.settings().http.port, start.effective("HEALTH_PORT")), (port, port.to_string()));
        assert!(start.warnings().is_empty());
    }
}

/// A mistake in a variable that only the gateway container reads does not prevent the start.
#[test]
fn a_mistake_of_the_gateway_container_is_a_warning_here() {
    for (name, value) in [
        ("OPENCLAW_MAX_CONCURRENT", "many"),
        ("OPENCLAW_SESSION_RETENTION_DAYS", "-3"),
        ("OPENCLAW_CONFIG_RELOAD", "perhaps"),
        ("ANTHROPIC_API_KEY", "two words"),
    ] {
        let warnings = Start::good().set(name, value).warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with(name) && warnings[0].contains("starts anyway"), "{warnings:?}");
    }
    let narrow = Start::good().set("OPENCLAW_MAX_CONCURRENT", "4").warnings();
    assert!(narrow[0].contains("less than DELIVERY_MAX_CONCURRENT_SESSIONS (10)"), "{narrow:?}");
}

/// §1.2: the ceiling is between max(1000, base) and one day.
#[test]
fn the_retry_ceiling_is_not_below_the_retry_base() {
    let rows =
        [("20000", "10000", 20_000, true), ("20000", "20000", 20_000, false), ("1000", "5000", 5_000, false)];
    for (base, max, used_ms, warned) in rows {
        let start = Start::good().set("DELIVERY_BACKOFF_BASE_MS", base).set("DELIVERY_BACKOFF_MAX_MS", max);
        assert_eq!(start.settings().delivery.backoff_max, Duration::from_millis(used_ms));
        assert_eq!(!start.warnings().is_empty(), warned, "{base} {max}");
    }
    let default = Start::good().set("DELIVERY_BACKOFF_BASE_MS", "400000");
    assert_eq!(default.settings().delivery.backoff_max, Duration::from_secs(400));
    assert!(default.warnings().is_empty(), "no warning about a ceiling that is not set");
}

/// An account that is idle is not polled more often than one with traffic, and an interval of the roster that is set
/// holds at all times.
#[test]
fn the_intervals_of_an_idle_account() {
    let idle = |interval: &str, idle: Option<&str>| {
        let start = Start::good().set("DELIVERY_INTERVAL", interval);
        idle.into_iter().fold(start, |start, idle| start.set("DELIVERY_IDLE_INTERVAL", idle))
    };
    let rows =
        [("5000", None, 15), ("60000", None, 60), ("5000", Some("2000"), 5), ("5000", Some("60000"), 60)];
    for (interval, given, seconds) in rows {
        let start = idle(interval, given);
        let found = start.settings().delivery.idle_interval;
        assert_eq!(found, Duration::from_secs(seconds), "{interval} {given:?}");
        assert!(start.warnings().is_empty(), "{:?}", start.warnings());
    }
    for seconds in [60, 600] {
        let agents = Start::good().set("AGENT_SYNC_INTERVAL", &format!("{seconds}000")).settings().agents;
        assert_eq!(
            (agents.sync_interval, agents.idle_sync_interval),
            (Duration::from_secs(seconds), Duration::from_secs(seconds))
        );
    }
}

/// The ranges that differ, and the two warnings.
#[test]
fn special_ranges_and_warnings_of_numbers() {
    let warned = |name, value| Start::good().set(name, value).warnings();
    assert!(warned("HEALTH_CHECK_INTERVAL", "300000")[0].contains("offline after 90 s"), "W12");
    assert_eq!(
        Start::good().set("HEALTH_CHECK_INTERVAL", "300000").effective("HEALTH_CHECK_INTERVAL"),
        "45000"
    );
    assert!(warned("OPENCLAW_REQUEST_TIMEOUT_MS", "299999")[0].contains("silent for three minutes"));
    assert!(warned("OPENCLAW_REQUEST_TIMEOUT_MS", "300000").is_empty());
    let derived = |timeout| {
        Start::good().set("OPENCLAW_REQUEST_TIMEOUT_MS", timeout).effective("DELIVERY_STREAM_TIMEOUT_MS")
    };
    assert_eq!((derived("5000"), derived("900000")), ("10000".to_owned(), "300000".to_owned()));
    for name in ["DELIVERY_STREAM_TIMEOUT_MS", "DELIVERY_CONTEXT_FETCH_BATCH_SIZE"] {
        let report = Start::good().set(name, "20").go().report;
        assert!(report.row(name).unwrap().note.as_ref().unwrap().contains("has no effect"), "{report:?}");
    }
}

/// §1.1 bool: every spelling, in any case, quoted or not.
#[test]
fn every_spelling_of_a_boolean_is_accepted() {
    for (spellings, flag) in [(["true", "1", "yes", "on"], true), (["false", "0", "no", "off"], false)] {
        for spelling in spellings {
            let upper = spelling.to_uppercase();
            for text in [spelling, &upper, &format!(" {spelling} "), &format!("\"{spelling}\"")] {
                let settings = Start::good()
                    .set("OPENCLAW_CLIENT_TOOLS_ENABLED", text)
                    .set("AGENT_API_TOKENS", text)
                    .settings();
                assert_eq!((settings.gateway.client_tools, settings.http.session_tokens), (flag, flag));
            }
        }
    }
    for text in ["maybe", "2", "tru", "y", "ja"] {
        check_mistake("OPENCLAW_PROFILE_SYNC", text, "expected true, 1, yes, on, false, 0, no or off.");
    }
}

/// W27: `LOG_LEVEL` is trimmed, and unknown words are mistakes.
#[test]
fn unknown_words_are_mistakes() {
    let level = |text: &str| Start::good().set("LOG_LEVEL", text).settings().log_level;
    assert_eq!(level(" DEBUG "), LogLevel::Debug);
    assert_eq!((level("warn"), level("Warning")), (LogLevel::Warn, LogLevel::Warn));
    assert_eq!(
        (level("error"), level("trace"), level("")),
        (LogLevel::Error, LogLevel::Trace, LogLevel::Info)
    );
    assert_eq!(Start::good().set("LOG_LEVEL", "WARNING").effective("LOG_LEVEL"), "warn");
    check_mistake("LOG_LEVEL", "verbose", "expected error, warn, info, debug or trace.");
    check_mistake("LOG_FORMAT", "xml", "expected text or json.");
    check_mistake("UPGRADE_MODE", "exti", "expected exit or none.");
    assert_eq!(Start::good().set("LOG_FORMAT", "JSON").settings().log_format, LogFormat::Json);
    assert_eq!(Start::good().set("UPGRADE_MODE", "NONE").effective("UPGRADE_MODE"), "none");
}

/// §1.1 quoted-string, [REC] for all variables: one layer of matching quotes, and blanks around it.
#[test]
fn quotes_around_a_value_are_removed() {
    let rows = [
        ("\"fra1\"", "fra1"),
        ("'fra1'", "fra1"),
        ("  'fra1'  ", "fra1"),
        ("'\"fra1\"'", "\"fra1\""),
        ("' fra1 '", "fra1"),
        ("'fra1\"", "'fra1\""),
        ("\"", "\""),
        ("it's", "it's"),
    ];
    for (given, used) in rows {
        assert_eq!(Start::good().set("DROPLET_REGION", given).settings().droplet.region, used, "{given}");
    }
    let quoted = Start::good()
        .set("ACCOUNT_ID", &format!("\"{ACCOUNT}\""))
        .set("CONVEX_URL", "'https://happy-otter-123.convex.cloud'")
        .set("SERVICE_TOKEN", &format!("'{TOKEN}'"))
        .set("HEALTH_PORT", "\"4000\"");
    assert_eq!(quoted.settings().http.port, 4000);
    assert_eq!(quoted.settings().account.service_token.expose(), TOKEN);
}

/// Every word that the table offers has its own meaning in the settings.
#[test]
fn every_word_of_the_table_is_understood() {
    for (name, means) in [
        ("LOG_LEVEL", (|start| format!("{:?}", start.settings().log_level)) as fn(&Start) -> String),
        ("LOG_FORMAT", |start| format!("{:?}", start.settings().log_format)),
        ("LOG_OUTPUT", |start| format!("{:?}", start.settings().log_output)),
        ("UPGRADE_MODE", |start| start.effective("UPGRADE_MODE")),
        ("LEDGER", |start| format!("{:?}", start.settings().ledger)),
        ("AGENT_API", |start| start.settings().http.tool_endpoints.name().to_owned()),
        ("LEDGER_SYNC", |start| format!("{:?}", start.settings().ledger_sync)),
        ("OPENCLAW_SESSION_SCOPE", |start| start.settings().gateway.session_scope.name().to_owned()),
        ("HEARTBEAT_MODE", |start| {
            start.settings().heartbeats.mode.map_or_else(|| "off".to_owned(), |mode| format!("{mode:?}"))
        }),
        ("DONE_POLICY", |start| start.settings().delivery.done_policy.name().to_owned()),
        ("WAKE_QUERY", |start| if start.settings().delivery.wake_query { "auto" } else { "off" }.to_owned()),
        ("NO_RESPONSE_NOTE", |start| format!("{:?}", start.settings().delivery.no_response_note)),
    ] {
        let variable = TABLE.iter().find(|variable| variable.name == name).unwrap();
        let Kind::Choice { options, .. } = variable.kind else { panic!("{name}") };
        for option in options {
            assert_eq!(means(&Start::good().set(name, option)).to_lowercase(), *option);
        }
    }
    let choices = TABLE.iter().filter(|variable| matches!(variable.kind, Kind::Choice { .. }));
    assert_eq!(choices.count(), 17);
}

/// Texts in reports: no control characters, and a maximum length.
#[test]
fn texts_have_limits() {
    check_mistake("DROPLET_ID", "a\tb", "character 2 is a control character");
    check_mistake("RUNTIME_VERSION", &"1".repeat(201), "it has 201 characters; at most 200 are allowed");
    check_mistake("STATE_DIR", "/a\u{0}b", "character 3 is a control character");
    let given = Start::good().set("RUNTIME_VERSION", "1.2.3").set("OPENCLAW_VERSION", " 2026.2.19 ");
    assert_eq!(given.settings().runtime_version, "1.2.3");
    assert_eq!(given.settings().openclaw_version.as_deref(), Some("2026.2.19"));
}

/// `STATE_DIR`, then `$STATE_DIRECTORY`, then the folder of the user.
#[test]
fn finds_the_state_directory() {
    let dir = |start: &Start| start.settings().state_dir;
    let systemd = Start::good().set("STATE_DIRECTORY", "/var/lib/mc:/var/lib/other");
    assert_eq!(dir(&systemd), Path::new("/var/lib/mc"));
    assert_eq!(dir(&systemd.clone().set("STATE_DIR", "/data")), Path::new("/data"));
    let home = Path::new("/home/mc/.local/state/mission-control-runtime");
    assert_eq!(dir(&systemd.clone().set("STATE_DIRECTORY", " ")), home);
    let xdg = |path| systemd.clone().unset("STATE_DIRECTORY").set("XDG_STATE_HOME", path);
    assert_eq!(dir(&xdg("/state/")), Path::new("/state/mission-control-runtime"));
    assert_eq!(dir(&xdg("state")), home, "a relative path does not count");
    for start in
        [Start::good().unset("HOME"), Start::good().set("HOME", "relative"), Start::good().set("HOME", "")]
    {
        assert!(start.mistake().starts_with("STATE_DIR is not set, and none of"), "{}", start.mistake());
    }
}
