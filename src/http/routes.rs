//! Which request is for whom (http-and-tools §2.5).

use super::message::{Method, Reply, Request};

/// What a request asks for.
pub enum Route {
    /// How the service is.
    Health,
    /// Which version it is.
    Version,
    /// Nothing that we have; the reply says why.
    Refused(Reply),
}

/// Finds out what a request asks for.
pub fn route(request: &Request) -> Route {
    let found = match request.path().as_ref() {
        "/health" => Route::Health,
        "/version" => Route::Version,
        _ => return Route::Refused(Reply::error(404, "Not Found").no_store()),
    };
    match request.method() {
        Method::Get | Method::Head => found,
        _ => {
            let reply = Reply::error(405, "Method Not Allowed").with_header("Allow", "GET, HEAD");
            Route::Refused(reply.no_store())
        }
    }
}
