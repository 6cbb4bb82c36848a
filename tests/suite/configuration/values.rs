//! Each value and what becomes of it.

use std::path::Path;
use std::time::Duration;

use mission_control_runtime::config::{Kind, LogFormat, LogLevel, TABLE, UpgradeMode};

use super::{ACCOUNT, Start, TOKEN};

/// §1.2, issue item 2: what counts when only the required variables are given.
#[test]
fn the_defaults_are_those_of_the_brief() {
    let settings = Start::good().settings();
    assert_eq!(settings.account.id, ACCOUNT);
    assert_eq!(settings.account.service_token.expose(), TOKEN);
    assert_eq!((settings.http.host.as_str(), settings.http.port), ("127.0.0.1", 3001));
    assert_eq!(settings.http.base_url(3001).as_str(), "http://127.0.0.1:3001");
    assert_eq!(settings.gateway.url.unwrap().as_str(), "http://127.0.0.1:18789");
    assert!(settings.gateway.token.is_none(), "W15: no token, and never the word `local`");
    assert_eq!(settings.gateway.silence_max, Duration::from_secs(900));
    assert!(settings.gateway.client_tools);
    assert_eq!(settings.delivery.interval, Duration::from_secs(5));
    assert_eq!(settings.delivery.backoff_base, Duration::from_secs(5));
    assert_eq!(settings.delivery.backoff_max, Duration::from_secs(300));
    assert_eq!(settings.delivery.concurrent_sessions_max, 10);
    assert_eq!(settings.delivery.list_limit, 50);
    assert_eq!(settings.agents.sync_interval, Duration::from_secs(60));
    assert_eq!(settings.report_interval, Duration::from_secs(30));
    assert!(!settings.workspace.profile_sync && !settings.workspace.vercel_models);
    assert_eq!(settings.workspace.root, Path::new("/root/clawd/agents"));
    assert_eq!(settings.droplet.id, "unknown");
    assert_eq!(settings.droplet.ip, "unknown");
    assert_eq!(settings.droplet.region, "unknown");
    assert_eq!(settings.runtime_version, env!("CARGO_PKG_VERSION"), "W14");
    assert_eq!(settings.openclaw_version, None);
    assert_eq!(settings.state_dir, Path::new("./.mission-control-runtime"));
    assert_eq!(settings.ssl_cert_file, None);
    assert_eq!((settings.log_level, settings.log_format), (LogLevel::Info, LogFormat::Text));
    assert_eq!(settings.upgrade_mode, UpgradeMode::Exit);
    assert_eq!(Start::good().warnings(), Vec::<String>::new());
}

/// §1.3.1: what is missing is named, all of it.
#[test]
fn missing_variables_are_named_together() {
    let text = "Missing required environment variables: ";
    let rows: &[(&[&str], &str)] = &[
        (&["ACCOUNT_ID"], "ACCOUNT_ID."),
        (&["CONVEX_URL"], "CONVEX_URL."),
        (&["SERVICE_TOKEN"], "SERVICE_TOKEN."),
        (&["ACCOUNT_ID", "CONVEX_URL", "SERVICE_TOKEN"], "ACCOUNT_ID, CONVEX_URL, SERVICE_TOKEN."),
    ];
    for (names, listed) in rows {
        for blank in [None, Some(""), Some("   "), Some("\"\""), Some("' '")] {
            let start = names.iter().fold(Start::good(), |start, name| match blank {
                None => start.unset(name),
                Some(blank) => start.set(name, blank),
            });
            let mistake = start.mistake();
            assert!(mistake.starts_with(&format!("{text}{listed}")), "{blank:?}: {mistake}");
        }
    }
}

/// A start with this one value fails with a sentence that has these words in it.
fn check_mistake(name: &str, value: &str, words: &str) {
    let mistake = Start::good().set(name, value).mistake();
    assert!(mistake.starts_with(name) && mistake.contains(words), "{name}={value:?}: {mistake}");
}

/// §1.3.2–4, and what the backend would refuse (contract §1.3: 512 characters).
#[test]
fn a_bad_token_is_refused_in_the_words_of_the_contract() {
    let prefix = "Invalid SERVICE_TOKEN format. Expected a token starting with mc_service_.";
    let structure = "Invalid SERVICE_TOKEN structure. Expected mc_service_{accountId}_{secret}.";
    check_mistake("SERVICE_TOKEN", "sk-123", prefix);
    check_mistake("SERVICE_TOKEN", "MC_SERVICE_a_b", prefix);
    check_mistake("SERVICE_TOKEN", "mc_service", prefix);
    check_mistake("SERVICE_TOKEN", "mc_service_", structure);
    check_mistake("SERVICE_TOKEN", &format!("mc_service_{ACCOUNT}"), structure);
    check_mistake("SERVICE_TOKEN", &format!("mc_service_{ACCOUNT}_"), structure);
    check_mistake("SERVICE_TOKEN", "mc_service__s3cr3t", structure);
    check_mistake(
        "SERVICE_TOKEN",
        "mc_service_other_s3cr3t",
        &format!("SERVICE_TOKEN account mismatch. Token is for other, but ACCOUNT_ID is {ACCOUNT}."),
    );
    // What may be a piece of a secret is not shown in the place of an account id.
    for token in ["mc_service_Zm9vYmFyQmF6UXV4Cg1_x", "mc_service_twice_twice"] {
        check_mistake("SERVICE_TOKEN", token, "Token is for another account, but ACCOUNT_ID is k57");
    }
    check_mistake("SERVICE_TOKEN", &format!("{TOKEN}{}", "x".repeat(512)), "at most 512 are allowed");
    check_mistake("SERVICE_TOKEN", &format!("{TOKEN} x"), "character 51 is a blank");
    check_mistake("SERVICE_TOKEN", &format!("{TOKEN}\nx"), "character 51 is a blank, a control character");
    check_mistake("SERVICE_TOKEN", &format!("{TOKEN}ü"), "character 51");
    let token = format!("{TOKEN}_with_under_scores");
    assert_eq!(Start::good().set("SERVICE_TOKEN", &token).settings().account.service_token.expose(), token);
    let longest = format!("{TOKEN}{}", "x".repeat(512 - TOKEN.len()));
    Start::good().set("SERVICE_TOKEN", &longest).settings();
}

/// §1.3.4: "An account id containing `_` can never match."
#[test]
fn an_account_id_that_can_never_match_is_refused() {
    check_mistake("ACCOUNT_ID", "acc_1", "no service token can match this one");
    check_mistake("ACCOUNT_ID", "acc 1", "character 4 is a blank");
    check_mistake("ACCOUNT_ID", "acc\u{7}1", "character 4 is a blank, a control character");
    let pasted = Start::good().set("ACCOUNT_ID", TOKEN).mistake();
    assert!(pasted.contains("this is a service token") && !pasted.contains("s3cr3t"), "{pasted}");
}

/// Issue "Bad input": a `.convex.site` URL; §1.2: an address that is none.
#[test]
fn a_backend_address_is_checked() {
    check_mistake("CONVEX_URL", "https://otter-1.convex.site", "use https://otter-1.convex.cloud");
    check_mistake("CONVEX_URL", "https://OTTER-1.eu.CONVEX.SITE/", "use https://otter-1.eu.convex.cloud");
    let expected = "Invalid CONVEX_URL. Expected a valid URL like https://happy-otter-123.convex.cloud.";
    for text in ["otter.convex.cloud", "https://", "https://otter.convex.cloud/?x=1", "http://a b"] {
        check_mistake("CONVEX_URL", text, expected);
    }
    check_mistake("CONVEX_URL", "ws://otter.convex.cloud", "Only http and https are allowed");
    let user = Start::good().set("CONVEX_URL", "https://me:hunter2@otter.convex.cloud").mistake();
    assert!(user.contains("user or password") && !user.contains("hunter2"), "{user}");
    assert!(Start::good().set("CONVEX_URL", "http://127.0.0.1:3210").warnings().is_empty());
    let warnings = Start::good().set("CONVEX_URL", "http://10.0.0.7:3210").warnings();
    assert!(warnings[0].contains("SERVICE_TOKEN travels unencrypted"), "{warnings:?}");
}

/// §9.1, rows 1–4.
#[test]
fn a_gateway_address_is_checked() {
    let only = "Invalid OPENCLAW_GATEWAY_URL. Only http and https are allowed.";
    for text in ["file:///etc/passwd", "file:/etc/passwd", "ftp://gateway", "gateway:18789"] {
        check_mistake("OPENCLAW_GATEWAY_URL", text, only);
    }
    let expected = "Invalid OPENCLAW_GATEWAY_URL. Expected a valid URL like http://127.0.0.1:18789.";
    for text in ["gateway", "http://", "http://[::1", "http:/gateway"] {
        check_mistake("OPENCLAW_GATEWAY_URL", text, expected);
    }
    let kept = |start: Start| start.settings().gateway.url.unwrap().as_str().to_owned();
    let local = "http://127.0.0.1:18789";
    assert_eq!(kept(Start::good().set("OPENCLAW_GATEWAY_URL", local)), local);
    let remote = "https://gateway.example.com";
    let start = Start::good().set("OPENCLAW_GATEWAY_URL", remote).set("OPENCLAW_GATEWAY_TOKEN", "t0k3n");
    assert_eq!(kept(start), remote);
}

/// §1.2 `OPENCLAW_GATEWAY_TOKEN`, W15: who may go without a token, and what blank means.
#[test]
fn a_gateway_elsewhere_needs_a_token() {
    let local = [
        "http://localhost:1",
        "http://127.0.0.1",
        "http://127.0.0.2",
        "http://[::1]:18789",
        "http://0.0.0.0:1",
        "http://openclaw-gateway:18789",
        "http://LOCALHOST",
    ];
    for url in local {
        let settings = Start::good().set("OPENCLAW_GATEWAY_URL", url).settings();
        assert!(settings.gateway.token.is_none(), "{url}");
    }
    for url in ["https://gateway.example.com", "http://10.0.0.1", "http://localhost.example.com"] {
        for token in [None, Some(""), Some("  "), Some("''")] {
            let start = Start::good().set("OPENCLAW_GATEWAY_URL", url);
            let start = token.iter().fold(start, |start, token| start.set("OPENCLAW_GATEWAY_TOKEN", token));
            let mistake = start.mistake();
            let words = "OPENCLAW_GATEWAY_TOKEN is required for non-local OPENCLAW_GATEWAY_URL.";
            assert!(mistake.contains(words), "{url} {token:?}: {mistake}");
        }
    }
    // One mistake is one sentence: a token that cannot be used is not also missing.
    let start = Start::good().set("OPENCLAW_GATEWAY_URL", "https://gateway.example.com");
    assert!(start.set("OPENCLAW_GATEWAY_TOKEN", "a b").mistake().contains("character 2 is a blank"));
    let start =
        Start::good().set("OPENCLAW_GATEWAY_URL", "http://10.0.0.1").set("OPENCLAW_GATEWAY_TOKEN", "t");
    assert!(start.warnings()[0].contains("OPENCLAW_GATEWAY_TOKEN travels unencrypted"));
}

/// §1.2: "Set-but-blank = gateway disabled"; unset is the default.
#[test]
fn a_blank_gateway_address_means_no_gateway() {
    for blank in ["", "  ", "\"\"", "' '"] {
        let start = Start::good().set("OPENCLAW_GATEWAY_URL", blank);
        assert_eq!(start.settings().gateway.url, None, "{blank:?}");
        assert_eq!(start.effective("OPENCLAW_GATEWAY_URL"), "(blank)");
        // A blank in the environment has a meaning here, so it comes before the file.
        let start = start.file("OPENCLAW_GATEWAY_URL=http://127.0.0.1:1\n");
        assert_eq!(start.settings().gateway.url, None, "{blank:?}");
    }
    assert_eq!(Start::good().file("OPENCLAW_GATEWAY_URL=\n").settings().gateway.url, None);
}

/// §1.4: connectHost, base URL, warnings A and B; IPv6 in brackets.
#[test]
fn agents_are_told_an_address_that_works() {
    let rows = [
        ("127.0.0.1", "http://127.0.0.1:3001", false),
        ("localhost", "http://localhost:3001", false),
        ("10.1.2.3", "http://10.1.2.3:3001", false),
        ("0.0.0.0", "http://127.0.0.1:3001", true),
        ("::", "http://127.0.0.1:3001", true),
        ("[::]", "http://127.0.0.1:3001", true),
        ("0:0:0:0:0:0:0:0", "http://127.0.0.1:3001", true),
        ("::1", "http://[::1]:3001", false),
        ("[::1]", "http://[::1]:3001", false),
        ("fd00::7", "http://[fd00::7]:3001", false),
    ];
    for (host, base_url, warned) in rows {
        let start = Start::good().set("HEALTH_HOST", host);
        assert_eq!(start.settings().http.base_url(3001).as_str(), base_url, "{host}");
        assert_eq!(start.effective("TASK_STATUS_BASE_URL"), base_url, "{host}");
        let warnings = start.warnings();
        assert_eq!(warnings.iter().any(|w| w.contains("TASK_STATUS_BASE_URL is not set")), warned, "{host}");
        assert_eq!(warnings.len(), usize::from(warned), "{host}: {warnings:?}");
    }
    for host in ["local host", "127.0.0.1:80", "http://h", "300.1.1.1", "fe80::1%eth0", "[::1", "a/b", "ü"] {
        check_mistake("HEALTH_HOST", host, "expected an IP address or a host name, without a port");
    }
    let any = Start::good().set("HEALTH_PORT", "0");
    assert_eq!(any.settings().http.base_url(40123).as_str(), "http://127.0.0.1:40123");

    let told = Start::good().set("TASK_STATUS_BASE_URL", "'http://runtime:3000/'");
    assert_eq!(told.settings().http.base_url(1).as_str(), "http://runtime:3000", "one slash removed");
    assert!(told.warnings()[0].contains("may be unreachable for others"), "warning B");
    assert!(told.clone().set("HEALTH_HOST", "0.0.0.0").warnings().is_empty());
    assert!(Start::good().set("TASK_STATUS_BASE_URL", "http://[::1]:1").warnings().is_empty());
    let invalid = "Invalid TASK_STATUS_BASE_URL. Expected a valid URL like http://runtime:3000.";
    check_mistake("TASK_STATUS_BASE_URL", "runtime", invalid);
}

/// §1.1 clamped-int and [REC]: every number of the table, below, above, far above, and at its ends.
#[test]
fn every_number_is_clamped_with_a_warning() {
    let mut numbers = 0;
    for variable in TABLE {
        let Kind::Integer { min, max, .. } = variable.kind else { continue };
        numbers += 1;
        // The warnings of these two would stand in the way.
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
            let words = format!("{} (environment) is {given}; {used} is used", variable.name);
            let warned = start.warnings().iter().filter(|warning| warning.contains(&words)).count();
            assert_eq!(warned, usize::from(clamped), "{}={given}: {:?}", variable.name, start.warnings());
        }
    }
    assert_eq!(numbers, 13);
}

/// §1.1 [REC]: "parse integers strictly". The issue makes each of these a mistake.
#[test]
fn what_is_no_number_is_a_mistake() {
    for garbage in ["30000abc", "1e3", "-1", "+1", "70000.5", "0x10", "５", "1 000", "1_000", "ten", "\"5"] {
        for variable in TABLE {
            let Kind::Integer { min, max, .. } = variable.kind else { continue };
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

/// What only the gateway container reads does not keep the runtime from starting.
#[test]
fn a_mistake_of_the_gateway_container_is_a_warning_here() {
    for (name, value) in [
        ("OPENCLAW_MAX_CONCURRENT", "many"),
        ("OPENCLAW_SESSION_RETENTION_DAYS", "-3"),
        ("OPENCLAW_CONFIG_RELOAD", "perhaps"),
        ("ANTHROPIC_API_KEY", "two words"),
        ("GH_TOKEN_FILE", "/nowhere"),
    ] {
        let warnings = Start::good().set(name, value).warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with(name) && warnings[0].contains("starts all the same"), "{warnings:?}");
    }
    let narrow = Start::good().set("OPENCLAW_MAX_CONCURRENT", "4").warnings();
    assert!(narrow[0].contains("less than DELIVERY_MAX_CONCURRENT_SESSIONS (10)"), "{narrow:?}");
}

/// §1.2: the ceiling lies between max(1000, base) and a day.
#[test]
fn the_ceiling_of_the_pauses_is_not_below_their_base() {
    let rows =
        [("20000", "10000", 20_000, true), ("20000", "20000", 20_000, false), ("1000", "5000", 5_000, false)];
    for (base, max, used_ms, warned) in rows {
        let start = Start::good().set("DELIVERY_BACKOFF_BASE_MS", base).set("DELIVERY_BACKOFF_MAX_MS", max);
        assert_eq!(start.settings().delivery.backoff_max, Duration::from_millis(used_ms));
        assert_eq!(!start.warnings().is_empty(), warned, "{base} {max}");
    }
    let default = Start::good().set("DELIVERY_BACKOFF_BASE_MS", "400000");
    assert_eq!(default.settings().delivery.backoff_max, Duration::from_secs(400));
    assert!(default.warnings().is_empty(), "nobody gave the ceiling, so nobody is blamed");
}

/// Issue item 2: the ranges that differ, and the two warnings.
#[test]
fn the_numbers_of_the_brief() {
    let warned = |name, value| Start::good().set(name, value).warnings();
    assert!(warned("HEALTH_CHECK_INTERVAL", "300000")[0].contains("dead after 90 s"), "W12");
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
fn every_spelling_of_yes_and_no() {
    for (spellings, flag) in [(["true", "1", "yes", "on"], true), (["false", "0", "no", "off"], false)] {
        for spelling in spellings {
            let upper = spelling.to_uppercase();
            for text in [spelling, &upper, &format!(" {spelling} "), &format!("\"{spelling}\"")] {
                let start = Start::good()
                    .set("OPENCLAW_CLIENT_TOOLS_ENABLED", text)
                    .set("OPENCLAW_PROFILE_SYNC", text);
                let settings = start.settings();
                assert_eq!((settings.gateway.client_tools, settings.workspace.profile_sync), (flag, flag));
            }
        }
    }
    for text in ["maybe", "2", "tru", "y", "ja"] {
        check_mistake("OPENCLAW_PROFILE_SYNC", text, "expected true, 1, yes, on, false, 0, no or off.");
    }
}

/// W27: `LOG_LEVEL` is trimmed, and unknown words are not ignored.
#[test]
fn words_are_checked() {
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
    assert_eq!(Start::good().set("UPGRADE_MODE", "none").settings().upgrade_mode, UpgradeMode::None);
}

/// §1.1 quoted-string, [REC] for all variables: one layer of matching quotes, and blanks around it.
#[test]
fn quotes_around_a_value_do_not_count() {
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

/// Texts that travel in reports: no control characters, no novels.
#[test]
fn texts_are_bounded() {
    check_mistake("DROPLET_ID", "a\tb", "character 2 is a control character");
    check_mistake("RUNTIME_VERSION", &"1".repeat(201), "it has 201 characters; at most 200 are allowed");
    check_mistake("STATE_DIR", "/a\u{0}b", "character 3 is a control character");
    let given = Start::good().set("RUNTIME_VERSION", "1.2.3").set("OPENCLAW_VERSION", " 2026.2.19 ");
    assert_eq!(given.settings().runtime_version, "1.2.3");
    assert_eq!(given.settings().openclaw_version.as_deref(), Some("2026.2.19"));
}

/// Issue item 2: `STATE_DIR`, then `$STATE_DIRECTORY`, then a folder here.
#[test]
fn the_state_folder_is_found() {
    let dir = |start: &Start| start.settings().state_dir;
    let systemd = Start::good().set("STATE_DIRECTORY", "/var/lib/mc:/var/lib/other");
    assert_eq!(dir(&systemd), Path::new("/var/lib/mc"));
    assert_eq!(dir(&systemd.clone().set("STATE_DIR", "/data")), Path::new("/data"));
    assert_eq!(dir(&systemd.set("STATE_DIRECTORY", " ")), Path::new("./.mission-control-runtime"));
}
