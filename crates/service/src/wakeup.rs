//! Wakes a waiting thread. Several notifications before the thread waits again count as one.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

/// The wake-up of one thread. Clones wake the same thread.
#[derive(Clone, Debug)]
pub struct Wakeup(Sender<()>, Receiver<()>);

impl Wakeup {
    /// Without a notification.
    pub fn new() -> Self {
        let (sender, receiver) = bounded(1);
        Self(sender, receiver)
    }

    /// Wakes the thread.
    pub fn notify(&self) {
        // In a full channel, a notification waits already.
        let _ = self.0.try_send(());
    }

    /// Has a message for each notification, for a thread that waits for other messages, too.
    pub fn receiver(&self) -> &Receiver<()> {
        &self.1
    }

    /// Waits for a notification, at most this long. Returns whether one came.
    pub fn wait(&self, span: Duration) -> bool {
        self.1.recv_timeout(span).is_ok()
    }

    /// Waits for a notification or for a message of another channel, at most this long.
    pub fn wait_or(&self, other: &Receiver<()>, span: Duration) {
        select! {
            recv(self.1) -> _ => {}
            recv(other) -> _ => {}
            default(span) => {}
        }
    }
}

impl Default for Wakeup {
    fn default() -> Self {
        Self::new()
    }
}
