//! The running embedded Mission Control, shared by `local` and `demo`.

use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use log::{error, info, warn};

use super::pool_telegram::PoolTelegram;
use mcr_http::hosts::Hosts;
use mcr_http::message::Request;
use mcr_http::server::{Server, ServerLimits};
use mcr_mission_control::http_api::{Exposure, HttpApi, RuntimePage, with_limits};
use mcr_mission_control::refusals::refused;
use mcr_mission_control::{Data, DataError, Engine, Opening};
use mcr_model::BaseUrl;
use mcr_model::clock::SystemClock;
use mcr_model::secret::Secret;

/// How often silent runtimes are looked for (backend-contract §7.2).
pub(super) const SWEEP: Duration = Duration::from_secs(30);

/// How long requests that have arrived may take after a stop signal.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Opens the data for a server at this address. `option` is the option that changes the address.
pub(super) fn open(opening: &Opening, listen: &str, option: &str) -> Result<Data, String> {
    // Checked before anything is created in the directory: a failed start should leave nothing behind.
    TcpListener::bind(listen).map_err(|why| cannot_listen(listen, &why, option))?;
    Data::open(opening, Box::new(SystemClock)).map_err(|why| why.to_string())
}

/// Receives a message for each stop signal. The handler lives as long as the process.
pub(super) fn signals() -> Result<Receiver<()>, String> {
    let (sender, signals) = bounded(1);
    let heard = ctrlc::set_handler(move || {
        // A full channel already has the message.
        let _ = sender.try_send(());
    });
    heard
        .map(|()| signals)
        .map_err(|why| format!("the handler for Ctrl-C and SIGTERM cannot be installed: {why}"))
}

fn cannot_listen(listen: &str, why: &std::io::Error, option: &str) -> String {
    if why.kind() == ErrorKind::AddrInUse {
        return format!(
            "cannot listen on {listen}: {why}. Another `demo` or `local`, or another server, holds the port. Stop it, or \
             choose another port with {option}"
        );
    }
    format!("cannot listen on {listen}: {why}. Choose another address with {option}")
}

/// Which requests the server answers.
#[derive(Default)]
pub(super) struct BoardAccess {
    /// The host names, besides `localhost` and addresses.
    pub(super) hosts: Hosts,
    /// The proxies in front of it.
    pub(super) exposure: Exposure,
    /// The Bot API, instead of the one that the environment names.
    pub(super) telegram: Option<BaseUrl>,
}

/// The running server with its data.
pub(super) struct Board {
    pub(super) engine: Arc<Engine>,
    pub(super) account: String,
    pub(super) url: String,
    pub(super) admin_key: Secret,
    /// The token of the pool's workers.
    worker_token: Secret,
    /// `None` if the token was made elsewhere.
    pub(super) service_token: Option<Secret>,
    /// The address of the runtime's page, to be set once it is known.
    pub(super) runtime_page: RuntimePage,
    server: Server,
}

impl Board {
    /// Serves the data, and calls `on_login` after each login.
    pub(super) fn start(
        data: Data,
        listen: &str,
        option: &str,
        access: BoardAccess,
        on_login: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let telegram =
            access.telegram.map_or_else(PoolTelegram::from_env, |url| Ok(PoolTelegram::at(url)))?;
        let engine = Arc::new(data.engine.with_telegram(Arc::new(telegram)));
        let api = HttpApi::new(engine.clone(), data.admin_key.clone(), access.hosts)
            .with_exposure(access.exposure)
            .with_worker_token(data.worker_token.clone());
        let api = Arc::new(api);
        let runtime_page = api.runtime_page();
        let admitting = api.clone();
        let admission = move |request: &Request| admitting.refusal_of_head(request);
        let limits = with_limits(ServerLimits::default());
        let answer = move |request: Request| {
            let reply = api.answer(&request);
            if request.path() == "/login" && reply.status() == 200 {
                on_login();
            }
            reply
        };
        let server = Server::bind_admitting_and_refusing(listen, limits, refused, admission, answer)
            .map_err(|why| cannot_listen(listen, &why, option))?;
        let url = format!("http://{}", server.local_addr());
        let Data { account, admin_key, worker_token, service_token, .. } = data;
        Ok(Self { engine, account, url, admin_key, worker_token, service_token, runtime_page, server })
    }

    /// The lines for an env file and for the first login. Secrets are printed only in these lines, because the person
    /// who starts the server needs them.
    pub(super) fn announcement(&self) -> String {
        let worker = format!("WORKER_AUTH_TOKEN={}\n", self.worker_token.expose());
        self.lines_for_runtime() + &worker + &self.line_for_login()
    }

    /// The address, and the variables of a runtime.
    pub(super) fn lines_for_runtime(&self) -> String {
        let token = self.service_token.as_ref().map_or_else(
            || "# SERVICE_TOKEN: not known here; make a new one on the page".to_owned(),
            |token| format!("SERVICE_TOKEN={}", token.expose()),
        );
        format!(
            "listening on {url}\nACCOUNT_ID={}\nCONVEX_URL={url}\n{token}\n",
            self.account,
            url = self.url,
        )
    }

    /// The key that opens the page.
    pub(super) fn line_for_login(&self) -> String {
        format!("ADMIN_KEY={}\n", self.admin_key.expose())
    }

    /// The same without secrets: a runtime finds them in this file, and a person the admin key in the data folder.
    pub(super) fn announcement_without_secrets(&self, env_file: &Path) -> String {
        format!(
            "listening on {url}\nACCOUNT_ID={}\n# The variables of a runtime are in {}\n# The admin key for the page is in the \
             file admin-key of the data folder\n",
            self.account,
            env_file.display(),
            url = self.url,
        )
    }

    /// The URL for a runtime. An address that others can reach may change at the next start, or mean every interface, so it
    /// is replaced by the first of the names that they use.
    pub(super) fn address_for_runtime(&self, hosts: &[&str]) -> String {
        let Some((host, port)) = self.url.trim_start_matches("http://").rsplit_once(':') else {
            return self.url.clone();
        };
        let is_local = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        match hosts.first().filter(|_| !is_local) {
            Some(name) => format!("http://{name}:{port}"),
            None => self.url.clone(),
        }
    }

    /// The valid service token, if it is known here. It changes when the page makes a new one.
    pub(super) fn current_token(&self) -> Result<Option<Secret>, DataError> {
        Ok(self.engine.service_token()?.or_else(|| self.service_token.clone()))
    }

    /// Looks for runtimes that have fallen silent.
    pub(super) fn sweep(&self) {
        if let Err(why) = self.engine.sweep() {
            error!(reason:% = why; "The check for silent runtimes failed");
        }
    }

    /// Stops the server and closes the data.
    pub(super) fn stop(self) {
        let cut_off = self.server.stop(LAST_ANSWERS);
        // A thread that is just ending may hold the engine longer than this process lives, so its end is not
        // awaited.
        if let Err(why) = self.engine.settle() {
            warn!(reason:% = why; "The database log could not be merged into its file; the next start merges it");
        }
        info!(requests_cut_off = cut_off; "Stopped");
    }
}
