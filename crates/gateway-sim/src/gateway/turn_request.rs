//! Parses a request into agent, session and input (openclaw-gateway §3 and §4).

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::scripted_model::{InputItem, Offered};
use super::{Options, Release, schema};
use mcr_http::message::Request;

/// A valid request.
pub(super) struct TurnRequest {
    /// The model as received. The response repeats it.
    pub(super) model: String,
    pub(super) agent: String,
    /// The requested session, if any.
    pub(super) wanted: Option<String>,
    /// The session's full name in lower case. `None` if no agent owns the requested name.
    pub(super) session: Option<String>,
    pub(super) stream: bool,
    pub(super) instructions: String,
    pub(super) tools: Vec<Offered>,
    /// Whether a tool has the name of a built-in tool or of another tool.
    pub(super) clash: bool,
    pub(super) must_call: Option<MustCall>,
    pub(super) texts: Vec<InputItem>,
    pub(super) text: String,
    pub(super) previous: Option<String>,
}

/// The demand of `tool_choice`.
pub(super) enum MustCall {
    Any,
    This(String),
}

/// Names of the gateway's own tools, which clients cannot use: those known to clash, and similar ones.
const BUILT_IN: [&str; 16] = [
    "agents_list",
    "apply_patch",
    "browser",
    "edit",
    "exec",
    "gateway",
    "image",
    "message",
    "process",
    "read",
    "session_status",
    "sessions_history",
    "sessions_list",
    "sessions_send",
    "sessions_spawn",
    "write",
];

/// Namespaces of the gateway's internal sessions.
const RESERVED: [&str; 4] = ["subagent:", "cron:", "acp:", "harness:"];

const NO_OWNER: &str = "Multiple agents are configured, but this operation has no explicit owner. Select an agent \
    explicitly; CLI callers can pass --agent <id>, channels can add a binding, and ambient services can set their \
    agentId target.";
const NO_MODEL: &str = "Invalid `model`. Use `openclaw` or `openclaw/<agentId>`.";
const IS_RESERVED: &str = "`x-openclaw-session-key` cannot use reserved internal session namespaces.";
const NO_TEXT: &str = "Missing user message in `input`.";
const BAD_TOOLS: &str = "invalid tool configuration";

/// Parses a request. The error is the message of the 400.
pub(super) fn read(
    request: &Request,
    options: &Options,
    new_session: impl FnOnce() -> String,
) -> Result<TurnRequest, String> {
    let empty = request.body().iter().all(u8::is_ascii_whitespace);
    let body: Value = if empty { json!({}) } else { parse(request.body())? };
    schema::check(&body, options.release).map_err(|issue| issue.sentence())?;
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let agent = agent(request, text("model"), options)?;
    let tools = tools(&body["tools"], options.release);
    let mut names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    names.sort_unstable();
    let clash =
        names.windows(2).any(|pair| pair[0] == pair[1]) || names.iter().any(|name| BUILT_IN.contains(name));
    let (tools, must_call) = choose(tools, &body["tool_choice"])?;
    let wanted = request.header("x-openclaw-session-key").map(str::trim).filter(|key| !key.is_empty());
    let session = match (wanted, body["user"].as_str().filter(|user| !user.is_empty())) {
        (Some(key), _) if !is_old(options) && is_reserved(key) => {
            return Err(IS_RESERVED.into());
        }
        (Some(key), _) => session_named(key, &agent, options),
        (None, Some(user)) => Some(format!("agent:{agent}:openresponses-user:{}", user.to_lowercase())),
        (None, None) => Some(format!("agent:{agent}:openresponses:{}", new_session())),
    };
    // The session key overrides the agent.
    let agent = match session.as_deref().and_then(owner) {
        Some(owner) if options.knows(owner) => owner.to_owned(),
        _ => agent,
    };
    let mut instructions = text("instructions").to_owned();
    let texts = texts(&body["input"], &mut instructions);
    let text = one_text(&body["input"], &texts, options.release);
    if text.is_empty() {
        return Err(NO_TEXT.into());
    }
    Ok(TurnRequest {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        agent,
        wanted: wanted.map(str::to_owned),
        session,
        stream: body["stream"] == true,
        instructions,
        tools,
        clash,
        must_call,
        texts,
        text,
        previous: body["previous_response_id"].as_str().map(str::to_owned),
    })
}

/// Parses the body as JSON. Errors have the wording of the gateway's parser.
fn parse(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|why| {
        let text = String::from_utf8_lossy(body);
        match text.trim_start().chars().next() {
            _ if why.is_eof() => "Unexpected end of JSON input".to_owned(),
            Some(first) if !"{[\"".contains(first) => {
                let start: String = text.chars().take(10).collect();
                let dots = if text.chars().count() > 10 { "..." } else { "" };
                format!("Unexpected token '{first}', \"{start}\"{dots} is not valid JSON")
            }
            _ => format!("Expected another character in JSON (line {} column {})", why.line(), why.column()),
        }
    })
}

/// The agent: the header takes precedence over the model.
fn agent(request: &Request, model: &str, options: &Options) -> Result<String, String> {
    let header = request.header("x-openclaw-agent-id").or_else(|| request.header("x-openclaw-agent"));
    let header = header.map(str::trim).filter(|id| !id.is_empty());
    let model = model.trim().to_ascii_lowercase();
    let named = ["openclaw/", "openclaw:", "agent:"].iter().find_map(|prefix| model.strip_prefix(prefix));
    let named = named
        .filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
    let any = model == "openclaw" || model == "openclaw/default";
    let is_known = |id: &String| options.knows(id);
    let first = options.agents.first().cloned().unwrap_or_else(|| "main".to_owned());
    let asked = header.map(str::to_ascii_lowercase).or_else(|| named.filter(|_| !any).map(str::to_owned));
    if !options.release.refuses_unknown_agents() {
        // Old releases accept any agent.
        return Ok(asked.filter(is_known).unwrap_or(first));
    }
    let agent = match asked {
        Some(id) if !is_known(&id) => return Err(format!("Unknown agent '{id}'.")),
        Some(id) => id,
        None if any && options.agents.len() < 2 => first,
        None if any => return Err(NO_OWNER.into()),
        None => return Err(NO_MODEL.into()),
    };
    if any || named.is_some() { Ok(agent) } else { Err(NO_MODEL.into()) }
}

fn is_old(options: &Options) -> bool {
    options.release.is_oldest()
}

fn owner(session: &str) -> Option<&str> {
    let (id, rest) = session.strip_prefix("agent:")?.split_once(':')?;
    (!rest.is_empty()).then_some(id)
}

fn is_reserved(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let rest = match key.strip_prefix("agent:").and_then(|rest| rest.split_once(':')) {
        Some((_, rest)) => rest,
        None => &key,
    };
    RESERVED.iter().any(|name| rest.starts_with(name))
}

/// The full name of a session, if an agent owns it.
pub(super) fn session_named(key: &str, agent: &str, options: &Options) -> Option<String> {
    let key = key.to_lowercase();
    match owner(&key) {
        Some(id) if options.knows(id) => Some(key),
        None if options.agents.len() < 2 || is_old(options) => Some(format!("agent:{agent}:{key}")),
        Some(_) if is_old(options) => Some(key),
        Some(_) | None => None,
    }
}

fn tools(tools: &Value, release: Release) -> Vec<Offered> {
    let tools = tools.as_array().into_iter().flatten();
    let inner = tools.map(|tool| if release.nests_tools() { &tool["function"] } else { tool });
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let offered = inner.map(|tool| Offered {
        name: text(&tool["name"]),
        description: text(&tool["description"]),
        parameters: tool["parameters"].clone(),
    });
    offered.collect()
}

/// The tools that `tool_choice` leaves, and its demand.
fn choose(mut tools: Vec<Offered>, choice: &Value) -> Result<(Vec<Offered>, Option<MustCall>), String> {
    let named = choice["name"].as_str().or_else(|| choice["function"]["name"].as_str());
    let must_call = match (choice.as_str(), named) {
        (Some("none"), _) => return Ok((Vec::new(), None)),
        (Some("required"), _) => MustCall::Any,
        (_, Some(name)) => {
            tools.retain(|tool| tool.name == name);
            MustCall::This(name.to_owned())
        }
        _ => return Ok((tools, None)),
    };
    if tools.is_empty() { Err(BAD_TOOLS.into()) } else { Ok((tools, Some(must_call))) }
}

/// The input items with text. System messages are appended to the instructions.
fn texts(input: &Value, instructions: &mut String) -> Vec<InputItem> {
    let Value::Array(items) = input else {
        return vec![InputItem::User(input.as_str().unwrap_or_default().to_owned())];
    };
    let mut texts = Vec::new();
    for item in items {
        let text = |name: &str| item[name].as_str().unwrap_or_default();
        match text("type") {
            "message" => {
                let body = content(&item["content"]);
                match text("role") {
                    _ if body.is_empty() => {}
                    "system" | "developer" => {
                        let gap = if instructions.is_empty() { "" } else { "\n\n" };
                        let _ = write!(instructions, "{gap}{body}");
                    }
                    "assistant" => texts.push(InputItem::Assistant(body)),
                    _ => texts.push(InputItem::User(body)),
                }
            }
            "function_call" => {
                let id = item["call_id"].as_str().unwrap_or_else(|| text("id"));
                let call = format!("tool_call id={id} name={} arguments={}", text("name"), text("arguments"));
                texts.push(InputItem::Assistant(call));
            }
            "function_call_output" => {
                texts.push(InputItem::Output {
                    call_id: text("call_id").to_owned(),
                    output: text("output").to_owned(),
                });
            }
            _ => {}
        }
    }
    texts
}

fn content(content: &Value) -> String {
    let parts = content.as_array().into_iter().flatten();
    let texts: Vec<&str> =
        parts.filter_map(|part| part["text"].as_str()).filter(|text| !text.is_empty()).collect();
    content.as_str().map_or_else(|| texts.join("\n"), str::to_owned).trim().to_owned()
}

/// The one text that the gateway makes of the items. The last item that is not the agent's is the message. The items
/// before it are its context.
fn one_text(input: &Value, texts: &[InputItem], release: Release) -> String {
    if let (Value::String(text), _) | (_, [InputItem::User(text)]) = (input, texts) {
        return text.clone();
    }
    if let (false, [InputItem::Output { output, .. }]) = (release.marks_results(), texts) {
        return output.clone();
    }
    let line = |texts: &InputItem| match texts {
        InputItem::User(text) => format!("User: {text}"),
        InputItem::Assistant(text) => format!("Assistant: {text}"),
        InputItem::Output { call_id, output } => format!("Tool:{call_id}: {output}"),
    };
    let Some(last) = texts.len().checked_sub(1) else { return String::new() };
    let current = texts.iter().rposition(|texts| !matches!(texts, InputItem::Assistant(_))).unwrap_or(last);
    let before: Vec<String> = texts[..current].iter().map(line).collect();
    match &texts[current] {
        InputItem::User(text) | InputItem::Assistant(text) if before.is_empty() => text.clone(),
        texts if before.is_empty() => line(texts),
        texts => format!(
            "[Chat messages since your last reply - for context]\n{}\n\n[Current message - respond to this]\n{}",
            before.join("\n"),
            line(texts)
        ),
    }
}
