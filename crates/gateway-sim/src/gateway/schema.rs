//! Checks the schema of a request body (openclaw-gateway §3) and refuses in the gateway's own words (§7). It reports the
//! first problem: keys in the order of the gateway's list, unknown keys last.

use serde_json::{Map, Value};

use super::Release;

/// A problem of a body.
pub(super) struct Issue {
    path: String,
    text: String,
    /// The only problem is an unknown key. Among several possible forms this shows the intended one.
    unknown_key: bool,
}

type Checked = Result<(), Issue>;

impl Issue {
    fn new(path: &str, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), text: text.into(), unknown_key: false }
    }

    /// The sentence for the client.
    pub(super) fn sentence(&self) -> String {
        format!("{}: {}", self.path, self.text)
    }
}

/// Checks a whole body.
pub(super) fn check(body: &Value, release: Release) -> Checked {
    let map = object(body, "")?;
    match map.get("model") {
        Some(Value::String(_)) => {}
        other => return Err(expected("string", other, "model")),
    }
    input(map.get("input"), release)?;
    optional(map, "", "instructions", string)?;
    if let Some(tools) = map.get("tools") {
        let Value::Array(tools) = tools else { return Err(expected("array", Some(tools), "tools")) };
        for (at, tool) in tools.iter().enumerate() {
            check_tool(tool, &format!("tools.{at}"), release)?;
        }
    }
    if map.get("tool_choice").is_some_and(|choice| !is_tool_choice(choice)) {
        return Err(Issue::new("tool_choice", "Invalid input"));
    }
    if !release.is_oldest() {
        optional(map, "", "text", text_format)?;
    }
    optional(map, "", "stream", boolean)?;
    for name in ["max_output_tokens", "max_tool_calls"] {
        optional(map, "", name, positive)?;
    }
    optional(map, "", "user", string)?;
    optional(map, "", "temperature", |value, path| between(value, path, 2))?;
    optional(map, "", "top_p", |value, path| between(value, path, 1))?;
    optional(map, "", "metadata", strings)?;
    optional(map, "", "store", boolean)?;
    optional(map, "", "previous_response_id", string)?;
    optional(map, "", "reasoning", |value, path| {
        let map = object(value, path)?;
        optional(map, path, "effort", |value, path| one_of(value, path, &["low", "medium", "high"]))?;
        optional(map, path, "summary", |value, path| one_of(value, path, &["auto", "concise", "detailed"]))
    })?;
    optional(map, "", "truncation", |value, path| one_of(value, path, &["auto", "disabled"]))?;
    let mut known = vec![
        "model",
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "stream",
        "max_output_tokens",
        "max_tool_calls",
        "user",
        "temperature",
        "top_p",
        "metadata",
        "store",
        "previous_response_id",
        "reasoning",
        "truncation",
    ];
    if !release.is_oldest() {
        known.push("text");
    }
    no_others(map, "", &known)
}

/// Checks the input: a text or a list of items. An item's problem is named only if the intended form is clear.
fn input(input: Option<&Value>, release: Release) -> Checked {
    let invalid = || Issue::new("input", "Invalid input");
    match input {
        Some(Value::String(_)) => Ok(()),
        Some(Value::Array(items)) => {
            let mut first = Ok(());
            for (at, item) in items.iter().enumerate() {
                match check_item(item, &format!("input.{at}"), release) {
                    Err(issue) if issue.unknown_key => first = first.and(Err(issue)),
                    Err(_) => return Err(invalid()),
                    Ok(()) => {}
                }
            }
            first
        }
        _ => Err(invalid()),
    }
}

fn check_item(item: &Value, path: &str, release: Release) -> Checked {
    let map = object(item, path)?;
    match map.get("type").and_then(Value::as_str) {
        Some("message") => {
            let new = !release.is_oldest();
            let role = map.get("role").unwrap_or(&Value::Null);
            one_of(role, path, &["system", "developer", "user", "assistant"])?;
            if new {
                optional(map, path, "id", string)?;
                optional(map, path, "status", status)?;
                optional(map, path, "phase", |value, path| {
                    one_of(value, path, &["commentary", "final_answer"])
                })?;
                if map.contains_key("phase") && role != "assistant" {
                    let why = "`phase` is only valid on assistant messages.";
                    return Err(Issue::new(&format!("{path}.phase"), why));
                }
            }
            content(map.get("content"), &format!("{path}.content"))?;
            let known: &[&str] = if new {
                &["type", "id", "role", "content", "phase", "status"]
            } else {
                &["type", "role", "content"]
            };
            no_others(map, path, known)
        }
        Some("function_call") => {
            required(map, path, &["name", "arguments"])?;
            optional(map, path, "id", string)?;
            optional(map, path, "call_id", string)?;
            optional(map, path, "status", status)?;
            no_others(map, path, &["type", "id", "call_id", "name", "arguments", "status"])
        }
        Some("function_call_output") => {
            required(map, path, &["call_id", "output"])?;
            no_others(map, path, &["type", "call_id", "output"])
        }
        Some("reasoning") => {
            for name in ["content", "encrypted_content", "summary"] {
                optional(map, path, name, string)?;
            }
            no_others(map, path, &["type", "content", "encrypted_content", "summary"])
        }
        Some("item_reference") => {
            required(map, path, &["id"])?;
            no_others(map, path, &["type", "id"])
        }
        _ => Err(Issue::new(path, "Invalid input")),
    }
}

fn content(content: Option<&Value>, path: &str) -> Checked {
    match content {
        Some(Value::String(_)) => Ok(()),
        Some(Value::Array(parts)) => parts.iter().enumerate().try_for_each(|(at, part)| {
            let path = format!("{path}.{at}");
            let map = object(part, &path)?;
            match map.get("type").and_then(Value::as_str) {
                Some("input_text" | "output_text") => {
                    required(map, &path, &["text"])?;
                    no_others(map, &path, &["type", "text"])
                }
                Some("input_image" | "input_file") => {
                    object(map.get("source").unwrap_or(&Value::Null), &path)?;
                    no_others(map, &path, &["type", "source"])
                }
                _ => Err(Issue::new(&path, "Invalid input")),
            }
        }),
        _ => Err(Issue::new(path, "Invalid input")),
    }
}

/// Checks a tool: flat since 2026.3.31, nested before.
fn check_tool(tool: &Value, path: &str, release: Release) -> Checked {
    let map = object(tool, path)?;
    if map.get("type").and_then(Value::as_str) != Some("function") {
        return Err(Issue::new(&format!("{path}.type"), "Invalid input: expected \"function\""));
    }
    let nested = format!("{path}.function");
    let (inner, at) = match map.get("function") {
        _ if !release.nests_tools() => (map, path),
        Some(Value::Object(inner)) => (inner, nested.as_str()),
        other => return Err(expected("object", other, &nested)),
    };
    match inner.get("name") {
        Some(Value::String(name)) if name.is_empty() => {
            return Err(Issue::new(&format!("{at}.name"), "Tool name cannot be empty"));
        }
        Some(Value::String(_)) => {}
        other => return Err(expected("string", other, &format!("{at}.name"))),
    }
    optional(inner, at, "description", string)?;
    optional(inner, at, "parameters", |value, path| match value {
        Value::Object(_) => Ok(()),
        other => Err(expected("record", Some(other), path)),
    })?;
    if release.nests_tools() {
        no_others(inner, at, &["name", "description", "parameters"])?;
        return no_others(map, path, &["type", "function"]);
    }
    optional(inner, at, "strict", boolean)?;
    no_others(inner, at, &["type", "name", "description", "parameters", "strict"])
}

fn is_tool_choice(choice: &Value) -> bool {
    let named = |value: &Value| value["name"].as_str().is_some_and(|name| !name.is_empty());
    match choice {
        Value::String(word) => matches!(word.as_str(), "auto" | "none" | "required"),
        Value::Object(map) => {
            map.get("type").is_some_and(|kind| kind == "function")
                && map.len() == 2
                && (named(choice) || named(&choice["function"]))
        }
        _ => false,
    }
}

fn text_format(value: &Value, path: &str) -> Checked {
    let map = object(value, path)?;
    let inner = format!("{path}.format");
    let format = match map.get("format") {
        Some(Value::Object(format)) => format,
        other => return Err(expected("object", other, &inner)),
    };
    if format.get("type").and_then(Value::as_str) != Some("text") {
        return Err(Issue::new(&format!("{inner}.type"), "Invalid input: expected \"text\""));
    }
    no_others(format, &inner, &["type"])?;
    no_others(map, path, &["format"])
}

fn optional(
    map: &Map<String, Value>,
    path: &str,
    name: &str,
    check: impl FnOnce(&Value, &str) -> Checked,
) -> Checked {
    map.get(name).map_or(Ok(()), |value| check(value, &join(path, name)))
}

fn required(map: &Map<String, Value>, path: &str, names: &[&str]) -> Checked {
    names.iter().try_for_each(|name| match map.get(*name) {
        Some(Value::String(_)) => Ok(()),
        other => Err(expected("string", other, &join(path, name))),
    })
}

fn no_others(map: &Map<String, Value>, path: &str, known: &[&str]) -> Checked {
    let others: Vec<String> =
        map.keys().filter(|key| !known.contains(&key.as_str())).map(|key| format!("\"{key}\"")).collect();
    let many = if others.len() == 1 { "key" } else { "keys" };
    if others.is_empty() {
        return Ok(());
    }
    let issue = Issue::new(path, format!("Unrecognized {many}: {}", others.join(", ")));
    Err(Issue { unknown_key: true, ..issue })
}

fn object<'a>(value: &'a Value, path: &str) -> Result<&'a Map<String, Value>, Issue> {
    value.as_object().ok_or_else(|| expected("object", Some(value), path))
}

fn string(value: &Value, path: &str) -> Checked {
    if value.is_string() { Ok(()) } else { Err(expected("string", Some(value), path)) }
}

fn boolean(value: &Value, path: &str) -> Checked {
    if value.is_boolean() { Ok(()) } else { Err(expected("boolean", Some(value), path)) }
}

fn status(value: &Value, path: &str) -> Checked {
    one_of(value, path, &["in_progress", "completed", "incomplete"])
}

fn strings(value: &Value, path: &str) -> Checked {
    let Value::Object(map) = value else { return Err(expected("record", Some(value), path)) };
    map.iter().try_for_each(|(name, value)| string(value, &join(path, name)))
}

fn one_of(value: &Value, path: &str, words: &[&str]) -> Checked {
    if value.as_str().is_some_and(|word| words.contains(&word)) {
        return Ok(());
    }
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    Err(Issue::new(path, format!("Invalid option: expected one of {}", words.join("|"))))
}

fn positive(value: &Value, path: &str) -> Checked {
    match value {
        Value::Number(number) if number.is_f64() => {
            Err(Issue::new(path, "Invalid input: expected int, received number"))
        }
        Value::Number(number) if number.as_u64().is_some_and(|n| n > 0) => Ok(()),
        Value::Number(_) => Err(Issue::new(path, "Too small: expected number to be >0")),
        other => Err(expected("number", Some(other), path)),
    }
}

fn between(value: &Value, path: &str, most: u8) -> Checked {
    match value.as_f64() {
        None => Err(expected("number", Some(value), path)),
        Some(number) if number < 0.0 => Err(Issue::new(path, "Too small: expected number to be >=0")),
        Some(number) if number > f64::from(most) => {
            Err(Issue::new(path, format!("Too big: expected number to be <={most}")))
        }
        Some(_) => Ok(()),
    }
}

fn expected(wanted: &str, value: Option<&Value>, path: &str) -> Issue {
    let received = match value {
        None => "undefined",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
    };
    Issue::new(path, format!("Invalid input: expected {wanted}, received {received}"))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
