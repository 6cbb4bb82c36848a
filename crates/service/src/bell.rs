//! Wakes a waiting thread. Several rings before the thread waits again count as one.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

/// The bell of one thread. Clones ring the same bell.
#[derive(Clone, Debug)]
pub struct Bell(Sender<()>, Receiver<()>);

impl Bell {
    /// A bell that has not rung.
    pub fn new() -> Self {
        let (sender, receiver) = bounded(1);
        Self(sender, receiver)
    }

    /// Wakes the thread.
    pub fn ring(&self) {
        // In a full channel, a ring waits already.
        let _ = self.0.try_send(());
    }

    /// Waits for a ring, at most this long. Returns whether the bell rang.
    pub fn wait(&self, span: Duration) -> bool {
        self.1.recv_timeout(span).is_ok()
    }
}

impl Default for Bell {
    fn default() -> Self {
        Self::new()
    }
}
