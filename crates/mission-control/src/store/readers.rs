//! Read-only connections. In WAL mode, a connection sees the data as of the start of its transaction, while writes continue.
//! A pool lends each connection to one call at a time, which limits the number of concurrent reads.

use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::StoreError;
use super::open::connect;

/// The number of connections in each pool.
const CONNECTIONS: usize = 2;
/// The size of a reader's page cache in KiB. The writer has a larger one.
const CACHE_KIB: i64 = 2_000;

/// Reading connections for calls of one kind.
pub(super) struct Pool {
    idle: Mutex<Vec<Connection>>,
    returned: Condvar,
}

/// A borrowed connection, which returns to its pool on drop.
pub(super) struct Lent<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
}

impl Pool {
    /// Connections to the data in this file.
    pub(super) fn open(file: &Path) -> Result<Self, StoreError> {
        let connections = (0..CONNECTIONS).map(|_| {
            let connection = connect(file)?;
            connection.pragma_update(None, "query_only", true)?;
            connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
            connection.set_prepared_statement_cache_capacity(128);
            Ok(connection)
        });
        let idle = connections.collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Self { idle: Mutex::new(idle), returned: Condvar::new() })
    }

    /// Waits for a free connection and returns it.
    pub(super) fn lend(&self) -> Lent<'_> {
        let waited = self.returned.wait_while(self.lock(), |idle| idle.is_empty());
        Lent { pool: self, connection: waited.unwrap_or_else(PoisonError::into_inner).pop() }
    }

    /// Takes all connections, so that no call of this pool reads. Returns `None` if one is still in use after this time. Each
    /// connection is kept as it returns, so that a continuous series of calls cannot delay this.
    pub(super) fn pause(&self, timeout: Duration) -> Option<Vec<Lent<'_>>> {
        let until = Instant::now() + timeout;
        let mut held = Vec::new();
        while held.len() < CONNECTIONS {
            let left = until.saturating_duration_since(Instant::now());
            let waited = self.returned.wait_timeout_while(self.lock(), left, |idle| idle.is_empty());
            let connection = waited.unwrap_or_else(PoisonError::into_inner).0.pop()?;
            held.push(Lent { pool: self, connection: Some(connection) });
        }
        Some(held)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent<'_> {
    pub(super) fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a lent connection goes back only when it is dropped")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.lock().push(connection);
            self.pool.returned.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::super::{LOG_BYTES, Store, StoreError, Tx};
    use super::CONNECTIONS;
    use crate::rows::Task;
    use mcr_model::clock::SystemClock;

    /// Longer than any step here, unless it hangs.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn store(home: &TempDir) -> Store {
        Store::open(&home.path().join("data.sqlite"), Box::new(SystemClock)).expect("a new store")
    }

    fn add(store: &Store, title: &str) {
        let task = Task { title: title.to_owned(), ..Task::default() };
        store.write(|tx| tx.insert(task)).expect("a task");
    }

    #[test]
    fn reads_continue_during_a_write_and_see_the_data_before_it() {
        let home = TempDir::new().expect("a directory");
        let store = store(&home);
        add(&store, "before");
        let (send, seen) = channel();
        thread::scope(|scope| {
            let written = store.write(|tx| {
                tx.insert(Task { title: "while".to_owned(), ..Task::default() })?;
                let store = &store;
                scope.spawn(move || {
                    let count = |tx: &Tx<'_>| Ok::<_, StoreError>(tx.all::<Task>()?.len());
                    let counts = [store.read(count), store.read_for_runtime(count)];
                    send.send(counts.map(|count| count.expect("a count"))).expect("somebody listens");
                });
                Ok::<_, StoreError>(seen.recv_timeout(PATIENCE))
            });
            assert_eq!(written.expect("a write"), Ok([1, 1]), "a read waited for the write");
        });
        let count = store.read(|tx| Ok::<_, StoreError>(tx.all::<Task>()?.len()));
        assert_eq!(count.expect("a count"), 2, "what was answered is seen at once");
    }

    #[test]
    fn the_runtime_reads_and_writes_while_as_many_pages_read_as_may() {
        let home = TempDir::new().expect("a directory");
        let store = store(&home);
        add(&store, "one");
        let (all_read, end) = (Barrier::new(CONNECTIONS + 1), Barrier::new(CONNECTIONS + 1));
        let (send, done) = channel();
        thread::scope(|scope| {
            for _ in 0..CONNECTIONS {
                scope.spawn(|| {
                    store.read(|tx| {
                        let before = tx.all::<Task>()?.len();
                        all_read.wait();
                        end.wait();
                        assert_eq!(tx.all::<Task>()?.len(), before, "a view does not change");
                        Ok::<_, StoreError>(())
                    })
                });
            }
            all_read.wait();
            scope.spawn(|| {
                let listed = store.read_for_runtime(|tx| Ok::<_, StoreError>(tx.all::<Task>()?.len()));
                assert_eq!(listed.expect("a list"), 1);
                add(&store, "two");
                send.send(()).expect("somebody listens");
            });
            let done = done.recv_timeout(PATIENCE);
            end.wait();
            assert_eq!(done, Ok(()), "the runtime waited for the pages");
        });
    }

    #[test]
    fn a_reader_that_panics_gives_its_connection_back_and_none_can_write() {
        let home = TempDir::new().expect("a directory");
        let store = store(&home);
        for _ in 0..=CONNECTIONS {
            let panicked = thread::scope(|scope| {
                let read = scope.spawn(|| store.read(|_| -> Result<(), StoreError> { panic!("in a read") }));
                read.join()
            });
            assert!(panicked.is_err());
        }
        let written = store.read(|tx| tx.insert(Task::default()));
        assert!(written.is_err());
        let count = store.read(|tx| Ok::<_, StoreError>(tx.all::<Task>()?.len()));
        assert_eq!(count.expect("readers are there"), 0);
    }

    #[test]
    fn a_log_that_a_long_read_let_grow_is_emptied_by_the_next_write() {
        let home = TempDir::new().expect("a directory");
        let store = store(&home);
        let log = || home.path().join("data.sqlite-wal").metadata().map_or(0, |log| log.len());
        let (began, end) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                store.read(|tx| {
                    tx.all::<Task>()?;
                    began.wait();
                    end.wait();
                    Ok::<_, StoreError>(())
                })
            });
            began.wait();
            let description = Some("x".repeat(1_000_000));
            for _ in 0..=LOG_BYTES / 1_000_000 {
                let task = Task { description: description.clone(), ..Task::default() };
                store.write(|tx| tx.insert(task)).expect("a task");
            }
            assert!(log() > LOG_BYTES, "{} bytes", log());
            end.wait();
        });
        add(&store, "the next one");
        assert_eq!(log(), 0);
    }

    #[test]
    fn calls_that_follow_each_other_cannot_hold_up_a_pause() {
        let home = TempDir::new().expect("a directory");
        let file = home.path().join("data.sqlite");
        let pool = super::Pool::open(&file).expect("connections");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 * CONNECTIONS {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        drop(pool.lend());
                    }
                });
            }
            let paused = pool.pause(PATIENCE).is_some();
            stop.store(true, Ordering::Relaxed);
            assert!(paused);
        });
        let lent = pool.lend();
        assert!(pool.pause(Duration::ZERO).is_none(), "one is lent");
        drop(lent);
        assert_eq!(pool.pause(Duration::ZERO).map(|held| held.len()), Some(CONNECTIONS), "none is lost");
    }
}
