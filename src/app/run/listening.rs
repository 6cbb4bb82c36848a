//! The service's own server. It may listen before the state in `STATE_DIR` can be opened.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use log::{error, info};

use super::agent_api_setup;
use super::state::State;
use crate::app::exit::Exit;
use mcr_config::Settings;
use mcr_http::message::Request;
use mcr_http::server::Server;
use mcr_model::memory::ByteBudget;

/// The server, and the state of which it answers.
pub(super) struct Listening {
    pub(super) server: Server,
    current: Arc<RwLock<Arc<State>>>,
}

impl Listening {
    /// Listens, and answers of this state.
    pub(super) fn start(settings: &Settings, memory: &ByteBudget, state: Arc<State>) -> Result<Self, Exit> {
        let panics = state.panics.clone();
        let current = Arc::new(RwLock::new(state));
        let server = bind(settings, memory, &current).map_err(|why| {
            let (host, port) = (&settings.http.host, settings.http.port);
            error!(host, port, reason:% = why; "Not started: cannot listen; see HEALTH_HOST and HEALTH_PORT");
            Exit::Failed
        })?;
        server.notes_panics(panics);
        info!(url = format!("http://{}", server.local_addr()); "Listening");
        Ok(Self { server, current })
    }

    /// Answers of this state from now on.
    pub(super) fn answer_of(&self, state: Arc<State>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

fn bind(settings: &Settings, memory: &ByteBudget, current: &Arc<RwLock<Arc<State>>>) -> io::Result<Server> {
    let now = |current: &RwLock<Arc<State>>| current.read().unwrap_or_else(PoisonError::into_inner).clone();
    let (admitting, answering) = (current.clone(), current.clone());
    let address = (settings.http.host.as_str(), settings.http.port);
    let admit = move |request: &Request| now(&admitting).refuse(request);
    let answer = move |request: Request| now(&answering).answer(&request);
    Server::bind_admitting(address, agent_api_setup::limits(memory), admit, answer)
}
