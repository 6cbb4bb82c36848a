//! The client and the double in one process. Waiting lets the double's clock pass, so a day of waiting takes no time. A fault
//! can end the client like a killed process.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::provision::digitalocean::{DigitalOcean, DigitalOceanLimits};
use mission_control_runtime::provision::request::{
    BookError, EntryBook, MachineEntry, Provisioner, WantedMachine,
};
use mission_control_runtime::provision::{
    ApiAnswer, MachineSize, Naming, NewMachine, Pace, StartData, Transport, Unanswered, Verb,
};
use mission_control_runtime::secret::Secret;

use super::api_lists::KEY_ID;
use super::cloud::{Cloud, Outcome, TOKEN};

pub(super) const ACCOUNT: &str = "acc0unt";

/// What a killed process leaves: nothing.
pub(super) struct Killed;

/// Requests to the double, without a network.
struct Direct(Cloud);

impl Transport for Direct {
    fn send(&self, verb: Verb<'_>, path: &str, _limit: Duration) -> Result<ApiAnswer, Unanswered> {
        let (method, body) = match verb {
            Verb::Get => ("GET", &[][..]),
            Verb::Post(body) => ("POST", body),
            Verb::Put(body) => ("PUT", body),
            Verb::Delete => ("DELETE", &[][..]),
        };
        match self.0.take(method, path, &format!("Bearer {TOKEN}"), body) {
            Outcome::Answered((status, headers, body)) => {
                let header = |name: &str| {
                    headers
                        .iter()
                        .find(|(known, _)| *known == name)
                        .and_then(|(_, value)| value.parse::<i64>().ok())
                };
                let whole = |value: i64| u64::try_from(value).unwrap();
                Ok(ApiAnswer {
                    status,
                    retry_after: header("retry-after").map(|seconds| Duration::from_secs(whole(seconds))),
                    requests_left: header("ratelimit-remaining").map(whole),
                    reset_at_s: header("ratelimit-reset"),
                    body: body.into_bytes(),
                })
            }
            // Whether a lost request was sent is not known to the client.
            Outcome::Lost => Err(Unanswered { words: "the connection ended".to_owned(), was_sent: true }),
            Outcome::Dies => resume_unwind(Box::new(Killed)),
        }
    }
}

pub(super) fn direct(cloud: &Cloud) -> Box<dyn Transport> {
    Box::new(Direct(cloud.clone()))
}

/// The double's clock.
pub(super) struct CloudPace(pub(super) Cloud);

impl Pace for CloudPace {
    fn now(&self) -> Millis {
        Millis(self.0.book().now_ms)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.book().now_ms).unwrap())
    }

    fn wait(&self, span: Duration) -> bool {
        self.0.book().now_ms += i64::try_from(span.as_millis()).unwrap();
        false
    }

    fn progress(&self, sentence: &str) {
        self.0.book().told.push(sentence.to_owned());
    }
}

/// Entries that survive the client.
#[derive(Default)]
pub(super) struct SharedBook {
    pub(super) entries: Mutex<Vec<MachineEntry>>,
    /// The number of saves after which the client dies, counted down.
    pub(super) dies_after: Mutex<Option<usize>>,
}

impl EntryBook for SharedBook {
    fn entries(&self) -> Result<Vec<MachineEntry>, BookError> {
        Ok(self.entries.lock().unwrap().clone())
    }

    fn save(&self, entry: &MachineEntry) -> Result<(), BookError> {
        {
            let mut entries = self.entries.lock().unwrap();
            entries.retain(|known| known.account != entry.account);
            entries.push(entry.clone());
        }
        let dies = {
            let mut left = self.dies_after.lock().unwrap();
            *left = left.and_then(|left| left.checked_sub(1));
            *left == Some(0)
        };
        if dies {
            resume_unwind(Box::new(Killed));
        }
        Ok(())
    }
}

pub(super) fn naming() -> Naming {
    Naming::parse("mission-control").unwrap()
}

pub(super) fn client(cloud: &Cloud) -> DigitalOcean {
    DigitalOcean::with_parts(
        direct(cloud),
        Arc::new(CloudPace(cloud.clone())),
        (naming(), vec![KEY_ID.to_string()]),
        DigitalOceanLimits::default(),
    )
}

pub(super) fn wanted() -> NewMachine {
    NewMachine {
        name: naming().machine(ACCOUNT, 1),
        account: Some(ACCOUNT.to_owned()),
        region: "fra1".to_owned(),
        image: "debian-12-x64".to_owned(),
        size: MachineSize::Listed("s-1vcpu-2gb".to_owned()),
        start: StartData::UserData(Secret::new("#cloud-config\n")),
        asked_before: false,
    }
}

pub(super) fn wanted_machine() -> WantedMachine {
    WantedMachine {
        account: ACCOUNT.to_owned(),
        region: "fra1".to_owned(),
        size: "s-1vcpu-2gb".to_owned(),
        image: "debian-12-x64".to_owned(),
        user_data: Secret::new("#cloud-config\n"),
    }
}

/// Runs a client until it ends or dies.
pub(super) fn lives<T>(
    cloud: &Cloud,
    book: &SharedBook,
    work: impl FnOnce(&Provisioner<'_>) -> T,
) -> Result<T, Killed> {
    let (provider, naming, pace) = (client(cloud), naming(), CloudPace(cloud.clone()));
    let provisioner = Provisioner { provider: &provider, book, naming: &naming, pace: &pace };
    catch_unwind(AssertUnwindSafe(|| work(&provisioner))).map_err(|why| match why.downcast::<Killed>() {
        Ok(killed) => *killed,
        Err(panic) => resume_unwind(panic),
    })
}
