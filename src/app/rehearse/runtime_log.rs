//! The log of a case's runtime: counts recovered answers and keeps the last warnings.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the runtime logs when it finds a lost answer.
const RECOVERED: &str = "found in the session's history";

/// The number of kept warnings.
const WARNINGS: usize = 5;

/// A log. Clones share one.
#[derive(Clone, Default)]
pub(super) struct RuntimeLog(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    unfinished: Vec<u8>,
    recovered: usize,
    warnings: VecDeque<String>,
}

impl RuntimeLog {
    /// The number of answers that were found in a history.
    pub(super) fn recovered(&self) -> usize {
        self.lines().recovered
    }

    /// The last warnings and errors.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.lines().warnings.iter().cloned().collect()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for RuntimeLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.lines();
        lines.unfinished.extend_from_slice(bytes);
        while let Some(end) = lines.unfinished.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = lines.unfinished.drain(..=end).collect();
            lines.read(String::from_utf8_lossy(&line).trim_end());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn read(&mut self, line: &str) {
        self.recovered += usize::from(line.contains(RECOVERED));
        if line.contains(" WARN ") || line.contains(" ERROR ") {
            if self.warnings.len() == WARNINGS {
                self.warnings.pop_front();
            }
            self.warnings.push_back(line.to_owned());
        }
    }
}
