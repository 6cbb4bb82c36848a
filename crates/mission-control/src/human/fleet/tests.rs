//! The list of all accounts: what it says, and that its work is bounded.

use serde_json::{Map, json};

use super::list;
use crate::call::Call;
use crate::engine::Caller;
use crate::rows::Account;
use crate::store::{Doc, Id};
use crate::test_board::TestBoard;
use crate::{Kind, Refusal};

/// A board with this many accounts, whose runtimes report.
fn fleet(accounts: usize) -> TestBoard {
    let board = TestBoard::new();
    for at in 0..accounts {
        let account = board.account(&format!("team-{at}"));
        let token = board.token(&account);
        board.report((&account, &token), "online", "1.0.0", 0).unwrap();
        for number in 0..at % 3 {
            let row = json!({
                "accountId": account, "type": "mention", "recipientType": "agent", "recipientId": "js", "title": "t",
                "body": "b", "createdAt": 5.0 + f64::from(u8::try_from(number).unwrap()),
            });
            board.engine.write_row("notifications", row).unwrap();
        }
    }
    board
}

/// How many queries the list makes.
fn queries(board: &TestBoard) -> usize {
    let counted = board.engine.store.read(|tx| {
        let call = Call {
            tx,
            args: &Map::new(),
            account: Doc { id: Id::default(), created: 0.0, row: Account::default() },
            options: board.engine.options,
            vault: None,
            provisioning: None,
            times: crate::pool::PoolTimes::default(),
            origin: "",
        };
        list(&call)?;
        Ok::<_, Refusal>(tx.queries())
    });
    counted.unwrap()
}

#[test]
fn fifty_accounts_take_as_many_queries_as_one() {
    let (one, fifty) = (fleet(1), fleet(50));
    assert_eq!(queries(&one), queries(&fifty));
    assert!(queries(&fifty) < 12, "{}", queries(&fifty));
    let listed = fifty.look("fleet:list", json!({}));
    let rows = listed["accounts"].as_array().unwrap();
    assert_eq!(rows.len(), 51);
    for (at, row) in rows.iter().skip(1).enumerate() {
        assert_eq!((&row["status"], &row["runtimeVersion"]), (&json!("online"), &json!("1.0.0")));
        assert_eq!(row["deliveries"]["open"], json!(f64::from(u8::try_from(at % 3).unwrap())));
    }
}

#[test]
fn the_list_says_why_an_account_needs_attention() {
    let board = fleet(1);
    board.clock.advance(10 * 60_000);
    board.engine.sweep().unwrap();
    let listed = board.look("fleet:list", json!({}));
    assert_eq!(listed["accounts"][1]["reasons"], json!(["The runtime does not report"]));
    assert_eq!(listed["switches"]["runtime_provisioning_enabled"], "false");
}

#[test]
fn strangers_see_and_change_nothing() {
    let board = fleet(1);
    for (kind, path, args) in [
        (Kind::Query, "fleet:list", json!({})),
        (Kind::Mutation, "fleet:restart", json!({})),
        (Kind::Mutation, "accounts:create", json!({"name": "a", "slug": "a"})),
        (Kind::Mutation, "systemConfig:set", json!({"key": "fleet_orchestration_enabled", "value": "true"})),
        (Kind::Mutation, "provisioning:destroy", json!({"accountId": board.first})),
        (Kind::Query, "provisioning:status", json!({"accountId": board.first})),
        (Kind::Mutation, "provisioning:setProviderToken", json!({"provider": "digitalocean", "key": "k"})),
    ] {
        let (_, answer) = board.engine.call(kind, path, &args, Caller::Stranger, "r");
        let text = answer.to_string();
        assert!(text.contains("Unauthenticated"), "{path}: {text}");
    }
}
