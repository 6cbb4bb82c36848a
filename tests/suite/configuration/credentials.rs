//! The account and its token (§1.3).

use super::{ACCOUNT, Start, TOKEN, check_mistake};

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
