//! `local`: the embedded Mission Control, on this machine and for it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use log::{LevelFilter, error, info, warn};

use super::exit::Exit;
use super::{complain, nudge, print};
use crate::clock::SystemClock;
use crate::config::LogFormat;
use crate::http::server::{Limits, Server};
use crate::local::door::{API_PATHS, BODY_BYTES, Door};
use crate::local::refusals::refused;
use crate::local::{Data, DataError, Opening, Options, Seed, Whereabouts};
use crate::model::BaseUrl;
use crate::redact::Redactor;
use crate::secret::Secret;
use crate::telemetry;
use crate::wire::Stop;

/// Where it listens unless told otherwise: this machine alone.
pub const LISTEN: &str = "127.0.0.1:3210";

/// Where it keeps its data unless told otherwise.
pub const DATA: &str = "./.mission-control";

/// The variable that may hold the master key of the provider keys.
const MASTER_KEY: &str = "SECRETS_MASTER_KEY_BASE64";

/// How often runtimes that have fallen silent are looked for (backend-contract §7.2).
const SWEEP: Duration = Duration::from_secs(30);

/// How long requests that have arrived may take once we were told to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// What `local` is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// Serve.
    Serve {
        /// `--listen`.
        listen: String,
        /// `--data`.
        data: String,
        /// `--seed`.
        seed: Option<String>,
        /// `--redact` and `--original`.
        options: Options,
        /// `--notify`.
        notify: Option<BaseUrl>,
    },
    /// `local export FILE`.
    Export {
        /// `--data`.
        data: String,
        /// Where to.
        file: PathBuf,
    },
    /// `local import FILE`.
    Import {
        /// `--data`.
        data: String,
        /// Where from.
        file: PathBuf,
    },
    /// `local rotate-key`.
    RotateKey {
        /// `--data`.
        data: String,
    },
}

/// Does it.
pub fn local(what: &Local) -> Exit {
    let done = match what {
        Local::Serve { listen, data, seed, options, notify } => {
            return serve(listen, data, seed.as_deref(), *options, notify.as_ref());
        }
        Local::Export { data, file } => export(data, file),
        Local::Import { data, file } => import(data, file),
        Local::RotateKey { data } => rotate(data),
    };
    match done {
        Ok(words) => print(&words),
        Err(why) => complain(&why.to_string()),
    }
}

/// How the data in a place are opened; only an empty one takes the seed.
fn opening(data: &str, seed: Seed, options: Options) -> Opening {
    let master_key = std::env::var(MASTER_KEY).ok().filter(|key| !key.trim().is_empty()).map(Secret::new);
    Opening { whereabouts: Whereabouts::parse(data), seed, master_key, options }
}

/// The data that are there already.
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
    Ok(format!("the master key is a new one; provider keys sealed again: {count}{then}\n"))
}

fn serve(listen: &str, data: &str, seed: Option<&str>, options: Options, notify: Option<&BaseUrl>) -> Exit {
    // Before anything is made in the directory: a start that cannot listen should leave nothing behind.
    if let Err(why) = TcpListener::bind(listen) {
        return complain(&format!("cannot listen on {listen}: {why}; see --listen"));
    }
    let opening = opening(data, seed.map_or(Seed::Nothing, Seed::parse), options);
    let data = match Data::open(&opening, Box::new(SystemClock)) {
        Ok(data) => data,
        Err(why) => return complain(&why.to_string()),
    };
    let redactor = Redactor::new([Some(&data.admin_key), data.service_token.as_ref()].into_iter().flatten());
    telemetry::start(LevelFilter::Info, LogFormat::Text, Arc::new(redactor));

    match &opening.whereabouts {
        Whereabouts::Memory => info!("the data are in memory and end with this process"),
        Whereabouts::Directory(path) => {
            info!("the data are in {}", std::path::absolute(path).as_ref().unwrap_or(path).display());
        }
    }
    if seed.is_some() && !data.is_new {
        info!("--seed was not used: there are data already");
    }

    let (told, signals) = crossbeam_channel::bounded(1);
    let heard = ctrlc::set_handler(move || {
        // A full channel has the news already.
        let _ = told.try_send(());
    });
    if let Err(why) = heard {
        return complain(&format!("signals cannot be handled: {why}"));
    }
    let engine = Arc::new(data.engine);
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host).trim_matches(['[', ']']);
    let door = Door::new(engine.clone(), data.admin_key.clone(), host);
    let limits =
        API_PATHS.iter().fold(Limits::default(), |limits, path| limits.with_body_limit(path, BODY_BYTES));
    let server = match Server::bind_refusing(listen, limits, refused, move |request| door.answer(&request)) {
        Ok(server) => server,
        Err(why) => return complain(&format!("cannot listen on {listen}: {why}; see --listen")),
    };
    let url = format!("http://{}", server.local_addr());
    // The one place where secrets are printed: whoever starts it wants to use them.
    let token = data.service_token.as_ref().map_or_else(
        || "# SERVICE_TOKEN: made elsewhere; make a new one on the page".to_owned(),
        |token| format!("SERVICE_TOKEN={}", token.expose()),
    );
    print(&format!(
        "listening on {url}\nACCOUNT_ID={}\nCONVEX_URL={url}\n{token}\nADMIN_KEY={}\n",
        data.account,
        data.admin_key.expose()
    ));

    let bell = Stop::new();
    if let Some(runtime) = notify
        && let Err(why) = nudge::start(engine.clone(), runtime.clone(), bell.clone())
    {
        return complain(&format!("no thread to be had for --notify: {why}"));
    }

    // The handler lives as long as the process, so the channel ends with a signal only.
    while signals.recv_timeout(SWEEP) == Err(RecvTimeoutError::Timeout) {
        if let Err(why) = engine.sweep() {
            error!("silent runtimes could not be looked for: {why}");
        }
    }
    bell.close();
    let cut_off = server.stop(LAST_ANSWERS);
    // A thread that is just ending may hold the engine longer than this process lives, so nobody waits for its end.
    if let Err(why) = engine.settle() {
        warn!("the log could not be brought into the database file; the next start does it: {why}");
    }
    info!("stopped; requests cut off: {cut_off}");
    Exit::Done
}
