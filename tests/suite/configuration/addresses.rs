//! The addresses of the backend, the gateway and our server, and the address for agents (§1.2, §1.4).

use std::collections::{BTreeMap, BTreeSet};

use mission_control_runtime::config::{self, FileSource, FileTrouble, Sources};
use mission_control_runtime::model::ToolEndpoints;

use super::{Start, check_mistake, mistakes, warnings};

/// §1.2: an invalid address, and a `.convex.site` URL.
#[test]
fn a_backend_address_is_checked() {
    check_mistake("CONVEX_URL", "https://otter-1.convex.site", "use https://otter-1.convex.cloud.");
    check_mistake("CONVEX_URL", "https://OTTER-1.eu.CONVEX.SITE/", "use https://otter-1.eu.convex.cloud.");
    let bare =
        Start::good().unset("CONVEX_URL").file("\nCONVEX_URL=your-deployment.convex.cloud\n").mistake();
    assert_eq!(
        bare,
        "CONVEX_URL (test.env, line 2) is \"your-deployment.convex.cloud\": it has no http:// or https:// in front. \
         Expected a valid URL like https://happy-otter-123.convex.cloud."
    );
    let expected = ". Expected a valid URL like https://happy-otter-123.convex.cloud.";
    for text in ["otter.convex.cloud", "https://", "https://otter.convex.cloud/?x=1", "http://a b"] {
        check_mistake("CONVEX_URL", text, expected);
    }
    check_mistake("CONVEX_URL", "ws://otter.convex.cloud", "Only http and https are allowed");
    check_mistake(
        "CONVEX_URL",
        "https://your-deployment.convex.cloud",
        "this is the placeholder of the sample configuration",
    );
    check_mistake("ACCOUNT_ID", "your-account-id", "Copy the id of your account from Mission Control");
    let user = Start::good().set("CONVEX_URL", "https://me:hunter2@otter.convex.cloud").mistake();
    assert!(user.contains("user or password") && !user.contains("hunter2"), "{user}");
    assert!(Start::good().set("CONVEX_URL", "http://127.0.0.1:3210").warnings().is_empty());
    let warnings = Start::good().set("CONVEX_URL", "http://10.0.0.7:3210").warnings();
    assert!(warnings[0].contains("SERVICE_TOKEN travels unencrypted"), "{warnings:?}");
}

/// A worker treats the address of its queue as `run` treats that of the board: it warns of clear text. Telegram is different,
/// as in `local`.
#[test]
fn a_worker_warns_of_a_queue_and_refuses_a_telegram_without_tls() {
    let worker = |name: &str, address: &str| {
        let environment = BTreeMap::from(
            [("CONVEX_URL", "https://otter.convex.cloud"), ("HOME", "/home/mc"), (name, address)]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        config::resolve_worker(&Sources {
            environment: &environment,
            garbled: &BTreeSet::new(),
            file: &FileSource::None,
            read_secret: &|_| Err(FileTrouble::Missing),
        })
    };
    let queue = worker("CONVEX_URL", "http://10.0.0.7:3210");
    assert!(queue.settings.is_some(), "{:#?}", mistakes(&queue));
    assert!(warnings(&queue)[0].contains("WORKER_AUTH_TOKEN travels unencrypted"), "{:?}", warnings(&queue));
    let telegram = worker("TELEGRAM_API_BASE_URL", "http://10.0.0.7:8081");
    let said = mistakes(&telegram);
    assert!(telegram.settings.is_none() && said.len() == 1, "{said:?}");
    assert!(said[0].starts_with("TELEGRAM_API_BASE_URL") && said[0].contains("https://"), "{said:?}");
    for address in
        ["http://127.0.0.1:8081", "http://[::1]:8081", "http://localhost:8081", "https://api.example.com"]
    {
        let telegram = worker("TELEGRAM_API_BASE_URL", address);
        assert!(telegram.settings.is_some(), "{address}: {:?}", mistakes(&telegram));
    }
}

/// The address of Mission Control's pages becomes a link, so only what a browser may open is accepted.
#[test]
fn an_address_of_the_board_is_checked() {
    let board =
        |text: &str| Start::good().set("BOARD_URL", text).settings().http.board.map(|url| url.to_string());
    assert_eq!(board("https://board.example.com/team/"), Some("https://board.example.com/team".to_owned()));
    assert_eq!(board("  "), None);
    for text in ["javascript:alert(1)", "data:text/html,x", "ftp://board", "javascript://x/%0aalert(1)"] {
        check_mistake("BOARD_URL", text, "Only http and https are allowed");
    }
    for text in
        ["board.example.com", "https://", "https://a b", "https://board/?x=1", "https://board/#/board"]
    {
        check_mistake("BOARD_URL", text, "Expected a valid URL like https://mission-control.example.com.");
    }
    for text in ["https://otter.convex.cloud", "https://otter.convex.site"] {
        check_mistake("BOARD_URL", text, "this is the address of the backend, which has no pages");
    }
    let user = Start::good().set("BOARD_URL", "https://me:hunter2@board.example.com").mistake();
    assert!(user.contains("user or password") && !user.contains("hunter2"), "{user}");
}

/// §9.1, rows 1–4.
#[test]
fn a_gateway_address_is_checked() {
    let only = "Only http and https are allowed.";
    for text in ["file:///etc/passwd", "file:/etc/passwd", "ftp://gateway", "gateway:18789"] {
        check_mistake("OPENCLAW_GATEWAY_URL", text, only);
    }
    let expected = "Expected a valid URL like http://127.0.0.1:18789.";
    for text in ["gateway", "http://", "http://[::1", "http:/gateway"] {
        check_mistake("OPENCLAW_GATEWAY_URL", text, expected);
    }
    assert_eq!(
        Start::good().set("OPENCLAW_GATEWAY_URL", "gateway").mistake(),
        format!(
            "OPENCLAW_GATEWAY_URL (environment) is \"gateway\": it has no http:// or https:// in front. {expected}"
        )
    );
    assert_eq!(
        Start::good().set("OPENCLAW_GATEWAY_URL", "ftp://gateway").mistake(),
        format!(
            "OPENCLAW_GATEWAY_URL (environment) is \"ftp://gateway\": it begins with another scheme. {only} \
             An example: http://127.0.0.1:18789."
        )
    );
    let kept = |start: Start| start.settings().gateway.url.unwrap().as_str().to_owned();
    let local = "http://127.0.0.1:18789";
    assert_eq!(kept(Start::good().set("OPENCLAW_GATEWAY_URL", local)), local);
    let remote = "https://gateway.example.com";
    let start = Start::good().set("OPENCLAW_GATEWAY_URL", remote).set("OPENCLAW_GATEWAY_TOKEN", "t0k3n");
    assert_eq!(kept(start), remote);
}

/// §1.2 `OPENCLAW_GATEWAY_TOKEN`, W15: which gateways need a token, and the meaning of a blank one.
#[test]
fn a_gateway_on_another_host_needs_a_token() {
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
            assert!(mistake.starts_with(words), "{url} {token:?}: {mistake}");
            let host = url.split("//").nth(1).unwrap();
            assert!(
                mistake.contains(&format!("({host}): give its token as OPENCLAW_GATEWAY_TOKEN or")),
                "{mistake}"
            );
        }
    }
    // One mistake is one sentence: an unusable token is not also reported as missing.
    let start = Start::good().set("OPENCLAW_GATEWAY_URL", "https://gateway.example.com");
    assert!(start.set("OPENCLAW_GATEWAY_TOKEN", "a b").mistake().contains("character 2 is a blank"));
    let start = Start::good()
        .set("OPENCLAW_GATEWAY_URL", "http://10.0.0.1")
        .set("OPENCLAW_GATEWAY_TOKEN", "l0ng-t0k3n");
    assert!(start.warnings()[0].contains("OPENCLAW_GATEWAY_TOKEN travels unencrypted"));
}

/// §1.2: "Set-but-blank = gateway disabled"; unset is the default.
#[test]
fn a_blank_gateway_address_means_no_gateway() {
    for blank in ["", "  ", "\"\"", "' '"] {
        let start = Start::good().set("OPENCLAW_GATEWAY_URL", blank);
        assert_eq!(start.settings().gateway.url, None, "{blank:?}");
        assert_eq!(start.effective("OPENCLAW_GATEWAY_URL"), "(blank)");
        assert_eq!(
            start.warnings(),
            [
                "OPENCLAW_GATEWAY_URL is set but blank: there is no gateway and nothing is sent to agents. Remove the variable to use http://127.0.0.1:18789."
            ]
        );
        // A blank value in the environment has a meaning here, so it overrides the file.
        let start = start.file("OPENCLAW_GATEWAY_URL=http://127.0.0.1:1\n");
        assert_eq!(start.settings().gateway.url, None, "{blank:?}");
    }
    assert_eq!(Start::good().file("OPENCLAW_GATEWAY_URL=\n").settings().gateway.url, None);
}

/// §1.4: connectHost, base URL, warnings A and B; IPv6 in brackets.
#[test]
fn agents_get_a_working_address() {
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
    assert_eq!(any.effective("TASK_STATUS_BASE_URL"), "http://127.0.0.1:(the free port chosen at start)");
    assert_eq!(any.settings().http.base_url(40123).as_str(), "http://127.0.0.1:40123");

    let given = Start::good().set("TASK_STATUS_BASE_URL", "'http://runtime:3000/'");
    assert_eq!(given.settings().http.base_url(1).as_str(), "http://runtime:3000", "one slash removed");
    assert!(given.warnings()[0].contains("may be unreachable for others"), "warning B");
    assert!(given.clone().set("HEALTH_HOST", "0.0.0.0").warnings().is_empty());
    assert!(Start::good().set("TASK_STATUS_BASE_URL", "http://[::1]:1").warnings().is_empty());
    let invalid = "Expected a valid URL like http://runtime:3001.";
    check_mistake("TASK_STATUS_BASE_URL", "runtime", invalid);
}

/// The networks from which operators may call, besides this machine; those of the agents are separate.
#[test]
fn networks_of_operators_are_checked() {
    let http = |text: &str| Start::good().set("OPERATOR_API_ALLOW", text).settings().http;
    assert_eq!(http("172.18.0.1,fd00::1").operators_from.len(), 2);
    assert!(http("172.18.0.1").agents_from.is_empty());
    assert!(Start::good().settings().http.operators_from.is_empty());
    check_mistake("OPERATOR_API_ALLOW", "runtime", "networks such as 172.18.0.0/16");
}

/// W5: the networks from which agents may call, besides this machine.
#[test]
fn networks_of_agents_are_checked() {
    let networks = |text: &str| Start::good().set("AGENT_API_ALLOW", text).settings().http.agents_from;
    assert_eq!(networks("172.18.0.0/16, fd00::/8 10.0.0.7").len(), 3);
    assert!(Start::good().settings().http.agents_from.is_empty());
    for text in ["runtime", "10.0.0.0/33", "10.0.0", "*", "10.0.0.0/8;10.1.0.0/16"] {
        check_mistake("AGENT_API_ALLOW", text, "networks such as 172.18.0.0/16");
    }
    let elsewhere = || {
        Start::good()
            .set("TASK_STATUS_BASE_URL", "http://runtime:3000")
            .set("HEALTH_HOST", "0.0.0.0")
            .set("OPENCLAW_CLIENT_TOOLS_ENABLED", "off")
    };
    let warnings = elsewhere().warnings();
    assert!(warnings.iter().any(|words| words.contains("AGENT_API_ALLOW is not set")), "{warnings:?}");
    assert!(elsewhere().set("AGENT_API_ALLOW", "172.18.0.0/16").warnings().is_empty());
}

/// Tokens are the default. Without them, only this machine may reach the agents' API.
#[test]
fn an_api_without_tokens_is_for_this_machine_only() {
    assert!(Start::good().settings().http.session_tokens);
    let without = |name: &str, value: &str| Start::good().set("AGENT_API_TOKENS", "false").set(name, value);
    for host in ["127.0.0.1", "127.0.0.2", "::1", "[::1]", "localhost"] {
        assert!(!without("HEALTH_HOST", host).settings().http.session_tokens, "{host}");
        assert_eq!(without("HEALTH_HOST", host).warnings(), Vec::<String>::new(), "{host}");
    }
    let only = "AGENT_API_TOKENS (environment) is \"false\": without tokens only this machine may call /agent/*, \
                because session keys can be guessed.";
    for host in ["0.0.0.0", "::", "10.1.2.3", "192.168.1.7", "runtime", "fd00::7"] {
        for mode in ["auto", "on", "off"] {
            let mistake = without("HEALTH_HOST", host).set("AGENT_API", mode).mistake();
            let words = format!(
                "{only} HEALTH_HOST is {host}: other machines can reach it. Set AGENT_API_TOKENS to true, or HEALTH_HOST \
                 to 127.0.0.1."
            );
            assert_eq!(mistake, words);
        }
        let _ = Start::good().set("HEALTH_HOST", host).settings();
    }
    for networks in ["172.18.0.0/16", "fd00::/8", "127.0.0.0/8,10.0.0.7", "0.0.0.0/0", "127.0.0.0/7", "::/0"]
    {
        let words =
            "AGENT_API_ALLOW names other networks. Set AGENT_API_TOKENS to true, or remove AGENT_API_ALLOW.";
        assert_eq!(without("AGENT_API_ALLOW", networks).mistake(), format!("{only} {words}"), "{networks}");
    }
    for networks in ["127.0.0.0/8", "::1", "127.0.0.7 ::1/128"] {
        assert!(!without("AGENT_API_ALLOW", networks).settings().http.session_tokens, "{networks}");
    }
    // One error is enough for one mistake.
    let both = without("HEALTH_HOST", "0.0.0.0").set("AGENT_API_ALLOW", "10.0.0.0/8").mistake();
    assert!(both.contains("HEALTH_HOST is 0.0.0.0"), "{both}");
    check_mistake("HEALTH_HOST", "300.1.1.1", "expected an IP address or a host name");
}

#[test]
fn the_tools_endpoints_are_configured() {
    let of = |text: &str| Start::good().set("AGENT_API", text).settings().http.tool_endpoints;
    assert_eq!(Start::good().settings().http.tool_endpoints, ToolEndpoints::Auto);
    let rows = [("auto", ToolEndpoints::Auto), ("ON", ToolEndpoints::On), (" off ", ToolEndpoints::Off)];
    for (text, expected) in rows {
        assert_eq!(of(text), expected, "{text}");
    }
    check_mistake("AGENT_API", "maybe", "expected auto, on or off.");
    let off = Start::good().set("AGENT_API", "off");
    assert_eq!(off.warnings(), Vec::<String>::new());
    let warnings = off.set("OPENCLAW_CLIENT_TOOLS_ENABLED", "false").warnings();
    assert_eq!(
        warnings,
        [
            "AGENT_API is off and OPENCLAW_CLIENT_TOOLS_ENABLED is false: agents cannot change the board. Set AGENT_API to auto, or OPENCLAW_CLIENT_TOOLS_ENABLED to true."
        ]
    );
}

#[test]
fn a_network_of_all_addresses_is_warned_about_where_others_reach_the_server() {
    for name in ["AGENT_API_ALLOW", "OPERATOR_API_ALLOW"] {
        for (host, network, is_warned) in [
            ("0.0.0.0", "0.0.0.0/0", true),
            ("0.0.0.0", "::/0", true),
            ("0.0.0.0", "10.0.0.0/8", false),
            ("127.0.0.1", "0.0.0.0/0", false),
        ] {
            let warnings = Start::good().set("HEALTH_HOST", host).set(name, network).warnings();
            let words = format!("{name} admits every address");
            assert_eq!(
                warnings.iter().any(|warning| warning.contains(&words)),
                is_warned,
                "{host} {network}: {warnings:?}"
            );
        }
    }
}
