//! The commit marker: how many commits somebody has waited for, in a file of its own.
//!
//! SQLite takes a log that ends in nonsense for one whose end was never finished, and goes on with what stands before;
//! a lost log it does not miss at all. For a ledger that would be forgetting what was promised. So after each commit
//! that somebody waited for, and before he is told, its number is written here: over the same bytes, without a sync of
//! its own. When the book is opened and knows of fewer commits, something was lost.
//!
//! The mark never says too much: it is written after the sync. With `LEDGER_SYNC=normal` there is none, so there a mark
//! counts only until the machine is started again. A mark that cannot be read says nothing.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use ring::digest::{SHA256, digest};

use super::entry::first_eight;

/// What makes two starts of a machine differ.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The file, open for writing.
#[derive(Debug)]
pub(super) struct CommitMarker {
    file: File,
    boot: String,
    /// Whether commits are synced before they are counted.
    synced: bool,
}

impl CommitMarker {
    /// In this file.
    pub(super) fn of(file: File, synced: bool) -> Self {
        Self { file, boot: boot(), synced }
    }

    /// So many commits were waited for.
    pub(super) fn write(&self, commits: i64) {
        let words = format!("1 {commits:020} {} {:36.36}", u8::from(self.synced), self.boot);
        let line = format!("{words} {:016x}\n", sum(&words));
        // It overwrites the same bytes. If that fails, a loss may go unnoticed; nothing is lost by it.
        let _ = self.file.write_all_at(line.as_bytes(), 0);
    }
}

/// How many commits must be there, by the content of the file.
pub(super) fn read(content: &[u8]) -> i64 {
    let line = std::str::from_utf8(content).ok();
    line.and_then(|line| understand(line.trim_end_matches('\n'))).unwrap_or(0)
}

fn understand(line: &str) -> Option<i64> {
    let (words, sum_of_words) = line.rsplit_once(' ')?;
    if u64::from_str_radix(sum_of_words, 16).ok()? != sum(words) {
        return None;
    }
    let mut parts = words.splitn(4, ' ');
    let known = parts.next()? == "1";
    let commits = parts.next()?.parse().ok()?;
    let synced = parts.next()? == "1";
    let (then, now) = (parts.next()?.trim(), boot());
    let same_start = !now.is_empty() && then == now;
    (known && (synced || same_start)).then_some(commits)
}

/// Which start of the machine this is; nothing where the machine does not say.
pub(super) fn boot() -> String {
    fs::read_to_string(BOOT_ID).map(|id| id.trim().to_owned()).unwrap_or_default()
}

fn sum(words: &str) -> u64 {
    first_eight(digest(&SHA256, words.as_bytes()).as_ref()).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_what_was_written_or_nothing() {
        let home = tempfile::TempDir::new().expect("a directory");
        let path = home.path().join("mark");
        let open = |synced| {
            let file = File::options().write(true).create(true).truncate(false).open(&path);
            CommitMarker::of(file.expect("a file"), synced)
        };
        let read = || read(&fs::read(&path).unwrap_or_default());
        assert_eq!(read(), 0, "there is none");
        for synced in [true, false] {
            let mark = open(synced);
            mark.write(999);
            mark.write(1_000);
            assert_eq!(read(), 1_000);
        }
        let good = fs::read(&path).expect("a file");
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x11;
            fs::write(&path, &bytes).expect("written");
            assert_eq!(read(), 0, "byte {at}");
        }
        // Of another start of the machine: only what was synced is there for certain.
        let other = CommitMarker { boot: "another".to_owned(), ..open(false) };
        other.write(7);
        assert_eq!(read(), 0);
        CommitMarker { synced: true, ..other }.write(7);
        assert_eq!(read(), 7);
    }
}
