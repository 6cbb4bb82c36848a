//! The first line of the input names a tool. The rest is the arguments of a call.

use std::sync::LazyLock;

use mission_control_runtime::gateway::ToolCall;
use mission_control_runtime::json;
use mission_control_runtime::model::{AgentId, BehaviorFlags, Task, TaskId, limits};
use mission_control_runtime::tools::table::{Audience, ROWS, ToolSpec, Type};
use mission_control_runtime::tools::{
    Caller, Offer, ToolError, ToolErrorKind, ToolName, ToolRequest, decode, guard, offer, prepare,
};
use serde_json::{Map, Value, json};

/// The maximum length of a sentence for an agent, including the mark of a cut.
const SENTENCE_CHARS: usize = 520;

/// Phrases that no refusal may contain if all fields have the types of the schema.
const TYPE_TROUBLE: [&str; 6] = [
    "Invalid JSON arguments",
    "Unknown field",
    "must be a string",
    "must be a number",
    "must be an array",
    "must be numeric",
];

/// The caller. The bits of a number select its permissions.
static CALLERS: LazyLock<Vec<(Person, Offer)>> = LazyLock::new(|| {
    let people = (0..64).map(|bits| Person::of(bits * 4)).chain([Person::of(255), Person::of(254)]);
    people.map(|person| (person.clone(), offer(&person.caller()))).collect()
});

/// Checks that the call is parsed as specified, or refused with a helpful sentence.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (name, arguments) = text.split_once('\n').unwrap_or((&text, ""));
    let here = TaskId::new("k-here");
    for current in [None, Some(&here)] {
        let read = decode(name, arguments, current);
        match &read {
            Ok(request) => understood(name, arguments, request, current),
            Err(error) => refused(name, arguments, error),
        }
    }
    let call = ToolCall { call_id: "c".to_owned(), name: name.to_owned(), arguments: arguments.to_owned() };
    let (person, offer) = &CALLERS[bytes.len() % CALLERS.len()];
    prepared(&call, &person.caller(), offer);
}

/// A parsed request is within the table and the limits, does not depend on its formatting, and can be recorded.
fn understood(name: &str, arguments: &str, request: &ToolRequest, current: Option<&TaskId>) {
    assert_eq!(request.name().as_str(), name);
    let row = request.row();
    let noted = request.arguments();
    let again = ToolRequest::noted(name, &noted);
    assert_eq!(again.as_ref(), Some(request), "what is noted is read as the same: {noted}");

    let plain: Value = serde_json::from_str(&noted).expect("it was written as JSON");
    let plain = plain.as_object().expect("of an object");
    assert_eq!(misfit(row, plain), None, "what is sent is what the schema says: {noted}");
    for (name, value) in plain {
        let field = row.field(name).expect("nothing is made up");
        within(name, value);
        if let Type::Count { most, .. } = field.is {
            assert!(value.as_u64().is_some_and(|count| count <= u64::from(most)), "{name}: {value}");
        }
    }
    if !arguments.trim().is_empty() {
        let given: Value = serde_json::from_str(&json::text(arguments)).expect("only JSON is understood");
        let turned = turned(&given);
        let again = decode(name, &turned, current);
        assert_eq!(again.as_ref(), Ok(request), "the order of the fields does not matter: {turned}");
        assert_eq!(again.map(|request| request.key()), Ok(request.key()));
        let backwards = decode(name, &backwards(given).to_string(), current);
        assert_eq!(backwards.map(|request| request.key()), Ok(request.key()), "nor that of the agents");
    }
}

/// Checks the limits of the backend (contract §3.10) independently.
fn within(name: &str, value: &Value) {
    let most = match name {
        "title" => limits::TITLE_CHARS,
        "description" => limits::DESCRIPTION_CHARS,
        "reason" | "blockedReason" => limits::REASON_CHARS,
        "message" => limits::REQUEST_MESSAGE_CHARS,
        _ => limits::DOCUMENT_CHARS,
    };
    if let Some(text) = value.as_str() {
        assert!(text.encode_utf16().count() <= most, "{name} is too long");
        assert!(name == "content" || text == text.trim(), "{name} is not trimmed");
        assert!(name == "content" || !text.is_empty(), "{name} is blank");
    }
    let Some(list) = value.as_array() else { return };
    let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
    assert_eq!(texts.len(), list.len());
    for (at, text) in texts.iter().enumerate() {
        assert!(!text.is_empty() && *text == text.trim(), "{name}: {text:?}");
        assert!(!texts[..at].contains(text), "{name} has {text:?} twice");
        assert!(name != "labels" || *text != Task::ORCHESTRATOR_CHAT, "a reserved label");
    }
    assert!(name != "recipientSlugs" || list.len() <= limits::REQUEST_RECIPIENTS);
}

/// A refusal is short, names the field, and does not mention types if the types are right.
fn refused(name: &str, arguments: &str, error: &ToolError) {
    let sentence = &error.message;
    assert!(!sentence.trim().is_empty() && sentence.chars().count() <= SENTENCE_CHARS, "{sentence}");
    let Ok(row) = name.parse().map(ToolName::row) else {
        assert_eq!((error.kind, error.field), (ToolErrorKind::UnknownTool, None));
        return;
    };
    assert!(matches!(error.kind, ToolErrorKind::Malformed | ToolErrorKind::Invalid), "{error:?}");
    match error.field {
        Some(field) => {
            assert!(row.field(field).is_some(), "{} has no {field}", row.name);
            assert!(
                sentence.contains(field) || sentence.to_lowercase().contains(&plain_word(field)),
                "{sentence}"
            );
        }
        None => assert!(row.fields.iter().any(|field| sentence.contains(field.name)), "{sentence}"),
    }
    let given: Option<Map<String, Value>> = serde_json::from_str(arguments).ok();
    if given.is_some_and(|given| misfit(row, &given).is_none()) {
        let about_types = TYPE_TROUBLE.iter().any(|words| sentence.contains(words));
        assert!(!about_types, "it is as the schema says: {sentence}");
    }
}

/// The words a sentence uses for a field instead of its name.
fn plain_word(field: &str) -> String {
    match field {
        "recipientSlugs" => "recipients",
        "content" | "message" | "title" | "description" | "status" | "type" => field,
        other => other,
    }
    .to_owned()
}

/// Permissions: an accepted request is among those that were offered.
fn prepared(call: &ToolCall, caller: &Caller<'_>, offer: &Offer) {
    let ready = prepare(call, caller, offer);
    assert_eq!(ready, prepare(call, caller, offer));
    match ready {
        Ok(request) => {
            assert!(offer.has(request.name()));
            assert_eq!(guard::rights(&request, caller), Ok(()));
            let row = request.row();
            assert!(
                row.audience != Audience::Leader || caller.leads,
                "only the orchestrator may {}",
                row.does
            );
            let closes = guard::closes(&request).is_some();
            assert!(!closes || caller.flags.can_mark_done, "only who may close tasks closes one");
        }
        Err(error) => assert!(error.message.chars().count() <= SENTENCE_CHARS),
    }
}

/// The mismatch with the offered schema of this row, if any. It supports only the words that the schemas use.
fn misfit(row: &ToolSpec, given: &Map<String, Value>) -> Option<String> {
    static SCHEMAS: LazyLock<Vec<Value>> = LazyLock::new(|| {
        let everybody = Person::of(255);
        let offer = offer(&everybody.caller());
        let schema = |row: &ToolSpec| offer.tools.iter().find(|tool| tool.name == row.name.as_str());
        ROWS.iter().map(|row| schema(row).map_or(Value::Null, |tool| tool.parameters.clone())).collect()
    });
    let schema = &SCHEMAS[ROWS.iter().position(|other| other.name == row.name)?];
    let properties =
        schema["properties"].as_object().expect("every tool is offered to a caller with all permissions");
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !given.contains_key(name) {
            return Some(format!("{name} is missing"));
        }
    }
    given.iter().find_map(|(name, value)| {
        let Some(property) = properties.get(name) else { return Some(format!("{name} is unknown")) };
        (!fits(property, value)).then(|| format!("{name} is {value}"))
    })
}

fn fits(property: &Value, value: &Value) -> bool {
    let right_type = match property["type"].as_str() {
        Some("string") => value.is_string(),
        Some("number") => value.is_number(),
        Some("array") => {
            value.as_array().is_some_and(|list| list.iter().all(|item| fits(&property["items"], item)))
        }
        _ => panic!("a word that this validator does not know: {property}"),
    };
    let among = |words: &Vec<Value>| words.contains(value);
    let bound = |name: &str| property[name].as_f64().zip(value.as_f64());
    right_type
        && property["enum"].as_array().is_none_or(among)
        && bound("minimum").is_none_or(|(least, given)| given >= least)
        && bound("maximum").is_none_or(|(most, given)| given <= most)
}

/// The value with the fields of its objects in reverse order, and blanks between all parts.
fn turned(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let fields =
                map.iter().rev().map(|(name, value)| format!("{} :\n{}", json!(name), turned(value)));
            format!("\t{{ {} }} ", fields.collect::<Vec<_>>().join(" ,\r\n"))
        }
        Value::Array(list) => format!("[ {} ]", list.iter().map(turned).collect::<Vec<_>>().join(" , ")),
        other => format!(" {other} "),
    }
}

/// The call with its agents in reverse order.
fn backwards(mut given: Value) -> Value {
    for name in ["assigneeSlugs", "recipientSlugs"] {
        if let Some(slugs) = given.get_mut(name).and_then(Value::as_array_mut) {
            slugs.reverse();
        }
    }
    given
}

/// A caller.
#[derive(Clone)]
struct Person {
    agent: AgentId,
    task: Option<Task>,
    flags: BehaviorFlags,
    leads: bool,
    may_close: bool,
}

impl Person {
    /// Whether it leads, may close tasks, has a task, and has further permissions.
    fn of(bits: usize) -> Self {
        let has = |bit: u32| bits & (1 << bit) != 0;
        let task = json!({"_id": "k-here", "title": "Here", "status": "review", "priority": 3.0, "createdBy": "u",
            "createdAt": 1.0, "updatedAt": 2.0});
        let flags = BehaviorFlags {
            can_create_tasks: has(3),
            can_modify_task_status: has(4),
            can_create_documents: has(5),
            can_mention_agents: has(6),
            can_review_tasks: true,
            can_mark_done: has(7),
        };
        Self {
            agent: AgentId::new("a-me"),
            task: has(2).then(|| serde_json::from_value(task).expect("a task of the backend")),
            flags,
            leads: has(0) || has(7),
            may_close: has(1) || has(6),
        }
    }

    fn caller(&self) -> Caller<'_> {
        let Self { agent, task, flags, leads, may_close } = self;
        Caller { agent, task: task.as_ref(), flags: *flags, leads: *leads, may_close: *may_close }
    }
}
