//! The providers' keys that are stored in Mission Control (backend-contract §2.37).
//!
//! The hosted backend does not have these functions. They are no part of [`catalog::ALL`](super::catalog::ALL).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::requests;
use mcr_core::gateway_keys::StoredKey;
use mcr_model::clock::Millis;
use mcr_model::secret::Secret;

/// Returns the stored keys in plain text.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GetRuntimeSecrets {}

/// The stored keys.
#[derive(Clone, Debug)]
pub struct RuntimeSecrets {
    /// The keys, in any order.
    pub keys: Vec<StoredKey>,
    /// Whether Mission Control takes [`ReportKeysInUse`].
    pub takes_reports: bool,
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
        let text = |row: &Value, field: &str| row.get(field).and_then(Value::as_str).map(str::to_owned);
        let key = |(number, row): (usize, &Value)| {
            let both = text(row, "envName").zip(text(row, "value"));
            let (name, value) = both.ok_or_else(|| {
                serde::de::Error::custom(format!(
                    "key {} has no text `envName` or no text `value`",
                    number + 1
                ))
            })?;
            let updated_at = row.get("updatedAt").and_then(|at| Millis::deserialize(at).ok());
            Ok(StoredKey { name, value: Secret::new(value), updated_at })
        };
        Ok(Self {
            keys: rows.iter().enumerate().map(key).collect::<Result<_, D::Error>>()?,
            takes_reports: answer.get("takesReports").and_then(Value::as_bool).unwrap_or_default(),
        })
    }
}

/// Reports which keys the gateway's environment has, without their values.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportKeysInUse {
    /// The keys, by the names of their variables.
    pub keys: Vec<KeyInUse>,
    /// When the gateway that has them started. `None`: the file has them, and no gateway has read it yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Millis>,
    /// How often the runtime has seen the gateway restart.
    pub gateway_restarts: u64,
}

/// A key in the gateway's environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyInUse {
    /// The name of its variable.
    pub env_name: String,
    /// When a person stored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Millis>,
}

requests! {
    GetRuntimeSecrets: GET_RUNTIME_SECRETS -> RuntimeSecrets;
    ReportKeysInUse: REPORT_KEYS_IN_USE -> serde::de::IgnoredAny;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_sense_is_an_error_without_its_values() {
        let rows = [
            (r#"{"version":"1"}"#, "the answer has no list `keys`"),
            (r#"{"keys":{"envName":"canary"}}"#, "the answer has no list `keys`"),
            (r#""canary""#, "the answer has no list `keys`"),
            ("null", "the answer has no list `keys`"),
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
        let key = |name: &str, value: &str, at: Option<i64>| StoredKey {
            name: name.to_owned(),
            value: Secret::new(value),
            updated_at: at.map(Millis),
        };
        assert_eq!(read.keys, [key("A_KEY", "v", Some(3)), key("B_KEY", "w", None)]);
        assert!(!read.takes_reports && !format!("{read:?}").contains("\"v\""));
    }
}
