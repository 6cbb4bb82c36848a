//! The answers of the HTTP server.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::State;
use crate::app::run::operator::ServiceState;
use mcr_http::message::{Reply, Request};
use mcr_http::page;
use mcr_model::Roster;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::random;
use mcr_service::http::health::{HeartbeatHealth, Ready};
use mcr_service::http::metrics as exposition;
use mcr_service::http::operator::Wanted;
use mcr_service::http::routes::{Route, route};
use mcr_service::metrics::operation_of;

impl State {
    /// Answers a request, and counts it.
    pub(in crate::app::run) fn answer(&self, request: &Request) -> Reply {
        let began = Instant::now();
        let reply = self.reply(request);
        self.count(request, reply.status(), began.elapsed());
        reply
    }

    pub(in crate::app::run) fn count(&self, request: &Request, status: u16, took: Duration) {
        let path = request.path();
        self.metrics.request(&path, status, took);
        // A request refused before it reached the backend is no operation, as in the original service.
        match (operation_of(&path), status) {
            (Some(name), 200) => self.metrics.operation(name, took, None),
            (Some(name), status @ (404 | 409 | 500..)) => {
                self.metrics.operation(name, took, Some((format!("status {status}"), SystemClock.now())));
            }
            _ => {}
        }
    }

    fn reply(&self, request: &Request) -> Reply {
        match route(request) {
            Route::Page => page::live(&random::hex::<16>()),
            Route::Health => Reply::json(self.prepared.health.get(|| self.health().pretty())).no_store(),
            Route::Version => Reply::json_of(&self.version()).no_store(),
            Route::Metrics { as_data } => self.figures(as_data),
            Route::Live => Reply::json("{\"live\":true}".as_bytes().to_vec()).no_store(),
            Route::Ready => self.readyz(),
            Route::Operator(wanted) => self.operate(wanted, request),
            Route::Nudge => {
                // Before the start no nudge is needed: the first list is made at once.
                self.nudges.get().inspect(|nudges| nudges.ring());
                Reply::empty(202).no_store()
            }
            Route::Agent(door) => match self.agents.get() {
                Some(agents) => agents.answer(door, request),
                None => starting().no_store(),
            },
            Route::Refused(reply) => reply,
        }
    }

    fn figures(&self, as_data: bool) -> Reply {
        if as_data {
            let make = || exposition::data(&self.health(), &self.metrics);
            return Reply::json(self.prepared.figures_as_data.get(make)).no_store();
        }
        let make = || exposition::exposition(&self.health(), &self.metrics);
        Reply::whole(exposition::CONTENT_TYPE, self.prepared.figures.get(make)).no_store()
    }

    fn operate(&self, wanted: Wanted, request: &Request) -> Reply {
        let ledger = self.ledger.get().map(|ledger| &**ledger);
        let (health, hour) = (|| self.health(), || self.last_hour.note(&self.metrics, self.delivery.get()));
        let (view, condition) = (self.delivery.get(), self.service_condition());
        let budget = self.budget.get().map(|budget| &**budget);
        let answers = self.gateway.answers();
        let signs =
            |roster: &Roster, heartbeat: &HeartbeatHealth| self.online.signs(roster, heartbeat, &answers);
        let cancel = || self.requests.cancel();
        let env = ServiceState {
            view,
            ledger,
            budget,
            condition,
            cancel: &cancel,
            health: &health,
            signs: &signs,
            hour: &hour,
        };
        self.operator.answer(wanted, request, &env).no_store()
    }

    fn readyz(&self) -> Reply {
        let mut missing = self.parts().missing();
        if self.draining.load(Ordering::Relaxed) {
            missing.push("draining");
        }
        let ready = missing.is_empty();
        Reply::json_of(&Ready { ready, missing }).with_status(if ready { 200 } else { 503 }).no_store()
    }
}

pub(in crate::app::run) fn starting() -> Reply {
    Reply::error(503, "The service is still starting. Repeat the request in a second")
        .with_header("Retry-After", "1")
}
