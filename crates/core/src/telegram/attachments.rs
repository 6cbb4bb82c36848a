//! The names under which the files of a message are stored: safe on any disk, and different from each other.

use std::collections::HashSet;

use mcr_model::JobAttachment;

/// The longest name.
const NAME_CHARS_MAX: usize = 100;

/// The extensions of common types, for files without one.
const EXTENSIONS: [(&str, &str); 12] = [
    ("image/jpeg", "jpg"),
    ("image/png", "png"),
    ("image/webp", "webp"),
    ("image/gif", "gif"),
    ("video/mp4", "mp4"),
    ("audio/mpeg", "mp3"),
    ("audio/ogg", "ogg"),
    ("audio/mp4", "m4a"),
    ("audio/wav", "wav"),
    ("application/pdf", "pdf"),
    ("application/json", "json"),
    ("text/plain", "txt"),
];

/// The names of the files, in their order. Letters, digits, `_`, `.` and `-` stay; other runs become one `-`. No name
/// begins with a dot. Two names differ even where the disk ignores the case of letters.
pub fn file_names(attachments: &[JobAttachment]) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut names = Vec::with_capacity(attachments.len());
    for (at, file) in attachments.iter().enumerate() {
        let number = at + 1;
        let mut name = safe(file.file_name.as_deref().unwrap_or_default());
        if name.is_empty() {
            name = format!("{}-{number}", safe(&file.kind.to_string()));
        }
        if !name.contains('.')
            && let Some(extension) = file.mime_type.as_deref().and_then(extension_of)
        {
            name = format!("{name}.{extension}");
        }
        name = shortened(&name);
        while !taken.insert(name.to_ascii_lowercase()) {
            name = numbered(&name, number);
        }
        names.push(name);
    }
    names
}

fn safe(name: &str) -> String {
    let mut safe = String::with_capacity(name.len());
    for c in name.trim().chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') {
            safe.push(c);
        } else if !safe.ends_with('-') {
            safe.push('-');
        }
    }
    safe.trim_start_matches(['.', '-']).trim_end_matches(['.', '-']).to_owned()
}

fn extension_of(mime: &str) -> Option<&'static str> {
    let mime = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    EXTENSIONS.iter().find(|(known, _)| *known == mime).map(|(_, extension)| *extension)
}

/// A name with a number before its extension.
fn numbered(name: &str, number: usize) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}-{number}.{extension}"),
        None => format!("{name}-{number}"),
    }
}

/// A name of at most [`NAME_CHARS_MAX`] characters, with the end of its extension.
fn shortened(name: &str) -> String {
    if name.len() <= NAME_CHARS_MAX {
        return name.to_owned();
    }
    // The name has only ASCII characters.
    let extension = name.rsplit_once('.').map(|(_, extension)| extension).filter(|end| end.len() <= 10);
    let end = extension.map_or(String::new(), |extension| format!(".{extension}"));
    format!("{}{end}", &name[..NAME_CHARS_MAX - end.len()])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn file(kind: &str, name: Option<&str>, mime: Option<&str>) -> JobAttachment {
        let mut row =
            json!({"kind": kind, "status": "ready", "storageId": "s", "telegramFileId": "t", "expiresAt": 1});
        if let Some(name) = name {
            row["fileName"] = json!(name);
        }
        if let Some(mime) = mime {
            row["mimeType"] = json!(mime);
        }
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn names_are_safe_and_kept_apart() {
        let rows = [
            (file("document", Some("report.pdf"), None), "report.pdf"),
            (file("document", Some("../../etc/passwd"), None), "etc-passwd"),
            (file("document", Some(".ssh"), None), "ssh"),
            (file("document", Some("Über  den Fluß.txt"), None), "ber-den-Flu-.txt"),
            (file("photo", None, Some("image/jpeg")), "photo-5.jpg"),
            (file("voice", Some("  "), Some("audio/ogg; codecs=opus")), "voice-6.ogg"),
            (file("document", Some("REPORT.pdf"), None), "REPORT-7.pdf"),
            (file("document", Some("report.pdf"), None), "report-8.pdf"),
            (file("../x", None, None), "x-9"),
            (file("document", Some(".."), None), "document-10"),
        ];
        let (files, expected): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        assert_eq!(file_names(&files), expected);
    }

    proptest! {
        #[test]
        fn any_names_are_safe_and_different(
            names in prop::collection::vec(prop::option::of("(\\PC|[./-]){0,120}"), 0..12)
        ) {
            let files: Vec<_> = names.iter().map(|name| file("document", name.as_deref(), Some("text/plain"))).collect();
            let names = file_names(&files);
            let mut folded: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
            folded.sort();
            folded.dedup();
            prop_assert_eq!(folded.len(), files.len());
            for name in names {
                prop_assert!(!name.is_empty() && name.len() <= NAME_CHARS_MAX + 10, "{name}");
                prop_assert!(!name.starts_with('.') && !name.contains(['/', '\\']), "{name}");
            }
        }
    }
}
