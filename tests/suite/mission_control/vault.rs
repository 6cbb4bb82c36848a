//! Providers' keys: sealing, opening for the runtime only, rotation, and every failure of these.

use std::collections::HashSet;
use std::sync::Arc;

use mission_control_runtime::local::{
    Caller, Kind, MasterKey, Options, Owner, SealContext, Sealed, Vault, VaultError,
};
use mission_control_runtime::secret::Secret;
use serde_json::{Value, json};

use super::board::Board;
use super::seeds::refusal;

/// A key of 32 equal bytes.
fn master(byte: u8) -> MasterKey {
    MasterKey::from_file(&[byte; 32]).unwrap()
}

/// A key that is assembled here, so that no file of ours contains one.
fn key(tail: &str) -> String {
    ["sk-", "test-", "0123456789abcdef", tail].concat()
}

fn board() -> Board {
    let mut board = Board::unserved(Options::default());
    let engine = Arc::into_inner(board.engine).unwrap();
    board.engine = Arc::new(engine.with_vault(Vault::new(&master(7))).unwrap());
    board
}

fn upsert(board: &Board, provider: &str, key: &str) -> Result<Value, String> {
    board.person("secrets:upsertProviderKey", json!({"provider": provider, "key": key}))
}

fn for_runtime(board: &Board) -> Value {
    board.service("getRuntimeSecrets", json!({})).unwrap()
}

const PLACE: SealContext<'static> = SealContext { account: "k1account", provider: "openai" };

/// A change of a sealed value.
type Change = &'static dyn Fn(&mut Sealed);

#[test]
fn a_sealed_value_opens_only_in_its_context() {
    let vault = Vault::new(&master(1));
    let sealed = vault.seal(PLACE, &Secret::new("the key")).unwrap();
    assert_eq!(vault.open(PLACE, &sealed).unwrap().expose(), "the key");
    assert_eq!(sealed.key_id, vault.key_id());

    let elsewhere = [
        SealContext { account: "k1another", ..PLACE },
        SealContext { provider: "anthropic", ..PLACE },
        SealContext { account: "k1accountopenai", provider: "" },
        SealContext { account: "k1account\nopenai", provider: "" },
    ];
    for place in elsewhere {
        assert_eq!(vault.open(place, &sealed).unwrap_err(), VaultError::NotForThis, "{place:?}");
    }
    let wrong = Vault::new(&master(2)).open(PLACE, &sealed).unwrap_err();
    assert!(matches!(wrong, VaultError::WrongKey { .. }), "{wrong}");

    let damaged = |change: Change| {
        let mut sealed = sealed.clone();
        change(&mut sealed);
        vault.open(PLACE, &sealed).unwrap_err()
    };
    let rows: [(Change, VaultError); 6] = [
        (&|sealed| sealed.nonce.clear(), VaultError::Damaged),
        (&|sealed| sealed.nonce.push('0'), VaultError::Damaged),
        (&|sealed| sealed.ciphertext.clear(), VaultError::Damaged),
        (&|sealed| sealed.ciphertext.replace_range(0..1, "ü"), VaultError::Damaged),
        (&|sealed| sealed.ciphertext.replace_range(0..2, "zz"), VaultError::Damaged),
        (&|sealed| sealed.ciphertext.extend(['0', '0']), VaultError::NotForThis),
    ];
    for (change, expected) in rows {
        assert_eq!(damaged(change), expected);
    }
}

#[test]
fn a_nonce_is_never_used_twice() {
    let vault = Vault::new(&master(1));
    let sealed: Vec<Sealed> = (0..2_000).map(|_| vault.seal(PLACE, &Secret::new("same")).unwrap()).collect();
    let nonces: HashSet<&str> = sealed.iter().map(|sealed| sealed.nonce.as_str()).collect();
    let texts: HashSet<&str> = sealed.iter().map(|sealed| sealed.ciphertext.as_str()).collect();
    assert_eq!((nonces.len(), texts.len()), (2_000, 2_000));
}

#[test]
fn a_master_key_of_another_length_is_a_clear_error() {
    let good = master(9).to_base64();
    let again = MasterKey::from_base64(&format!(" {}\n", good.expose())).unwrap();
    assert_eq!(again.to_base64().expose(), good.expose());
    assert_eq!(MasterKey::from_file(format!("{}\n", good.expose()).as_bytes()).unwrap().to_base64(), good);
    // The last letter of 32 bytes in base64 has two bits without meaning. A key made up by hand may set them.
    let by_hand = good.expose().replace("k=", "l=");
    assert_eq!(MasterKey::from_base64(&by_hand).unwrap().to_base64(), good);
    let rows = [
        ("", "the master key has 0 bytes; it must have 32"),
        ("Zg", "the master key is not base64"),
        ("Zg=", "the master key is not base64"),
        ("Z===", "the master key is not base64"),
        ("Zm9*", "the master key is not base64"),
        ("Zm 9v", "the master key is not base64"),
        ("c2hvcnQ=", "the master key has 5 bytes; it must have 32"),
        ("not base64 at all", "the master key is not base64"),
        // 32 characters of base64 are 24 bytes: too short for a key
        ("QUJDREVGR0hJSktMTU5PUFFSU1RVVldY", "the master key has 24 bytes; it must have 32"),
    ];
    for (text, begins) in rows {
        let why = MasterKey::from_base64(text).unwrap_err().to_string();
        assert!(why.starts_with(begins), "{text}: {why}");
    }
    assert_eq!(MasterKey::from_file(&[0xff; 31]).unwrap_err(), VaultError::WrongLength(31));
    assert_eq!(format!("{:?}", master(9)), "MasterKey(***)");
    let (one, other) = (Vault::new(&master(1)), Vault::new(&master(2)));
    assert!(one.key_id() != other.key_id() && one.key_id().len() == 16, "{one:?} {other:?}");
}

#[test]
fn only_the_runtime_reads_keys() {
    let board = board();
    assert_eq!(for_runtime(&board)["keys"], json!([]));
    let keys = [
        ("anthropic", "anthropic", "ANTHROPIC_API_KEY", "aaaa"),
        ("OPENAI_API_KEY", "openai", "OPENAI_API_KEY", "bbbb"),
        ("vercel-ai-gateway", "vercel-ai-gateway", "AI_GATEWAY_API_KEY", "cccc"),
        ("BRAVE_API_KEY", "BRAVE_API_KEY", "BRAVE_API_KEY", "dddd"),
        ("GITHUB_TOKEN", "GITHUB_TOKEN", "GITHUB_TOKEN", "eeee"),
    ];
    for (provider, ..) in keys {
        let tail = keys.iter().find(|row| row.0 == provider).unwrap().3;
        assert_eq!(
            upsert(&board, provider, &format!("  {}\n", key(tail))).unwrap(),
            json!({"success": true})
        );
    }
    let given = for_runtime(&board);
    let listed = board.look("secrets:listProviderKeys", json!({})).unwrap();
    for (at, (_, provider, env_name, tail)) in keys.into_iter().enumerate() {
        let expected = json!({
            "provider": provider, "envName": env_name, "value": key(tail), "updatedAt": 1_765_526_400_000.0,
        });
        assert_eq!(given["keys"][at], expected);
        let key_id = Vault::new(&master(7)).key_id().to_owned();
        let expected = json!({
            "provider": provider, "keyId": key_id, "last4": tail, "updatedAt": 1_765_526_400_000.0,
            "fetchedAt": 1_765_526_400_000.0,
        });
        assert_eq!(listed[at], expected);
    }
    // Neither the list, nor the stored rows, nor the activities contain a key.
    let stored = board.engine.export().unwrap().to_string();
    let happened = board.look("activities:list", json!({})).unwrap();
    for text in [listed.to_string(), stored, happened.to_string()] {
        assert!(!text.contains("sk-test-"), "{text}");
    }
    let newest = &happened[0];
    assert_eq!((&newest["type"], &newest["targetType"]), (&json!("secret_updated"), &json!("account")));
    assert_eq!(newest["meta"], json!({"provider": "GITHUB_TOKEN", "action": "added"}));
}

#[test]
fn the_version_changes_with_every_change() {
    let board = board();
    let mut seen = vec![for_runtime(&board)["version"].clone()];
    let mut step = |what: &str| {
        let version = for_runtime(&board)["version"].clone();
        assert_eq!(version, for_runtime(&board)["version"], "{what}: without a change it stays");
        assert!(!seen.contains(&version), "{what}: {version}");
        seen.push(version);
    };
    upsert(&board, "openai", &key("1")).unwrap();
    step("added");
    upsert(&board, "openai", &key("2")).unwrap();
    step("replaced");
    upsert(&board, "openai", &key("2")).unwrap();
    step("the same again");
    upsert(&board, "anthropic", &key("3")).unwrap();
    step("another");
    board.person("secrets:removeProviderKey", json!({"provider": "OPENAI_API_KEY"})).unwrap();
    step("removed");
    assert_eq!(for_runtime(&board)["keys"].as_array().unwrap().len(), 1);
    // Removing a missing key succeeds and changes nothing.
    let before = board.rows("activities").len();
    board.person("secrets:removeProviderKey", json!({"provider": "openai"})).unwrap();
    assert_eq!(board.rows("activities").len(), before);
}

#[test]
fn invalid_providers_and_keys_are_refused_without_repeating_them() {
    let board = board();
    let long = "x".repeat(9_000);
    let (oops, name) = (key("oops"), format!("{}_KEY", "A".repeat(61)));
    let rows = [
        (oops.as_str(), "anthropic", "Invalid provider: use anthropic"),
        ("Anthropic", "k", "Invalid provider: use anthropic"),
        ("brave_api_key", "k", "Invalid provider: use anthropic"),
        ("PATH", "k", "Invalid provider: use anthropic"),
        ("1_KEY", "k", "Invalid provider: use anthropic"),
        ("LD_PRELOAD", "k", "Invalid provider: use anthropic"),
        (name.as_str(), "k", "Invalid provider: use anthropic"),
        ("SERVICE_TOKEN", "k", "Invalid provider: SERVICE_TOKEN is reserved for the runtime"),
        ("ADMIN_KEY", "k", "Invalid provider: ADMIN_KEY is reserved for the runtime"),
        ("openai", "", "Invalid key: must not be blank"),
        ("openai", " \n ", "Invalid key: must not be blank"),
        ("openai", "sk-test-one sk-test-two", "Invalid key: only printable characters without blanks"),
        ("openai", "sk-test-\u{7}", "Invalid key: only printable characters without blanks"),
        ("openai", long.as_str(), "Invalid key: too long (max 8192 characters)"),
    ];
    for (provider, value, begins) in rows {
        let why = refusal(upsert(&board, provider, value));
        assert!(why.starts_with(begins), "{provider}: {why}");
        assert!(!why.contains("sk-test-"), "{why}");
    }
    // For an argument of the wrong type, the platform's own text must not show it either.
    let misplaced = json!({"accountId": board.account, "provider": "openai", "key": 1_234_567_890});
    let why = board.call(Kind::Mutation, "secrets:upsertProviderKey", &misplaced).unwrap_err();
    assert!(why.contains("Path: .key\nValue: \"***\"") && !why.contains("1234567890"), "{why}");
    assert_eq!(board.rows("providerKeys").len(), 0);
}

#[test]
fn a_short_key_shows_no_last_characters() {
    let board = board();
    upsert(&board, "openai", "secret").unwrap();
    assert_eq!(board.look("secrets:listProviderKeys", json!({})).unwrap()[0]["last4"], "");
}

/// People see whether the runtime has a key. Fetches of keys that it has change no row.
#[test]
fn the_first_fetch_of_each_key_is_noted() {
    let board = board();
    let fetched = |provider: &str| {
        let rows = board.look("secrets:listProviderKeys", json!({})).unwrap();
        rows.as_array().unwrap().iter().find(|row| row["provider"] == provider).unwrap()["fetchedAt"].clone()
    };
    upsert(&board, "openai", &key("1")).unwrap();
    assert_eq!(fetched("openai"), json!(null));
    for_runtime(&board);
    assert!(fetched("openai").is_number());
    let (version, changes) = (for_runtime(&board)["version"].clone(), board.engine.changes());
    assert_eq!((&for_runtime(&board)["version"], board.engine.changes()), (&version, changes));
    upsert(&board, "openai", &key("2")).unwrap();
    upsert(&board, "anthropic", &key("3")).unwrap();
    assert_eq!((fetched("openai"), fetched("anthropic")), (json!(null), json!(null)));
    for_runtime(&board);
    assert!(fetched("openai").is_number() && fetched("anthropic").is_number());
}

#[test]
fn callers_without_credentials_get_no_keys() {
    let board = board();
    upsert(&board, "openai", &key("1")).unwrap();
    let ask = |kind, path: &str, args: Value| {
        let (_, answer) = board.engine.call(kind, path, &args, Caller::Stranger, "0123456789abcdef");
        answer.to_string()
    };
    let list = ask(Kind::Query, "secrets:listProviderKeys", json!({"accountId": board.account}));
    assert!(list.contains("Unauthenticated: No valid identity found"), "{list}");
    let wrong = format!("mc_service_{}_guess", board.account);
    let args = json!({"accountId": board.account, "serviceToken": wrong});
    let secrets = ask(Kind::Action, "service/actions:getRuntimeSecrets", args);
    assert!(secrets.contains("Invalid service token") && !secrets.contains("guess"), "{secrets}");
}

#[test]
fn no_list_contains_a_secret() {
    let board = board();
    upsert(&board, "openai", &key("1")).unwrap();
    let agent = board.agent("ada", "Ada", "Engineer", json!({}));
    let hash = board.row("accounts", &board.account)["serviceTokenHash"].as_str().unwrap().to_owned();
    let secrets = ["sk-test-".to_owned(), board.token.clone(), hash];
    let lists = [
        "accounts:get",
        "memberships:list",
        "agents:list",
        "skills:list",
        "documents:list",
        "tasks:list",
        "activities:list",
        "notifications:list",
        "notifications:listTyping",
        "runtimes:getForAccount",
        "secrets:listProviderKeys",
    ];
    let mut answers: Vec<Value> = lists.map(|path| board.look(path, json!({})).unwrap()).into();
    answers.push(board.call(Kind::Query, "accounts:list", &json!({})).unwrap());
    for name in
        ["listAgents", "listAgentsForRuntime", "getOrchestratorAgentId", "listUndeliveredNotifications"]
    {
        answers.push(board.service(name, json!({})).unwrap());
    }
    answers.push(board.service("getAgentSkillsForTool", json!({"agentId": agent})).unwrap());
    for answer in answers {
        let text = answer.to_string();
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
    }
}

#[test]
fn without_a_master_key_no_key_is_stored() {
    let board = Board::new();
    assert_eq!(for_runtime(&board)["keys"], json!([]));
    let why = refusal(upsert(&board, "openai", &key("1")));
    assert!(why.starts_with("there is no master key"), "{why}");
}

#[test]
fn a_moved_row_does_not_open() {
    let mut board = board();
    upsert(&board, "openai", &key("1")).unwrap();
    let row = board.rows("providerKeys").remove(0);
    let id = row["_id"].as_str().unwrap();

    // Moved to another provider, as an attacker with the database but without the master key could do.
    board.edit("providerKeys", id, json!({"provider": "BRAVE_API_KEY"}));
    let why = refusal(board.service("getRuntimeSecrets", json!({})));
    assert!(why.starts_with("a stored provider key was sealed for another account or provider"), "{why}");
    // Moved to another account.
    let (other, token) = board
        .engine
        .create_account("Other", "other", Owner { user_id: "u", name: "Eve", email: "e@example.com" })
        .unwrap();
    board.edit("providerKeys", id, json!({"provider": "openai", "accountId": other}));
    let args = json!({"accountId": other, "serviceToken": token.expose()});
    let why = refusal(board.call(Kind::Action, "service/actions:getRuntimeSecrets", &args));
    assert!(why.starts_with("a stored provider key was sealed for another account or provider"), "{why}");
    assert_eq!(for_runtime(&board)["keys"], json!([]));
    // A damaged ciphertext.
    board.edit("providerKeys", id, json!({"accountId": board.account, "ciphertext": "00"}));
    let why = refusal(board.service("getRuntimeSecrets", json!({})));
    assert_eq!(why, "a stored provider key is damaged; store it again");
    // Sealed with an unknown key.
    board.edit("providerKeys", id, json!({"keyId": "0123456789abcdef"}));
    let why = refusal(board.service("getRuntimeSecrets", json!({})));
    assert!(why.starts_with("the provider keys are sealed with master key 0123456789abcdef"), "{why}");
    let why = board.engine_mut().rotate(Vault::new(&master(8))).unwrap_err().to_string();
    assert!(why.starts_with("the provider keys are sealed with master key 0123456789abcdef"), "{why}");
    let again =
        Arc::into_inner(board.engine).unwrap().with_vault(Vault::new(&master(7))).err().unwrap().to_string();
    assert!(again.starts_with("the provider keys are sealed with master key 0123456789abcdef"), "{again}");
}

#[test]
fn rotation_seals_every_key_again() {
    let mut board = board();
    upsert(&board, "openai", &key("1")).unwrap();
    upsert(&board, "anthropic", &key("2")).unwrap();
    let (before, rows) = (for_runtime(&board), board.rows("providerKeys"));
    assert_eq!(board.engine_mut().rotate(Vault::new(&master(8))).unwrap(), 2);
    let (after, anew) = (for_runtime(&board), board.rows("providerKeys"));
    assert_eq!(before["keys"], after["keys"], "values and dates stay");
    let next = Vault::new(&master(8)).key_id().to_owned();
    for (old, new) in rows.iter().zip(&anew) {
        assert_eq!(new["keyId"], next.as_str());
        assert!(old["nonce"] != new["nonce"] && old["ciphertext"] != new["ciphertext"]);
    }
    assert_eq!(board.engine.sealed_with().unwrap().into_iter().collect::<Vec<_>>(), [next]);
    assert!(
        Arc::into_inner(board.engine).unwrap().with_vault(Vault::new(&master(7))).is_err(),
        "the old key opens nothing"
    );
}

#[test]
fn a_rotation_that_cannot_open_one_key_changes_none() {
    let mut board = board();
    upsert(&board, "openai", &key("1")).unwrap();
    upsert(&board, "anthropic", &key("2")).unwrap();
    let broken = board.rows("providerKeys").remove(1);
    board.edit("providerKeys", broken["_id"].as_str().unwrap(), json!({"nonce": "00"}));
    let before = board.rows("providerKeys");
    assert_eq!(
        board.engine_mut().rotate(Vault::new(&master(8))).unwrap_err().to_string(),
        "a stored provider key is damaged; store it again"
    );
    assert_eq!(board.rows("providerKeys"), before);
}
