//! The one-time token: once, for 15 minutes, from the machine's own address. And where secrets do not appear.

use serde_json::json;

use super::super::BootstrapRefusal;
use super::book::{Fate, PROVIDER_TOKEN, Scene};

const MINUTE: i64 = 60_000;

fn booting() -> (Scene, String) {
    let scene = Scene::new();
    let account = scene.board.account("acme");
    scene.request(&account).unwrap();
    assert!(scene.pass());
    (scene, account)
}

#[test]
fn a_token_is_exchanged_once_for_the_environment_of_a_runtime() {
    let (scene, account) = booting();
    let machine = scene.machine(&account);
    let got = scene.bootstrap(&machine.token, machine.address).unwrap();
    let environment = got["environment"].as_object().unwrap();
    let mut names: Vec<_> = environment.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "ACCOUNT_ID",
            "CONVEX_URL",
            "DROPLET_ID",
            "DROPLET_IP",
            "DROPLET_REGION",
            "OPENCLAW_GATEWAY_TOKEN",
            "SERVICE_TOKEN"
        ]
    );
    assert_eq!(environment["ACCOUNT_ID"], json!(account));
    assert_eq!(environment["CONVEX_URL"], "https://control.example.com");
    let token = environment["SERVICE_TOKEN"].as_str().unwrap();
    scene.board.report((&account, token), "online", "1.0.0", 0).unwrap();
    let again = scene.bootstrap(&machine.token, machine.address);
    assert!(matches!(again, Err(BootstrapRefusal::Refused)), "{again:?}");
    // The token of the second, refused exchange changed nothing.
    scene.board.report((&account, token), "online", "1.0.0", 0).unwrap();
}

#[test]
fn a_token_that_is_late_foreign_or_from_elsewhere_gets_nothing() {
    let (scene, account) = booting();
    let machine = scene.machine(&account);
    for from in ["203.0.113.200", "127.0.0.1", "::1", "2001:db8::1"] {
        let refused = scene.bootstrap(&machine.token, from.parse().unwrap());
        assert!(matches!(refused, Err(BootstrapRefusal::Refused)), "{from}");
    }
    for token in [
        "",
        "mc_bootstrap_",
        &machine.token.to_uppercase(),
        &format!("{} ", machine.token),
        &"x".repeat(100_000),
    ] {
        assert!(matches!(scene.bootstrap(token, machine.address), Err(BootstrapRefusal::Refused)));
    }
    scene.board.clock.advance(15 * MINUTE + 1);
    assert!(matches!(scene.boot(&account), Err(BootstrapRefusal::Refused)));
    // The switch stops the exchange as well.
    let (scene, account) = booting();
    scene.board.switch("runtime_provisioning_enabled", "false");
    assert!(matches!(scene.boot(&account), Err(BootstrapRefusal::Refused)));
    scene.board.switch("runtime_provisioning_enabled", "true");
    scene.board.clock.advance(15 * MINUTE);
    assert!(scene.boot(&account).is_ok(), "the last moment");
}

#[test]
fn a_machine_without_a_known_address_is_asked_to_wait() {
    let scene = Scene::new();
    let account = scene.board.account("acme");
    scene.provider.book().hides_addresses = true;
    scene.request(&account).unwrap();
    scene.pass();
    assert!(matches!(scene.boot(&account), Err(BootstrapRefusal::NotYet)));
    scene.provider.book().hides_addresses = false;
    scene.board.clock.advance(15_000);
    scene.pass();
    assert!(scene.boot(&account).is_ok());
}

#[test]
fn a_hundred_thousand_guesses_get_nothing_and_write_nothing() {
    let (scene, account) = booting();
    let from = scene.machine(&account).address;
    let changes = scene.board.engine.changes();
    for guess in 0..100_000_u32 {
        let token = format!("mc_bootstrap_{guess:064x}");
        assert!(matches!(scene.bootstrap(&token, from), Err(BootstrapRefusal::Refused)));
    }
    assert_eq!(scene.board.engine.changes(), changes);
    assert!(scene.boot(&account).is_ok(), "the right one still works");
}

#[test]
fn a_rotated_token_gives_the_machine_a_new_service_token_and_ends_the_old_one() {
    let (scene, account) = booting();
    let old = scene.boot(&account).unwrap();
    scene.board.report((&account, &old), "online", "1.0.0", 0).unwrap();
    let issued = scene.press("rotateToken", &account).unwrap();
    let token = issued["token"].as_str().unwrap();
    // Until the machine takes it, the old service token is valid.
    scene.board.report((&account, &old), "online", "1.0.0", 0).unwrap();
    let machine = scene.machine(&account);
    let got = scene.bootstrap(token, machine.address).unwrap();
    let new = got["environment"]["SERVICE_TOKEN"].as_str().unwrap();
    assert!(scene.board.report((&account, &old), "online", "1.0.0", 0).is_err());
    scene.board.report((&account, new), "online", "1.0.0", 0).unwrap();
    assert_eq!(scene.state(&account), "online");
    assert!(scene.bootstrap(token, machine.address).is_err());
}

/// Everything that people and copies can see, with every secret as a canary.
#[test]
fn no_secret_of_a_machine_appears_where_people_look() {
    let scene = Scene::new();
    let account = scene.board.account("acme");
    let look = |canaries: &[String]| {
        let board = &scene.board;
        let args = json!({"accountId": account});
        let shown = [
            board.engine.export().unwrap(),
            board.look("fleet:list", json!({})),
            board.look("provisioning:status", args.clone()),
            board.look("provisioning:listProviderTokens", json!({})),
            board.look("activities:list", args.clone()),
            board.look("accounts:get", args.clone()),
            board.look("runtimes:getForAccount", args),
        ];
        for text in shown.map(|value| value.to_string()) {
            for canary in canaries {
                assert!(!text.contains(canary.as_str()), "{canary} in {text}");
            }
        }
    };
    let mut canaries = vec![PROVIDER_TOKEN.to_owned()];
    scene.provider.book().fates = vec![Fate::Echoes];
    scene.request(&account).unwrap();
    scene.pass();
    canaries.push(scene.provider.book().echoed.clone());
    assert!(canaries[1].len() > 60 && scene.state(&account) == "error");
    look(&canaries);
    scene.press("destroy", &account).unwrap();
    scene.pass();
    scene.request(&account).unwrap();
    look(&canaries);
    scene.pass();
    canaries.push(scene.machine(&account).token);
    look(&canaries);
    let token = scene.boot(&account).unwrap();
    canaries.push(token.clone());
    scene.board.report((&account, &token), "online", "1.0.0", 0).unwrap();
    look(&canaries);
    let view = scene.status(&account).to_string();
    assert!(!view.contains("ash") && !view.contains("ciphertext"), "{view}");
    scene.press("destroy", &account).unwrap();
    scene.pass();
    look(&canaries);
}
