//! The commit marker: a separate file with the number of the last commit that a note has waited for.
//!
//! SQLite takes a log with an invalid end for one whose end was never finished, and continues with the valid part. It
//! does not notice a lost log at all. The ledger would then forget steps whose record was confirmed. So after each
//! commit with waiting notes, and before those notes return, the number of the commit is written here. It overwrites
//! the same bytes, without another sync. If the opened database has fewer commits, some were lost.
//!
//! The mark never counts too many commits, because it is written after the sync. With `LEDGER_SYNC=normal` there is no
//! sync, so a mark is valid only until the machine restarts. A mark that cannot be read counts as no mark.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use ring::digest::{SHA256, digest};

use super::image::first_eight;

/// The file with an id that differs at each boot of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The file of the marker, open for writing.
#[derive(Debug)]
pub(super) struct CommitMarker {
    file: File,
    boot: String,
    /// Whether commits are synced before they are counted.
    synced: bool,
}

impl CommitMarker {
    /// A marker that writes to this file.
    pub(super) fn of(file: File, synced: bool) -> Self {
        Self { file, boot: boot(), synced }
    }

    /// Writes the number of the last commit that a note has waited for.
    pub(super) fn write(&self, commits: i64) {
        let words = format!("1 {commits:020} {} {:36.36}", u8::from(self.synced), self.boot);
        let line = format!("{words} {:016x}\n", sum(&words));
        // Overwrites the same bytes. If the write fails, nothing is lost, but a later loss may go unnoticed.
        let _ = self.file.write_all_at(line.as_bytes(), 0);
    }
}

/// How many commits the database must have, by the content of the file.
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

/// The id of this boot of the machine; empty if it is unknown.
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
        // From another boot: only synced commits are certain to exist.
        let other = CommitMarker { boot: "another".to_owned(), ..open(false) };
        other.write(7);
        assert_eq!(read(), 0);
        CommitMarker { synced: true, ..other }.write(7);
        assert_eq!(read(), 7);
    }
}
