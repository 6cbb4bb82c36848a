//! Answers that are prepared once for all simultaneous requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The largest age of an answer.
const FRESH: Duration = Duration::from_millis(20);

/// The answers that are shared between requests.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) health: Snapshot,
    pub(super) figures: Snapshot,
    pub(super) figures_as_data: Snapshot,
}

/// The last answer. It is built at most a few times a second, however many requests arrive. While one request
/// builds the next answer, the others get the last one.
#[derive(Default)]
pub(super) struct Snapshot {
    last: Mutex<Option<(Instant, Arc<[u8]>)>>,
    making: AtomicBool,
}

impl Snapshot {
    fn last(&self) -> MutexGuard<'_, Option<(Instant, Arc<[u8]>)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer as it was at most a moment ago.
    pub(super) fn get(&self, make: impl FnOnce() -> String) -> Arc<[u8]> {
        let last = self.last().clone();
        match last {
            Some((at, body)) if at.elapsed() < FRESH => return body,
            // Only the first request has no earlier answer to return.
            Some((_, body)) if self.making.swap(true, Ordering::AcqRel) => return body,
            Some(_) | None => {}
        }
        let ends = Ends(&self.making);
        let body: Arc<[u8]> = make().into_bytes().into();
        *self.last() = Some((Instant::now(), body.clone()));
        drop(ends);
        body
    }
}

/// Clears `making` on drop, however the request ends.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_one_request_makes_the_answer_others_get_the_last() {
        let snapshot = Snapshot::default();
        assert_eq!(&*snapshot.get(|| "one".to_owned()), b"one");
        assert_eq!(&*snapshot.get(|| panic!("it is fresh")), b"one");
        let old = Instant::now().checked_sub(2 * FRESH).unwrap();
        snapshot.last().as_mut().unwrap().0 = old;
        let body = snapshot.get(|| {
            assert_eq!(&*snapshot.get(|| panic!("another request makes it")), b"one");
            "two".to_owned()
        });
        assert_eq!((&*body, &*snapshot.get(|| panic!("it is fresh"))), (&b"two"[..], &b"two"[..]));
        snapshot.last().as_mut().unwrap().0 = old;
        assert_eq!(&*snapshot.get(|| "three".to_owned()), b"three", "the flag is cleared");
    }
}
