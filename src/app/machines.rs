//! Connects the embedded Mission Control with the providers of machines.

use log::info;
use mcr_clients::wire::{Roots, Stop};
use mcr_mission_control::{FaultKind, FoundMachine, MachineFault, Machines, OpenMachines, WantedMachine};
use mcr_model::BaseUrl;
use mcr_model::redact::Redactor;
use mcr_model::secret::Secret;
use mcr_provision::cloud_init::{BootstrapSource, MachineContents, user_data};
use mcr_provision::digitalocean::{DigitalOcean, DigitalOceanLimits};
use mcr_provision::{
    ErrorClass, Machine, MachineSize, MachineState, Naming, NewMachine, Provider, ProviderError, StartData,
    SystemPace,
};

use super::control_plane::{ControlPlaneOptions, MachineRelease};

/// The provider, in the words of the contract.
const DIGITALOCEAN: &str = "digitalocean";

/// The prefix of machines' names, and their tag.
const PREFIX: &str = "mission-control";

/// The providers that can be called. A machine needs a release to run.
pub(super) fn providers(options: &ControlPlaneOptions) -> Vec<String> {
    options.release.iter().map(|_| DIGITALOCEAN.to_owned()).collect()
}

/// Opens the clients of the providers, if a machine has a release to run. The error is a sentence.
pub(super) fn open(options: &ControlPlaneOptions) -> Result<Option<OpenMachines>, String> {
    let Some(release) = options.release.clone() else { return Ok(None) };
    let base = mcr_config::digitalocean_api(&|name| std::env::var(name).ok())?;
    let ssh_keys = options.ssh_keys.clone();
    Ok(Some(Box::new(move |provider, token| {
        if provider != DIGITALOCEAN {
            return Err(format!("this build has no client for {provider}"));
        }
        let spoken = Secret::new(token.expose());
        let naming = Naming::parse(PREFIX).ok_or("the prefix of names cannot be used")?;
        let roots = Roots::load(None).map_err(|why| why.to_string())?;
        let parts = (naming.clone(), ssh_keys.clone());
        let client = DigitalOcean::new(
            base.clone(),
            token,
            parts,
            &roots,
            DigitalOceanLimits::default(),
            // A provider may repeat the token in its answer.
            SystemPace::new(&Stop::new(), move |sentence| {
                info!(reason:% = Redactor::new([&spoken]).clean(sentence); "Waiting for the provider");
            }),
        );
        Ok(Box::new(ProviderMachines { provider: client, naming, release: release.clone() }))
    })))
}

/// A provider as the worker of the embedded Mission Control sees it.
struct ProviderMachines<P> {
    provider: P,
    naming: Naming,
    release: MachineRelease,
}

impl<P: Provider> ProviderMachines<P> {
    /// The request to the provider. Only a creation has user data.
    fn new_machine(&self, wanted: &WantedMachine) -> Result<NewMachine, MachineFault> {
        let start = match &wanted.bootstrap {
            None => Secret::new(String::new()),
            Some((url, token)) => user_data(&self.contents(wanted, url, token)?)
                .map_err(|why| refused(format!("The machine cannot be configured: {why}")))?,
        };
        Ok(NewMachine {
            name: self.naming.machine(&wanted.account, wanted.attempt),
            account: Some(wanted.account.clone()),
            region: wanted.region.clone(),
            image: wanted.image.clone(),
            size: MachineSize::Listed(wanted.size.clone()),
            start: StartData::UserData(start),
            asked_before: wanted.asked_before,
        })
    }

    fn contents(
        &self,
        wanted: &WantedMachine,
        url: &str,
        token: &Secret,
    ) -> Result<MachineContents, MachineFault> {
        let url = BaseUrl::parse(url).map_err(|why| refused(why.explain().to_owned()))?;
        Ok(MachineContents {
            release_url: self.release.url.clone(),
            release_sha256: self.release.sha256.clone(),
            openclaw_version: None,
            node_version: None,
            agents: wanted.agents.clone(),
            account: wanted.account.clone(),
            convex_url: Some(url.as_str().to_owned()),
            bootstrap: Some(BootstrapSource { url, token: token.clone() }),
        })
    }
}

fn refused(sentence: String) -> MachineFault {
    MachineFault { kind: FaultKind::Refused, sentence }
}

fn fault(error: ProviderError) -> MachineFault {
    let kind = match error.class {
        ErrorClass::Refused => FaultKind::Refused,
        ErrorClass::Transient | ErrorClass::Ambiguous | ErrorClass::Gone => FaultKind::Passing,
    };
    MachineFault { kind, sentence: error.sentence }
}

fn found(machine: Machine, monthly_usd: Option<f64>) -> FoundMachine {
    let is_ending = matches!(machine.state, MachineState::Ending | MachineState::Gone);
    FoundMachine { id: machine.id, address: machine.address, monthly_usd, is_ending }
}

impl<P: Provider> Machines for ProviderMachines<P> {
    fn create(&self, wanted: &WantedMachine) -> Result<FoundMachine, MachineFault> {
        let new = self.new_machine(wanted)?;
        // After a creation whose answer was lost, the checks would count its machine.
        let quote = if wanted.asked_before { None } else { Some(self.provider.check(&new).map_err(fault)?) };
        let monthly = quote.and_then(|quote| quote.monthly_usd).and_then(|usd| usd.parse().ok());
        self.provider.prepare(&new).map_err(fault)?;
        self.provider.create(&new).map(|machine| found(machine, monthly)).map_err(fault)
    }

    fn find(&self, wanted: &WantedMachine) -> Result<Option<FoundMachine>, MachineFault> {
        let machine = self.provider.find(&self.naming.machine(&wanted.account, wanted.attempt));
        Ok(machine.map_err(fault)?.map(|machine| found(machine, None)))
    }

    fn destroy(&self, wanted: &WantedMachine) -> Result<(), MachineFault> {
        let new = self.new_machine(wanted)?;
        let shown = match self.provider.find(&new.name).map_err(fault)? {
            // A creation that was sent may not show yet.
            None if wanted.asked_before => self.provider.settle(&new).map_err(fault)?,
            shown => shown,
        };
        shown.map_or(Ok(()), |machine| self.provider.destroy(&machine).map_err(fault))
    }
}
