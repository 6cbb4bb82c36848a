//! Bounds the memory for foreign bytes: replies of the gateway and the backend, and request bodies.
//!
//! The process has one [`ByteBudget`] of three [`Pool`]s, so a slow gateway cannot delay the backend. A reader takes a
//! [`Share`] of its pool. The first [`FREE_BYTES`] do not count, so small replies never wait. Beyond them a share grows
//! in steps. A step is granted only while all shares can still finish one after the other. The share with the least left
//! to read finishes first (the banker's algorithm). Readers that each hold a part thus cannot deadlock. A reader that waits too
//! long fails.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes of every share that do not count. Most replies have fewer.
pub const FREE_BYTES: usize = 64 * 1024;
/// The minimum budget: each pool has room for the largest message of its kind.
pub const LEAST_BYTES: usize = 64 * MIB;

const MIB: usize = 1024 * 1024;
/// The growth step of a share.
pub const STEP_BYTES: usize = 256 * 1024;
/// Bytes of one read.
const PIECE_BYTES: usize = 16 * 1024;
/// The capacity of a large buffer. An allocator may keep freed blocks of up to 32 MiB for itself. A larger block is
/// mapped separately and unmapped when it is freed. Pages that are never written cost nothing.
const MAPPED_BYTES: usize = 33 * MIB;

/// The budget of a process. Clones share it.
#[derive(Clone, Debug)]
pub struct ByteBudget {
    /// For replies of the gateway: half of the budget.
    pub gateway: Pool,
    /// For replies of the backend: five sixteenths.
    pub backend: Pool,
    /// For request bodies: the rest.
    pub requests: Pool,
}

impl ByteBudget {
    /// A budget of this many bytes, at least [`LEAST_BYTES`].
    pub fn new(bytes: usize) -> Self {
        let part = bytes.max(LEAST_BYTES) / 16;
        Self { gateway: Pool::new(8 * part), backend: Pool::new(5 * part), requests: Pool::new(3 * part) }
    }
}

impl Default for ByteBudget {
    fn default() -> Self {
        Self::new(LEAST_BYTES)
    }
}

/// A part of the budget for one kind of peer. Clones share it.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: usize,
    shares: Mutex<Vec<Held>>,
    freed: Condvar,
}

/// What one reader holds, and its maximum.
#[derive(Clone, Copy, Debug)]
struct Held {
    id: u64,
    bytes: usize,
    most: usize,
}

/// The pool had no free memory in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowded;

impl fmt::Display for Crowded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("other large messages took all memory for foreign bytes (RECEIVE_MEMORY_MB) for too long")
    }
}

impl Error for Crowded {}

impl From<Crowded> for io::Error {
    fn from(crowded: Crowded) -> Self {
        Self::new(ErrorKind::OutOfMemory, crowded)
    }
}

impl Pool {
    /// A pool of this many bytes.
    pub fn new(total: usize) -> Self {
        Self(Arc::new(Inner { total, shares: Mutex::default(), freed: Condvar::new() }))
    }

    /// A share for a message of at most `most` bytes. Its reader waits at most `patience` for each step.
    pub fn share(&self, most: usize, patience: Duration) -> Share {
        Share { pool: self.clone(), id: None, bytes: 0, most, patience }
    }

    /// The bytes held at this moment.
    pub fn held(&self) -> usize {
        self.lock().iter().map(|share| share.bytes).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Held>> {
        // No code under this lock panics half-way.
        self.0.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all shares can still finish if this one holds `next.bytes`.
    fn is_safe(&self, shares: &[Held], next: Held) -> bool {
        let others = shares.iter().filter(|share| share.id != next.id);
        let mut all: Vec<Held> = others.copied().chain([next]).collect();
        let held: usize = all.iter().map(|share| share.bytes).sum();
        let Some(mut free) = self.0.total.checked_sub(held) else { return false };
        all.sort_by_key(|share| share.most.saturating_sub(share.bytes));
        all.iter().all(|share| {
            let can_end = share.most.saturating_sub(share.bytes) <= free;
            free += share.bytes;
            can_end
        })
    }
}

/// One reader's share of a pool. Dropping it returns the memory.
#[derive(Debug)]
pub struct Share {
    pool: Pool,
    /// Its id in the pool, once it holds bytes there.
    id: Option<u64>,
    bytes: usize,
    most: usize,
    patience: Duration,
}

impl Share {
    /// Grows the share to this many bytes. Waits until they are free. Never shrinks the share.
    pub fn hold(&mut self, bytes: usize) -> Result<(), Crowded> {
        if bytes <= self.bytes.max(FREE_BYTES) {
            return Ok(());
        }
        let most = self.most.max(bytes).min(self.pool.0.total);
        let bytes = bytes.next_multiple_of(STEP_BYTES).min(most);
        let mut shares = self.pool.lock();
        let id = self.id.unwrap_or_else(|| shares.iter().map(|share| share.id + 1).max().unwrap_or(0));
        let next = Held { id, bytes, most };
        let full = |shares: &mut Vec<Held>| !self.pool.is_safe(shares, next);
        if self.id.is_none() {
            // The id is reserved while it waits.
            shares.push(Held { id, bytes: 0, most: 0 });
            self.id = Some(id);
        }
        let (mut shares, waited) = self
            .pool
            .0
            .freed
            .wait_timeout_while(shares, self.patience, full)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(Crowded);
        }
        if let Some(held) = shares.iter_mut().find(|share| share.id == id) {
            *held = next;
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Returns the memory after a message. The share can be used for the next one.
    pub fn release(&mut self) {
        if let Some(id) = self.id.take() {
            self.pool.lock().retain(|share| share.id != id);
            self.pool.0.freed.notify_all();
        }
        self.bytes = 0;
    }

    /// The bytes this share holds in the pool.
    pub fn held(&self) -> usize {
        self.bytes
    }

    /// Reads a message to its end, or one byte more than the share's maximum: then the message is too large.
    pub fn read_to_end(&mut self, reader: &mut dyn Read, message: &mut Vec<u8>) -> io::Result<()> {
        while message.len() <= self.most {
            let had = message.len();
            let room = (had + PIECE_BYTES).min(self.most + 1);
            self.make_room(message, room)?;
            message.resize(room, 0);
            let read = reader.read(&mut message[had..]);
            message.truncate(had + read.as_ref().copied().unwrap_or(0));
            match read {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reserves memory for a message of this size, in a buffer whose memory returns to the system when it is dropped.
    pub fn make_room(&mut self, message: &mut Vec<u8>, bytes: usize) -> Result<(), Crowded> {
        self.hold(bytes)?;
        reserve_returnable(message, bytes);
        Ok(())
    }
}

/// Gives a message a buffer of this size whose memory returns to the system when it is dropped. The caller must hold a
/// [`Share`] for the bytes.
pub fn reserve_returnable(message: &mut Vec<u8>, bytes: usize) {
    if bytes > FREE_BYTES && message.capacity() < MAPPED_BYTES {
        message.reserve_exact(MAPPED_BYTES.max(bytes) - message.len());
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    const NEVER: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn only_large_messages_wait_for_memory() {
        let pool = Pool::new(4 * MIB);
        let mut large = pool.share(4 * MIB, NEVER);
        large.hold(4 * MIB).unwrap();
        let mut small = pool.share(8 * MIB, NEVER);
        assert_eq!((small.hold(FREE_BYTES), small.hold(FREE_BYTES + 1)), (Ok(()), Err(Crowded)));
        drop(large);
        assert_eq!((small.hold(FREE_BYTES + 1), pool.held()), (Ok(()), STEP_BYTES));
        small.release();
        assert_eq!(pool.held(), 0);
    }

    /// Each reader could hold a part that the others wait for. One of them can always read to its end.
    #[test]
    fn ten_readers_of_the_largest_messages_all_finish() {
        let pool = Pool::new(32 * MIB);
        let most = AtMost::default();
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    let mut share = pool.share(16 * MIB, LONG);
                    for bytes in (0..=16 * MIB).step_by(STEP_BYTES) {
                        share.hold(bytes).unwrap();
                        most.saw(pool.held());
                        thread::yield_now();
                    }
                });
            }
        });
        assert_eq!(pool.held(), 0);
        let most = most.0.load(std::sync::atomic::Ordering::Relaxed);
        assert!(most > 16 * MIB && most <= 32 * MIB, "{most}");
    }

    #[derive(Default)]
    struct AtMost(std::sync::atomic::AtomicUsize);

    impl AtMost {
        fn saw(&self, bytes: usize) {
            self.0.fetch_max(bytes, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// A stalled reader keeps its memory. All others continue in the rest.
    #[test]
    fn a_stalled_reader_does_not_delay_others_that_fit() {
        let pool = Pool::new(32 * MIB);
        let mut stalled = pool.share(16 * MIB, NEVER);
        stalled.hold(8 * MIB).unwrap();
        for _ in 0..3 {
            pool.share(15 * MIB, NEVER).hold(15 * MIB).unwrap();
        }
        // Two more would leave the stalled reader without memory to finish.
        let mut one = pool.share(15 * MIB, NEVER);
        one.hold(15 * MIB).unwrap();
        assert_eq!(pool.share(15 * MIB, NEVER).hold(15 * MIB), Err(Crowded));
    }

    #[test]
    fn reads_a_message_up_to_its_limit() {
        let pool = Pool::new(MIB);
        for length in [0, 1, FREE_BYTES, 200_000, 200_001, 500_000] {
            let mut message = Vec::new();
            let mut share = pool.share(200_000, NEVER);
            share.read_to_end(&mut &vec![7; length][..], &mut message).unwrap();
            assert_eq!(message.len(), length.min(200_001));
        }
    }

    proptest! {
        /// In any order and at any sizes, every reader finishes and the pool is never exceeded.
        #[test]
        fn all_readers_finish_within_the_pool(steps in prop::collection::vec((0_usize..6, 1_usize..8), 1..200)) {
            let pool = Pool::new(2 * MIB);
            let mut readers: Vec<Option<Share>> = (0..6).map(|_| None).collect();
            for (at, quarters) in steps {
                let share = readers[at].get_or_insert_with(|| pool.share(2 * MIB, NEVER));
                let bytes = share.held() + quarters * STEP_BYTES;
                if bytes >= 2 * MIB {
                    readers[at] = None;
                } else {
                    let _ = share.hold(bytes);
                }
                prop_assert!(pool.held() <= 2 * MIB);
            }
            // In every state the reader with the least left can finish.
            while let Some(at) = (0..6).filter(|at| readers[*at].is_some()).max_by_key(|at| readers[*at].as_ref().map_or(0, Share::held)) {
                prop_assert_eq!(readers[at].as_mut().unwrap().hold(2 * MIB), Ok(()));
                readers[at] = None;
            }
            prop_assert_eq!(pool.held(), 0);
        }
    }
}
