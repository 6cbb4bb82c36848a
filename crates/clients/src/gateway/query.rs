//! Small questions to a gateway, each with an answer that is read whole, and a limit on its time and its size.

use std::time::Duration;

use ureq::RequestBuilder;
use ureq::http::header;

use super::disconnect::{Stage, stopped};
use super::{HttpGateway, text};
use crate::wire::{Fault, Sent};
use mcr_core::gateway::codec::TurnFailure;
use mcr_core::gateway::{Class, Why};
use mcr_model::memory::Share;

/// An answer, whatever it is.
pub(super) struct RawAnswer {
    pub(super) status: u16,
    /// It calls itself a web page.
    pub(super) page: bool,
    pub(super) body: Vec<u8>,
    /// The memory that the body holds.
    _share: Share,
}

/// Why there is none.
pub(super) enum NoAnswer {
    /// The gateway is away, or we are to stop.
    Away(TurnFailure),
    /// It took too long, or too much: the gateway may be busy.
    Hidden,
}

/// How a question is asked.
pub(super) struct Query<'a> {
    pub(super) path: &'a str,
    /// What is posted; without it, it is a question with `GET`.
    pub(super) body: Option<&'a [u8]>,
    /// Whether our token goes with it.
    pub(super) secret: bool,
    pub(super) limit: Duration,
    pub(super) most: usize,
}

/// Asks. Nothing is changed by any of these questions, so one whose answer was lost was as good as never asked.
pub(super) fn ask(gateway: &HttpGateway, question: &Query<'_>) -> Result<RawAnswer, NoAnswer> {
    if gateway.stop.is_closed() {
        return Err(NoAnswer::Away(stopped(Stage::Asking(Sent::Nothing))));
    }
    gateway.idle_timeout.set(question.limit);
    let blind = |fault: &Fault| match fault {
        Fault::TooSlow | Fault::Crowded | Fault::BodyTooLarge | Fault::HeadTooLarge
            if !gateway.stop.is_closed() =>
        {
            NoAnswer::Hidden
        }
        _ => NoAnswer::Away(gateway.broken(fault, Stage::Asking(Sent::Nothing))),
    };
    let url = gateway.shared.base.join(question.path);
    let sent = match question.body {
        None => head(gateway, gateway.agent.get(url), question)?.call(),
        Some(body) => {
            let request = head(gateway, gateway.agent.post(url), question)?;
            request.header(header::CONTENT_TYPE, "application/json").send(body)
        }
    };
    let response = sent.map_err(|error| blind(&Fault::of(&error)))?;
    let status = response.status().as_u16();
    let page = text(response.headers(), &header::CONTENT_TYPE).is_some_and(|kind| kind.contains("html"));
    let mut share = gateway.shared.pool.share(question.most, question.limit);
    let mut body = Vec::new();
    let read = share.read_to_end(&mut response.into_body().into_reader(), &mut body);
    read.map_err(|error| blind(&Fault::of_io(&error)))?;
    if body.len() > question.most {
        return Err(NoAnswer::Hidden);
    }
    Ok(RawAnswer { status, page, body, _share: share })
}

fn head<B>(
    gateway: &HttpGateway,
    request: RequestBuilder<B>,
    question: &Query<'_>,
) -> Result<RequestBuilder<B>, NoAnswer> {
    let request = request.config().timeout_global(Some(question.limit)).build();
    let request = request.header(header::ACCEPT, "application/json");
    match &gateway.bearer {
        Ok(Some(bearer)) if question.secret => Ok(request.header(header::AUTHORIZATION, bearer)),
        Err(_) if question.secret => Err(NoAnswer::Away(TurnFailure::new(Class::Closed, Why::TokenRefused))),
        _ => Ok(request),
    }
}
