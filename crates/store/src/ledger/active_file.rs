//! A separate file with the deliveries that the workers of this process work on. The next process reads it to
//! distinguish a crash from a stop, and to know which deliveries were active at that moment.
//!
//! ```text
//! running 00000001765526400123 <id of this boot> <id of this file>    line 0: the process, and since when
//! n-1 00000001765526400456                                            one line per place: row, and since when
//!                                                                     a free place
//! ```
//!
//! Lines have a fixed length and are overwritten in place, without a sync. Written lines outlive the process. A crash
//! of the machine may lose them, but no delivery has caused such a crash. A process that receives a stop empties the
//! file first. When its last call has returned, it writes `stopped` in line 0. In a copy of the folder, the id of the file
//! is another. A file that cannot be understood counts as no file.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt as _};
use std::sync::{Arc, Mutex, PoisonError};

use super::commit_marker::boot;
use mcr_core::delivery::crash::Crash;
use mcr_core::delivery::journal::ActiveGuard;
use mcr_core::work::WorkId;
use mcr_model::clock::Millis;

/// The length of a line in bytes, with its line end.
const LINE: usize = 160;
/// Maximum length of an id that is written. A delivery with a longer id is never reported as active.
const ID_MAX: usize = 100;
const RUNNING: &str = "running";
const STOPPED: &str = "stopped";

/// The file of a working process.
#[derive(Debug)]
pub(super) struct ActiveFile {
    file: File,
    /// Whether each place is taken. The first is the line of the process.
    taken: Mutex<Vec<bool>>,
}

impl ActiveFile {
    /// Writes that this process is working.
    pub(super) fn begin(file: File, now: Millis) -> io::Result<Self> {
        file.set_len(0)?;
        write(&file, 0, &process_line(RUNNING, now, &file)?)?;
        Ok(Self { file, taken: Mutex::new(vec![true]) })
    }

    /// Writes that this process stops in order.
    pub(super) fn end(&self) {
        // If this fails, the next process takes the stop for a crash: it retries a little later and loses nothing.
        let _ = self.file.set_len(0);
    }

    /// Writes that this process has stopped in order and makes no more calls.
    pub(super) fn stopped(&self, now: Millis) {
        // If this fails, the next process starts work a little later and loses nothing.
        let _ = process_line(STOPPED, now, &self.file).and_then(|line| write(&self.file, 0, &line));
    }

    /// Writes that a worker processes this delivery, until the [`ActiveGuard`] is dropped.
    pub(super) fn take(self: &Arc<Self>, work: &WorkId, now: Millis) -> ActiveGuard {
        if work.as_str().len() > ID_MAX || work.as_str().contains([' ', '\n']) {
            return ActiveGuard::default();
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let place = taken.iter().position(|taken| !taken).unwrap_or(taken.len());
        if place == taken.len() {
            taken.push(true);
        }
        taken[place] = true;
        drop(taken);
        // If the write fails, a crash is not counted against the delivery.
        let _ = write(&self.file, place, &format!("{work} {:020}", now.0));
        let active_file = Arc::clone(self);
        ActiveGuard::new(move || {
            let _ = write(&active_file.file, place, "");
            active_file.taken.lock().unwrap_or_else(PoisonError::into_inner)[place] = false;
        })
    }
}

fn write(file: &File, place: usize, words: &str) -> io::Result<()> {
    let line = format!("{words:<width$}\n", width = LINE - 1);
    file.write_all_at(line.as_bytes(), (place * LINE) as u64)
}

/// What the file says about the last process.
#[derive(Debug, Default)]
pub(super) struct LastProcess {
    /// Its crash, if it did not stop in order.
    pub(super) crash: Option<Crash>,
    /// When it stopped in order, if it did.
    pub(super) stopped_at: Option<Millis>,
    /// Whether it has written to this file, and not to another one of which this is a copy.
    pub(super) is_original: bool,
}

impl LastProcess {
    pub(super) fn read(content: &[u8], file: &File) -> Self {
        let (crash, stopped_at) = (read(content), read_stop(content));
        Self { crash, stopped_at, is_original: is_original(content, file) }
    }
}

fn process_line(state: &str, since: Millis, file: &File) -> io::Result<String> {
    Ok(format!("{state} {:020} {} {}", since.0, boot(), identity(file)?))
}

/// Since when the last process was in this state, if it was and this machine has not rebooted since.
fn since(state: &str, line: &str) -> Option<Millis> {
    let mut process = line.split_whitespace();
    let is_in_state = process.next()? == state;
    let since = Millis(process.next()?.parse().ok()?);
    let here = boot();
    (is_in_state && !here.is_empty() && process.next()? == here).then_some(since)
}

/// When the last process stopped in order, if it did and this machine has not rebooted since.
fn read_stop(content: &[u8]) -> Option<Millis> {
    since(STOPPED, std::str::from_utf8(content).ok()?.lines().next()?)
}

/// Whether the last process has written to this file, and not to another one of which this is a copy.
fn is_original(content: &[u8], file: &File) -> bool {
    let line = std::str::from_utf8(content).ok().and_then(|text| text.lines().next());
    let written = line.and_then(|line| line.split_whitespace().nth(3));
    written.is_some() && written == identity(file).ok().as_deref()
}

/// What distinguishes a file from its copies on this machine.
fn identity(file: &File) -> io::Result<String> {
    let metadata = file.metadata()?;
    Ok(format!("{}-{}", metadata.dev(), metadata.ino()))
}

/// The crash of the last process, if that process did not stop in order and this machine has not rebooted since.
fn read(content: &[u8]) -> Option<Crash> {
    let text = std::str::from_utf8(content).ok()?;
    let mut lines = text.lines();
    let began = since(RUNNING, lines.next()?)?;
    let active = lines.filter_map(|line| {
        let (work, since) = line.trim_end().split_once(' ')?;
        Some((WorkId::new(work), Millis(since.parse().ok()?)))
    });
    Some(Crash { began, active: active.collect() })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_crash_is_distinguished_from_a_stop() {
        let home = tempfile::TempDir::new().expect("a directory");
        let path = home.path().join("active");
        let read = || read(&fs::read(&path).unwrap_or_default());
        let stop = || read_stop(&fs::read(&path).unwrap_or_default());
        let is_original =
            |path: &Path| is_original(&fs::read(path).expect("a file"), &File::open(path).expect("a file"));
        assert_eq!((read(), stop()), (None, None), "there is none");
        let active_file =
            Arc::new(ActiveFile::begin(File::create(&path).expect("a file"), Millis(5)).expect("written"));
        let crash = |active: &[(&str, i64)]| {
            let active = active.iter().map(|(id, at)| (WorkId::new(*id), Millis(*at)));
            Some(Crash { began: Millis(5), active: active.collect() })
        };
        assert_eq!(read(), crash(&[]));
        let one = active_file.take(&WorkId::new("n1"), Millis(6));
        let two = active_file.take(&WorkId::new("n2"), Millis(7));
        assert_eq!(read(), crash(&[("n1", 6), ("n2", 7)]));
        drop(one);
        assert_eq!(read(), crash(&[("n2", 7)]));
        let three = active_file.take(&WorkId::new("n3"), Millis(8));
        let long = active_file.take(&WorkId::new("x".repeat(ID_MAX + 1)), Millis(9));
        assert_eq!(read(), crash(&[("n3", 8), ("n2", 7)]), "a free place is taken again");
        drop((two, three, long));
        assert_eq!(read(), crash(&[]));
        let good = fs::read_to_string(&path).expect("a file");
        fs::write(&path, good.replace(&boot(), "another-start")).expect("written");
        assert_eq!(read(), None, "the machine was started again");
        let _late = active_file.take(&WorkId::new("n4"), Millis(9));
        active_file.end();
        let _later = active_file.take(&WorkId::new("n5"), Millis(9));
        assert_eq!((read(), stop()), (None, None), "it stops, and calls may be under way");
        active_file.end();
        active_file.stopped(Millis(77));
        assert_eq!((read(), stop()), (None, Some(Millis(77))), "it stopped in order");
        let good = fs::read_to_string(&path).expect("a file");
        let copy = home.path().join("copy");
        fs::copy(&path, &copy).expect("copied");
        assert!(
            is_original(&path) && !is_original(&copy),
            "two runtimes could start from the folder and its copy"
        );
        fs::write(&path, good.replace(&boot(), "another-start")).expect("written");
        assert_eq!((read(), stop()), (None, None), "the machine was started again");
        ActiveFile::begin(File::create(&path).expect("a file"), Millis(80)).expect("written");
        assert_eq!(stop(), None, "the next process removes the mark");
        fs::write(&path, [0xff, 0, 7]).expect("written");
        assert_eq!(read(), None, "nonsense");
    }
}
