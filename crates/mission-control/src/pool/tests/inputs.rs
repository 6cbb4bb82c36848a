//! Wrong input: each function with each argument of a wrong type, and foreign ids. A sentence, and nothing is changed.

use super::*;
use crate::validate::Is;

/// A value of the wrong type, and one of the right type.
fn values(is: &Is) -> (Value, Value) {
    match is {
        Is::Text | Is::Id(_) => (json!(7), json!("unknown")),
        Is::Number => (json!("seven"), json!(7)),
        Is::Bool => (json!("yes"), json!(true)),
        Is::OneOf(words) => (json!("nonsense"), json!(words[0])),
        Is::List(_) => (json!({"a": 1}), json!([])),
        Is::Object(fields) => (
            json!([1]),
            fields.iter().map(|field| (field.name().to_owned(), values(&field.is()).1)).collect(),
        ),
        Is::Texts => (json!({"a": 1}), json!({"a": "b"})),
        Is::OrNull(is) => values(is),
        Is::Any => (json!(7), json!("last")),
    }
}

#[test]
fn every_argument_of_a_wrong_type_is_refused() {
    let world = World::with_agent();
    let before = world.engine.export().unwrap();
    let mut count = 0;
    for function in pool::FUNCTIONS.iter().copied().flatten() {
        let name = function.path.strip_prefix("agentFactory:").unwrap();
        let good: serde_json::Map<String, Value> =
            function.args.iter().map(|arg| (arg.name().to_owned(), values(&arg.is()).1)).collect();
        for arg in function.args.iter().filter(|arg| !matches!(arg.is(), Is::Any)) {
            let mut args = good.clone();
            args.insert(arg.name().to_owned(), values(&arg.is()).0);
            let why = world.refused(name, Value::Object(args.clone()));
            assert!(why.contains("ArgumentValidationError"), "{name} {}: {why}", arg.name());
            args.insert(arg.name().to_owned(), Value::Null);
            let why = world.refused(name, Value::Object(args));
            assert!(why.contains("ArgumentValidationError"), "{name} {} null: {why}", arg.name());
            count += 1;
        }
        let mut args = good.clone();
        args.insert("extra".to_owned(), json!(1));
        assert!(world.refused(name, Value::Object(args)).contains("extra field `extra`"), "{name}");
    }
    assert!(count > 150, "{count}");
    assert_eq!(world.engine.export().unwrap(), before);
}

/// Ids that name nothing, or a row of another table: a sentence or an empty answer, never a fault.
#[test]
fn foreign_ids_are_no_fault() {
    let world = World::with_agent();
    let foreign = world.rows("agentProfiles")[0]["_id"].clone();
    for function in pool::FUNCTIONS.iter().copied().flatten() {
        let name = function.path.strip_prefix("agentFactory:").unwrap();
        for id in [json!("unknown"), json!(""), foreign.clone(), json!("x".repeat(10_000))] {
            let args: serde_json::Map<String, Value> = function
                .args
                .iter()
                .map(|arg| {
                    let good = values(&arg.is()).1;
                    (arg.name().to_owned(), if good == "unknown" { id.clone() } else { good })
                })
                .collect();
            // A fault would have the status 500, which the call itself checks.
            if let Err(why) = world.call(name, &Value::Object(args)) {
                assert!(
                    why.contains("Uncaught Error: ") || why.contains("ArgumentValidationError"),
                    "{name}: {why}"
                );
            }
        }
    }
}

/// C.2: what an enqueue refuses.
#[test]
fn a_wrong_message_is_not_queued() {
    let world = World::with_agent();
    world.add_agent("sales");
    world.enqueue("c1", "x");
    let rows = [
        (json!({"agentKey": "nobody"}), "does not exist"),
        (json!({"agentKey": "sales"}), "belongs to the agent support"),
        (json!({"providerUserId": " "}), "providerUserId is blank"),
        (json!({"conversationId": ""}), "conversationId is blank"),
        (json!({"messageText": "x".repeat(300_000)}), "more than 262144"),
        (json!({"metadata": {"x": "y".repeat(70_000)}}), "more than 65536"),
        (
            json!({"attachments": [{"kind": "photo", "status": "ready", "storageId": "no", "telegramFileId": "t",
                "expiresAt": 1}]}),
            "is not stored here",
        ),
    ];
    for (further, words) in rows {
        let mut args = json!({"conversationId": "c1", "agentKey": "support", "provider": "telegram",
            "providerUserId": "42", "messageText": "x"});
        args.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        let why = world.refused("enqueue", args);
        assert!(why.contains(words), "{words}: {why}");
    }
    assert_eq!((world.rows("messageQueue").len(), world.rows("conversations").len()), (1, 1));
    let off = json!({"agentKey": "support", "version": "1", "secretsRef": [], "enabled": false});
    world.ok("configureAgent", off);
    let args = json!({"conversationId": "c1", "agentKey": "support", "provider": "p", "providerUserId": "1", "messageText": "x"});
    assert!(world.refused("enqueue", args).contains("is disabled"));
}

/// An export can be imported, with the queue in the middle of its work.
#[test]
fn an_export_of_a_working_pool_can_be_imported() {
    let world = World::with_agent();
    world.enqueue("c1", "one");
    world.enqueue("c1", "two");
    world.ok("importSecret", json!({"secretRef": "fly.apiToken", "plaintextValue": "secret"}));
    let job = world.claim("w1");
    let copy = world.engine.export().unwrap();
    let other = World::new();
    other.engine.import(&copy).unwrap();
    assert_eq!(other.end("workerComplete", "w1", &job), true);
    assert_eq!(other.claimed_text("w1").as_deref(), Some("two"));
    assert_eq!(other.engine.export().unwrap()["tables"]["secrets"], copy["tables"]["secrets"]);
}
