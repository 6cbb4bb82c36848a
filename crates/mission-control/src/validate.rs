//! Validates arguments against the list of a function before anything else happens, as the platform does (backend-contract
//! §1.2, §1.4, §9): a missing field, an extra one, a wrong type, word or table is refused. The platform's text echoes
//! the argument object with the token in it; ours names the field and never a value of it that could be secret.

use serde_json::{Map, Value};

use super::number;
use super::store::{Table, table_of};

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Is {
    /// The id of a row of this table.
    Id(Table),
    /// A text.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list of such values.
    List(&'static Is),
    /// An object with exactly these fields.
    Object(&'static [Arg]),
    /// An object whose values are texts.
    Texts,
    /// This form, or `null`.
    OrNull(&'static Is),
    /// Any value.
    Any,
}

/// A named argument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arg {
    name: &'static str,
    is: Is,
    optional: bool,
}

impl Arg {
    /// Its name.
    #[cfg(test)]
    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// The form of its value.
    pub(super) const fn is(&self) -> Is {
        self.is
    }
}

/// A required argument.
pub(super) const fn need(name: &'static str, is: Is) -> Arg {
    Arg { name, is, optional: false }
}

/// An optional argument, which must not be `null`.
pub(super) const fn may(name: &'static str, is: Is) -> Arg {
    Arg { name, is, optional: true }
}

/// Why the arguments do not fit, in the platform's words.
pub(super) fn validate(value: &Value, list: &'static [Arg]) -> Result<(), String> {
    check(value, &Is::Object(list), "")
}

/// Why a value does not fit, in the platform's words. `path` is its place in the arguments.
pub(super) fn check(value: &Value, is: &Is, path: &str) -> Result<(), String> {
    let fits = match is {
        Is::Id(table) => return check_id(value, *table, path),
        Is::Text => value.is_string(),
        Is::Number => number::read(value).is_some(),
        Is::Bool => value.is_boolean(),
        Is::OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        Is::List(item) => match value.as_array() {
            Some(values) => {
                return values
                    .iter()
                    .enumerate()
                    .try_for_each(|(at, v)| check(v, item, &format!("{path}[{at}]")));
            }
            None => false,
        },
        Is::Object(list) => match value.as_object() {
            Some(fields) => return check_fields(fields, list, path),
            None => false,
        },
        Is::Texts => value.as_object().is_some_and(|fields| fields.values().all(Value::is_string)),
        Is::OrNull(_) if value.is_null() => true,
        Is::OrNull(is) => return check(value, is, path),
        Is::Any => true,
    };
    if fits { Ok(()) } else { Err(mismatch(value, is, path)) }
}

fn check_fields(fields: &Map<String, Value>, list: &[Arg], path: &str) -> Result<(), String> {
    if let Some(missing) = list.iter().find(|arg| !arg.optional && !fields.contains_key(arg.name)) {
        return Err(format!(
            "Object is missing the required field `{}`. Consider wrapping the field validator in `v.optional(...)` \
             if this is expected.\n\nValidator: {}",
            missing.name,
            Is::object(list)
        ));
    }
    if let Some(extra) = fields.keys().find(|name| !list.iter().any(|arg| arg.name == *name)) {
        let validator = Is::object(list);
        return Err(format!(
            "Object contains extra field `{extra}` that is not in the validator.\n\nValidator: {validator}"
        ));
    }
    let there = list.iter().filter_map(|arg| Some((arg, fields.get(arg.name)?)));
    there.into_iter().try_for_each(|(arg, value)| check(value, &arg.is, &format!("{path}.{}", arg.name)))
}

fn check_id(value: &Value, table: Table, path: &str) -> Result<(), String> {
    match value.as_str().map(table_of) {
        Some(Some(found)) if found == table => Ok(()),
        Some(Some(found)) => Err(format!(
            "Found ID {value} from table `{}`, which does not match the table name in validator `{}`.\nPath: {path}\n\
             Value: {value}\nValidator: {}",
            found.name(),
            Is::Id(table).validator(),
            Is::Id(table).validator()
        )),
        _ => Err(mismatch(value, &Is::Id(table), path)),
    }
}

fn mismatch(value: &Value, is: &Is, path: &str) -> String {
    let place = if path.is_empty() { String::new() } else { format!("Path: {path}\n") };
    // If two arguments are swapped, the error must not contain the token or a provider's key.
    let is_token = value.as_str().is_some_and(|text| text.starts_with("mc_service_"));
    let shown = match value {
        _ if is_token || matches!(path, ".serviceToken" | ".key" | ".plaintextValue" | ".flyApiToken") => {
            "\"***\"".to_owned()
        }
        Value::Array(_) => "[...]".to_owned(),
        Value::Object(_) => "{...}".to_owned(),
        other => other.to_string(),
    };
    format!("Value does not match validator.\n{place}Value: {shown}\nValidator: {}", is.validator())
}

impl Is {
    fn object(list: &[Arg]) -> String {
        let fields = list.iter().map(|arg| {
            let is = arg.is.validator();
            if arg.optional {
                format!("{}: v.optional({is})", arg.name)
            } else {
                format!("{}: {is}", arg.name)
            }
        });
        format!("v.object({{{}}})", fields.collect::<Vec<_>>().join(", "))
    }

    /// As the platform writes validators.
    fn validator(&self) -> String {
        match self {
            Self::Id(table) => format!("v.id(\"{}\")", table.name()),
            Self::Text => "v.string()".to_owned(),
            Self::Number => "v.float64()".to_owned(),
            Self::Bool => "v.boolean()".to_owned(),
            Self::OneOf(words) => {
                let words = words.iter().map(|word| format!("v.literal(\"{word}\")"));
                format!("v.union({})", words.collect::<Vec<_>>().join(", "))
            }
            Self::List(item) => format!("v.array({})", item.validator()),
            Self::Object(list) => Self::object(list),
            Self::Texts => "v.record(v.string(), v.string())".to_owned(),
            Self::OrNull(is) => format!("v.union({}, v.null())", is.validator()),
            Self::Any => "v.any()".to_owned(),
        }
    }
}
