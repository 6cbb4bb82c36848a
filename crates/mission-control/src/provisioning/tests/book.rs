//! A provider in memory. Its book says which machines exist, and what each got at its creation. Each call can fail, lose its
//! answer, or end the process, before or after its effect.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::super::{
    BootstrapRefusal, FaultKind, FoundMachine, MachineFault, Machines, OnTimeout, ProvisionSettings,
    ProvisionWorker, WantedMachine,
};
use crate::engine::Engine;
use crate::test_board::{TestBoard, settings};
use mcr_model::secret::Secret;

/// The token of the provider.
pub(super) const PROVIDER_TOKEN: &str = "dop_v1_canary_of_the_provider_0123456789";

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Works,
    /// Nothing is done, and the provider says so.
    Fails,
    /// It is done, but the answer is lost.
    LosesAnswer,
    /// The provider refuses it.
    Refused,
    /// It refuses it, and repeats the secrets of the request.
    Echoes,
    /// The process ends before the call has an effect.
    DiesBefore,
    /// The process ends after the call has had its effect.
    DiesAfter,
}

impl Fate {
    pub(super) const ALL: [Self; 7] = [
        Self::Works,
        Self::Fails,
        Self::LosesAnswer,
        Self::Refused,
        Self::Echoes,
        Self::DiesBefore,
        Self::DiesAfter,
    ];
}

/// A machine that exists.
#[derive(Clone, Debug)]
pub(super) struct BookMachine {
    pub(super) account: String,
    pub(super) address: IpAddr,
    /// The one-time token that it got.
    pub(super) token: String,
}

#[derive(Default)]
pub(super) struct Book {
    /// By name.
    pub(super) machines: BTreeMap<String, BookMachine>,
    pub(super) created: u32,
    /// The most machines that one account ever had at the same time.
    pub(super) most: usize,
    /// The fates of the next calls, the next one last. Without one, a call works.
    pub(super) fates: Vec<Fate>,
    /// Every call, for the tests.
    pub(super) calls: Vec<String>,
    /// The one-time token that the provider has repeated.
    pub(super) echoed: String,
    /// Whether new machines have no address yet.
    pub(super) hides_addresses: bool,
}

/// Clones share the book.
#[derive(Clone, Default)]
pub(super) struct BookProvider(pub(super) Arc<Mutex<Book>>);

/// The panic that stands for the end of the process.
struct ProcessEnds;

impl BookProvider {
    pub(super) fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.0.lock().expect("no test panics while it holds the book")
    }

    fn call<T>(
        &self,
        what: &str,
        wanted: &WantedMachine,
        work: impl FnOnce(&mut Book, String) -> T,
    ) -> Result<T, MachineFault> {
        let fate = {
            let mut book = self.book();
            book.calls.push(format!("{what} {}", wanted.attempt));
            book.fates.pop().unwrap_or(Fate::Works)
        };
        let fault = |kind, sentence: &str| Err(MachineFault { kind, sentence: sentence.to_owned() });
        let name = format!("{}-{}", wanted.account, wanted.attempt);
        match fate {
            Fate::Fails => return fault(FaultKind::Passing, "the provider is busy"),
            Fate::Refused => return fault(FaultKind::Refused, "the limit of machines is reached"),
            Fate::Echoes => {
                let token = wanted.bootstrap.as_ref().map_or("", |(_, token)| token.expose());
                let sentence = format!("refused: Bearer {PROVIDER_TOKEN}, user data {token}");
                self.book().echoed = token.to_owned();
                return fault(FaultKind::Refused, &sentence);
            }
            Fate::DiesBefore => resume_unwind(Box::new(ProcessEnds)),
            Fate::Works | Fate::LosesAnswer | Fate::DiesAfter => {}
        }
        let done = work(&mut self.book(), name);
        match fate {
            Fate::LosesAnswer => fault(FaultKind::Passing, "the answer was lost"),
            Fate::DiesAfter => resume_unwind(Box::new(ProcessEnds)),
            _ => Ok(done),
        }
    }
}

fn found(book: &Book, name: &str) -> Option<FoundMachine> {
    book.machines.get(name).map(|machine| FoundMachine {
        id: format!("id-{name}"),
        address: (!book.hides_addresses).then_some(machine.address),
        monthly_usd: Some(6.0),
        is_ending: false,
    })
}

impl Machines for BookProvider {
    fn create(&self, wanted: &WantedMachine) -> Result<FoundMachine, MachineFault> {
        self.call("create", wanted, |book, name| {
            if !book.machines.contains_key(&name) {
                book.created += 1;
                let last = u8::try_from(book.created % 200).expect("below 200") + 1;
                let (url, token) = wanted.bootstrap.clone().expect("a creation has a token");
                assert_eq!(url, "https://control.example.com");
                let machine = BookMachine {
                    account: wanted.account.clone(),
                    address: Ipv4Addr::new(203, 0, 113, last).into(),
                    token: token.expose().to_owned(),
                };
                book.machines.insert(name.clone(), machine);
                let same = book.machines.values().filter(|machine| machine.account == wanted.account);
                book.most = book.most.max(same.count());
            }
            found(book, &name).expect("it was made")
        })
    }

    fn find(&self, wanted: &WantedMachine) -> Result<Option<FoundMachine>, MachineFault> {
        self.call("find", wanted, |book, name| found(book, &name))
    }

    fn destroy(&self, wanted: &WantedMachine) -> Result<(), MachineFault> {
        self.call("destroy", wanted, |book, name| drop(book.machines.remove(&name)))
    }
}

/// A board with the provider, its token and the switch.
pub(super) struct Scene {
    pub(super) board: TestBoard,
    pub(super) provider: BookProvider,
    pub(super) settings: ProvisionSettings,
    worker: RefCell<ProvisionWorker>,
}

fn worker(engine: &Arc<Engine>, provider: &BookProvider, settings: &ProvisionSettings) -> ProvisionWorker {
    let provider = provider.clone();
    let open = move |name: &str, token: &Secret| -> Result<Box<dyn Machines>, String> {
        assert_eq!((name, token.expose()), ("digitalocean", PROVIDER_TOKEN));
        Ok(Box::new(provider.clone()))
    };
    ProvisionWorker::new(engine.clone(), Box::new(open), settings.clone())
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::with(OnTimeout::Keep)
    }

    pub(super) fn with(on_timeout: OnTimeout) -> Self {
        let board = TestBoard::new();
        board.switch("runtime_provisioning_enabled", "true");
        let key = json!({"provider": "digitalocean", "key": PROVIDER_TOKEN});
        board.change("provisioning:setProviderToken", key).expect("a token");
        let (provider, settings) = (BookProvider::default(), settings(on_timeout));
        let worker = RefCell::new(worker(&board.engine, &provider, &settings));
        Self { board, provider, settings, worker }
    }

    /// The process ends and starts again: only the rows remain.
    pub(super) fn restart(&self) {
        *self.worker.borrow_mut() = worker(&self.board.engine, &self.provider, &self.settings);
    }

    /// Makes the steps that are due. If the process ends, it starts again. Returns whether it lived.
    pub(super) fn pass(&self) -> bool {
        let passed = catch_unwind(AssertUnwindSafe(|| self.worker.borrow().pass()));
        match passed {
            Ok(passed) => drop(passed.expect("rows are read and written")),
            Err(panic) if panic.is::<ProcessEnds>() => {
                self.restart();
                return false;
            }
            Err(panic) => resume_unwind(panic),
        }
        true
    }

    pub(super) fn request(&self, account: &str) -> Result<Value, String> {
        let args = json!({
            "accountId": account, "provider": "digitalocean", "region": "fra1", "size": "s-1vcpu-1gb",
            "image": "debian-13-x64",
        });
        self.board.change("provisioning:request", args)
    }

    pub(super) fn press(&self, button: &str, account: &str) -> Result<Value, String> {
        self.board.change(&format!("provisioning:{button}"), json!({"accountId": account}))
    }

    pub(super) fn status(&self, account: &str) -> Value {
        self.board.look("provisioning:status", json!({"accountId": account}))
    }

    pub(super) fn state(&self, account: &str) -> String {
        self.status(account)["state"].as_str().unwrap_or("none").to_owned()
    }

    /// The account's machine, by the provider's book.
    pub(super) fn machine(&self, account: &str) -> BookMachine {
        let book = self.provider.book();
        let machine = book.machines.values().find(|machine| machine.account == account);
        machine.expect("the account has a machine").clone()
    }

    pub(super) fn bootstrap(&self, token: &str, from: IpAddr) -> Result<Value, BootstrapRefusal> {
        self.board.engine.bootstrap(token, from, &self.settings)
    }

    /// The account's machine fetches its secrets. Returns its service token.
    pub(super) fn boot(&self, account: &str) -> Result<String, BootstrapRefusal> {
        let machine = self.machine(account);
        let got = self.bootstrap(&machine.token, machine.address)?;
        Ok(got["environment"]["SERVICE_TOKEN"].as_str().expect("a token").to_owned())
    }
}
