//! The configured identity of the service and its machine, as `/health` and `/version` show it.

use mcr_config::Settings;
use mcr_model::redact::Redactor;
use mcr_service::http::health::{Infrastructure, Version, Versions};

/// The configured versions and the machine.
pub(super) struct Identity {
    runtime_version: String,
    /// If it is not configured, the gateway's own version is used.
    openclaw_version: Option<String>,
    droplet_id: String,
    ip_address: String,
    region: String,
}

impl Identity {
    /// Configured values are shown to every caller, so a secret in the wrong variable is redacted.
    pub(super) fn new(settings: &Settings, redactor: &Redactor) -> Self {
        Self {
            runtime_version: redactor.clean(&settings.runtime_version),
            openclaw_version: settings.openclaw_version.as_deref().map(|version| redactor.clean(version)),
            droplet_id: redactor.clean(&settings.droplet.id),
            ip_address: redactor.clean(&settings.droplet.ip),
            region: redactor.clean(&settings.droplet.region),
        }
    }

    /// The versions; `detected` is that of the gateway.
    pub(super) fn versions(&self, detected: Option<String>) -> Versions {
        Versions {
            runtime_service: self.runtime_version.clone(),
            openclaw: self.openclaw(detected).unwrap_or_else(|| "unknown".to_owned()),
        }
    }

    /// The gateway's version, if it is known.
    pub(super) fn openclaw(&self, detected: Option<String>) -> Option<String> {
        self.openclaw_version.clone().or(detected)
    }

    /// The answer of `/version`.
    pub(super) fn version(&self, detected: Option<String>) -> Version {
        let Versions { runtime_service, openclaw } = self.versions(detected);
        Version {
            runtime_service_version: runtime_service,
            openclaw_version: openclaw,
            droplet_id: self.droplet_id.clone(),
            region: self.region.clone(),
        }
    }

    /// The machine.
    pub(super) fn infrastructure(&self) -> Infrastructure {
        Infrastructure {
            droplet_id: self.droplet_id.clone(),
            ip_address: self.ip_address.clone(),
            region: self.region.clone(),
        }
    }
}
