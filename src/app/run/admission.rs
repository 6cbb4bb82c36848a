//! Decides by its head alone whether a request is accepted: the body of a refused request is not read.

use std::time::Instant;

use super::state::{State, starting};
use mcr_http::hosts::{Meant, REFUSED};
use mcr_http::message::{Reply, Request};
use mcr_service::http::routes::{Route, route};

impl State {
    /// The answer to a request that is refused, by its head alone.
    pub(super) fn refuse(&self, request: &Request) -> Option<Reply> {
        let began = Instant::now();
        let refused = self.refusal(request)?.no_store();
        self.count(request, refused.status(), began.elapsed());
        Some(refused)
    }

    fn refusal(&self, request: &Request) -> Option<Reply> {
        let route = route(request);
        let meant = self.hosts.meant(request);
        // Browsers always send a Host header, so a probe without one is harmless. A request that acts, or
        // reads stored text, must name its host.
        let open = !matches!(route, Route::Operator(_) | Route::Agent(_) | Route::Nudge);
        if meant == Meant::Elsewhere || (meant == Meant::Unsaid && !open) {
            return Some(Reply::error(403, &format!("Forbidden: {REFUSED}")));
        }
        match route {
            Route::Refused(reply) => Some(reply),
            Route::Operator(_) => self.operator.refuse(request),
            Route::Agent(endpoint) => match self.agents.get() {
                Some(agents) => agents.refuse(endpoint, request),
                None => Some(starting()),
            },
            _ => None,
        }
    }
}
