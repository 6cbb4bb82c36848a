//! The runtime reports, goes silent, restarts and upgrades (backend-contract §2.1–2.3, §7).

use mission_control_runtime::local::Options;
use serde_json::{Value, json};

use super::board::Board;
use super::seeds::refusal;
use super::team::Team;

/// The initial time of every board.
const START: f64 = 1_765_526_400_000.0;

fn report(board: &Board, status: &str, config: Option<Value>) {
    let mut args = json!({"status": status});
    if let Some(config) = config {
        args["config"] = config;
    }
    assert_eq!(board.service("updateRuntimeStatus", args).unwrap(), json!({"success": true}));
}

/// The report of a runtime with these versions at this time.
fn runs(openclaw: &str, own: &str, at: f64) -> Value {
    json!({
        "dropletId": "d1", "ipAddress": "10.0.0.1", "region": "fra1", "lastHealthCheck": at,
        "openclawVersion": openclaw, "runtimeServiceVersion": own,
    })
}

fn runtime(board: &Board) -> Value {
    board.look("runtimes:getForAccount", json!({})).unwrap()
}

fn pending(board: &Board) -> Value {
    board.service("getPendingUpgrade", json!({})).unwrap()
}

#[test]
fn people_are_notified_when_the_runtime_goes_offline_and_returns() {
    // §2.1: status before, status after, the notification.
    let (gone, back) = ("Runtime is offline", "Runtime is online");
    let states = ["provisioning", "online", "degraded", "offline", "error"];
    for before in states {
        for after in states {
            let board = Board::new();
            board.member("user_eve", "Eve", "eve@example.com");
            board.member("user_eve", "Eve again", "eve@example.com");
            // Regardless of people's preferences.
            board.set(json!({"notificationPreferences": {
                "taskUpdates": false, "agentActivity": false, "emailDigest": false, "memberUpdates": false,
            }}));
            board.edit("accounts", &board.account, json!({"runtimeStatus": before}));
            report(&board, after, None);
            let expected = match (before, after) {
                ("online" | "degraded", "offline") => Some(gone),
                ("offline" | "error" | "provisioning", "online") => Some(back),
                _ => None,
            };
            let expected: Vec<String> =
                expected.iter().map(|title| format!("status_change: {title}")).collect();
            for who in ["user_dana", "user_eve"] {
                assert_eq!(board.notifications_of(who), expected, "{before} → {after}");
            }
            let happened = &board.look("activities:list", json!({"limit": 1})).unwrap()[0];
            if before == after {
                assert_eq!(happened["type"], "account_created", "{before} → {after}");
            } else {
                assert_eq!(happened["type"], "runtime_status_changed");
                assert_eq!(
                    (&happened["actorId"], &happened["actorName"]),
                    (&json!("system"), &json!("System"))
                );
                assert_eq!(happened["meta"], json!({"oldStatus": before, "newStatus": after}));
            }
            if let Some(row) = board.rows("notifications").first() {
                let word = if after == "online" { "is back online" } else { "went offline" };
                assert_eq!(row["body"], format!("Mission Control runtime for \"Acme\" {word}."));
                assert_eq!((row.get("taskId"), row.get("messageId")), (None, None));
            }
        }
    }
}

#[test]
fn an_offline_runtime_sets_all_agents_offline() {
    // On every report, even if it was offline before.
    let team = Team::new();
    let board = &team.board;
    let task = team.task("in_progress", &[&team.ada]);
    board.edit("agents", &team.ada, json!({"status": "busy", "currentTaskId": task}));
    let at_work = board.notification(&team.ada, json!({"readAt": 5.0}));
    let failed = board.notification(&team.ada, json!({"readAt": 5.0, "deliveryEndedAt": 6.0}));
    let delivered = board.notification(&team.ada, json!({"readAt": 5.0, "deliveredAt": 6.0}));
    let read = board.notification("user_dana", json!({"recipientType": "user", "readAt": 5.0}));
    report(board, "offline", None);
    for agent in board.rows("agents") {
        assert_eq!((&agent["status"], agent.get("currentTaskId")), (&json!("offline"), None));
    }
    // §5.1: read, ended.
    let rows =
        [(at_work, false, false), (failed, false, true), (delivered, true, false), (read, true, false)];
    for (id, is_read, ended) in rows {
        let row = board.row("notifications", &id);
        assert_eq!(row.get("readAt").is_some(), is_read, "{row}");
        assert_eq!(row.get("deliveryEndedAt").is_some(), ended, "{row}");
    }
    let kinds: Vec<Value> = board.rows("activities").into_iter().map(|mut row| row["type"].take()).collect();
    assert_eq!(kinds, ["account_created"], "no activity about the agents");
}

#[test]
fn at_most_500_typing_indicators_are_cleared() {
    let team = Team::new();
    for _ in 0..501 {
        team.board.notification(&team.ada, json!({"readAt": 5.0}));
    }
    report(&team.board, "offline", None);
    let rows = team.board.rows("notifications");
    let still: Vec<usize> = (0..501).filter(|at| rows[*at].get("readAt").is_some()).collect();
    assert_eq!(still, [500], "the oldest first");
}

#[test]
fn a_report_keeps_absent_values_unless_the_original_is_requested() {
    // D10.
    for original in [false, true] {
        let board = Board::with(Options { original, ..Options::default() });
        let mut first = runs("1", "1", START);
        first["lastUpgradeAt"] = json!(7);
        first["lastUpgradeStatus"] = json!("failed");
        report(&board, "online", Some(first));
        report(&board, "online", Some(json!({"dropletId": "d2", "ipAddress": "unknown"})));
        let mut expected = json!({"dropletId": "d2", "ipAddress": "unknown"});
        if !original {
            let mut kept = runs("1", "1", START);
            kept["lastUpgradeAt"] = json!(7.0);
            kept["lastUpgradeStatus"] = json!("failed");
            kept.as_object_mut().unwrap().extend(expected.as_object().unwrap().clone());
            expected = kept;
        }
        assert_eq!(runtime(&board)["runtimeConfig"], expected, "original: {original}");
        report(&board, "offline", None);
        assert_eq!(runtime(&board)["runtimeConfig"], expected, "a shutdown reports no configuration");
    }
}

#[test]
fn the_record_follows_the_reports() {
    // §3.9.
    let board = Board::new();
    assert_eq!(runtime(&board), json!({"runtimeStatus": "offline"}));
    report(&board, "provisioning", None);
    let row = runtime(&board);
    for (field, expected) in [("provider", "digitalocean"), ("providerId", ""), ("dockerImageTag", "latest")]
    {
        assert_eq!(row[field], expected, "{field}");
    }
    report(&board, "online", Some(runs("2026.2.1", "1.2.1", START)));
    let row = runtime(&board);
    let expected = [
        ("providerId", json!("d1")),
        ("ipAddress", json!("10.0.0.1")),
        ("region", json!("fra1")),
        ("openclawVersion", json!("2026.2.1")),
        ("runtimeServiceVersion", json!("1.2.1")),
        ("dockerImageTag", json!("1.2.1")),
        ("status", json!("online")),
        ("runtimeStatus", json!("online")),
        ("lastHealthCheck", json!(START)),
    ];
    for (field, expected) in expected {
        assert_eq!(row[field], expected, "{field}");
    }
    report(&board, "offline", None);
    let row = runtime(&board);
    assert_eq!((row.get("lastHealthCheck"), &row["status"]), (None, &json!("offline")));
    assert_eq!(row["runtimeServiceVersion"], "1.2.1");
    assert_eq!(board.rows("runtimes").len(), 1);
}

#[test]
fn a_silent_runtime_is_offline_after_90_s() {
    // §7.2: status, seconds since the last report, whether the sweep marks it as offline.
    let rows = [
        ("online", Some(90), false),
        ("online", Some(91), true),
        ("degraded", Some(91), true),
        ("error", Some(900), false),
        ("provisioning", Some(900), false),
        ("online", None, false),
    ];
    for (status, silent, swept) in rows {
        let team = Team::new();
        let config = silent.map(|_| runs("1", "1", START));
        report(&team.board, status, config);
        team.board.advance(silent.unwrap_or(900) * 1000);
        team.board.engine.sweep().unwrap();
        let stands = runtime(&team.board);
        let expected = if swept { "offline" } else { status };
        assert_eq!(stands["runtimeStatus"], expected, "{status} {silent:?}");
        assert_eq!(stands["status"], expected, "{status} {silent:?}");
        let notified = team
            .board
            .notifications_of("user_dana")
            .contains(&"status_change: Runtime is offline".to_owned());
        assert_eq!(notified, swept, "{status} {silent:?}");
        let agent = if swept { "offline" } else { "online" };
        assert_eq!(team.board.row("agents", &team.ada)["status"], agent);
        let rows = team.board.rows("notifications").len();
        team.board.engine.sweep().unwrap();
        assert_eq!(team.board.rows("notifications").len(), rows, "once is enough");
    }
}

#[test]
fn a_restart_request_is_seen_once() {
    let board = Board::new();
    let seen = || board.service("checkAndClearRestartRequested", json!({})).unwrap();
    assert_eq!(seen(), json!({"restartRequested": false}));
    board.person("accounts:requestRestart", json!({})).unwrap();
    board.person("accounts:requestRestart", json!({})).unwrap();
    assert_eq!(runtime(&board)["restartRequestedAt"], START);
    assert_eq!(seen(), json!({"restartRequested": true}));
    assert_eq!(seen(), json!({"restartRequested": false}));
}

/// A restart can be withdrawn until the runtime reads it. The page shows that it is being carried out until the next
/// process reports.
#[test]
fn a_restart_is_withdrawn_or_shown_until_the_next_process_reports() {
    let board = Board::new();
    let seen =
        || board.service("checkAndClearRestartRequested", json!({})).unwrap()["restartRequested"].clone();
    let read_at = || board.row("accounts", &board.account)["restartReadAt"].clone();
    let report = |status: &str| board.service("updateRuntimeStatus", json!({"status": status})).unwrap();
    report("online");
    board.person("accounts:requestRestart", json!({})).unwrap();
    board.person("accounts:cancelRestart", json!({})).unwrap();
    assert_eq!((seen(), read_at()), (json!(false), json!(null)));
    board.person("accounts:requestRestart", json!({})).unwrap();
    assert_eq!((seen(), read_at()), (json!(true), json!(START)));
    for status in ["online", "offline"] {
        report(status);
        assert_eq!(read_at(), json!(START), "{status}");
    }
    report("provisioning");
    assert_eq!(read_at(), json!(null));
}

#[test]
fn an_upgrade_needs_a_runtime() {
    let board = Board::new();
    let rows = [
        ("runtimes:requestUpgrade", json!({"targetRuntimeVersion": "2", "strategy": "immediate"})),
        ("runtimes:clearUpgradeRequest", json!({})),
        ("runtimes:rollbackRuntime", json!({})),
    ];
    for (path, args) in rows {
        assert_eq!(refusal(board.person(path, args)), "No runtime registered for this account", "{path}");
    }
    assert_eq!(pending(&board), json!(null));
}

#[test]
fn an_upgrade_ends_by_reports_or_timeout() {
    // §7.4: minutes since the request, the reported versions, the result.
    let late = Some("Upgrade timed out");
    let rows = [
        (1, Some(("9", "2")), "success", None),
        (45, Some(("9", "2")), "success", None),
        (1, Some(("9", "1")), "", None),
        (1, Some(("8", "2")), "", None),
        (30, Some(("9", "1")), "", None),
        (31, Some(("9", "1")), "failed", late),
        (31, None, "failed", late),
        (1, None, "", None),
    ];
    for (minutes, reported, ended, error) in rows {
        let board = Board::new();
        report(&board, "online", Some(runs("8", "1", START)));
        let args = json!({
            "targetRuntimeVersion": "2", "targetOpenclawVersion": "9", "strategy": "immediate",
        });
        board.person("runtimes:requestUpgrade", args).unwrap();
        let asked = json!({
            "targetOpenclawVersion": "9", "targetRuntimeVersion": "2", "initiatedAt": START,
            "initiatedBy": "user_dana", "strategy": "immediate",
        });
        assert_eq!(pending(&board), asked);
        board.advance(minutes * 60_000);
        match reported {
            Some((openclaw, own)) => report(&board, "online", Some(runs(openclaw, own, START))),
            None => report(&board, "offline", None),
        }
        let rule = format!("after {minutes} min: {reported:?}");
        let history = runtime(&board).get("upgradeHistory").cloned();
        if ended.is_empty() {
            assert_eq!((pending(&board), history), (asked, None), "{rule}");
            continue;
        }
        assert_eq!(pending(&board), json!(null), "{rule}");
        #[expect(clippy::cast_precision_loss, reason = "minutes")]
        let now = START + (minutes * 60_000) as f64;
        let mut entry = json!({
            "fromOpenclawVersion": "8", "toOpenclawVersion": "9", "fromRuntimeVersion": "1", "toRuntimeVersion": "2",
            "status": ended, "startedAt": START, "completedAt": now, "initiatedBy": "user_dana",
        });
        if let Some(error) = error {
            entry["error"] = json!(error);
        }
        assert_eq!(history, Some(json!([entry])), "{rule}");
    }
}

#[test]
fn an_upgrade_can_be_cancelled_and_keeps_an_absent_version() {
    let board = Board::new();
    report(&board, "online", Some(runs("8", "1", START)));
    for strategy in ["rolling", "canary"] {
        let args = json!({"targetRuntimeVersion": "2", "strategy": strategy});
        board.person("runtimes:requestUpgrade", args).unwrap();
        assert_eq!(pending(&board)["targetOpenclawVersion"], "8");
        assert_eq!(pending(&board)["strategy"], strategy);
    }
    board.person("runtimes:clearUpgradeRequest", json!({})).unwrap();
    assert_eq!(pending(&board), json!(null));
    assert_eq!(runtime(&board).get("upgradeHistory"), None);
}

#[test]
fn a_runtime_may_report_the_result_of_an_upgrade() {
    // §7.4: the reported result, then the status and the version of the record.
    let rows = [("success", "online", "2"), ("failed", "error", "1"), ("rolled_back", "online", "1")];
    for (word, status, version) in rows {
        let board = Board::new();
        report(&board, "online", Some(runs("8", "1", START)));
        let args = json!({"targetRuntimeVersion": "2", "strategy": "immediate"});
        board.person("runtimes:requestUpgrade", args).unwrap();
        board.advance(1000);
        let args = json!({
            "status": word, "fromOpenclawVersion": "8", "toOpenclawVersion": "8", "fromRuntimeVersion": "1",
            "toRuntimeVersion": "2", "duration": 40, "error": format!("{}\nsecond line", "x".repeat(3000)),
        });
        board.service("recordUpgradeResult", args.clone()).unwrap();
        board.service("recordUpgradeResult", args).unwrap();
        let row = runtime(&board);
        assert_eq!(
            (&row["status"], &row["runtimeServiceVersion"]),
            (&json!(status), &json!(version)),
            "{word}"
        );
        let history = &row["upgradeHistory"];
        assert_eq!(history[0]["error"], "x".repeat(2048));
        assert_eq!((&history[0]["status"], &history[0]["duration"]), (&json!(word), &json!(40.0)));
        assert_eq!(
            (&history[0]["initiatedBy"], &history[1]["initiatedBy"]),
            (&json!("user_dana"), &json!("runtime"))
        );
        assert_eq!(history[0]["startedAt"], START);
        assert_eq!(pending(&board), json!(null));
    }
}

#[test]
fn a_rollback_is_recorded_and_requested_only_with_a_target() {
    let board = Board::new();
    report(&board, "online", Some(runs("8", "1", START)));
    board.person("runtimes:rollbackRuntime", json!({})).unwrap();
    let first = &runtime(&board)["upgradeHistory"][0];
    assert_eq!(
        (&first["status"], &first["toRuntimeVersion"]),
        (&json!("rolled_back"), &json!("1")),
        "the current one"
    );
    assert_eq!(pending(&board), json!(null));

    let args = json!({"targetRuntimeVersion": "2", "targetOpenclawVersion": "9", "strategy": "immediate"});
    board.person("runtimes:requestUpgrade", args).unwrap();
    report(&board, "online", Some(runs("9", "2", START)));
    board.person("runtimes:rollbackRuntime", json!({"targetRuntimeVersion": "1.5"})).unwrap();
    let last = &runtime(&board)["upgradeHistory"][2];
    let went = json!([
        last["fromOpenclawVersion"],
        last["fromRuntimeVersion"],
        last["toOpenclawVersion"],
        last["toRuntimeVersion"]
    ]);
    assert_eq!(went, json!(["9", "2", "8", "1"]));
    let asked = pending(&board);
    let target = json!([asked["targetOpenclawVersion"], asked["targetRuntimeVersion"], asked["strategy"]]);
    assert_eq!(target, json!(["8", "1.5", "immediate"]), "the missing half comes from the last success");
}

#[test]
fn the_history_keeps_ten_upgrades() {
    let board = Board::new();
    report(&board, "online", Some(runs("8", "1", START)));
    for number in 0..12 {
        let args = json!({
            "status": "success", "fromOpenclawVersion": "8", "toOpenclawVersion": "8",
            "fromRuntimeVersion": "1", "toRuntimeVersion": number.to_string(),
        });
        board.service("recordUpgradeResult", args).unwrap();
    }
    let row = runtime(&board);
    let history = row["upgradeHistory"].as_array().unwrap();
    assert_eq!((history.len(), &history[0]["toRuntimeVersion"]), (10, &json!("2")));
}
