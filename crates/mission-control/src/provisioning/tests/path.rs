//! The path of a request: every state, who may press what, and what accounts, runtimes and logs show.

use std::sync::Barrier;

use serde_json::json;

use super::super::OnTimeout;
use super::book::{Fate, Scene};
use crate::Options;
use crate::engine::Engine;
use crate::test_board::{TestBoard, TestClock};

const MINUTE: i64 = 60_000;

/// An account with a machine that boots.
fn booting() -> (Scene, String) {
    let scene = Scene::new();
    let account = scene.board.account("acme");
    scene.request(&account).unwrap();
    assert!(scene.pass());
    assert_eq!(scene.state(&account), "booting");
    (scene, account)
}

#[test]
fn a_request_goes_through_its_states_to_online_and_a_destruction_to_gone() {
    let scene = Scene::new();
    let account = scene.board.account("acme");
    let status = |account: &str| {
        scene.board.look("accounts:get", json!({"accountId": account}))["runtimeStatus"].clone()
    };
    assert_eq!((scene.state(&account), status(&account)), ("none".to_owned(), json!("offline")));

    assert_eq!(scene.request(&account).unwrap()["state"], "requested");
    assert_eq!(status(&account), "provisioning");
    scene.provider.book().fates = vec![Fate::Fails];
    assert!(scene.pass());
    let shown = scene.status(&account);
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("creating"), &json!("the provider is busy")));
    // A failed call rests before it is repeated.
    scene.pass();
    assert_eq!(scene.provider.book().calls.len(), 1);
    scene.board.clock.advance(5_000);
    scene.pass();
    assert_eq!(scene.state(&account), "booting");

    let token = scene.boot(&account).unwrap();
    assert_eq!((scene.state(&account), status(&account)), ("reporting".to_owned(), json!("provisioning")));
    scene.board.report((&account, &token), "online", "1.0.0", 0).unwrap();
    assert_eq!((scene.state(&account), status(&account)), ("online".to_owned(), json!("online")));
    let runtime = scene.board.look("runtimes:getForAccount", json!({"accountId": account}));
    assert_eq!(
        (&runtime["provider"], &runtime["runtimeServiceVersion"]),
        (&json!("digitalocean"), &json!("1.0.0"))
    );

    // Pressed twice, destroy is one destruction.
    scene.press("destroy", &account).unwrap();
    assert_eq!(scene.press("destroy", &account).unwrap()["state"], "destroying");
    scene.pass();
    assert_eq!((scene.state(&account), status(&account)), ("gone".to_owned(), json!("offline")));
    assert!(scene.provider.book().machines.is_empty());
    // The machine's service token has ended with it.
    let refused = scene.board.report((&account, &token), "online", "1.0.0", 0).unwrap_err();
    assert!(refused.contains("no service token"), "{refused}");
    let ours: Vec<String> = scene
        .board
        .happened(&account)
        .into_iter()
        .filter(|kind| {
            kind.starts_with("runtime_p") || kind.starts_with("runtime_d") || kind == "secret_updated"
        })
        .collect();
    let expected =
        ["runtime_provision_requested", "secret_updated", "runtime_provisioned", "runtime_destroyed"];
    assert_eq!(ours, expected);
    assert!(
        scene.board.happened(&scene.board.first).contains(&"secret_updated".to_owned()),
        "the provider's token"
    );
    // A new request takes a new row.
    scene.request(&account).unwrap();
    assert_eq!(scene.state(&account), "requested");
}

#[test]
fn the_record_of_the_runtime_has_the_facts_of_the_machine() {
    let (scene, account) = booting();
    let machine = scene.machine(&account);
    let runtime = scene.board.look("runtimes:getForAccount", json!({"accountId": account}));
    assert_eq!(
        json!([
            runtime["provider"],
            runtime["providerId"],
            runtime["ipAddress"],
            runtime["region"],
            runtime["status"]
        ]),
        json!([
            "digitalocean",
            format!("id-{account}-1"),
            machine.address.to_string(),
            "fra1",
            "provisioning"
        ])
    );
}

/// `when` is the state in which a person presses it.
#[test]
fn each_button_works_in_its_states_only() {
    // state, cancel, retry, destroy, rotateToken
    let rows = [
        ("none", false, false, false, false),
        ("requested", true, false, true, false),
        ("booting", true, false, true, true),
        ("reporting", true, false, true, true),
        ("online", false, false, true, true),
        ("error", true, true, true, true),
        ("gone", false, false, false, false),
    ];
    for (state, cancel, retry, destroy, rotate) in rows {
        for (button, works) in
            [("cancel", cancel), ("retry", retry), ("destroy", destroy), ("rotateToken", rotate)]
        {
            let scene = Scene::new();
            let account = scene.board.account("acme");
            if state != "none" {
                scene.request(&account).unwrap();
            }
            if !["none", "requested"].contains(&state) {
                scene.pass();
            }
            if ["reporting", "online"].contains(&state) {
                let token = scene.boot(&account).unwrap();
                if state == "online" {
                    scene.board.report((&account, &token), "online", "1.0.0", 0).unwrap();
                }
            } else if state == "error" {
                scene.board.clock.advance(15 * MINUTE);
                scene.pass();
            } else if state == "gone" {
                scene.press("destroy", &account).unwrap();
                scene.pass();
            }
            assert_eq!(scene.state(&account), state);
            let pressed = scene.press(button, &account);
            assert_eq!(pressed.is_ok(), works, "{button} in {state}: {pressed:?}");
        }
    }
}

#[test]
fn a_request_is_refused_with_its_reason() {
    let scene = Scene::new();
    let board = &scene.board;
    let account = board.account("acme");
    let refused = |account: &str| scene.request(account).unwrap_err();
    board.switch("runtime_provisioning_enabled", "false");
    assert!(refused(&account).contains("the switch runtime_provisioning_enabled is off"));
    board.switch("runtime_provisioning_enabled", "true");
    let token = board.token(&account);
    board.report((&account, &token), "online", "1.0.0", 0).unwrap();
    assert!(refused(&account).contains("A runtime of this account reports already"));
    board.report((&account, &token), "offline", "1.0.0", 0).unwrap();
    scene.request(&account).unwrap();
    assert!(refused(&account).contains("has a machine already (state requested)"));
    let bad = json!({"accountId": board.first, "provider": "digitalocean", "region": "a b", "size": "s", "image": "i"});
    assert!(board.change("provisioning:request", bad).unwrap_err().contains("Invalid region"));
    let fly = json!({"accountId": board.first, "provider": "fly", "region": "a", "size": "s", "image": "i"});
    assert!(board.change("provisioning:request", fly).unwrap_err().contains("cannot create machines at fly"));
    // A member who is no administrator.
    let member = board.engine.read_table("memberships").unwrap();
    let member = member.into_iter().find(|row| row["accountId"] == *board.first).unwrap();
    board.engine.write_row("memberships", json!({"_id": member["_id"], "role": "member"})).unwrap();
    assert!(refused(&board.first).contains("Admin or owner role required"));
}

#[test]
fn two_administrators_who_press_at_once_get_one_machine() {
    let scene = Scene::new();
    let account = scene.board.account("acme");
    let (barrier, board) = (Barrier::new(8), &scene.board);
    let args = json!({
        "accountId": account, "provider": "digitalocean", "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian",
    });
    let (args, barrier) = (&args, &barrier);
    let accepted = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(move || {
                    barrier.wait();
                    board.change("provisioning:request", args.clone()).is_ok()
                })
            })
            .collect();
        threads.into_iter().filter(|_| true).map(|thread| thread.join().unwrap()).filter(|ok| *ok).count()
    });
    scene.pass();
    assert_eq!((accepted, scene.provider.book().created), (1, 1));
}

#[test]
fn a_machine_whose_account_is_removed_is_destroyed() {
    for provider_is_slow in [false, true] {
        let (scene, account) = booting();
        let machine = scene.machine(&account);
        if provider_is_slow {
            scene.provider.book().fates = vec![Fate::LosesAnswer, Fate::Fails];
        }
        let remove =
            |slug: &str| scene.board.change("accounts:remove", json!({"accountId": account, "slug": slug}));
        assert!(remove("first").unwrap_err().contains("not the slug"));
        remove("acme").unwrap();
        // Its token is worth nothing from now on.
        assert!(scene.bootstrap(&machine.token, machine.address).is_err());
        let orphans =
            |scene: &Scene| scene.board.look("fleet:list", json!({}))["machinesWithoutAccount"].clone();
        assert_eq!(orphans(&scene)[0]["state"], "destroying");
        for _ in 0..3 {
            scene.pass();
            scene.board.clock.advance(3 * MINUTE);
        }
        assert!(scene.provider.book().machines.is_empty());
        assert_eq!(orphans(&scene), json!([]));
    }
    let scene = Scene::new();
    let first = json!({"accountId": scene.board.first, "slug": "first"});
    assert!(scene.board.change("accounts:remove", first).unwrap_err().contains("first account"));
}

#[test]
fn a_cancelled_request_without_a_call_is_gone_without_one() {
    let scene = Scene::new();
    let account = scene.board.account("acme");
    scene.request(&account).unwrap();
    scene.press("cancel", &account).unwrap();
    scene.pass();
    assert_eq!(scene.state(&account), "gone");
    assert!(scene.provider.book().calls.is_empty());
    assert!(!scene.board.happened(&account).contains(&"runtime_destroyed".to_owned()));
}

#[test]
fn a_machine_that_does_not_report_in_time_is_kept_or_destroyed_as_configured() {
    for (on_timeout, states) in
        [(OnTimeout::Keep, ["error", "error"]), (OnTimeout::Destroy, ["destroying", "gone"])]
    {
        for fetches in [false, true] {
            let scene = Scene::with(on_timeout);
            let account = scene.board.account("acme");
            scene.request(&account).unwrap();
            scene.pass();
            let token = fetches.then(|| scene.boot(&account).unwrap());
            scene.board.clock.advance(15 * MINUTE);
            for state in states {
                scene.pass();
                assert_eq!(scene.state(&account), state, "{on_timeout:?}");
            }
            let is_kept = on_timeout == OnTimeout::Keep;
            assert_eq!(scene.provider.book().machines.len(), usize::from(is_kept));
            assert!(scene.board.happened(&account).contains(&"runtime_provision_failed".to_owned()));
            if !is_kept {
                continue;
            }
            let step = if fetches { "reporting" } else { "booting" };
            assert_eq!(scene.status(&account)["step"], step);
            // A late report is welcome.
            if let Some(token) = token {
                scene.board.report((&account, &token), "online", "1.0.0", 0).unwrap();
                assert_eq!(scene.state(&account), "online");
            }
        }
    }
}

#[test]
fn a_retry_replaces_the_machine_and_never_has_two() {
    let (scene, account) = booting();
    scene.board.clock.advance(15 * MINUTE);
    scene.pass();
    assert_eq!(scene.state(&account), "error");
    let first = scene.machine(&account);
    scene.press("retry", &account).unwrap();
    assert!(scene.bootstrap(&first.token, first.address).is_err());
    for expected in ["requested", "booting"] {
        scene.pass();
        assert_eq!(scene.state(&account), expected);
    }
    let second = scene.machine(&account);
    assert_ne!(first.token, second.token);
    assert_eq!((scene.status(&account)["attempt"].clone(), scene.provider.book().most), (json!(2.0), 1));
    let token = scene.boot(&account).unwrap();
    scene.board.report((&account, &token), "online", "1.0.0", 0).unwrap();
    assert_eq!(scene.state(&account), "online");
}

#[test]
fn a_machine_that_vanishes_while_it_boots_is_an_error() {
    let (scene, account) = booting();
    scene.provider.book().machines.clear();
    scene.board.clock.advance(MINUTE);
    scene.pass();
    assert_eq!(scene.state(&account), "booting", "lists may lag");
    scene.board.clock.advance(2 * MINUTE);
    scene.pass();
    let shown = scene.status(&account);
    assert_eq!((&shown["state"], &shown["step"]), (&json!("error"), &json!("booting")));
}

/// The runtime's clock decides nothing, and a jump of the server's own clock ends in a named state.
#[test]
fn a_clock_that_is_an_hour_off_leaves_no_request_without_a_state() {
    for off in [-60 * MINUTE, 60 * MINUTE] {
        let (scene, account) = booting();
        let token = scene.boot(&account).unwrap();
        scene.board.report((&account, &token), "online", "1.0.0", off).unwrap();
        assert_eq!(scene.state(&account), "online");

        let (scene, account) = booting();
        scene.board.clock.advance(off);
        scene.pass();
        let booted = scene.boot(&account);
        assert_eq!(booted.is_ok(), off < 0, "a token is too old after an hour");
        assert_eq!(scene.state(&account), if off < 0 { "reporting" } else { "error" });
    }
}

#[test]
fn a_switched_off_backend_makes_no_call() {
    let scene = Scene::new();
    let account = scene.board.account("acme");
    scene.request(&account).unwrap();
    scene.board.switch("runtime_provisioning_enabled", "false");
    scene.pass();
    assert_eq!((scene.state(&account), scene.provider.book().calls.len()), ("requested".to_owned(), 0));
    scene.board.switch("runtime_provisioning_enabled", "true");
    scene.pass();
    assert_eq!(scene.state(&account), "booting");
}

#[test]
fn a_copy_of_the_data_provides_no_machines_until_a_person_says_so() {
    let (scene, _) = booting();
    let copy = scene.board.engine.export().unwrap();
    let engine = Engine::in_memory(Box::new(TestClock::default()), Options::default()).unwrap();
    engine.import(&copy).unwrap();
    assert_eq!(engine.read_table("provisions").unwrap().len(), 1);
    assert_eq!(engine.read_table("systemConfig").unwrap()[0]["value"], "false");
}

#[test]
fn a_new_master_key_opens_the_tokens_of_machines_and_providers() {
    use crate::{MasterKey, Vault};
    let clock = TestClock::default();
    let board =
        TestBoard::with(Engine::in_memory(Box::new(clock.clone()), Options::default()).unwrap(), clock);
    board
        .change(
            "provisioning:setProviderToken",
            json!({"provider": "digitalocean", "key": "dop_v1_0123456789"}),
        )
        .unwrap();
    let old = board.engine.sealed_with().unwrap();
    let mut engine = std::sync::Arc::into_inner(board.engine).unwrap();
    let next = Vault::new(&MasterKey::from_file(&[8; 32]).unwrap());
    let id = next.key_id().to_owned();
    assert_eq!(engine.rotate(next).unwrap(), 1);
    assert!(engine.sealed_with().unwrap().into_iter().eq([id.clone()]));
    assert!(!old.contains(&id));
}
