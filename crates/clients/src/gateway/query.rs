//! Small read-only requests to a gateway, each with a timeout on its time and on the size of its answer.

use std::time::Duration;

use ureq::RequestBuilder;
use ureq::http::header;

use super::disconnect::{Stage, stopped};
use super::{HttpGateway, text};
use crate::wire::{Fault, Sent};
use mcr_core::gateway::codec::TurnFailure;
use mcr_core::gateway::{Class, Why};
use mcr_model::memory::Share;

/// A complete answer of any status.
pub(super) struct RawAnswer {
    pub(super) status: u16,
    /// Whether the answer is declared as HTML.
    pub(super) page: bool,
    pub(super) body: Vec<u8>,
    /// The memory that the body holds.
    _share: Share,
}

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// The gateway is away, or this program stops.
    Away(TurnFailure),
    /// The answer took too long or was too large: the gateway may be busy.
    Inconclusive,
}

/// One request.
pub(super) struct Query<'a> {
    pub(super) path: &'a str,
    /// The body to post. `None` sends a `GET`.
    pub(super) body: Option<&'a [u8]>,
    /// Whether to send our token.
    pub(super) with_token: bool,
    pub(super) timeout: Duration,
    pub(super) bytes_max: usize,
}

/// Sends the request and reads the answer. None of these requests changes anything, so a lost answer does no
/// harm.
pub(super) fn ask(gateway: &HttpGateway, query: &Query<'_>) -> Result<RawAnswer, NoAnswer> {
    if gateway.stop.is_closed() {
        return Err(NoAnswer::Away(stopped(Stage::Asking(Sent::Nothing))));
    }
    gateway.idle_timeout.set(query.timeout);
    let no_answer = |fault: &Fault| match fault {
        Fault::TooSlow | Fault::Crowded | Fault::BodyTooLarge | Fault::HeadTooLarge
            if !gateway.stop.is_closed() =>
        {
            NoAnswer::Inconclusive
        }
        _ => NoAnswer::Away(gateway.broken(fault, Stage::Asking(Sent::Nothing))),
    };
    let url = gateway.shared.base.join(query.path);
    let sent = match query.body {
        None => head(gateway, gateway.agent.get(url), query)?.call(),
        Some(body) => {
            let request = head(gateway, gateway.agent.post(url), query)?;
            request.header(header::CONTENT_TYPE, "application/json").send(body)
        }
    };
    let response = sent.map_err(|error| no_answer(&Fault::of(&error)))?;
    let status = response.status().as_u16();
    let page = text(response.headers(), &header::CONTENT_TYPE).is_some_and(|kind| kind.contains("html"));
    let mut share = gateway.shared.pool.share(query.bytes_max, query.timeout);
    let mut body = Vec::new();
    let read = share.read_to_end(&mut response.into_body().into_reader(), &mut body);
    read.map_err(|error| no_answer(&Fault::of_io(&error)))?;
    if body.len() > query.bytes_max {
        return Err(NoAnswer::Inconclusive);
    }
    Ok(RawAnswer { status, page, body, _share: share })
}

fn head<B>(
    gateway: &HttpGateway,
    request: RequestBuilder<B>,
    query: &Query<'_>,
) -> Result<RequestBuilder<B>, NoAnswer> {
    let request = request.config().timeout_global(Some(query.timeout)).build();
    let request = request.header(header::ACCEPT, "application/json");
    match &gateway.bearer {
        Ok(Some(bearer)) if query.with_token => Ok(request.header(header::AUTHORIZATION, bearer)),
        Err(_) if query.with_token => Err(NoAnswer::Away(TurnFailure::new(Class::Closed, Why::TokenRefused))),
        _ => Ok(request),
    }
}
