//! Rollouts against simulated runtimes, each with its own fate.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::test_board::TestBoard;

/// What a runtime does with an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It comes back with the new version.
    Upgrades,
    /// It never comes back.
    Vanishes,
    /// It comes back with the old version, and says that the upgrade failed.
    Fails,
}

struct Fleet {
    board: TestBoard,
    /// Account, token, version and fate, in order.
    runtimes: Vec<(String, String, String, Fate)>,
    /// What the runtimes report.
    health: &'static str,
}

impl Fleet {
    fn new(fates: &[Fate]) -> Self {
        let board = TestBoard::new();
        board.switch("fleet_orchestration_enabled", "true");
        let runtimes = fates.iter().enumerate().map(|(at, fate)| {
            let account = board.account(&format!("team-{at}"));
            let token = board.token(&account);
            board.report((&account, &token), "online", "1.0.0", 0).unwrap();
            (account, token, "1.0.0".to_owned(), *fate)
        });
        let runtimes = runtimes.collect();
        Self { board, runtimes, health: "online" }
    }

    fn accounts(&self) -> Vec<String> {
        self.runtimes.iter().map(|(account, ..)| account.clone()).collect()
    }

    /// A minute: each runtime reads its request, acts, and reports.
    fn minute(&mut self) {
        self.board.clock.advance(60_000);
        for (account, token, version, fate) in &mut self.runtimes {
            let args = json!({"accountId": account, "serviceToken": token});
            let call = |name: &str, args: &Value| {
                self.board.call(crate::Kind::Action, &format!("service/actions:{name}"), args)
            };
            if *version == "lost" {
                continue;
            }
            let pending = call("getPendingUpgrade", &args).unwrap();
            if let Some(target) = pending["targetRuntimeVersion"].as_str() {
                match fate {
                    Fate::Upgrades => target.clone_into(version),
                    Fate::Vanishes => {
                        "lost".clone_into(version);
                        continue;
                    }
                    Fate::Fails => {
                        let result = json!({
                            "accountId": account, "serviceToken": token, "status": "failed",
                            "fromOpenclawVersion": "2026.8.2", "toOpenclawVersion": "2026.8.2",
                            "fromRuntimeVersion": version, "toRuntimeVersion": target, "error": "it did not start",
                        });
                        call("recordUpgradeResult", &result).unwrap();
                    }
                }
            }
            self.board.report((account, token), self.health, version, 0).unwrap();
        }
        self.board.engine.sweep().unwrap();
        self.board.engine.advance_rollout().unwrap();
    }

    fn upgrade(&self, accounts: Option<Vec<String>>) -> Result<Value, String> {
        let mut args = json!({"targetRuntimeVersion": "2.0.0", "timeoutMinutes": 10});
        if let Some(accounts) = accounts {
            args["accountIds"] = json!(accounts);
        }
        self.board.change("fleet:upgrade", args)
    }

    fn rollout(&self) -> Value {
        self.board.look("fleet:list", json!({}))["rollout"].clone()
    }

    /// The state of each step.
    fn steps(&self) -> Vec<String> {
        let rollout = self.rollout();
        let steps = rollout["steps"].as_array().unwrap();
        steps.iter().map(|step| step["state"].as_str().unwrap().to_owned()).collect()
    }

    fn versions(&self) -> HashMap<String, String> {
        let listed = self.board.look("fleet:list", json!({}));
        let rows = listed["accounts"].as_array().unwrap().iter();
        rows.filter_map(|row| {
            Some((row["slug"].as_str()?.to_owned(), row["runtimeVersion"].as_str()?.to_owned()))
        })
        .collect()
    }
}

#[test]
fn one_runtime_after_the_other_is_upgraded() {
    let mut fleet = Fleet::new(&[Fate::Upgrades; 3]);
    fleet.upgrade(Some(fleet.accounts())).unwrap();
    for expected in [
        ["requested", "waiting", "waiting"],
        ["done", "requested", "waiting"],
        ["done", "done", "requested"],
        ["done", "done", "done"],
    ] {
        assert_eq!(fleet.steps(), expected);
        fleet.minute();
    }
    assert_eq!(fleet.rollout()["state"], "done");
    assert!(fleet.versions().values().all(|version| version == "2.0.0"));
    // The same again has nothing to do.
    fleet.upgrade(Some(fleet.accounts())).unwrap();
    assert_eq!(
        (fleet.rollout()["state"].clone(), fleet.steps()),
        (json!("done"), vec!["current".to_owned(); 3])
    );
}

#[test]
fn a_bad_build_stops_at_the_first_runtime_that_does_not_come_back() {
    for (fate, sentence) in
        [(Fate::Vanishes, "it did not come back in time (it is offline)"), (Fate::Fails, "it did not start")]
    {
        let mut fleet = Fleet::new(&[Fate::Upgrades, fate, Fate::Upgrades, Fate::Upgrades]);
        fleet.upgrade(Some(fleet.accounts())).unwrap();
        for _ in 0..30 {
            fleet.minute();
        }
        assert_eq!(fleet.steps(), ["done", "failed", "waiting", "waiting"]);
        let rollout = fleet.rollout();
        assert_eq!(rollout["state"], "stopped");
        assert!(rollout["reason"].as_str().unwrap().contains(sentence), "{rollout}");
        let versions = fleet.versions();
        assert_eq!((versions["team-2"].as_str(), versions["team-3"].as_str()), ("1.0.0", "1.0.0"));
        // The request of the failed one is withdrawn: it does not upgrade when it returns.
        let failed = json!({"accountId": fleet.runtimes[1].0});
        assert!(fleet.board.look("runtimes:getForAccount", failed).get("pendingUpgrade").is_none());
    }
}

#[test]
fn a_rollback_takes_back_what_was_changed_the_last_one_first() {
    let mut fleet = Fleet::new(&[Fate::Upgrades, Fate::Upgrades, Fate::Fails]);
    fleet.upgrade(Some(fleet.accounts())).unwrap();
    for _ in 0..4 {
        fleet.minute();
    }
    assert_eq!(fleet.rollout()["state"], "stopped");
    fleet.board.change("fleet:rollBack", json!({})).unwrap();
    // The failed one has its old version still.
    assert_eq!(fleet.steps(), ["requested", "waiting"]);
    for _ in 0..3 {
        fleet.minute();
    }
    assert_eq!(
        (fleet.rollout()["state"].clone(), fleet.steps()),
        (json!("done"), ["done", "done"].map(str::to_owned).to_vec())
    );
    assert!(fleet.versions().values().all(|version| version == "1.0.0"));
}

#[test]
fn a_second_rollback_does_not_install_the_bad_build_again() {
    let mut fleet = Fleet::new(&[Fate::Upgrades, Fate::Upgrades]);
    fleet.upgrade(Some(fleet.accounts())).unwrap();
    for _ in 0..3 {
        fleet.minute();
    }
    // A person stops the first rollback halfway. The second one takes back the rest.
    fleet.board.change("fleet:rollBack", json!({})).unwrap();
    fleet.minute();
    fleet.board.change("fleet:cancelUpgrade", json!({})).unwrap();
    assert_eq!(fleet.versions()["team-0"], "2.0.0");
    fleet.board.clock.advance(1_000);
    fleet.board.change("fleet:rollBack", json!({})).unwrap();
    assert_eq!(fleet.steps(), ["requested"]);
    for _ in 0..2 {
        fleet.minute();
    }
    assert!(fleet.versions().values().all(|version| version == "1.0.0"));
    let refused = fleet.board.change("fleet:rollBack", json!({})).unwrap_err();
    assert!(refused.contains("nothing to roll back"), "{refused}");
    fleet.minute();
    assert!(fleet.versions().values().all(|version| version == "1.0.0"));
}

#[test]
fn a_degraded_runtime_is_rolled_back_but_not_upgraded() {
    let mut fleet = Fleet::new(&[Fate::Upgrades, Fate::Upgrades]);
    fleet.upgrade(Some(fleet.accounts())).unwrap();
    for _ in 0..3 {
        fleet.minute();
    }
    fleet.health = "degraded";
    fleet.minute();
    fleet.board.change("fleet:rollBack", json!({})).unwrap();
    for _ in 0..3 {
        fleet.minute();
    }
    assert_eq!(
        (fleet.rollout()["state"].clone(), fleet.steps()),
        (json!("done"), vec!["done".to_owned(); 2])
    );
    assert!(fleet.versions().values().all(|version| version == "1.0.0"));
    fleet.upgrade(Some(fleet.accounts())).unwrap();
    assert_eq!(fleet.steps(), ["skipped", "skipped"]);
    assert_eq!(fleet.rollout()["steps"][0]["reason"], "the runtime is degraded");
}

#[test]
fn one_rollout_runs_at_a_time_and_a_person_can_stop_it() {
    let fleet = Fleet::new(&[Fate::Upgrades, Fate::Upgrades]);
    fleet.upgrade(None).unwrap();
    // The first account has no runtime.
    assert_eq!(fleet.steps(), ["skipped", "requested", "waiting"]);
    assert!(fleet.upgrade(None).unwrap_err().contains("is running; cancel it first"));
    fleet.board.change("fleet:cancelUpgrade", json!({})).unwrap();
    assert_eq!(
        (fleet.rollout()["state"].clone(), fleet.steps()[1].clone()),
        (json!("cancelled"), "skipped".to_owned())
    );
    let first = json!({"accountId": fleet.runtimes[0].0});
    assert!(fleet.board.look("runtimes:getForAccount", first).get("pendingUpgrade").is_none());
    fleet.board.engine.advance_rollout().unwrap();
    assert_eq!(fleet.rollout()["state"], "cancelled");
}

#[test]
fn an_offline_runtime_is_skipped_and_a_removed_or_replaced_request_stops() {
    let mut fleet = Fleet::new(&[Fate::Vanishes, Fate::Upgrades]);
    let (account, token, ..) = fleet.runtimes[0].clone();
    fleet.board.report((&account, &token), "offline", "1.0.0", 0).unwrap();
    "lost".clone_into(&mut fleet.runtimes[0].2);
    fleet.upgrade(Some(fleet.accounts())).unwrap();
    assert_eq!(fleet.steps(), ["skipped", "requested"]);
    let account = json!({"accountId": fleet.runtimes[1].0});
    fleet.board.change("runtimes:clearUpgradeRequest", account.clone()).unwrap();
    fleet.board.engine.advance_rollout().unwrap();
    assert!(fleet.rollout()["reason"].as_str().unwrap().contains("withdrawn"));

    fleet.upgrade(Some(fleet.accounts())).unwrap();
    fleet.board.clock.advance(1_000);
    let mut other = account;
    other["targetRuntimeVersion"] = json!("3.0.0");
    other["strategy"] = json!("immediate");
    fleet.board.change("runtimes:requestUpgrade", other.clone()).unwrap();
    fleet.board.engine.advance_rollout().unwrap();
    assert!(fleet.rollout()["reason"].as_str().unwrap().contains("another upgrade"));
    // The other request is not ours to withdraw.
    let shown = fleet.board.look("runtimes:getForAccount", json!({"accountId": other["accountId"]}));
    assert_eq!(shown["pendingUpgrade"]["targetRuntimeVersion"], "3.0.0");
}

#[test]
fn restarts_and_upgrades_need_the_switch() {
    let fleet = Fleet::new(&[Fate::Upgrades]);
    fleet.board.switch("fleet_orchestration_enabled", "false");
    for (path, args) in [
        ("fleet:restart", json!({})),
        ("fleet:upgrade", json!({"targetRuntimeVersion": "2.0.0"})),
        ("fleet:rollBack", json!({})),
        ("fleet:cancelUpgrade", json!({})),
    ] {
        let refused = fleet.board.change(path, args).unwrap_err();
        assert!(refused.contains("fleet_orchestration_enabled is off"), "{path}: {refused}");
    }
    fleet.board.switch("fleet_orchestration_enabled", "true");
    fleet.board.change("fleet:restart", json!({"accountIds": fleet.accounts()})).unwrap();
    let listed = fleet.board.look("fleet:list", json!({}));
    let requested: Vec<bool> = listed["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row.get("restartRequestedAt").is_some())
        .collect();
    assert_eq!(requested, [false, true]);
}

#[test]
fn what_has_no_runtime_is_not_restarted_and_what_is_no_release_not_requested() {
    let fleet = Fleet::new(&[Fate::Upgrades]);
    let without = fleet.board.account("empty");
    let refused = fleet
        .board
        .change("fleet:restart", json!({"accountIds": [fleet.runtimes[0].0, without]}))
        .unwrap_err();
    assert!(refused.contains("No runtime of the account empty has ever reported"), "{refused}");
    let listed = fleet.board.look("fleet:list", json!({}));
    assert!(
        !listed.to_string().contains("restartRequestedAt"),
        "a refused request changes nothing: {listed}"
    );
    // Of all accounts, those with a runtime are meant.
    let restarts = fleet.board.change("fleet:restart", json!({})).unwrap();
    assert_eq!(restarts["restarts"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&restarts["restarts"][0]["slug"], &restarts["restarts"][0]["status"]),
        (&json!("team-0"), &json!("online"))
    );
    for version in ["banana", "", "1 2", "../1"] {
        let args = json!({"accountIds": fleet.accounts(), "targetRuntimeVersion": version});
        let refused = fleet.board.change("fleet:upgrade", args).unwrap_err();
        assert!(refused.contains("expected a release such as 1.4.0"), "{version}: {refused}");
    }
}
