//! The arguments of a method: JSON, or a form with a file.

use std::collections::BTreeMap;

use serde_json::Value;

use mcr_http::message::Request;

/// The arguments of one call.
pub(super) struct Form {
    texts: BTreeMap<String, String>,
    file: Option<(String, Vec<u8>)>,
}

impl Form {
    /// Reads the arguments, if they have a known form.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let kind = request.header("Content-Type")?;
        if kind.starts_with("application/json") {
            let fields: BTreeMap<String, Value> = serde_json::from_slice(request.body()).ok()?;
            let text = |value: Value| match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let texts = fields.into_iter().map(|(name, value)| (name, text(value))).collect();
            return Some(Self { texts, file: None });
        }
        let boundary = kind.strip_prefix("multipart/form-data")?.split_once("boundary=")?.1;
        let mut form = Self { texts: BTreeMap::new(), file: None };
        for part in parts(request.body(), format!("--{boundary}").as_bytes()) {
            let split = find(part, b"\r\n\r\n")?;
            let (head, content) = (String::from_utf8_lossy(&part[..split]), &part[split + 4..]);
            let content = content.strip_suffix(b"\r\n")?;
            let quoted = |name: &str| {
                head.split_once(&format!(" {name}=\""))
                    .and_then(|(_, rest)| rest.split('"').next().map(str::to_owned))
            };
            if let Some(name) = quoted("filename") {
                form.file = Some((name, content.to_vec()));
            } else {
                let text = String::from_utf8(content.to_vec()).ok()?;
                form.texts.insert(quoted("name")?, text);
            }
        }
        Some(form)
    }

    /// A text; blank if there is none.
    pub(super) fn text(&self, name: &str) -> String {
        self.texts.get(name).cloned().unwrap_or_default()
    }

    /// The name and the content of the file.
    pub(super) fn file(&self) -> Option<(&str, &[u8])> {
        self.file.as_ref().map(|(name, content)| (name.as_str(), content.as_slice()))
    }
}

/// The parts between the boundaries.
fn parts<'a>(body: &'a [u8], boundary: &[u8]) -> Vec<&'a [u8]> {
    let mut found = Vec::new();
    let Some(first) = find(body, boundary) else { return found };
    let mut rest = &body[first + boundary.len()..];
    while let Some(end) = find(rest, boundary) {
        found.push(&rest[..end]);
        rest = &rest[end + boundary.len()..];
    }
    found
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
