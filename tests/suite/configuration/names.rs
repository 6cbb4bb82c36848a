//! Misspelt names in the environment: reported if they resemble ours, and never for other programs' variables.

use mission_control_runtime::config::{TABLE, Variable};

use super::Start;

#[test]
fn near_misses_are_warned_with_the_nearest_name() {
    let rows = [
        ("DELIVERY_INTERVALL", "DELIVERY_INTERVAL"),
        ("DELIVERY_INTERVALS", "DELIVERY_INTERVAL"),
        ("DELIVERY_INTREVAL", "DELIVERY_INTERVAL"),
        ("SERVICE_TOKKEN", "SERVICE_TOKEN"),
        ("SERVICE_TOKN_FILE", "SERVICE_TOKEN_FILE"),
        ("service_token", "SERVICE_TOKEN"),
        ("HEALTH_PROT", "HEALTH_PORT"),
        ("HEALTHPORT", "HEALTH_PORT"),
        ("HEALTHCHECK_INTERVAL", "HEALTH_CHECK_INTERVAL"),
        ("ACCOUNT_IDD", "ACCOUNT_ID"),
        ("ACOUNT_ID", "ACCOUNT_ID"),
        ("CONVEX_URI", "CONVEX_URL"),
        ("CONVEXURL", "CONVEX_URL"),
        ("OPENCLAW_GATEWAY_TOKE", "OPENCLAW_GATEWAY_TOKEN"),
        ("OPENCLAW_GATEWAY_URLS", "OPENCLAW_GATEWAY_URL"),
        ("OPENCLAW_REQUEST_TIMEOUT", "OPENCLAW_REQUEST_TIMEOUT_MS"),
        ("OPEN_CLAW_GATEWAY_URL", "OPENCLAW_GATEWAY_URL"),
        ("LOG_LEVL", "LOG_LEVEL"),
        ("LOG_FROMAT", "LOG_FORMAT"),
        ("AGENT_SYNC_INTERVAL_MS", "AGENT_SYNC_INTERVAL"),
    ];
    for (name, nearest) in rows {
        let warnings = Start::good().set(name, "canary").warnings();
        let expected = format!("{name} (environment) is not a known variable; did you mean {nearest}?");
        if nearest == "OPENCLAW_REQUEST_TIMEOUT_MS" || nearest == "AGENT_SYNC_INTERVAL" {
            // Three slips are too many to match a name.
            assert!(warnings.is_empty(), "{warnings:?}");
        } else {
            assert_eq!(warnings, [expected]);
        }
    }
}

/// `NAME_FILE` is supported for secrets that the runtime reads, and for nothing else.
#[test]
fn files_that_are_not_read_are_warned() {
    let rows = [
        ("ACCOUNT_ID_FILE", "only secrets can be given as a file. Set ACCOUNT_ID itself."),
        ("CONVEX_URL_FILE", "only secrets can be given as a file. Set CONVEX_URL itself."),
        (
            "OPENAI_API_KEY_FILE",
            "only the gateway container uses OPENAI_API_KEY, and it does not read files. Set OPENAI_API_KEY itself.",
        ),
        (
            "GITHUB_TOKEN_FILE",
            "only the gateway container uses GITHUB_TOKEN, and it does not read files. Set GITHUB_TOKEN itself.",
        ),
    ];
    for (name, words) in rows {
        let warnings = Start::good().set(name, "/run/x").warnings();
        assert_eq!(warnings, [format!("{name} (environment) has no effect: {words}")]);
        let warnings = Start::good().file(&format!("{name}=/run/x\n")).warnings();
        assert_eq!(warnings, [format!("{name} (test.env, line 1) has no effect: {words}")]);
        assert!(Start::good().set(name, " ").warnings().is_empty());
    }
    let pasted = Start::good().set("OPENAI_API_KEY_FILE", "pasted-k3y").go().report;
    assert!(pasted.secrets.iter().any(|secret| secret.expose() == "pasted-k3y"));
}

/// Names from ordinary shells, systemd units, containers, CI runs, cloud tools and related programs.
const ORDINARY: &str = "
    PATH HOME USER LOGNAME SHELL TERM LANG LC_ALL LC_CTYPE LANGUAGE TZ PWD OLDPWD SHLVL _ EDITOR VISUAL PAGER
    DISPLAY MAIL HOSTNAME HOST HOSTTYPE MACHTYPE OSTYPE COLUMNS LINES COLORTERM TMPDIR TEMP TMP LOG LOGS LOGLEVEL
    LOG_LEVELS LOG_FILE LOG_PATH LOG_DIR LOG_DEST LOGFORMAT LOG_TARGET DEBUG VERBOSE PORT HOST_PORT SSH_AUTH_SOCK
    SSH_CLIENT SSH_CONNECTION SSH_TTY XDG_RUNTIME_DIR XDG_SESSION_ID XDG_STATE_HOME XDG_DATA_DIRS LS_COLORS
    INVOCATION_ID JOURNAL_STREAM NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID MAINPID LISTEN_FDS LISTEN_PID
    RUNTIME_DIRECTORY STATE_DIRECTORY CACHE_DIRECTORY LOGS_DIRECTORY CONFIGURATION_DIRECTORY CREDENTIALS_DIRECTORY
    SYSTEMD_EXEC_PID MEMORY_PRESSURE_WATCH DBUS_SESSION_BUS_ADDRESS
    container DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG COMPOSE_PROJECT_NAME KUBERNETES_SERVICE_HOST
    KUBERNETES_PORT KUBERNETES_PORT_443_TCP_ADDR OPENCLAW_GATEWAY_PORT OPENCLAW_GATEWAY_SERVICE_HOST
    OPENCLAW_GATEWAY_SERVICE_PORT OPENCLAW_GATEWAY_PASSWORD OPENCLAW_HOME OPENCLAW_STATE_DIR OPENCLAW_CONFIG_PATH
    OPENCLAW_PROFILE OPENCLAW_LOG_LEVEL POD_NAME NODE_NAME SERVICE_NAME SERVICE_HOST SERVICE_PORT SERVICE_ACCOUNT
    CI GITHUB_ACTIONS GITHUB_TOKENS GITHUB_REPOSITORY GITHUB_SHA GITHUB_REF GITHUB_RUN_ID GITHUB_WORKSPACE
    GITHUB_ENV GITHUB_OUTPUT GITHUB_ACTOR GH_HOST GH_REPO GH_TOKENS GH_CONFIG_DIR GH_ENTERPRISE_TOKEN RUNNER_OS
    RUNNER_TEMP RUNNER_ARCH ACTIONS_RUNTIME_TOKEN ACTIONS_RUNTIME_URL ACTIONS_CACHE_URL GITLAB_CI CI_JOB_TOKEN
    CI_COMMIT_SHA BUILDKITE CIRCLECI JENKINS_URL BUILD_NUMBER BUILD_ID
    npm_config_loglevel npm_config_cache npm_package_version npm_package_name npm_lifecycle_event NODE_ENV NODE_PATH
    NODE_OPTIONS NODE_VERSION YARN_VERSION PYTHON_VERSION RUST_LOG RUST_BACKTRACE CARGO_HOME RUSTUP_HOME GOPATH
    JAVA_HOME JAVA_VERSION VIRTUAL_ENV PYTHONPATH
    HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy ALL_PROXY SSL_CERT_DIR SSL_CERT_FILES
    CURL_CA_BUNDLE REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS
    AWS_REGION AWS_ACCOUNT_ID AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_PROFILE CF_ACCOUNT_ID R2_ACCOUNT_ID
    CLOUDFLARE_ACCOUNT_ID GOOGLE_APPLICATION_CREDENTIALS GCP_PROJECT AZURE_CLIENT_ID FLY_APP_NAME FLY_REGION
    FLY_API_TOKEN DIGITALOCEAN_TOKEN DIGITALOCEAN_ACCESS_TOKEN DO_REGION DROPLET_NAME
    OPENAI_API_BASE OPENAI_BASE_URL OPENAI_API_KEYS OPENAI_ORG_ID OPENAI_MODEL ANTHROPIC_BASE_URL ANTHROPIC_MODEL
    ANTHROPIC_API_URL ANTHROPIC_AUTH_TOKEN BRAVE_API_KEYS GEMINI_API_KEY AI_GATEWAY_URL AI_GATEWAY_BASE_URL
    GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL GIT_AUTHOR_DATE GIT_EDITOR GIT_DIR GIT_SSH_COMMAND
    CONVEX_SITE_URL CONVEX_DEPLOYMENT CONVEX_DEPLOY_KEY CONVEX_SELF_HOSTED_URL NEXT_PUBLIC_CONVEX_URL VITE_CONVEX_URL
    DATABASE_URL REDIS_URL SENTRY_DSN API_KEY TOKEN SECRET ACCOUNT ACCOUNT_NAME ACCOUNT_SID HEALTHCHECKS_URL
    UPDATE_MODE RUN_MODE STATE STATE_DIRS STATE_FILE MODE REGION VERSION
";

#[test]
fn ordinary_names_are_not_warned() {
    let start = ORDINARY.split_whitespace().fold(Start::good(), |start, name| start.set(name, "x"));
    assert_eq!(start.set("HOME", "/home/mc").warnings(), Vec::<String>::new());
}

/// One slip anywhere in one of our names is detected, unless it results in another known name.
#[test]
fn every_single_slip_is_detected() {
    let ours: Vec<&&Variable> = TABLE.iter().filter(|variable| !variable.common).collect();
    for variable in ours {
        let letters: Vec<char> = variable.name.chars().collect();
        for at in 1..letters.len() {
            let mut without = letters.clone();
            without.remove(at);
            let mut doubled = letters.clone();
            doubled.insert(at, letters[at]);
            for slip in [without, doubled] {
                let slip: String = slip.into_iter().collect();
                let known = TABLE.iter().any(|v| v.spellings().any(|name| name == slip));
                let ordinary = ["LOGLEVEL", "LOGFORMAT"].contains(&slip.as_str());
                let warned = Start::good().set(&slip, "x").warnings().len();
                assert_eq!(warned, usize::from(!known && !ordinary), "{slip}");
            }
        }
    }
}
