//! The supervisor of the gateway's process: it does what [`ChildSchedule`] decides.

use std::ffi::OsString;
use std::fs;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, never, select, unbounded};
use log::{info, warn};
use nix::sys::signal::Signal;

use super::configuration::digest_of;
use super::process::{GatewayProcess, Identity};
use super::record::ChildRecord;
use super::version::{VERSION_LIMIT, VersionQuery, version_of};
use super::{ChildSetup, THREAD};
use crate::clock::SteadyClock;
use mcr_core::gateway_child::{ChildAction, ChildEvent, ChildSchedule, ChildState, Ended};
use mcr_core::gateway_keys::file::entries;
use mcr_files::shared::FileStamp;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::secret::Secret;

/// The time between two probes of a gateway that is starting, and between two looks at the running turns.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The longest time between two looks at the env file. A change of it normally wakes the supervisor.
const FILE_INTERVAL: Duration = Duration::from_secs(30);

/// How long a process on this machine takes to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// The pause before the supervisor continues after a panic.
const PANIC_RESTART_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Supervisor {
    setup: ChildSetup,
    clock: SteadyClock,
    schedule: ChildSchedule,
    process: Option<GatewayProcess>,
    /// The digest of what a new process is started with, apart from the stored keys.
    configuration: String,
    /// The env file as the running process has read it.
    keys: Option<FileStamp>,
    version_query: Option<VersionQuery>,
    /// The program that was last asked for its version, as a file.
    versioned: Option<(PathBuf, SystemTime)>,
    /// Announces the end of a process.
    ends: Sender<Identity>,
    ended_processes: Receiver<Identity>,
}

impl Supervisor {
    pub(super) fn new(setup: ChildSetup) -> Self {
        let (ends, ended_processes) = unbounded();
        let clock = SteadyClock::new();
        Self {
            schedule: ChildSchedule::new(setup.limits, clock.now()),
            configuration: digest_of(&setup.command, &setup.address, &setup.environment),
            setup,
            clock,
            process: None,
            keys: None,
            version_query: None,
            versioned: None,
            ends,
            ended_processes,
        }
    }

    /// Supervises until a stop. After a panic the supervisor continues with the process that runs.
    pub(super) fn run_guarded(&mut self, stops: &Receiver<Duration>) {
        let panics = self.setup.panics.clone();
        while panics.catch(THREAD, || self.run(stops)).is_none() {
            self.setup.status.change(|health| {
                health.state = ChildState::Waiting;
                health.reason = Some("its supervisor has panicked and continues after a pause".to_owned());
            });
            match stops.recv_timeout(PANIC_RESTART_PAUSE) {
                Ok(within) => self.schedule.on(ChildEvent::Stop(within), self.clock.now()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn run(&mut self, stops: &Receiver<Duration>) {
        self.resume();
        let changed = self.setup.changed.receiver().clone();
        while !self.schedule.is_done() {
            self.look();
            let turns = (self.setup.turns)();
            while let Some(action) = self.schedule.next(turns, self.clock.now()) {
                self.act(action);
            }
            self.show();
            let version = self.version_query.as_ref().map_or_else(never, |query| query.output().clone());
            select! {
                recv(stops) -> within => {
                    // The runtime has dropped the handle without a stop: the gateway stays for the next runtime.
                    let Ok(within) = within else { return };
                    self.schedule.on(ChildEvent::Stop(within), self.clock.now());
                }
                recv(self.ended_processes) -> identity => {
                    if let Ok(identity) = identity {
                        self.ended(&identity);
                    }
                }
                recv(version) -> output => {
                    self.end_version_query(output.ok().as_deref());
                }
                recv(changed) -> _ => {}
                default(self.rest()) => {}
            }
        }
        self.show();
    }

    /// How long nothing needs to be looked at.
    fn rest(&self) -> Duration {
        let now = self.clock.now();
        let due = self.schedule.due().map_or(FILE_INTERVAL, |due| due.since(now));
        let looks = match self.schedule.state() {
            ChildState::Starting => LOOK_INTERVAL,
            // Other keys wait for the turns.
            ChildState::Ready if self.schedule.due().is_some() => LOOK_INTERVAL,
            ChildState::Ready | ChildState::Waiting | ChildState::Stopping | ChildState::Stopped => {
                FILE_INTERVAL
            }
        };
        let version = self.version_query.as_ref().map_or(looks, |query| query.until.since(now));
        due.min(looks).min(version)
    }

    /// Finds the process at the start and after a panic, which may have lost the process or its end.
    fn resume(&mut self) {
        if self.process.is_none() {
            self.adopt();
        }
        let expected = match self.schedule.state() {
            ChildState::Starting | ChildState::Ready | ChildState::Stopping => true,
            ChildState::Waiting | ChildState::Stopped => false,
        };
        if expected && self.process.is_none() {
            self.setup.status.change(|health| (health.pid, health.started_at) = (None, None));
            self.schedule.on(ChildEvent::Ended(Ended::Unknown), self.clock.now());
        }
    }

    /// Takes over the process that an earlier runtime has left.
    fn adopt(&mut self) {
        let Some(folder) = &self.setup.folder else { return };
        let Some(record) = ChildRecord::read(folder) else { return };
        let identity = record.identity();
        if !identity.runs() {
            ChildRecord::remove(folder);
            return;
        }
        info!(pid = identity.pid; "The gateway of an earlier runtime still runs and is taken over");
        self.keys = record.keys();
        self.took(GatewayProcess::adopted(identity), &record, true);
        if !record.is_of(&self.configuration) {
            info!("The gateway of an earlier runtime has another configuration and is started again");
            self.schedule.on(ChildEvent::OtherKeys, self.clock.now());
        }
        let keys = self.setup.keys.read().ok().flatten();
        self.query_version(&self.environment(keys.as_ref()));
    }

    /// Looks at what changes without an event: the gateway's answers and the env file.
    fn look(&mut self) {
        let now = self.clock.now();
        if self.schedule.state() == ChildState::Starting && (self.setup.is_ready)() {
            self.schedule.on(ChildEvent::Ready, now);
            info!("The gateway is ready");
        }
        if self.version_query.as_ref().is_some_and(|query| query.until <= now) {
            self.end_version_query(None);
        }
        let Some(process) = &self.process else { return };
        if !process.identity.runs() {
            // The thread that watches the process may not have been started.
            let identity = process.identity.clone();
            self.ended(&identity);
            return;
        }
        // The gateway keeps the keys that it has while the file cannot be read.
        if self.setup.keys.stamp().is_ok_and(|stamp| stamp != self.keys) {
            self.schedule.on(ChildEvent::OtherKeys, now);
        }
    }

    fn act(&mut self, action: ChildAction) {
        match action {
            ChildAction::Start => match self.start() {
                Ok(()) => {}
                Err(why) => {
                    let why = self.setup.redactor.excerpt(&why, 300);
                    if self.schedule.reason() != Some(&why) {
                        warn!(reason = why.as_str(); "The gateway is not started");
                    }
                    self.schedule.on(ChildEvent::NotStarted(why), self.clock.now());
                }
            },
            ChildAction::Terminate => {
                info!("The gateway is asked to finish its turns and to end");
                self.signal(Signal::SIGTERM);
            }
            ChildAction::Kill => {
                warn!("The gateway has not ended in time and is killed");
                self.signal(Signal::SIGKILL);
            }
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    fn start(&mut self) -> Result<(), String> {
        let (host, port) = &self.setup.address;
        if is_served(host, *port) {
            return Err(format!(
                "another process already serves {host}:{port}: stop it, or remove OPENCLAW_COMMAND to use it as it is"
            ));
        }
        // Before the file is read: a change in between counts as other keys.
        let stamp = self.setup.keys.stamp()?;
        let text = self.setup.keys.read()?;
        let environment = self.environment(text.as_ref());
        let command = &self.setup.command;
        let process = GatewayProcess::start(command, &environment)
            .map_err(|why| format!("{} cannot be started: {why}", command.program))?;
        info!(pid = process.identity.pid; "The gateway is started");
        let record =
            ChildRecord::new(&process.identity, SystemClock.now(), stamp, self.configuration.clone());
        if let Some(folder) = &self.setup.folder
            && let Err(why) = record.write(folder)
        {
            warn!(reason:% = why; "The gateway's process cannot be noted, so a later runtime would not find it");
        }
        self.keys = stamp;
        self.took(process, &record, false);
        self.query_version(&environment);
        Ok(())
    }

    /// The environment with the stored keys, which replace others. No text shows their values from now on.
    fn environment(&self, keys: Option<&Secret>) -> Vec<(OsString, OsString)> {
        let keys = keys.map(|text| entries(text.expose())).unwrap_or_default();
        let values: Vec<Secret> = keys.iter().map(|(_, value)| Secret::new(*value)).collect();
        self.setup.redactor.learn(&values);
        let keys = keys.into_iter().map(|(name, value)| (name.into(), value.into()));
        self.setup.environment.iter().cloned().chain(keys).collect()
    }

    /// Asks a program that has changed for its version. The answer does not delay the gateway.
    fn query_version(&mut self, environment: &[(OsString, OsString)]) {
        let command = &self.setup.command;
        let path = PathBuf::from(&command.program);
        let changed =
            fs::metadata(&path).and_then(|facts| facts.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let file = Some((path, changed));
        if self.versioned != file {
            let until = self.clock.now() + VERSION_LIMIT;
            // A program that cannot be started has no version.
            self.version_query = VersionQuery::start(command, environment, until).ok();
            self.versioned = file;
        }
    }

    fn end_version_query(&mut self, output: Option<&[u8]>) {
        self.version_query = None;
        let version = output.and_then(version_of);
        self.setup.status.change(|health| health.version = version);
    }

    fn took(&mut self, process: GatewayProcess, record: &ChildRecord, adopted: bool) {
        let (ends, identity) = (self.ends.clone(), process.identity.clone());
        // Fails only after the end of the supervisor.
        let watched = process.watch(move || drop(ends.send(identity)));
        if let Err(why) = watched {
            warn!(reason:% = why; "The end of the gateway's process cannot be noticed");
        }
        let (pid, since) = (process.identity.pid, record.since);
        self.setup.status.change(|health| {
            health.pid = Some(pid);
            health.started_at = Some(since);
            health.adopted = adopted;
        });
        self.process = Some(process);
        let event = if adopted { ChildEvent::TakenOver } else { ChildEvent::Runs };
        self.schedule.on(event, self.clock.now());
    }

    fn ended(&mut self, identity: &Identity) {
        let Some(process) = self.process.take_if(|process| process.identity == *identity) else { return };
        let end = process.reap();
        if let Some(folder) = &self.setup.folder {
            ChildRecord::remove(folder);
        }
        self.setup.status.change(|health| (health.pid, health.started_at) = (None, None));
        self.schedule.on(ChildEvent::Ended(end), self.clock.now());
        match self.schedule.reason() {
            Some(reason) if !self.schedule.is_done() => {
                warn!(reason; "The gateway is started again after a pause");
            }
            Some(_) | None => info!(end:%; "The gateway has ended"),
        }
    }

    fn show(&self) {
        let schedule = &self.schedule;
        self.setup.status.change(|health| {
            health.state = schedule.state();
            health.restarts = schedule.restarts();
            health.last_end = schedule.last_end().map(str::to_owned);
            health.reason = schedule.reason().map(str::to_owned);
        });
    }
}

/// Whether a process accepts connections at this address.
fn is_served(host: &str, port: u16) -> bool {
    let addresses = (host, port).to_socket_addrs().into_iter().flatten();
    addresses.into_iter().any(|address| TcpStream::connect_timeout(&address, CONNECT_LIMIT).is_ok())
}
