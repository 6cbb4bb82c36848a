//! The worker ids of a process, kept across restarts: the queue reserves a conversation for the id that served it last.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::warn;
use serde::{Deserialize, Serialize};

use mcr_core::pool::resting::{OwnedConversation, RestingIds};
use mcr_files::Folder;
use mcr_model::clock::Millis;
use mcr_model::{WorkerId, random};

/// The file in the state directory of a worker.
pub const WORKER_IDS: &str = "worker-ids.json";

/// The ids as the file has them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StoredIds {
    /// The ids of the lanes, by their numbers.
    lanes: BTreeMap<usize, WorkerId>,
    /// The ids with a conversation, also those that a lane uses.
    owned: Vec<OwnedConversation>,
}

/// The ids of all lanes.
pub struct LaneIds {
    folder: Option<Arc<Folder>>,
    inside: Mutex<IdsState>,
}

struct IdsState {
    lanes: BTreeMap<usize, WorkerId>,
    /// The conversations of the ids that lanes use now, by lane.
    owned: BTreeMap<usize, OwnedConversation>,
    resting: RestingIds,
}

impl LaneIds {
    /// Reads the ids that an earlier process has used. All ids with a conversation rest at first.
    pub fn open(folder: Option<Arc<Folder>>, poll: Duration, now: Millis) -> Self {
        let stored = folder.as_ref().and_then(|folder| match folder.read(WORKER_IDS) {
            Ok(text) => text.and_then(|text| serde_json::from_slice::<StoredIds>(&text).ok()),
            Err(why) => {
                warn!(reason:% = why; "The worker ids of the last process cannot be read; new ones are used");
                None
            }
        });
        let StoredIds { lanes, owned } = stored.unwrap_or_default();
        let mut resting = RestingIds::new(poll);
        for owned in owned {
            resting.rest(owned, now);
        }
        let inside = Mutex::new(IdsState { lanes, owned: BTreeMap::new(), resting });
        Self { folder, inside }
    }

    fn lock(&self) -> MutexGuard<'_, IdsState> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of a lane without a conversation: a fresh one, or the one that it has not used yet.
    pub fn fresh(&self, lane: usize) -> WorkerId {
        let mut inside = self.lock();
        let used = inside.resting.all().chain(inside.owned.values()).map(|owned| &owned.worker);
        let used: Vec<WorkerId> = used.cloned().collect();
        if let Some(id) = inside.lanes.get(&lane).filter(|id| !used.contains(id)) {
            return id.clone();
        }
        let id = WorkerId::new(format!("mcr-{}", random::hex::<10>()));
        inside.lanes.insert(lane, id.clone());
        // Stored before it is used: a claim makes the id the owner of a conversation.
        self.store(&inside);
        id
    }

    /// An id whose conversation must be looked at, for this lane.
    pub fn due(&self, lane: usize, now: Millis) -> Option<OwnedConversation> {
        let mut inside = self.lock();
        let owned = inside.resting.take_due(now)?;
        inside.owned.insert(lane, owned.clone());
        Some(owned)
    }

    /// The lane's id has served its conversation.
    pub fn served(&self, lane: usize, owned: &OwnedConversation) {
        let mut inside = self.lock();
        if inside.owned.get(&lane) != Some(owned) {
            inside.owned.insert(lane, owned.clone());
            self.store(&inside);
        }
    }

    /// The lane's id rests.
    pub fn rest(&self, lane: usize, owned: OwnedConversation, now: Millis) {
        let mut inside = self.lock();
        inside.owned.remove(&lane);
        inside.resting.rest(owned, now);
    }

    /// The lane's id has ended.
    pub fn gone(&self, lane: usize) {
        let mut inside = self.lock();
        inside.owned.remove(&lane);
        inside.lanes.remove(&lane);
        self.store(&inside);
    }

    /// Takes the ids whose conversations other ids may claim now.
    pub fn take_expired(&self, now: Millis) -> Vec<OwnedConversation> {
        let mut inside = self.lock();
        let over = inside.resting.take_expired(now);
        if !over.is_empty() {
            self.store(&inside);
        }
        over
    }

    /// How many ids rest.
    pub fn resting(&self) -> usize {
        self.lock().resting.all().count()
    }

    fn store(&self, inside: &IdsState) {
        let Some(folder) = &self.folder else { return };
        let owned = inside.owned.values().chain(inside.resting.all()).cloned().collect();
        let stored = StoredIds { lanes: inside.lanes.clone(), owned };
        let written = serde_json::to_vec(&stored).map_err(|why| why.to_string());
        let written = written.and_then(|text| folder.write(WORKER_IDS, &text).map_err(|why| why.to_string()));
        if let Err(reason) = written {
            warn!(reason = reason.as_str(); "The worker ids cannot be stored: after a restart conversations may wait for minutes");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcr_files::Access;
    use mcr_model::ConversationId;

    #[test]
    fn the_next_process_has_the_same_ids() {
        let dir = tempfile::tempdir().unwrap();
        let folder = || Some(Arc::new(Folder::open(dir.path(), Access::Owner).unwrap()));
        let (poll, now) = (Duration::from_secs(2), Millis(1_000_000));
        let ids = LaneIds::open(folder(), poll, now);
        let (first, second) = (ids.fresh(1), ids.fresh(2));
        assert_ne!(first, second);
        let conversation = ConversationId::new("c1");
        let owned =
            OwnedConversation { worker: first.clone(), conversation, agent: "a".to_owned(), active: now };
        ids.served(1, &owned);
        drop(ids);
        let ids = LaneIds::open(folder(), poll, now);
        assert_eq!(ids.fresh(2), second, "it has no conversation yet");
        assert_ne!(ids.fresh(1), first, "it belongs to a conversation");
        assert_eq!(ids.due(1, now + poll), Some(owned));
    }
}
