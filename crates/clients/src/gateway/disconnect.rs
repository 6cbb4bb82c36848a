//! What it means when a connection breaks, by how much of the request had been sent.
//!
//! A gateway that lacks a byte of the request cannot have run it, so it counts as away. One that has it all may have,
//! whatever broke then: such a turn is lost, until the session's history says what became of it.

use crate::wire::{Fault, Sent};
use mcr_core::gateway::codec::TurnFailure;
use mcr_core::gateway::{Class, Why};
use mcr_model::memory::Crowded;

/// How far a turn had come when something broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// No answer had begun, and so much of the request was sent.
    Asking(Sent),
    /// The answer had begun.
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
        (Fault::NameNotFound, _) => away(Why::Unreachable).with_detail("its name is not found"),
        (Fault::Proxy(words), _) => away(Why::Unreachable).with_detail(format!("the proxy: {words}")),
        (Fault::Certificate(fault), _) => {
            away(Why::Unreachable).with_detail(format!("its certificate {}", fault.explain()))
        }
        (Fault::Unreachable(words), false) => away(Why::Unreachable).with_detail(words.as_str()),
        (Fault::NoTls(words), false) => {
            away(Why::Unreachable).with_detail(format!("it does not speak TLS as we do: {words}"))
        }
        (Fault::TooSlow, false) => away(Why::Unreachable).with_detail("it does not take the request"),
        (Fault::Lost, false) => {
            away(Why::Unreachable).with_detail("the connection ended before the request was sent")
        }
        // The first line of an answer of something else; in the middle of an answer it is a damaged one.
        (Fault::NotHttp, _) if stage != Stage::Answering => {
            away(Why::NotAGateway).with_detail("the answer is no HTTP; does the port speak https?")
        }
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
        // These are met before anything is sent, on whatever way.
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
