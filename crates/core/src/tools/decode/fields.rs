//! Checks the arguments of a call against the fields of its tool. Every value read from [`Fields`] has the
//! right type.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::tools::table::{CallSpec, Field, Type};
use crate::tools::{ToolError, ToolErrorKind};
use mcr_model::clock::Millis;
use mcr_model::json;
use mcr_model::redact::Redactor;

/// Words for a priority.
const PRIORITIES: [(&str, f64); 5] =
    [("critical", 1.0), ("high", 2.0), ("medium", 3.0), ("low", 4.0), ("lowest", 5.0)];

/// A smaller number (an instant before 1973) is in seconds.
const SECONDS: f64 = 100_000_000_000.0;
/// The last instant of a JavaScript date.
const LAST_INSTANT: f64 = 8_640_000_000_000_000.0;

/// Arguments of the types that their fields declare.
pub struct Fields {
    spec: CallSpec,
    given: Map<String, Value>,
}

impl Fields {
    /// Parses the arguments and checks each against its field.
    pub fn read(spec: CallSpec, arguments: &str) -> Result<Self, ToolError> {
        let given = object(spec, arguments)?;
        let fields = Self { spec, given };
        fields.refuse_strangers()?;
        for field in spec.fields {
            if let Some(value) = fields.value(field.name) {
                check(field, value)?;
            }
        }
        Ok(fields)
    }

    /// Refuses unknown fields of a writing call: their intended content would be missing from what is
    /// written. A reading call only loses a filter, so unknown fields are ignored.
    fn refuse_strangers(&self) -> Result<(), ToolError> {
        if !self.spec.writes {
            return Ok(());
        }
        let strange = |(name, value): &(&String, &Value)| self.spec.field(name).is_none() && !value.is_null();
        let Some((name, _)) = self.given.iter().find(strange) else { return Ok(()) };
        let name = Redactor::default().excerpt(name, 40);
        let words = format!("Unknown field: {name}. {} accepts only {}", self.spec.name, names(self.spec));
        Err(ToolError::new(ToolErrorKind::Malformed, &words))
    }

    /// The argument; `null` counts as absent.
    fn value(&self, name: &str) -> Option<&Value> {
        self.given.get(name).filter(|value| !value.is_null())
    }

    /// A text, unchanged.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.value(name)?.as_str()
    }

    /// A text, trimmed; possibly empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.raw(name).map(str::trim)
    }

    /// A text that is not blank.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// A required text that must not be blank.
    pub fn needed(&self, name: &'static str, words: &str) -> Result<&str, ToolError> {
        self.filled(name).ok_or_else(|| ToolError::malformed(name, words))
    }

    /// A list of texts.
    pub(super) fn list(&self, name: &str) -> Option<impl Iterator<Item = &str>> {
        self.value(name)?.as_array().map(|list| list.iter().filter_map(Value::as_str))
    }

    /// A number.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.value(name)?.as_f64()
    }

    /// One of the field's words; `words` is the refusal of any other.
    pub fn choice<T: FromStr>(&self, name: &'static str, words: &str) -> Result<Option<T>, ToolError> {
        let Some(word) = self.filled(name) else { return Ok(None) };
        let known = match self.spec.field(name).map(|field| field.is) {
            Some(Type::OneOf(words)) => words.contains(&word),
            _ => false,
        };
        let read = word.parse().ok().filter(|_| known);
        read.map(Some).ok_or_else(|| ToolError::invalid(name, words))
    }

    /// A row count; larger numbers are reduced to the backend's limit.
    pub(super) fn count(&self, name: &'static str) -> Result<Option<u32>, ToolError> {
        let (Some(number), Some(field)) = (self.number(name), self.spec.field(name)) else { return Ok(None) };
        let Type::Count { least, most } = field.is else { return Ok(None) };
        if number > f64::from(most) {
            return Ok(Some(most));
        }
        let fits = whole(number).filter(|count| *count >= least);
        let words = format!("{name} must be a whole number from {least} to {most}");
        fits.map(Some).ok_or_else(|| ToolError::invalid(name, &words))
    }

    /// A priority: a number, or a word for one.
    pub(super) fn priority(&self) -> Result<Option<f64>, ToolError> {
        const NAME: &str = "priority";
        let Some(value) = self.value(NAME) else { return Ok(None) };
        let number = match value.as_str().map(str::trim) {
            None => value.as_f64(),
            Some("") => return Ok(None),
            Some(word) => PRIORITIES
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(word))
                .map(|(_, number)| *number)
                .or_else(|| word.parse().ok()),
        };
        let words = "Invalid priority: use 1-5 or one of critical|high|medium|low|lowest";
        let number = number.ok_or_else(|| ToolError::invalid(NAME, words))?;
        if (1.0..=5.0).contains(&number) {
            return Ok(Some(number));
        }
        Err(ToolError::invalid(NAME, "priority must be between 1 (highest) and 5 (lowest)"))
    }

    /// An instant in milliseconds.
    pub(super) fn instant(&self, name: &'static str) -> Result<Option<Millis>, ToolError> {
        let Some(number) = self.number(name) else { return Ok(None) };
        if !(SECONDS..=LAST_INSTANT).contains(&number) {
            let words = format!("{name} must be in milliseconds since 1970-01-01 UTC, such as 1767225600000");
            return Err(ToolError::invalid(name, &words));
        }
        #[expect(clippy::cast_possible_truncation, reason = "within 2^53, as checked above")]
        Ok(Some(Millis(number.floor() as i64)))
    }
}

/// The arguments as an object; an empty text is an empty object.
fn object(spec: CallSpec, arguments: &str) -> Result<Map<String, Value>, ToolError> {
    if arguments.trim().is_empty() {
        return Ok(Map::new());
    }
    let words = match serde_json::from_str(&json::text(arguments)) {
        Ok(Value::Object(given)) => return Ok(given),
        Ok(other) => format!("{} instead of an object", kind(&other)),
        Err(error) => format!("syntax error at line {}, column {}", error.line(), error.column()),
    };
    let words =
        format!("Invalid JSON arguments ({words}): send one JSON object with the fields {}", names(spec));
    Err(ToolError::new(ToolErrorKind::Malformed, &words))
}

fn names(spec: CallSpec) -> String {
    let names: Vec<&str> = spec.fields.iter().map(|field| field.name).collect();
    names.join(", ")
}

fn check(field: &Field, value: &Value) -> Result<(), ToolError> {
    let (fits, wanted) = match field.is {
        Type::Text | Type::OneOf(_) => (value.is_string(), "a string"),
        Type::Number | Type::Count { .. } => (value.is_number(), "a number"),
        Type::Range(..) | Type::Priority => (value.is_number() || value.is_string(), "a number"),
        Type::Texts => {
            let texts = value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
            (texts, "an array of strings")
        }
    };
    if fits {
        return Ok(());
    }
    let name = field.name;
    if name == "prNumber" {
        return Err(ToolError::malformed(name, "prNumber is required and must be numeric"));
    }
    let got = if value.is_array() && wanted != "an array of strings" || !value.is_array() {
        kind(value)
    } else {
        "an array with other types in it"
    };
    Err(ToolError::malformed(name, &format!("{name} must be {wanted}, not {got}")))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A number without a fraction, if it fits.
pub(super) fn whole(number: f64) -> Option<u32> {
    let fits = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as checked above")]
    fits.then_some(number as u32)
}

/// The non-blank texts without duplicates, in the order of their first occurrence.
pub(super) fn once<'a>(
    texts: impl Iterator<Item = &'a str>,
    spelling: impl Fn(&str) -> String,
) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for text in texts.map(|text| spelling(text.trim())) {
        if !text.is_empty() && !kept.contains(&text) {
            kept.push(text);
        }
    }
    kept
}
