//! The difference of two configurations as a JSON merge patch (RFC 7396), and as lines for people.

use serde_json::{Map, Value};

/// The most characters of a value in a line.
const VALUE_CHARS: usize = 120;

/// The patch that turns `before` into `after`. Both are objects. An array is always replaced as a whole.
pub(super) fn between(before: &Map<String, Value>, after: &Map<String, Value>) -> Map<String, Value> {
    let mut patch = Map::new();
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, new) in after {
        let change = match (before.get(key), new) {
            (Some(old), new) if old == new => continue,
            (Some(Value::Object(old)), Value::Object(new)) => Value::Object(between(old, new)),
            // What is new is written as a patch of nothing, which has no nulls.
            (_, Value::Object(new)) => Value::Object(between(&Map::new(), new)),
            (_, new) => new.clone(),
        };
        patch.insert(key.clone(), change);
    }
    patch
}

/// The change in lines, one for each setting: `path: before → after`.
pub(super) fn lines(before: &Value, patch: &Map<String, Value>) -> Vec<String> {
    let mut lines = Vec::new();
    describe(Some(before), patch, "", &mut lines);
    lines
}

fn describe(before: Option<&Value>, patch: &Map<String, Value>, at: &str, lines: &mut Vec<String>) {
    for (key, new) in patch {
        let place = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        let old = before.and_then(|before| before.get(key));
        match (old, new) {
            (None | Some(Value::Object(_)), Value::Object(new)) if !new.is_empty() => {
                describe(old, new, &place, lines);
            }
            (Some(Value::Array(old)), Value::Array(new)) => {
                let added = new.iter().filter(|value| !old.contains(value)).map(|value| shown(key, value));
                let removed = old.iter().filter(|value| !new.contains(value)).map(|value| shown(key, value));
                lines.extend(added.map(|value| format!("{place}: + {value}")));
                lines.extend(removed.map(|value| format!("{place}: - {value}")));
            }
            (old, new) => {
                let old = old.map_or_else(|| "not set".to_owned(), |old| shown(key, old));
                let new = if new.is_null() { "removed".to_owned() } else { shown(key, new) };
                lines.push(format!("{place}: {old} → {new}"));
            }
        }
    }
}

/// A value without secrets, shortened.
fn shown(key: &str, value: &Value) -> String {
    let text = masked(key, value).to_string();
    match text.char_indices().nth(VALUE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The value with every text masked whose key says that it is secret.
fn masked(key: &str, value: &Value) -> Value {
    let key = key.to_ascii_lowercase();
    match value {
        Value::String(_) if ["key", "token", "secret", "password"].iter().any(|word| key.contains(word)) => {
            Value::String("…".to_owned())
        }
        Value::Array(values) => Value::Array(values.iter().map(|value| masked(&key, value)).collect()),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), masked(key, value))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// RFC 7396 §2. The gateway applies patches so, and so do `jq` and other tools.
    pub(in super::super) fn apply(target: &mut Value, patch: &Value) {
        let Value::Object(patch) = patch else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        let target = target.as_object_mut().unwrap();
        for (key, change) in patch {
            if change.is_null() {
                target.remove(key);
            } else {
                apply(target.entry(key).or_insert(Value::Null), change);
            }
        }
    }

    /// Configurations without nulls, which a merge patch cannot express.
    fn configuration() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (0..3_u8).prop_map(Value::from),
            Just(json!([1]))
        ];
        let tree = leaf.prop_recursive(4, 24, 4, |inner| {
            prop::collection::btree_map("[ab]", inner, 0..3).prop_map(|fields| json!(fields))
        });
        prop::collection::btree_map("[ab]", tree, 0..3).prop_map(|fields| json!(fields))
    }

    proptest! {
        #[test]
        fn a_patch_turns_one_configuration_into_the_other(before in configuration(), after in configuration()) {
            let patch = between(before.as_object().unwrap(), after.as_object().unwrap());
            prop_assert_eq!(patch.is_empty(), before == after);
            prop_assert_eq!(lines(&before, &patch).is_empty(), patch.is_empty());
            let mut patched = before;
            apply(&mut patched, &Value::Object(patch));
            prop_assert_eq!(patched, after);
        }
    }

    #[test]
    fn a_line_shows_each_change_and_no_secret() {
        let before = json!({"a": {"b": 1, "c": true}, "list": [{"id": "x", "apiKey": "hidden"}], "gone": {"token": "hidden"}});
        let after = json!({"a": {"b": 2, "c": true}, "list": [{"id": "x", "apiKey": "hidden"}, {"id": "y"}], "new": {"d": [1]}});
        let patch = between(before.as_object().unwrap(), after.as_object().unwrap());
        let expected = [
            "a.b: 1 → 2",
            r#"gone: {"token":"…"} → removed"#,
            r#"list: + {"id":"y"}"#,
            "new.d: not set → [1]",
        ];
        let mut found = lines(&before, &patch);
        found.sort();
        assert_eq!(found, expected);
    }
}
