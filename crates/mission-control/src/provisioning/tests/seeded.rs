//! Seeded runs: people press, machines boot, calls fail and the process ends, at any step. The provider's book is the oracle.

use super::super::STATES;
use super::book::{Fate, Scene};
use serde_json::json;

/// Runs in the suite.
const SEEDS: u64 = 300;

/// Random numbers from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) % limit as u64).expect("below the limit")
    }
}

/// What must hold at any time.
fn check(scene: &Scene, seed: u64) {
    assert!(scene.provider.book().most <= 1, "seed {seed}: two machines at once");
    let rows = scene.board.engine.read_table("provisions").unwrap();
    for row in &rows {
        let state = row["state"].as_str().unwrap();
        assert!(STATES.contains(&state), "seed {seed}: {state}");
        assert!(state != "error" || row["reason"].is_string(), "seed {seed}: an error without its reason");
    }
    // Each machine that exists has a row that will end it or keep it.
    for name in scene.provider.book().machines.keys() {
        let (account, attempt) = name.rsplit_once('-').unwrap();
        let attempt: f64 = attempt.parse().unwrap();
        let has_row = rows
            .iter()
            .any(|row| row["accountId"] == account && row["attempt"] == attempt && row["state"] != "gone");
        assert!(has_row, "seed {seed}: the machine {name} has no row");
    }
}

fn run(seed: u64) -> usize {
    let mut dice = Dice(seed);
    let scene = Scene::new();
    let mut accounts: Vec<String> = (0..3).map(|at| scene.board.account(&format!("a{at}"))).collect();
    let mut deaths = 0;
    for _ in 0..60 {
        let account = accounts[dice.below(accounts.len())].clone();
        match dice.below(12) {
            0 | 1 => drop(scene.request(&account)),
            2 => drop(scene.press("cancel", &account)),
            3 => drop(scene.press("retry", &account)),
            4 => drop(scene.press("destroy", &account)),
            5 => scene.board.clock.advance(i64::try_from(dice.below(20 * 60_000)).unwrap()),
            6 if ["booting", "online"].contains(&scene.state(&account).as_str()) => {
                if let Ok(token) = scene.boot(&account)
                    && dice.below(3) > 0
                {
                    drop(scene.board.report((&account, &token), "online", "1.0.0", 0));
                }
            }
            7 if dice.below(4) == 0 && accounts.len() > 1 => {
                let at = accounts.iter().position(|other| *other == account).unwrap();
                let slug = scene.board.look("accounts:get", json!({"accountId": account}))["slug"].clone();
                scene.board.change("accounts:remove", json!({"accountId": account, "slug": slug})).unwrap();
                accounts.remove(at);
            }
            _ => {
                let fate = Fate::ALL[dice.below(Fate::ALL.len())];
                scene.provider.book().fates.insert(0, fate);
                scene.board.clock.advance(i64::try_from(dice.below(30_000)).unwrap());
                deaths += usize::from(!scene.pass());
            }
        }
        check(&scene, seed);
    }
    // At last everything works, and everybody wants an end.
    scene.provider.book().fates.clear();
    for account in &accounts {
        let _ = scene.press("destroy", account);
    }
    for _ in 0..6 {
        scene.board.clock.advance(3 * 60_000);
        assert!(scene.pass());
        for account in &accounts {
            // A destruction that a provider refused needs a person.
            let _ = scene.press("destroy", account);
        }
        destroy_orphans(&scene);
    }
    assert!(scene.provider.book().machines.is_empty(), "seed {seed}: an orphan");
    for row in scene.board.engine.read_table("provisions").unwrap() {
        assert_eq!(row["state"], "gone", "seed {seed}: {row}");
    }
    deaths
}

/// A machine whose account was removed, and whose destruction was refused, is destroyed by its own id.
fn destroy_orphans(scene: &Scene) {
    let listed = scene.board.look("fleet:list", json!({}));
    for machine in listed["machinesWithoutAccount"].as_array().unwrap() {
        scene.board.change("provisioning:destroyOrphan", json!({"provisionId": machine["_id"]})).unwrap();
    }
}

#[test]
fn no_crash_leaves_two_machines_an_orphan_or_a_request_without_a_state() {
    let deaths: usize = (0..SEEDS).map(run).sum();
    assert!(deaths > 500, "only {deaths} crashes: the runs prove little");
}

/// Long runs for the nightly build.
#[test]
#[ignore = "takes minutes; `make test-provisioning` runs it"]
fn two_thousand_seeds_of_provisioning() {
    let deaths: usize = (10_000..12_000).map(run).sum();
    assert!(deaths > 3_000, "only {deaths} crashes: the runs prove little");
}
