//! The account and its token (§1.3).

use super::{ACCOUNT, Start, TOKEN, check_mistake};

/// §1.3.1: all missing variables are named together.
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

/// §1.3.2–4, and tokens that the backend would refuse (contract §1.3: 512 characters).
#[test]
fn an_invalid_token_is_refused_in_the_words_of_the_contract() {
    let prefix = "SERVICE_TOKEN (environment) is ***: invalid format. Expected a token starting with mc_service_ as the dashboard issues it.";
    let structure =
        "SERVICE_TOKEN (environment) is ***: invalid structure. Expected mc_service_{accountId}_{secret}.";
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
        &format!(
            "SERVICE_TOKEN (environment) is ***: account mismatch. Token is for other, but ACCOUNT_ID is {ACCOUNT}."
        ),
    );
    // A text that may be part of a secret is not shown as an account id.
    for token in ["mc_service_Zm9vYmFyQmF6UXV4Cg1_x", "mc_service_twice_twice"] {
        check_mistake("SERVICE_TOKEN", token, "Token is for another account, but ACCOUNT_ID is k57");
    }
    check_mistake("SERVICE_TOKEN", &format!("{TOKEN}{}", "x".repeat(512)), "at most 512 are allowed");
    check_mistake("SERVICE_TOKEN", &format!("{TOKEN} x"), "character 57 is a blank;");
    check_mistake("SERVICE_TOKEN", &format!("{TOKEN}\nx"), "character 57 is a control character;");
    check_mistake("SERVICE_TOKEN", &format!("{TOKEN}ü"), "character 57 is not ASCII;");
    let token = format!("{TOKEN}_with_under_scores");
    assert_eq!(Start::good().set("SERVICE_TOKEN", &token).settings().account.service_token.expose(), token);
    let longest = format!("{TOKEN}{}", "x".repeat(512 - TOKEN.len()));
    Start::good().set("SERVICE_TOKEN", &longest).settings();
}

/// The placeholders of the README and of other examples.
#[test]
fn a_placeholder_is_reported_as_one() {
    for (name, value) in [
        ("ACCOUNT_ID", "…"),
        ("SERVICE_TOKEN", "mc_service_…"),
        ("CONVEX_URL", "https://….convex.cloud"),
        ("HEALTH_PORT", "…"),
    ] {
        check_mistake(name, value, "it still contains the placeholder \"…\" of an example");
    }
    // The comment is not the cause of the mistake.
    let copied = Start::good().unset("ACCOUNT_ID").file("ACCOUNT_ID=…        # the account's id\n").mistake();
    assert!(
        copied.contains("(test.env, line 1)") && copied.contains("still contains the placeholder"),
        "{copied}"
    );
}

/// Secrets that the redaction cannot hide reliably, and the token that the TypeScript runtime generated.
#[test]
fn weak_secrets_are_warned() {
    let gateway = |token| Start::good().set("OPENCLAW_GATEWAY_TOKEN", token).warnings();
    assert!(gateway("8-letter").is_empty());
    let tail = "too short to be hidden reliably in logs; use a longer one.";
    assert_eq!(gateway("7-lette"), [format!("OPENCLAW_GATEWAY_TOKEN has 7 characters: {tail}")]);
    assert_eq!(gateway("x"), [format!("OPENCLAW_GATEWAY_TOKEN has 1 character: {tail}")]);
    let former = gateway("local");
    assert!(former.len() == 1 && former[0].contains("Remove it if the gateway has none."), "{former:?}");
    let short = Start::good().set("SERVICE_TOKEN", &format!("mc_service_{ACCOUNT}_a_b")).warnings();
    assert_eq!(short, [format!("The secret part of SERVICE_TOKEN has 3 characters: {tail}")]);
}

/// §1.3.4: "An account id containing `_` can never match."
#[test]
fn an_account_id_that_can_never_match_is_refused() {
    check_mistake("ACCOUNT_ID", "acc_1", "no service token can match this one");
    check_mistake("ACCOUNT_ID", "acc 1", "character 4 is a blank;");
    check_mistake("ACCOUNT_ID", "acc\u{7}1", "character 4 is a control character;");
    let pasted = Start::good().set("ACCOUNT_ID", TOKEN).mistake();
    assert!(pasted.contains("this is a service token") && !pasted.contains("s3cr3t"), "{pasted}");
}
