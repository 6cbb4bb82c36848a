//! Which request is for whom (http-and-tools §2.5).

use super::message::{Method, Reply, Request};
use super::operator::{self, Wanted};

/// What a request asks for.
pub enum Route {
    /// How the service is.
    Health,
    /// Which version it is.
    Version,
    /// Whether the process lives.
    Live,
    /// Whether it delivers.
    Ready,
    /// What operators want; nobody has been let in yet.
    Operator(Wanted),
    /// Somebody on this machine knows of new rows.
    Nudge,
    /// Nothing that we have; the reply says why.
    Refused(Reply),
}

/// Finds out what a request asks for.
pub fn route(request: &Request) -> Route {
    let (found, allowed) = match request.path().as_ref() {
        "/health" => (Route::Health, "GET, HEAD"),
        "/version" => (Route::Version, "GET, HEAD"),
        "/nudge" => (Route::Nudge, "POST"),
        "/livez" => (Route::Live, "GET, HEAD"),
        "/readyz" => (Route::Ready, "GET, HEAD"),
        path => match operator::find(path) {
            Some((wanted, allowed)) => (Route::Operator(wanted), allowed),
            None => return Route::Refused(Reply::error(404, "Not Found").no_store()),
        },
    };
    let fits = match request.method() {
        Method::Get | Method::Head => allowed != "POST",
        Method::Post => allowed == "POST",
        _ => false,
    };
    if !fits {
        return refused(Reply::error(405, "Method Not Allowed").with_header("Allow", allowed));
    }
    // A nudge costs a call of the backend, so nobody from outside may give one.
    if matches!(found, Route::Nudge) && !request.peer().ip().is_loopback() {
        return refused(Reply::error(403, "Forbidden: endpoint is for this machine only"));
    }
    if matches!(found, Route::Nudge) && request.header("Origin").is_some() {
        return refused(Reply::error(403, "Forbidden: pages give no nudges"));
    }
    if matches!(found, Route::Nudge) && !request.body().is_empty() {
        return refused(Reply::error(400, "A nudge has no body"));
    }
    found
}

fn refused(reply: Reply) -> Route {
    Route::Refused(reply.no_store())
}
