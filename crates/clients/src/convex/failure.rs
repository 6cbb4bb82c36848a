//! Reads a broken connection: what a [`Fault`] on the way to the backend means for the call.

use super::error::{CallReason, Ran};
use super::finding::{Finding, Outlook};
use crate::wire::{Fault, Sent};
use mcr_model::memory::Crowded;

/// What is known when no complete answer came.
pub(super) fn finding(fault: &Fault, sent: Sent) -> Finding {
    // A backend that lacks a byte of the request cannot have run it. One that has the whole request may have.
    let ran = match sent {
        Sent::Nothing | Sent::Part => Ran::No,
        Sent::Whole => Ran::Maybe,
    };
    let passes = |why| Finding::new(why, ran, Outlook::Passes);
    let stays = |why| Finding::new(why, ran, Outlook::Stays);
    match (fault, sent) {
        (Fault::NameNotFound, _) => passes(CallReason::NameNotFound),
        (Fault::Unreachable(words), Sent::Nothing) => {
            passes(CallReason::Unreachable).with_detail(words.as_str())
        }
        (Fault::TooSlow, Sent::Nothing) => {
            passes(CallReason::Unreachable).with_detail("connecting took too long")
        }
        (Fault::Lost, Sent::Nothing) => {
            passes(CallReason::LostAnswer).with_detail("before the request was sent")
        }
        // The connection or the network broke after the request had started.
        (Fault::Unreachable(_) | Fault::Lost, _) => passes(CallReason::LostAnswer),
        (Fault::TooSlow, Sent::Part | Sent::Whole) => passes(CallReason::TimedOut),
        (Fault::Proxy(words), _) => passes(CallReason::Proxy).with_detail(words.as_str()),
        (Fault::Certificate(fault), _) => {
            stays(CallReason::CertificateRefused).with_detail(format!("the certificate {}", fault.explain()))
        }
        // In the middle of an exchange this is a damaged connection, not the wrong port.
        (Fault::NoTls(words), Sent::Nothing) => stays(CallReason::NoTls).with_detail(words.as_str()),
        (Fault::NoTls(words), Sent::Part | Sent::Whole) => {
            passes(CallReason::LostAnswer).with_detail(words.as_str())
        }
        (Fault::NotHttp, _) => passes(CallReason::NotConvex).with_detail(
            "the answer is not HTTP; if this is an https port, the URL must begin with https://",
        ),
        (Fault::HeadTooLarge, _) => {
            stays(CallReason::AnswerTooLarge).with_detail("its headers are over 12 KiB")
        }
        (Fault::BodyTooLarge, _) => stays(CallReason::AnswerTooLarge),
        (Fault::Crowded, _) => passes(CallReason::TimedOut).with_detail(Crowded.to_string()),
        (Fault::BadRequest(words), _) => stays(CallReason::OurRequest).with_detail(words.as_str()),
    }
}

/// What is known when this program stops.
pub(super) fn stopped(sent: Sent) -> Finding {
    let ran = match sent {
        Sent::Nothing | Sent::Part => Ran::No,
        Sent::Whole => Ran::Maybe,
    };
    Finding::new(CallReason::Stopped, ran, Outlook::Passes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::CertificateFault;

    #[test]
    fn only_a_whole_request_can_have_run() {
        let faults = [
            Fault::NameNotFound,
            Fault::Unreachable(String::new()),
            Fault::Proxy(String::new()),
            Fault::Certificate(CertificateFault::Expired),
            Fault::NoTls(String::new()),
            Fault::TooSlow,
            Fault::Lost,
            Fault::NotHttp,
            Fault::HeadTooLarge,
            Fault::BodyTooLarge,
            Fault::Crowded,
            Fault::BadRequest(String::new()),
        ];
        for fault in &faults {
            for (sent, ran) in [(Sent::Nothing, Ran::No), (Sent::Part, Ran::No), (Sent::Whole, Ran::Maybe)] {
                assert_eq!(finding(fault, sent).ran, ran, "{fault:?} {sent:?}");
            }
        }
        assert_eq!(stopped(Sent::Whole).ran, Ran::Maybe);
    }
}
