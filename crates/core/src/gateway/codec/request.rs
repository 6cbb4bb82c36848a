//! Writes the body of a turn, and the gateway's names of agent and conversation (spec §1, §3, §4).

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::super::dialect::ToolShape;
use super::super::{Input, Tool, ToolOutput, Turn};
use super::{Class, TurnFailure, Why};
use mcr_model::{SessionKey, SessionKind};

/// The gateway's limit (spec §7).
const REQUEST_BYTES_MAX: usize = 20 * 1024 * 1024;

/// The agent's name in all three places: the model, the header and the session key. The gateway gives the
/// session key precedence and lower-cases it, so all three are in lower case.
pub fn agent_id(agent: &str) -> Result<String, TurnFailure> {
    let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b':' | b'/');
    if agent.is_empty() || !agent.bytes().all(fits) {
        let words = "its name has characters that no agent name at a gateway may have";
        return Err(TurnFailure::new(Class::Refused, Why::UnknownAgent).with_detail(words));
    }
    Ok(agent.to_ascii_lowercase())
}

/// How conversations are named at a gateway. The choice is permanent: another name is another conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionNames {
    /// By the table of [`session_key`], which every gateway accepts.
    #[default]
    Renamed,
    /// As a gateway with a single agent names the backend's keys, which earlier runtimes sent unchanged. The
    /// agent keeps its memory of earlier conversations (spec §4).
    Kept,
}

/// The name of a conversation at the gateway.
///
/// | the backend's | the gateway's |
/// |---|---|
/// | `task:{T}:agent:{s}:{A}:v{n}` | `agent:{s}:task:{T}:{A}:v{n}` |
/// | `system:agent:{s}:{A}:v{n}` | `agent:{s}:system:{A}:v{n}` |
/// | anything else | `agent:{s}:key:{the first 32 hexadecimal digits of its SHA-256}` |
///
/// The result is in lower case and always names `agent`. A key that names another agent, or cannot be sent in
/// a header, is "anything else". No result is in a namespace that the gateway reserves. Under
/// [`SessionNames::Kept`] the backend's key follows unchanged: `agent:{s}:task:{T}:agent:{s}:{A}:v{n}`.
pub fn session_key(key: &SessionKey, agent: &str, names: SessionNames) -> String {
    let agent = agent.to_ascii_lowercase();
    let text = key.expose();
    let own = key.agent_slug().is_some_and(|slug| slug.eq_ignore_ascii_case(&agent));
    let parts: Vec<&str> = text.split(':').collect();
    let plain = own && text.bytes().all(|b| b.is_ascii_graphic());
    match (plain, key.kind(), parts.as_slice()) {
        (true, SessionKind::Task | SessionKind::System, _) if names == SessionNames::Kept => {
            format!("agent:{agent}:{text}").to_ascii_lowercase()
        }
        (true, SessionKind::Task, [_, task, _, _, account, generation]) => {
            format!("agent:{agent}:task:{task}:{account}:{generation}").to_ascii_lowercase()
        }
        (true, SessionKind::System, [_, _, _, account, generation]) => {
            format!("agent:{agent}:system:{account}:{generation}").to_ascii_lowercase()
        }
        _ => format!("agent:{agent}:key:{}", digest(text)),
    }
}

fn digest(text: &str) -> String {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let digits = digest.as_ref().iter().take(16).flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(HEX[usize::from(digit)])).collect()
}

/// The body, as JSON. It has only keys that every release accepts, because unknown keys are refused.
pub fn body(turn: &Turn<'_>, agent: &str, shape: ToolShape) -> Result<Vec<u8>, TurnFailure> {
    let input_len = match turn.input {
        Input::Message(text) => text.len(),
        Input::Outputs(outputs) => outputs.iter().map(|output| output.output.len() + 96).sum(),
    };
    let mut bytes = Vec::with_capacity(input_len + turn.instructions.len() + 512 * (turn.tools.len() + 1));
    // Only a map with non-string keys cannot be written, and a tool's schema is a JSON value.
    serde_json::to_writer(&mut bytes, &RequestBody { turn, agent, shape })
        .map_err(|error| TurnFailure::new(Class::Refused, Why::OurRequest).with_detail(error.to_string()))?;
    if bytes.len() > REQUEST_BYTES_MAX {
        let words = format!("{} bytes; the gateway accepts 20 MiB", bytes.len());
        return Err(TurnFailure::new(Class::Refused, Why::TooLarge).with_detail(words));
    }
    Ok(bytes)
}

struct RequestBody<'a> {
    turn: &'a Turn<'a>,
    agent: &'a str,
    shape: ToolShape,
}

impl Serialize for RequestBody<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("model", &format_args!("openclaw/{}", self.agent))?;
        match self.turn.input {
            Input::Message(text) => map.serialize_entry("input", text)?,
            Input::Outputs(outputs) => map.serialize_entry("input", &Outputs(outputs))?,
        }
        if !self.turn.instructions.trim().is_empty() {
            map.serialize_entry("instructions", self.turn.instructions)?;
        }
        if !self.turn.tools.is_empty() {
            map.serialize_entry("tools", &Tools(self.turn.tools, self.shape))?;
        }
        // Only a stream reports the id of the run before its end.
        map.serialize_entry("stream", &true)?;
        map.end()
    }
}

struct Outputs<'a>(&'a [ToolOutput]);

impl Serialize for Outputs<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for output in self.0 {
            list.serialize_element(&OneOutput(output))?;
        }
        list.end()
    }
}

struct OneOutput<'a>(&'a ToolOutput);

impl Serialize for OneOutput<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(3))?;
        map.serialize_entry("type", "function_call_output")?;
        map.serialize_entry("call_id", &self.0.call_id)?;
        // The old release takes an empty output for no message (spec §9).
        let output = if self.0.output.is_empty() { "null" } else { &self.0.output };
        map.serialize_entry("output", output)?;
        map.end()
    }
}

struct Tools<'a>(&'a [&'a Tool], ToolShape);

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for tool in self.0 {
            match self.1 {
                ToolShape::Flat => list.serialize_element(&Function { tool, typed: true })?,
                ToolShape::Nested => list.serialize_element(&Nested(tool))?,
            }
        }
        list.end()
    }
}

struct Nested<'a>(&'a Tool);

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(2))?;
        map.serialize_entry("type", "function")?;
        map.serialize_entry("function", &Function { tool: self.0, typed: false })?;
        map.end()
    }
}

struct Function<'a> {
    tool: &'a Tool,
    typed: bool,
}

impl Serialize for Function<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        if self.typed {
            map.serialize_entry("type", "function")?;
        }
        map.serialize_entry("name", self.tool.name)?;
        map.serialize_entry("description", &self.tool.description)?;
        map.serialize_entry("parameters", &self.tool.parameters)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::gateway::LifeSigns;

    /// Irrelevant to the body.
    #[derive(Debug)]
    struct NoSigns;

    impl LifeSigns for NoSigns {
        fn beat(&self) {}

        fn quiet(&self) -> Duration {
            Duration::ZERO
        }

        fn end(&self) {}

        fn is_over(&self) -> bool {
            false
        }

        fn share(&self) -> Arc<dyn LifeSigns> {
            Arc::new(Self)
        }
    }

    /// design §6, spec §1.5, §4.
    #[test]
    fn conversations_are_renamed_by_the_table() {
        let rows = [
            ("task:T1:agent:engineer:Acc:v1", "engineer", "agent:engineer:task:t1:acc:v1"),
            ("task:k17:agent:QA:a:v12", "qa", "agent:qa:task:k17:a:v12"),
            ("system:agent:engineer:acc:v3", "Engineer", "agent:engineer:system:acc:v3"),
            ("", "qa", "agent:qa:key:e3b0c44298fc1c149afbf4c8996fb924"),
            ("agent:qa:main", "qa", "agent:qa:key:"),
            ("cron:daily", "qa", "agent:qa:key:"),
            ("task:T1:agent:qa:acc:v1:more", "qa", "agent:qa:key:"),
            ("task:T1:agent:qa:acc:w1", "qa", "agent:qa:key:"),
            ("task:T 1:agent:qa:acc:v1", "qa", "agent:qa:key:"),
            ("task:T1\r\nX: y:agent:qa:acc:v1", "qa", "agent:qa:key:"),
            // Another agent's conversation must not become this agent's.
            ("task:T1:agent:qa:acc:v1", "engineer", "agent:engineer:key:"),
        ];
        for (key, agent, expected) in rows {
            let name = session_key(&SessionKey::new(key), agent, SessionNames::Renamed);
            assert!(name.starts_with(expected), "{key}: {name}");
            if let Some((_, hash)) = name.split_once(":key:") {
                assert_eq!(hash.len(), 32, "{name}");
            } else {
                assert_eq!(name, expected);
            }
        }
    }

    /// spec §4: how a gateway with one agent names an unprefixed key.
    #[test]
    fn kept_names_are_those_of_a_gateway_with_one_agent() {
        let rows = [
            ("task:T1:agent:engineer:Acc:v1", "Engineer", "agent:engineer:task:t1:agent:engineer:acc:v1"),
            ("system:agent:engineer:acc:v3", "engineer", "agent:engineer:system:agent:engineer:acc:v3"),
            ("doctor:0123", "engineer", "agent:engineer:key:"),
            ("task:T1:agent:qa:acc:v1", "engineer", "agent:engineer:key:"),
        ];
        for (key, agent, expected) in rows {
            let name = session_key(&SessionKey::new(key), agent, SessionNames::Kept);
            assert!(name.starts_with(expected), "{key}: {name}");
        }
    }

    #[test]
    fn an_invalid_agent_name_is_refused() {
        assert_eq!(agent_id("Engineer-2").ok().as_deref(), Some("engineer-2"));
        for bad in ["", "a b", "a:b", "a/b", "ü", "a\r\nb"] {
            let failure = agent_id(bad).unwrap_err();
            assert_eq!((failure.class, failure.why), (Class::Refused, Why::UnknownAgent), "{bad:?}");
        }
    }

    /// spec §1.1 to §1.3, §3.
    #[test]
    fn a_body_has_only_what_the_gateway_accepts() {
        let tool = Tool {
            name: "task_status",
            description: "Moves a task.".to_owned(),
            parameters: json!({"type": "object"}),
        };
        let session = SessionKey::new("task:T1:agent:qa:acc:v1");
        let turn = Turn {
            session: &session,
            agent: "qa",
            instructions: "Be brief.",
            input: Input::Message("[n-1 try 1] hi"),
            tools: &[&tool],
            pulse: &NoSigns,
        };
        let read = |turn: &Turn<'_>, shape| -> Value {
            serde_json::from_slice(&body(turn, "qa", shape).ok().unwrap()).unwrap()
        };
        let flat = json!({"type": "function", "name": "task_status", "description": "Moves a task.",
            "parameters": {"type": "object"}});
        assert_eq!(
            read(&turn, ToolShape::Flat),
            json!({"model": "openclaw/qa", "input": "[n-1 try 1] hi", "instructions": "Be brief.",
                "tools": [flat], "stream": true})
        );
        let nested = json!({"type": "function", "function": {"name": "task_status",
            "description": "Moves a task.", "parameters": {"type": "object"}}});
        assert_eq!(read(&turn, ToolShape::Nested)["tools"], json!([nested]));

        let outputs = [
            ToolOutput { call_id: "c1".to_owned(), output: "{\"ok\":true}".to_owned() },
            ToolOutput { call_id: "c2".to_owned(), output: String::new() },
        ];
        let turn = Turn { instructions: " \n", input: Input::Outputs(&outputs), tools: &[], ..turn };
        assert_eq!(
            read(&turn, ToolShape::Flat),
            json!({"model": "openclaw/qa", "stream": true, "input": [
                {"type": "function_call_output", "call_id": "c1", "output": "{\"ok\":true}"},
                {"type": "function_call_output", "call_id": "c2", "output": "null"}]})
        );
        let huge = "x".repeat(REQUEST_BYTES_MAX);
        let turn = Turn { input: Input::Message(&huge), ..turn };
        let failure = body(&turn, "qa", ToolShape::Flat).unwrap_err();
        assert_eq!((failure.class, failure.why), (Class::Refused, Why::TooLarge));
    }
}
