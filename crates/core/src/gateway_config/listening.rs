//! The address of the gateway, and the token of its clients. Without authentication, only this machine may call.

use std::net::IpAddr;

use serde_json::Value;

use super::Remark;
use super::form::Form;
use super::secret::{self, GATEWAY_TOKEN, Referred};
use super::tree::Tree;
use mcr_model::GatewayEnvironment;

/// Where the gateway listens, as the file says it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bind<'a> {
    Loopback,
    /// All IPv4 addresses.
    Lan,
    /// One IPv4 address.
    Custom(&'a str),
}

pub(super) fn apply(
    tree: &mut Tree,
    environment: &GatewayEnvironment,
    form: Form,
    remarks: &mut Vec<Remark>,
) {
    let token = environment.gateway_token;
    let referred = secret::refer(tree, &["gateway", "auth", "token"], token, &GATEWAY_TOKEN, form);
    if referred == Referred::Written {
        tree.set(&["gateway", "auth", "mode"], "token");
    }
    let guarded = is_guarded(tree);
    if !guarded {
        tree.set(&["gateway", "auth", "mode"], "none");
    }
    let wanted = match &environment.bind_host {
        None if token.is_some() => Bind::Lan,
        None => Bind::Loopback,
        Some(host) => bind(host).unwrap_or_else(|| {
            remarks.push(Remark::NoIpv4Address(host.clone()));
            Bind::Loopback
        }),
    };
    if guarded {
        write(tree, wanted);
    } else {
        if wanted != Bind::Loopback {
            remarks.push(Remark::NoTokenForNetwork);
        }
        write(tree, Bind::Loopback);
    }
}

/// Whether a client must prove who it is.
fn is_guarded(tree: &Tree) -> bool {
    let auth = |key| tree.get(&["gateway", "auth", key]).filter(|value| !value.is_null());
    match auth("mode").and_then(Value::as_str) {
        Some("none") => false,
        Some("trusted-proxy") => true,
        Some("password") => auth("password").is_some(),
        _ => auth("token").or_else(|| auth("password")).is_some(),
    }
}

/// What an address means to the gateway, which listens on IPv4. `None` for another host.
fn bind(host: &str) -> Option<Bind<'_>> {
    match host {
        "localhost" | "loopback" => Some(Bind::Loopback),
        "lan" => Some(Bind::Lan),
        host => match host.parse().ok()? {
            IpAddr::V4(address) if address.is_unspecified() => Some(Bind::Lan),
            IpAddr::V4(address) if address.is_loopback() => Some(Bind::Loopback),
            IpAddr::V4(_) => Some(Bind::Custom(host)),
            IpAddr::V6(address) if address.is_unspecified() => Some(Bind::Lan),
            IpAddr::V6(address) if address.is_loopback() => Some(Bind::Loopback),
            IpAddr::V6(_) => None,
        },
    }
}

fn write(tree: &mut Tree, wanted: Bind<'_>) {
    let (mode, host) = match wanted {
        Bind::Loopback => ("loopback", None),
        Bind::Lan => ("lan", None),
        Bind::Custom(host) => ("custom", Some(host)),
    };
    tree.set(&["gateway", "bind"], mode);
    match host {
        Some(host) => tree.set(&["gateway", "customBindHost"], host),
        None => drop(tree.remove(&["gateway", "customBindHost"])),
    }
}
