//! The files of the message to answer: name, type, size and link.
//!
//! The backend supplies a link or none; this service fetches no file. A link is shown whole or not at all,
//! because a cut one is invalid.

use super::fence::PromptFence;
use mcr_model::MessageFile;
use mcr_model::redact::without_credentials;

/// The most files shown; further files are only counted.
const FILES_MAX: usize = 20;
const NAME_CHARS: usize = 120;
const TYPE_CHARS: usize = 80;
/// The longest link. Signed links of object stores have some hundred characters.
const LINK_BYTES: usize = 2_000;

/// A heading and one line for each file; `None` without files.
pub(super) fn lines(fence: PromptFence<'_>, files: &[MessageFile]) -> Option<String> {
    if files.is_empty() {
        return None;
    }
    let mut lines = vec![fence.line("files of this message")];
    lines.extend(files.iter().take(FILES_MAX).map(|file| line(fence, file)));
    if files.len() > FILES_MAX {
        lines.push(format!("… and {} more", files.len() - FILES_MAX));
    }
    Some(lines.join("\n"))
}

/// `- sketch.png (image/png, 34 kB): https://…`
fn line(fence: PromptFence<'_>, file: &MessageFile) -> String {
    let word = |text: &str, chars_max| match fence.one_line(&without_credentials(text), chars_max) {
        word if word.is_empty() => "unknown".to_owned(),
        word => word,
    };
    let (name, mime) = (word(&file.name, NAME_CHARS), word(&file.mime, TYPE_CHARS));
    let size =
        file.bytes.filter(|bytes| *bytes > 0.0).map_or(String::new(), |bytes| format!(", {}", size(bytes)));
    format!("- {name} ({mime}{size}): {}", link(fence, file.url.as_deref()))
}

/// The backend's link, or why there is none.
fn link(fence: PromptFence<'_>, url: Option<&str>) -> String {
    let Some(url) = url.map(str::trim).filter(|url| !url.is_empty()) else {
        return "no link: ask for the contents".to_owned();
    };
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let shown = fence.one_line(url, LINK_BYTES);
    if !matches!(scheme.as_deref(), Some("http" | "https")) {
        "no link: its address is not http or https".to_owned()
    } else if without_credentials(url) != url {
        "no link: its address contains a credential".to_owned()
    } else if url.len() > LINK_BYTES || shown != url || url.contains(char::is_whitespace) {
        "no link: its address is too long or contains invalid characters".to_owned()
    } else {
        shown
    }
}

/// `12 bytes`, `34 kB`, `5.6 MB`.
fn size(bytes: f64) -> String {
    match bytes {
        ..1e3 => format!("{bytes:.0} bytes"),
        1e3..1e6 => format!("{:.0} kB", (bytes / 1e3).floor()),
        _ => format!("{:.1} MB", bytes / 1e6),
    }
}
