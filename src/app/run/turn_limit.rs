//! The limit of `DELIVERY_MAX_TURNS`: how many requests the gateway may get.
//!
//! Every request counts before it is sent: tool rounds and retries cost as much as first turns. The count is on the
//! disk before the request leaves, so a crash can only count a request that was never sent. At the limit a turn is
//! refused as if the gateway were away: deliveries keep their progress and wait, and the breaker names the reason.

use std::sync::{Arc, Mutex, PoisonError};

use log::{error, warn};
use serde::{Deserialize, Serialize};

use mcr_core::gateway::{Class, GatewayError, Why};
use mcr_files::Folder;

/// The count, in `STATE_DIR`.
const FILE: &str = "turns.json";

/// The turns that may be sent, and how many were.
pub(super) struct TurnLimit {
    most: u64,
    sent: Mutex<u64>,
    /// `None` where nothing is kept: then each process counts for itself.
    folder: Option<Arc<Folder>>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    sent: u64,
}

impl TurnLimit {
    /// A limit that continues the count of earlier processes. A count that cannot be read permits no turn.
    pub(super) fn new(most: u64, folder: Option<Arc<Folder>>) -> Self {
        let sent = folder.as_ref().map_or(Ok(0), |folder| read(folder)).unwrap_or_else(|why| {
            error!(file = FILE, reason:% = why; "No turns are sent: their count cannot be read; remove the file to count from 0");
            most
        });
        Self { most, sent: Mutex::new(sent), folder }
    }

    /// Counts a turn that is about to be sent. Refuses it at the limit.
    pub(super) fn take(&self) -> Result<(), GatewayError> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if *sent >= self.most {
            return Err(self.refusal(None));
        }
        let next = *sent + 1;
        if let Some(folder) = &self.folder {
            let stored = serde_json::to_vec(&Stored { sent: next }).map_err(std::io::Error::from);
            stored
                .and_then(|bytes| folder.write(FILE, &bytes))
                .map_err(|why| self.refusal(Some(&format!("{FILE} cannot be written: {why}"))))?;
        }
        *sent = next;
        if next == self.most {
            warn!(turns = next; "Turn limit reached; DELIVERY_MAX_TURNS permits no more turns");
        }
        Ok(())
    }

    /// Why no turn can be sent, if so.
    pub(super) fn trouble(&self) -> Option<GatewayError> {
        let sent = *self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        (sent >= self.most).then(|| self.refusal(None))
    }

    fn refusal(&self, why: Option<&str>) -> GatewayError {
        let detail = why.map_or_else(|| format!("{} turns were sent", self.most), str::to_owned);
        GatewayError::new(Class::Closed, Why::TurnLimit, Some(&detail))
    }
}

/// The stored count; 0 if there is none.
fn read(folder: &Folder) -> std::io::Result<u64> {
    let Some(bytes) = folder.read(FILE)? else { return Ok(0) };
    let stored: Stored = serde_json::from_slice(&bytes)?;
    Ok(stored.sent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcr_files::Access;

    #[test]
    fn the_count_survives_a_restart_and_is_never_exceeded() {
        let place = tempfile::tempdir().unwrap();
        let open = || Some(Arc::new(Folder::make(place.path(), Access::Owner).unwrap()));
        let first = TurnLimit::new(3, open());
        assert!(first.take().is_ok() && first.take().is_ok() && first.trouble().is_none());
        let restarted = TurnLimit::new(3, open());
        assert!(restarted.trouble().is_none() && restarted.take().is_ok());
        let refused = restarted.take().unwrap_err();
        assert_eq!((refused.class, refused.why), (Class::Closed, Why::TurnLimit));
        assert!(refused.to_string().contains("3 turns were sent"), "{refused}");
        assert!(TurnLimit::new(3, open()).trouble().is_some());
        assert!(TurnLimit::new(4, open()).take().is_ok(), "a higher limit continues");
    }

    #[test]
    fn an_unreadable_count_permits_no_turn() {
        let place = tempfile::tempdir().unwrap();
        let folder = Arc::new(Folder::make(place.path(), Access::Owner).unwrap());
        folder.write(FILE, b"{").unwrap();
        assert!(TurnLimit::new(3, Some(folder)).take().is_err());
        assert!(TurnLimit::new(1, None).take().is_ok(), "without a folder this process counts");
    }
}
