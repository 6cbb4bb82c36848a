//! A prober that requests `/health` every few milliseconds over a new connection, as a monitor does.
//!
//! Its measurements have two limits: the median must be at most 250 ms, the maximum at most ten seconds, when a monitor
//! gives up. A server that an attack stops does not answer at all. A busy machine is not the server's fault. The prober
//! therefore also requests a second server that is not attacked, and adds that server's measurements to the limits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::*;

/// The limit of the median.
const USUAL: Duration = Duration::from_millis(250);
/// The limit of the maximum.
const WORST: Duration = Duration::from_secs(10);
/// An attack and its victim share the processor, so the victim takes more than its idle neighbour on a loaded machine.
const SHARE: u32 = 10;
/// The pause between two rounds.
const PACE: Duration = Duration::from_millis(2);
/// The timeout of one attempt before the prober reconnects. The measured time includes all attempts. The kernel holds
/// 128 connections that wait to be accepted and drops further ones. It retries those only after a second, whatever the
/// server does.
const ONE_QUESTION: Duration = Duration::from_millis(100);
/// The minimum number of measurements.
const ENOUGH: usize = 30;

/// A running prober.
pub(super) struct Prober {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<(Vec<Duration>, Vec<Duration>)>,
}

impl Prober {
    pub(super) fn start(attacked: SocketAddr) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            let left_alone = serve(ServerLimits::default());
            let (mut times, mut idle_times) = (Vec::new(), Vec::new());
            while times.len() < ENOUGH || !stop.load(Ordering::Acquire) {
                times.push(health_takes(attacked));
                idle_times.push(health_takes(left_alone.local_addr()));
                thread::sleep(PACE);
            }
            (times, idle_times)
        });
        Self { ends, thread }
    }

    /// Stops the prober and compares its measurements with the limits.
    #[allow(clippy::print_stdout, reason = "figures are shown with --nocapture")]
    pub(super) fn expect_prompt(self, attack: &str) {
        self.ends.store(true, Ordering::Release);
        let (times, idle_times) = self.thread.join().expect("every question has its answer");
        let (count, (median, worst), (idle_median, idle_worst)) =
            (times.len(), median_and_worst(times), median_and_worst(idle_times));
        let figures = format!(
            "{attack}: of {count} answers the median took {median:.1?}, the worst {worst:.1?}; \
             those of an idle server {idle_median:.1?} and {idle_worst:.1?}"
        );
        println!("{figures}");
        assert!(median <= USUAL + SHARE * idle_median, "the median is above {USUAL:?}; {figures}");
        assert!(worst <= WORST + idle_worst, "the worst is above {WORST:?}; {figures}");
    }
}

fn median_and_worst(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() - 1])
}

/// The time until a 200 arrives, including connects and retries.
fn health_takes(address: SocketAddr) -> Duration {
    let start = Instant::now();
    while ask(address) != Some(200) {
        assert!(start.elapsed() < GUARD, "no answer for {GUARD:?}");
        thread::sleep(Duration::from_millis(1));
    }
    start.elapsed()
}

fn ask(address: SocketAddr) -> Option<u16> {
    let client = TcpStream::connect_timeout(&address, ONE_QUESTION).ok()?;
    client.set_read_timeout(Some(ONE_QUESTION)).ok()?;
    (&client).write_all(HEALTH).ok()?;
    let mut head = [0; 12];
    (&client).read_exact(&mut head).ok()?;
    std::str::from_utf8(&head[9..]).ok()?.parse().ok()
}
