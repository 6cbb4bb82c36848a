//! The env file: its precedence, and the warnings about its lines.

use mission_control_runtime::config::{FileSource, FileTrouble, Origin};

use super::{ACCOUNT, Start, TOKEN, mistakes};

/// For each variable: the environment overrides the file, but a blank value in the environment does not.
#[test]
fn the_environment_overrides_the_file() {
    let start = Start::good().file("HEALTH_PORT=4000\nDROPLET_ID=from-file\nDROPLET_IP=1.2.3.4\n");
    let start = start.set("HEALTH_PORT", "5000").set("DROPLET_ID", " ");
    let settings = start.settings();
    assert_eq!(settings.http.port, 5000);
    assert_eq!(settings.droplet.id, "from-file");
    assert_eq!(settings.droplet.ip, "1.2.3.4");
    let report = start.go().report;
    assert_eq!(report.row("HEALTH_PORT").unwrap().origin, Origin::Environment);
    let from_file = Origin::File { path: "test.env".into(), line: 2 };
    assert_eq!(report.row("DROPLET_ID").unwrap().origin, from_file);
    assert_eq!(report.row("DROPLET_REGION").unwrap().origin, Origin::Default);
}

#[test]
fn every_variable_can_be_in_the_file() {
    let text = format!(
        "\u{feff}# our account\r\nexport ACCOUNT_ID='{ACCOUNT}'\r\n\
         CONVEX_URL = https://happy-otter-123.convex.cloud\r\n\r\nSERVICE_TOKEN=\"{TOKEN}\"\r\n"
    );
    let settings = Start::default().set("HOME", "/home/mc").file(&text).settings();
    assert_eq!(settings.account.service_token.expose(), TOKEN);
}

/// A mistake names its line, and shows nothing that may be a secret.
#[test]
fn a_bad_line_is_named_by_its_number() {
    let rows = [
        ("s3cr3t\n", "line 1 has no ="),
        ("\n\nA B=s3cr3t\n", "line 3 has no usable name"),
        ("SERVICE_TOKEN=\"s3cr3t\n", "line 1 opens a quote"),
        ("DROPLET_ID='s3cr3t' x\n", "line 1 has text after the closing quote"),
        ("DROPLET_ID='s3cr3t'#x\n", "line 1 has text after the closing quote"),
        ("DROPLET_ID=s3cr\u{0}3t\n", "line 1 contains a control character"),
        ("s3cr3t==\u{1}\n", "line 1 contains a control character"),
    ];
    for (text, words) in rows {
        let mistake = Start::good().file(text).mistake();
        assert!(mistake.contains(words) && mistake.contains("test.env"), "{text:?}: {mistake}");
        assert!(!mistake.contains("s3cr"), "{mistake}");
    }
    let all: String = rows.iter().map(|(text, _)| *text).collect();
    assert_eq!(mistakes(&Start::good().file(&all).go()).len(), rows.len());
}

#[test]
fn doubtful_lines_are_warned() {
    let warned = |text: &str| Start::good().file(text).warnings();
    let twice = warned("HEALTH_PORT=1\nDROPLET_ID=x\nHEALTH_PORT=2\n");
    assert!(twice[0].contains("line 3 sets the same name as line 1"), "{twice:?}");
    assert_eq!(Start::good().file("HEALTH_PORT=1\nHEALTH_PORT=2\n").settings().http.port, 2);
    assert!(warned("DROPLET_ID=x # the first\n")[0].contains("the # in line 1 is part of the value"));
    assert!(warned("DROPLET_ID='x # the first'\n").is_empty());
    assert!(warned("DROPLET_ID=x#1\n").is_empty());
}

/// If a comment after a value makes the value invalid, the mistake says so and shows no value.
#[test]
fn a_comment_after_a_value_is_the_reported_cause() {
    let tail = "a comment after a value is part of the value here; move it to a separate line.";
    let token = format!("SERVICE_TOKEN={TOKEN} # from the dashboard");
    let rows = [
        ("ACCOUNT_ID", "ACCOUNT_ID=jd7abc123     # the account's id"),
        ("ACCOUNT_ID", "ACCOUNT_ID=      # the account's id"),
        ("CONVEX_URL", "CONVEX_URL=https://happy-otter-123.convex.cloud\t# x"),
        ("SERVICE_TOKEN", token.as_str()),
        ("HEALTH_PORT", "HEALTH_PORT=1 # x"),
        ("HEALTH_HOST", "HEALTH_HOST=localhost # x"),
        ("LOG_LEVEL", "LOG_LEVEL=info # x"),
        ("OPENCLAW_PROFILE_SYNC", "OPENCLAW_PROFILE_SYNC=yes # x"),
        ("OPENCLAW_GATEWAY_TOKEN_FILE", "OPENCLAW_GATEWAY_TOKEN_FILE=/run/token # x"),
    ];
    for (name, line) in rows {
        let configuration = Start::good().unset(name).file(line).go();
        assert_eq!(mistakes(&configuration), [format!("{name} (test.env, line 1): {tail}")], "{line}");
        assert_eq!(super::warnings(&configuration), Vec::<String>::new(), "the mistake says it all");
        // Docker does not parse the lines of its env files.
        let (_, value) = line.split_once('=').unwrap();
        let mistake = Start::good().set(name, value).mistake();
        assert_eq!(mistake, format!("{name} (environment): {tail}"));
    }
    let secrets = Start::good().unset("SERVICE_TOKEN").file(&token).go().report.secrets;
    assert!(secrets.iter().any(|secret| secret.expose() == TOKEN), "the token itself is to be hidden too");
    // The comment is not the cause of the mistake.
    let mistake = Start::good().file("HEALTH_PORT=abc # x\n").mistake();
    assert!(mistake.contains("(test.env, line 1) is \"abc # x\": expected a whole number"), "{mistake}");
    let gateway = Start::good().file("OPENAI_API_KEY=k3y # x\n").warnings();
    assert!(
        gateway.len() == 1 && gateway[0].contains(tail) && gateway[0].contains("starts anyway"),
        "{gateway:?}"
    );
}

/// After a quoted value, the rest of the line can only be a comment.
#[test]
fn a_comment_may_follow_a_quoted_value() {
    for value in ["\"fra 1\" # mine", "'fra 1'\t#mine", "\"fra 1\"   # it's \"mine\""] {
        let start = Start::good().file(&format!("DROPLET_REGION={value}\n"));
        assert_eq!(start.settings().droplet.region, "fra 1", "{value}");
        assert!(start.warnings().is_empty());
        assert_eq!(Start::good().set("DROPLET_REGION", value).settings().droplet.region, "fra 1", "{value}");
    }
}

/// If the file is missing, the variables that it would set are not reported as missing.
#[test]
fn a_missing_file_is_reported_without_its_consequences() {
    let mut start = Start::default().set("LOG_LEVEL", "loud");
    start.file = FileSource::Unusable { path: "/x/y.env".into(), trouble: FileTrouble::Missing };
    let mistakes = mistakes(&start.go());
    assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    assert_eq!(mistakes[0], "The env file /x/y.env cannot be used: there is no such file.");
    assert!(mistakes[1].starts_with("LOG_LEVEL"), "{mistakes:?}");
}

/// An unknown variable in the file is reported with the nearest known name.
#[test]
fn unknown_names_are_warned_with_the_nearest() {
    let rows = [
        ("HELTH_PORT=1", "test.env: HELTH_PORT (line 1) is not a known variable; did you mean HEALTH_PORT?"),
        ("health_port=1", "health_port (line 1) is not a known variable; did you mean HEALTH_PORT?"),
        ("DELIVERY_INTERVALL=1", "did you mean DELIVERY_INTERVAL?"),
        ("SERVICE_TOKKEN=s3cr3t", "did you mean SERVICE_TOKEN?"),
        ("SERVICE_TOKEN_FLE=/x", "did you mean SERVICE_TOKEN_FILE?"),
        ("GITHUB_TOKENS=s3cr3t", "did you mean GITHUB_TOKEN?"),
        ("SOMETHING_ELSE=s3cr3t", "SOMETHING_ELSE (line 1) is not a known variable."),
        // A broken line of base64 looks like a name, but may be a secret.
        ("c3VwZXIgczNjcjN0=", "what line 1 sets is not a known variable."),
    ];
    for (line, words) in rows {
        let warnings = Start::good().file(line).warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(words) && !warnings[0].contains("s3cr3t"), "{line}: {warnings:?}");
    }
    let neighbours = "DOCKER_UID=1\nCOMPOSE_FILE=x\nEXTRA_APT_PACKAGES=\nGITHUB_REPO=a/b\n";
    assert!(Start::good().file(neighbours).warnings().is_empty());
}

#[test]
fn an_unusable_file_is_a_clear_error() {
    let rows = [
        (FileTrouble::Missing, "there is no such file"),
        (FileTrouble::Directory, "it is a directory, not a file"),
        (FileTrouble::Special, "it is not a regular file"),
        (FileTrouble::Forbidden, "this user may not read it"),
        (FileTrouble::Unreadable, "it cannot be read"),
        (FileTrouble::NoCertificate, "it contains no certificate; a PEM file is required"),
        (FileTrouble::BadCertificate(2), "certificate 2 in it is malformed"),
        (FileTrouble::TooLarge { bytes_max: 1_048_576 }, "it is larger than 1024 KiB"),
        (FileTrouble::NotText, "it is not UTF-8 text"),
    ];
    for (trouble, words) in rows {
        let mut start = Start::good();
        start.file = FileSource::Unusable { path: "/x/y.env".into(), trouble };
        assert_eq!(start.mistake(), format!("The env file /x/y.env cannot be used: {words}."));
    }
}

/// systemd reads the file as root and passes its values to a service that may not read it.
#[test]
fn the_default_file_may_be_unreadable() {
    let mut start = Start::good();
    start.file = FileSource::Withheld { path: "/etc/x.env".into() };
    let warnings = start.warnings();
    assert!(warnings[0].contains("/etc/x.env exists, but this user may not read it"), "{warnings:?}");
}

#[test]
fn a_world_readable_file_with_secrets_is_warned() {
    let with = |text: &str| {
        let mut start = Start::good();
        start.file = FileSource::Text { path: "e".into(), text: text.into(), open_to_all: true };
        start.warnings()
    };
    assert!(with("SERVICE_TOKEN=x_y\n")[0].contains("chmod 600"));
    assert!(with("HEALTH_PORT=1\nSERVICE_TOKEN=\n").is_empty());
}
