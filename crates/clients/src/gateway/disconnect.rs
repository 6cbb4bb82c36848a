//! What a broken connection means for a turn, depending on how much of the request had been sent.
//!
//! A gateway that lacks a byte of the request cannot have run it, so it counts as away. A gateway that has
//! the whole request may have run it, whatever broke then. Such a turn is lost until the session's history
//! shows what happened.

use crate::wire::{Fault, Sent};
use mcr_core::gateway::codec::TurnFailure;
use mcr_core::gateway::{Class, Why};
use mcr_model::memory::Crowded;

/// How far a turn had come when the connection broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// No answer had started; this much of the request was sent.
    Asking(Sent),
    /// The answer had started.
    Answering,
}

impl Stage {
    fn may_have_run(self) -> bool {
        matches!(self, Self::Asking(Sent::Whole) | Self::Answering)
    }
}

/// What is known when no complete answer came.
pub(super) fn broken(fault: &Fault, stage: Stage) -> TurnFailure {
    let away = |why| TurnFailure::new(Class::Closed, why);
    let lost = |why| TurnFailure::new(Class::Lost, why);
    match (fault, stage.may_have_run()) {
        (Fault::BadRequest(words), false) => {
            TurnFailure::new(Class::Refused, Why::OurRequest).with_detail(words.as_str())
        }
        (Fault::NameNotFound, _) => away(Why::Unreachable).with_detail("its host name is not found"),
        (Fault::Proxy(words), _) => away(Why::Unreachable).with_detail(format!("the proxy: {words}")),
        (Fault::Certificate(fault), _) => {
            away(Why::Unreachable).with_detail(format!("its certificate {}", fault.explain()))
        }
        (Fault::Unreachable(words), false) => away(Why::Unreachable).with_detail(words.as_str()),
        (Fault::NoTls(words), false) => {
            away(Why::Unreachable).with_detail(format!("TLS is not possible: {words}"))
        }
        (Fault::TooSlow, false) => away(Why::Unreachable).with_detail("it does not read the request"),
        (Fault::Lost, false) => {
            away(Why::Unreachable).with_detail("the connection ended before the request was sent")
        }
        // Another server's first line. In the middle of an answer this is a damaged answer instead.
        (Fault::NotHttp, _) if stage != Stage::Answering => away(Why::NotAGateway).with_detail(
            "the answer is not HTTP; if this is an https port, the URL must begin with https://",
        ),
        (Fault::NotHttp, _) => lost(Why::NotUnderstood).with_detail("its transfer encoding is broken"),
        (Fault::TooSlow, true) => lost(Why::Silent),
        (Fault::Lost, true) => lost(Why::LostAnswer),
        (Fault::Unreachable(words) | Fault::NoTls(words) | Fault::BadRequest(words), true) => {
            lost(Why::LostAnswer).with_detail(words.as_str())
        }
        (Fault::HeadTooLarge, _) => lost(Why::AnswerTooLarge).with_detail("its headers are over 12 KiB"),
        (Fault::BodyTooLarge, _) => lost(Why::AnswerTooLarge),
        (Fault::Crowded, _) => lost(Why::LostAnswer).with_detail(Crowded.to_string()),
    }
}

/// What is known when this program stops.
pub(super) fn stopped(stage: Stage) -> TurnFailure {
    let class = if stage.may_have_run() { Class::Lost } else { Class::Closed };
    TurnFailure::new(class, Why::Stopped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::CertificateFault;

    #[test]
    fn only_a_whole_request_can_be_lost_and_it_is_never_taken_for_unsent() {
        let faults = [
            Fault::NameNotFound,
            Fault::Unreachable(String::new()),
            Fault::Proxy(String::new()),
            Fault::Certificate(CertificateFault::Expired),
            Fault::NoTls(String::new()),
            Fault::TooSlow,
            Fault::Lost,
            Fault::NotHttp,
            Fault::BadRequest(String::new()),
        ];
        // These occur before anything is sent, on every route.
        let before = [Fault::NameNotFound, Fault::Proxy(String::new())];
        for fault in &faults {
            for sent in [Sent::Nothing, Sent::Part] {
                let class = broken(fault, Stage::Asking(sent)).class;
                assert!(matches!(class, Class::Closed | Class::Refused), "{fault:?} {sent:?}");
            }
            let early = before.contains(fault) || matches!(fault, Fault::Certificate(_));
            assert_eq!(broken(fault, Stage::Answering).class == Class::Lost, !early, "{fault:?}");
        }
        assert_eq!(stopped(Stage::Answering).class, Class::Lost);
        assert_eq!(stopped(Stage::Asking(Sent::Whole)).class, Class::Lost);
        assert_eq!(stopped(Stage::Asking(Sent::Part)).class, Class::Closed);
    }
}
