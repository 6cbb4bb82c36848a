//! `local`: the embedded Mission Control on this machine.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use log::{LevelFilter, error, info};

use super::control_plane::ControlPlaneOptions;
use super::embedded::{self, Board, BoardAccess, SWEEP};
use super::exit::Exit;
use super::runtime_env::RuntimeEnv;
use super::service_client::ServiceEndpoint;
use super::{complain, misused, nudge, print};
use crate::telemetry;
use mcr_clients::wire::Stop;
use mcr_config::{LogFormat, LogOutput};
use mcr_http::hosts::Hosts;
use mcr_mission_control::{ControlPlane, Data, DataError, DataLocation, Opening, Options, Seed};
use mcr_model::BaseUrl;
use mcr_model::clock::SystemClock;
use mcr_model::redact::Redactor;
use mcr_model::secret::Secret;
use mcr_model::visible;
use mcr_service::systemd::Notifier;

/// The default address: this machine only.
pub const LISTEN: &str = "127.0.0.1:3210";

/// The default data directory.
pub const DATA: &str = "./.mission-control";

/// The variable that may hold the master key of the provider keys.
const MASTER_KEY: &str = "SECRETS_MASTER_KEY_BASE64";

/// The most time that a stop takes.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// The option that changes the address.
const OPTION: &str = "--listen";

/// A `local` command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// Runs the server.
    Serve {
        /// `--listen`.
        listen: String,
        /// `--hosts`: names, separated by commas.
        hosts: Option<String>,
        /// `--data`.
        data: String,
        /// `--seed`.
        seed: Option<String>,
        /// `--redact` and `--original`.
        options: Options,
        /// `--notify`.
        notify: Option<BaseUrl>,
        /// `--runtime-page`.
        runtime_page: Option<BaseUrl>,
        /// `--env-out`.
        env_out: Option<PathBuf>,
        /// The options that make it a control plane.
        control_plane: Box<ControlPlaneOptions>,
    },
    /// `local status`.
    Status {
        /// `--listen`.
        listen: String,
    },
    /// `local export FILE`.
    Export {
        /// `--data`.
        data: String,
        /// The target file.
        file: PathBuf,
    },
    /// `local import FILE`.
    Import {
        /// `--data`.
        data: String,
        /// The source file.
        file: PathBuf,
    },
    /// `local rotate-key`.
    RotateKey {
        /// `--data`.
        data: String,
    },
}

/// Runs the command.
pub fn local(what: &Local) -> Exit {
    let done = match what {
        Local::Serve { listen, hosts, data, seed, options, notify, runtime_page, env_out, control_plane } => {
            let hosts = accepted_hosts(listen, hosts.as_deref());
            return match hosts.and_then(|hosts| control_plane.check(&hosts).map(|()| hosts)) {
                Ok(hosts) => serve(
                    (listen, &hosts),
                    data,
                    seed.as_deref(),
                    *options,
                    (notify.as_ref(), runtime_page.as_ref()),
                    env_out.as_deref(),
                    control_plane,
                ),
                Err(why) => misused(false, &why),
            };
        }
        Local::Status { listen } => return status(listen),
        Local::Export { data, file } => export(data, file),
        Local::Import { data, file } => import(data, file),
        Local::RotateKey { data } => rotate(data),
    };
    match done {
        Ok(words) => print(&words),
        Err(why) => complain(&why.to_string()),
    }
}

/// The options for opening a data directory. Only an empty one takes the seed.
fn opening(data: &str, seed: Seed, options: Options) -> Opening {
    let master_key = std::env::var(MASTER_KEY).ok().filter(|key| !key.trim().is_empty()).map(Secret::new);
    Opening { location: DataLocation::parse(data), seed, master_key, options }
}

/// Opens existing data.
fn existing(data: &str) -> Result<Data, DataError> {
    Data::existing(&opening(data, Seed::Nothing, Options::default()), Box::new(SystemClock))
}

fn export(data: &str, file: &Path) -> Result<String, DataError> {
    existing(data)?.export(file)?;
    Ok(format!("exported to {}; provider keys in it need the master key of {data}\n", file.display()))
}

fn import(data: &str, file: &Path) -> Result<String, DataError> {
    let opening = opening(data, Seed::Nothing, Options::default());
    let made = Data::import(&opening, file, Box::new(SystemClock))?;
    Ok(format!("imported the account {} into {data}\n", made.account))
}

fn rotate(data: &str) -> Result<String, DataError> {
    let next = std::env::var(format!("NEXT_{MASTER_KEY}")).ok().map(Secret::new);
    let count = existing(data)?.rotate_key(next.as_ref())?;
    let then = next.map_or(String::new(), |_| format!("; from now on {MASTER_KEY} must be the next key"));
    Ok(format!("the master key was replaced; provider keys sealed again: {count}{then}\n"))
}

/// Whether the server at this address answers: the health check of a container.
fn status(listen: &str) -> Exit {
    match ServiceEndpoint::at(listen.to_owned()).status("/version") {
        Ok(200) => print(&format!("Mission Control answers at {listen}\n")),
        Ok(status) => complain(&format!("the server at {listen} answers with {status}; see --listen")),
        Err(why) => complain(&format!(
            "no Mission Control answers at {listen}: {why}; start `local`, or see --listen"
        )),
    }
}

/// The host names that clients may use. A server that other machines can reach must name its own, because a page of
/// any site could otherwise have its visitors' browsers read it under a rebound name.
fn accepted_hosts<'a>(listen: &str, hosts: Option<&'a str>) -> Result<Vec<&'a str>, String> {
    let names: Vec<&str> =
        hosts.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if let Some(name) = names.iter().find(|name| !is_host_name(name)) {
        return Err(format!(
            "--hosts `{}`: expected host names without scheme and port, such as board.example.com",
            visible::lines(name)
        ));
    }
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host).trim_matches(['[', ']']);
    let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if names.is_empty() && !is_local {
        return Err(format!(
            "--listen `{}` admits other machines: add --hosts with the names under which they reach this server, such as \
             the host name of your reverse proxy; or listen on {LISTEN}",
            visible::lines(listen)
        ));
    }
    Ok(names)
}

fn is_host_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

fn serve(
    (listen, hosts): (&str, &[&str]),
    data: &str,
    seed: Option<&str>,
    options: Options,
    (notify, runtime_page): (Option<&BaseUrl>, Option<&BaseUrl>),
    env_out: Option<&Path>,
    control_plane: &ControlPlaneOptions,
) -> Exit {
    let opening = opening(data, seed.map_or(Seed::Nothing, Seed::parse), options);
    let mut data = match embedded::open(&opening, listen, OPTION) {
        Ok(data) => data,
        Err(why) => return complain(&why),
    };
    data.engine = data.engine.with_pool_times(control_plane.pool_times);
    match control_plane.settings() {
        Ok(Some(settings)) => data.engine = data.engine.with_provisioning(settings),
        Ok(None) => {}
        Err(why) => return complain(&why),
    }
    let secrets = [Some(&data.admin_key), Some(&data.worker_token), data.service_token.as_ref()];
    let redactor = Redactor::new(secrets.into_iter().flatten());
    telemetry::start(LevelFilter::Info, LogFormat::Text, LogOutput::Stderr, Arc::new(redactor));

    match &opening.location {
        DataLocation::Memory => info!("The data are in memory and end with this process"),
        DataLocation::Directory(path) => {
            info!(path:% = std::path::absolute(path).as_ref().unwrap_or(path).display(); "Data opened");
        }
    }
    if seed.is_some() && !data.is_new {
        info!("Option --seed has no effect: there are data already");
    }
    let started = embedded::signals().and_then(|signals| {
        let access = BoardAccess {
            hosts: Hosts::new(hosts.iter().copied()),
            exposure: control_plane.exposure(),
            telegram: None,
        };
        Ok((signals, Board::start(data, listen, OPTION, access, || ())?))
    });
    let (signals, board) = match started {
        Ok(started) => started,
        Err(why) => return complain(&why),
    };
    if let Some(address) = runtime_page {
        board.runtime_page.set(address.clone());
    }
    let mut runtime_env =
        env_out.map(|path| RuntimeEnv::new(path, &board.account, &board.address_for_runtime(hosts)));
    if let Some(env) = &mut runtime_env
        && let Err(why) = env.follow(&board)
    {
        return complain(&why);
    }
    print(&if let Some(path) = env_out {
        board.announcement_without_secrets(path)
    } else {
        board.announcement()
    });

    let worker = match control_plane.worker(&board.engine) {
        Ok(worker) => worker,
        Err(why) => return complain(&why),
    };
    let carrier = match ControlPlane::start(board.engine.clone(), worker) {
        Ok(carrier) => carrier,
        Err(why) => return complain(&format!("the control plane's thread cannot be started: {why}")),
    };
    let bell = Stop::new();
    if let Some(runtime) = notify
        && let Err(why) = nudge::start(board.engine.clone(), runtime.clone(), bell.clone())
    {
        return complain(&format!("the thread for --notify cannot be started: {why}"));
    }
    let systemd = Notifier::of(|name| std::env::var_os(name));
    systemd.ready(&format!("listening on {}", board.url));
    while signals.recv_timeout(SWEEP) == Err(RecvTimeoutError::Timeout) {
        board.sweep();
        // The page may have made a new token.
        if let Some(env) = &mut runtime_env
            && let Err(why) = env.follow(&board)
        {
            error!(error:% = why; "Runtime variables not written");
        }
    }
    systemd.stopping("stopping", STOP_LIMIT);
    bell.close();
    carrier.stop();
    board.stop();
    Exit::Done
}
