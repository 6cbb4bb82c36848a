//! The options of `local` that make it a control plane: the address for machines, its proxy, what new machines run, and the
//! times of the pool's queue.

use std::net::IpAddr;
use std::sync::Arc;

use mcr_mission_control::http_api::Exposure;
use mcr_mission_control::{Engine, OnTimeout, PoolTimes, ProvisionSettings, ProvisionWorker};
use mcr_model::BaseUrl;

/// The release that new machines install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineRelease {
    /// The address of its archive.
    pub url: String,
    /// The SHA-256 of the archive, in hexadecimal digits.
    pub sha256: String,
}

/// The options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlPlaneOptions {
    /// `--public-url`.
    pub public_url: Option<BaseUrl>,
    /// `--trust-proxy`.
    pub proxies: Vec<IpAddr>,
    /// `--release`.
    pub release: Option<MachineRelease>,
    /// `--ssh-keys`.
    pub ssh_keys: Vec<String>,
    /// `--destroy-silent`.
    pub destroys_silent: bool,
    /// `--pool-lease` and `--pool-stale`.
    pub pool_times: PoolTimes,
}

impl ControlPlaneOptions {
    /// Refuses options under which machines would send secrets in the clear, or a client could pretend to be another one.
    pub(super) fn check(&self, hosts: &[&str]) -> Result<(), String> {
        let Some(url) = &self.public_url else {
            let needs = [
                ("--trust-proxy", !self.proxies.is_empty()),
                ("--release", self.release.is_some()),
                ("--ssh-keys", !self.ssh_keys.is_empty()),
                ("--destroy-silent", self.destroys_silent),
            ];
            return match needs.iter().find(|(_, is_given)| *is_given) {
                Some((option, _)) => {
                    Err(format!("{option} needs --public-url, the HTTPS address of your proxy"))
                }
                None => Ok(()),
            };
        };
        if url.is_loopback() {
            return Ok(());
        }
        if !url.is_https() {
            return Err(format!(
                "--public-url {url}: machines get their secrets from it, so it must begin with https://"
            ));
        }
        let host = url.host();
        if !hosts.iter().any(|name| name.eq_ignore_ascii_case(host)) {
            return Err(format!("--public-url names {host}: add it to --hosts"));
        }
        if self.proxies.is_empty() {
            return Err(
                "--public-url needs --trust-proxy with the address from which your HTTPS proxy connects, such as 127.0.0.1"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Who may come from where.
    pub(super) fn exposure(&self) -> Exposure {
        let is_public = self.public_url.as_ref().is_some_and(|url| !url.is_loopback());
        if is_public { Exposure::behind(self.proxies.iter().copied()) } else { Exposure::default() }
    }

    /// How machines are provided, if machines can reach this server.
    /// The error is a sentence.
    pub(super) fn settings(&self) -> Result<Option<ProvisionSettings>, String> {
        let Some(public_url) = self.public_url.clone() else { return Ok(None) };
        let (timeout, destroys) = mcr_config::provision_limits(&|name| std::env::var(name).ok())?;
        Ok(Some(ProvisionSettings {
            public_url,
            providers: providers(self),
            // The table allows two hours.
            timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
            on_timeout: if self.destroys_silent || destroys { OnTimeout::Destroy } else { OnTimeout::Keep },
        }))
    }

    /// The worker that calls the providers, if machines can be provided. The error is a sentence.
    pub(super) fn worker(&self, engine: &Arc<Engine>) -> Result<Option<ProvisionWorker>, String> {
        let Some(settings) = self.settings()? else { return Ok(None) };
        let machines = open_machines(self)?;
        Ok(machines.map(|machines| ProvisionWorker::new(engine.clone(), machines, settings)))
    }
}

#[cfg(feature = "provision")]
use super::machines::{open as open_machines, providers};

#[cfg(not(feature = "provision"))]
fn providers(_options: &ControlPlaneOptions) -> Vec<String> {
    Vec::new()
}

#[cfg(not(feature = "provision"))]
#[expect(clippy::unnecessary_wraps, reason = "the version with providers may fail")]
fn open_machines(
    _options: &ControlPlaneOptions,
) -> Result<Option<mcr_mission_control::OpenMachines>, String> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_plane_needs_https_its_host_name_and_its_proxy() {
        let proxy = vec![IpAddr::from([127, 0, 0, 1])];
        let rows = [
            (None, &[][..], vec![], true, ""),
            (None, &[], proxy.clone(), false, "--trust-proxy needs --public-url"),
            (Some("https://mc.example.com"), &["mc.example.com"], proxy.clone(), true, ""),
            (Some("https://MC.example.com"), &["mc.example.com"], proxy.clone(), true, ""),
            (Some("https://mc.example.com"), &["mc.example.com"], vec![], false, "needs --trust-proxy"),
            (Some("https://mc.example.com"), &["board"], proxy.clone(), false, "add it to --hosts"),
            (Some("http://mc.example.com"), &["mc.example.com"], proxy, false, "must begin with https://"),
            (Some("http://127.0.0.1:3210"), &[], vec![], true, ""),
        ];
        for (url, hosts, proxies, is_accepted, sentence) in rows {
            let public_url = url.map(|url| BaseUrl::parse(url).unwrap());
            let options = ControlPlaneOptions { public_url, proxies, ..ControlPlaneOptions::default() };
            let checked = options.check(hosts);
            assert_eq!(checked.is_ok(), is_accepted, "{url:?}: {checked:?}");
            assert!(checked.err().unwrap_or_default().contains(sentence), "{url:?}");
        }
    }
}
