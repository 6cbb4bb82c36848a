//! The files that a reply sends: lines such as `MEDIA: /tmp/song.mp3`, and paths of sound files in its text
//! (worker-pool B.8).

use serde::{Deserialize, Serialize};

/// The only folder from which files are sent.
const FOLDER: &str = "/tmp/";

/// The beginnings of a line that sends a file, in lower case.
const MARKS: [&str; 3] = ["media: ", "send · ", "send - "];

/// The extensions of sound files.
const SOUNDS: [&str; 6] = ["mp3", "wav", "ogg", "m4a", "aac", "flac"];

/// The extensions of pictures.
const PICTURES: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// The most files of a reply.
const FILES_MAX: usize = 10;

/// How a file is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutgoingKind {
    /// With a player.
    Audio,
    /// As a picture.
    Photo,
    /// As a file.
    Document,
}

/// A file to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingFile {
    /// Its path.
    pub path: String,
    /// How it is shown.
    pub kind: OutgoingKind,
}

/// The text of a reply without its lines for files, and the files, each once.
pub fn outgoing(reply: &str) -> (String, Vec<OutgoingFile>) {
    let mut files: Vec<OutgoingFile> = Vec::new();
    let mut add = |path: &str, kind: OutgoingKind| {
        if files.len() < FILES_MAX && files.iter().all(|file| file.path != path) {
            files.push(OutgoingFile { path: path.to_owned(), kind });
        }
    };
    let mut kept = Vec::new();
    for line in reply.split('\n') {
        if let Some(path) = marked_path(line) {
            if is_safe(path) {
                add(path, kind_of(path));
            }
            continue;
        }
        for word in line.split(|c: char| c.is_whitespace() || "\"'`()[]<>,;".contains(c)) {
            let path = word.trim_end_matches(['.', '!', '?', ':']);
            if is_safe(path) && kind_of(path) == OutgoingKind::Audio {
                add(path, OutgoingKind::Audio);
            }
        }
        kept.push(line);
    }
    (kept.join("\n").trim().to_owned(), files)
}

/// The path of a line that only sends a file.
fn marked_path(line: &str) -> Option<&str> {
    let line = line.trim();
    let is_mark = |mark: &&&str| line.get(..mark.len()).is_some_and(|begin| begin.to_lowercase() == **mark);
    let mark = MARKS.iter().find(is_mark)?;
    let path = line[mark.len()..].trim();
    path.starts_with(FOLDER).then_some(path)
}

/// Whether the path stays in the folder, as far as its text shows.
fn is_safe(path: &str) -> bool {
    let Some(inner) = path.strip_prefix(FOLDER) else { return false };
    let parts_are_names = inner.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    parts_are_names && !path.contains(|c: char| c.is_control())
}

fn kind_of(path: &str) -> OutgoingKind {
    let extension = path.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
    if SOUNDS.contains(&extension.as_str()) {
        OutgoingKind::Audio
    } else if PICTURES.contains(&extension.as_str()) {
        OutgoingKind::Photo
    } else {
        OutgoingKind::Document
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_files_are_removed_and_their_files_are_found() {
        use OutgoingKind::{Audio, Document, Photo};
        type Found = &'static [(&'static str, OutgoingKind)];
        let rows: [(&str, &str, Found); 9] = [
            ("Hello", "Hello", &[]),
            ("Here:\nMEDIA: /tmp/a/b.mp3\nBye", "Here:\nBye", &[("/tmp/a/b.mp3", Audio)]),
            ("media: /tmp/x.png", "", &[("/tmp/x.png", Photo)]),
            ("send · /tmp/x.pdf\nsend - /tmp/y.OGG", "", &[("/tmp/x.pdf", Document), ("/tmp/y.OGG", Audio)]),
            ("I made `/tmp/song.wav`.", "I made `/tmp/song.wav`.", &[("/tmp/song.wav", Audio)]),
            ("See /tmp/notes.txt", "See /tmp/notes.txt", &[]),
            ("MEDIA: /tmp/../etc/passwd", "", &[]),
            ("MEDIA: /etc/passwd", "MEDIA: /etc/passwd", &[]),
            ("MEDIA: /tmp/a.mp3\nagain /tmp/a.mp3", "again /tmp/a.mp3", &[("/tmp/a.mp3", Audio)]),
        ];
        for (reply, text, files) in rows {
            let files =
                files.iter().map(|(path, kind)| OutgoingFile { path: (*path).to_owned(), kind: *kind });
            assert_eq!(outgoing(reply), (text.to_owned(), files.collect()), "{reply}");
        }
    }

    #[test]
    fn a_reply_sends_a_limited_number_of_files() {
        let lines: Vec<String> = (0..30).map(|n| format!("MEDIA: /tmp/{n}.mp3")).collect();
        assert_eq!(outgoing(&lines.join("\n")).1.len(), FILES_MAX);
    }
}
