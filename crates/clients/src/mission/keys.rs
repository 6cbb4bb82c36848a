//! The providers' keys that are stored in Mission Control (backend-contract §2.37).
//!
//! The hosted backend does not have this function. It is no part of [`catalog::ALL`](super::catalog::ALL).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::requests;
use mcr_core::gateway_keys::StoredKey;
use mcr_model::secret::Secret;

/// More keys are no answer of a Mission Control: each of them would be learned and named.
const KEYS_MAX: usize = 500;

/// Returns the stored keys in plain text.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetRuntimeSecrets {}

/// The stored keys.
#[derive(Clone, Debug)]
pub struct RuntimeSecrets {
    /// The keys, in any order.
    pub keys: Vec<StoredKey>,
}

impl<'de> Deserialize<'de> for RuntimeSecrets {
    /// No error contains a part of the answer: the usual ones repeat the value that does not fit.
    fn deserialize<D: Deserializer<'de>>(answer: D) -> Result<Self, D::Error> {
        let refused = serde::de::Error::custom;
        let answer = Box::<RawValue>::deserialize(answer).map_err(|_| refused("the answer is no JSON"))?;
        let answer: Value =
            serde_json::from_str(answer.get()).map_err(|_| refused("the answer is no JSON"))?;
        let rows = answer.get("keys").and_then(Value::as_array);
        let rows = rows.ok_or_else(|| refused("the answer has no list `keys`"))?;
        if rows.len() > KEYS_MAX {
            return Err(refused("the answer has more than 500 keys"));
        }
        let text = |row: &Value, field: &str| row.get(field).and_then(Value::as_str).map(str::to_owned);
        let key = |(number, row): (usize, &Value)| {
            let both = text(row, "envName").zip(text(row, "value"));
            let (name, value) = both.ok_or_else(|| {
                serde::de::Error::custom(format!(
                    "key {} has no text `envName` or no text `value`",
                    number + 1
                ))
            })?;
            Ok(StoredKey { name, value: Secret::new(value) })
        };
        Ok(Self { keys: rows.iter().enumerate().map(key).collect::<Result<_, D::Error>>()? })
    }
}

requests! {
    GetRuntimeSecrets: GET_RUNTIME_SECRETS -> RuntimeSecrets;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_sense_is_an_error_without_its_values() {
        let key = r#"{"envName":"A_KEY","value":"canary"}"#;
        let many = format!(r#"{{"keys":[{}]}}"#, vec![key; KEYS_MAX + 1].join(","));
        let rows = [
            (r#"{"version":"1"}"#, "the answer has no list `keys`"),
            (r#"{"keys":{"envName":"canary"}}"#, "the answer has no list `keys`"),
            (r#""canary""#, "the answer has no list `keys`"),
            ("null", "the answer has no list `keys`"),
            (many.as_str(), "the answer has more than 500 keys"),
            (r#"{"keys":["canary"]}"#, "key 1 has no text `envName` or no text `value`"),
            (r#"{"keys":[{"envName":"A_KEY","value":7}]}"#, "key 1 has no text"),
            (r#"{"keys":[{"envName":"A_KEY","value":"canary"},{"value":"canary"}]}"#, "key 2 has no text"),
        ];
        for (answer, why) in rows {
            let error = serde_json::from_str::<RuntimeSecrets>(answer).unwrap_err().to_string();
            assert!(error.starts_with(why) && !error.contains("canary"), "{answer}: {error}");
        }
    }

    #[test]
    fn keys_are_read_with_unknown_and_missing_fields() {
        let answer = r#"{"version":7,"more":[],"keys":[{"envName":"A_KEY","value":"v","updatedAt":3.0,"provider":"x"},
            {"envName":"B_KEY","value":"w"}]}"#;
        let read: RuntimeSecrets = serde_json::from_str(answer).unwrap();
        let key = |name: &str, value: &str| StoredKey { name: name.to_owned(), value: Secret::new(value) };
        assert_eq!(read.keys, [key("A_KEY", "v"), key("B_KEY", "w")]);
        assert!(!format!("{read:?}").contains("\"v\""));
    }
}
