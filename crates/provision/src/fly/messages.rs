//! What the Machines API sends and receives.

use mcr_model::clock::Millis;
use serde::{Deserialize, Serialize};

use crate::{Machine, MachineState};

/// A machine as the API shows it. Fields that are not read here are ignored.
#[derive(Debug, Deserialize)]
pub(super) struct MachineRow {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    region: String,
    #[serde(default)]
    instance_id: String,
    #[serde(default)]
    created_at: String,
    config: Option<ConfigRow>,
    /// In place of `config` on a host that does not answer.
    incomplete_config: Option<ConfigRow>,
}

#[derive(Debug, Default, Deserialize)]
struct ConfigRow {
    #[serde(default)]
    mounts: Vec<MountRow>,
}

#[derive(Debug, Deserialize)]
struct MountRow {
    #[serde(default)]
    volume: String,
}

impl From<MachineRow> for Machine {
    fn from(row: MachineRow) -> Self {
        let mounts = row.config.or(row.incomplete_config).unwrap_or_default().mounts;
        Self {
            id: row.id,
            name: row.name,
            region: row.region,
            state: state(&row.state),
            version: Some(row.instance_id).filter(|version| !version.is_empty()),
            created_at: Millis::from_rfc3339(&row.created_at),
            volumes: mounts.into_iter().map(|mount| mount.volume).filter(|id| !id.is_empty()).collect(),
            ..Self::default()
        }
    }
}

/// An unknown state is taken for a running machine, which is stopped first.
fn state(word: &str) -> MachineState {
    match word {
        "stopped" | "suspended" | "failed" | "created" => MachineState::Stopped,
        "destroying" => MachineState::Ending,
        "destroyed" | "replaced" | "migrated" => MachineState::Gone,
        _ => MachineState::Active,
    }
}

/// A volume as the API shows it.
#[derive(Debug, Deserialize)]
pub(super) struct VolumeRow {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    state: String,
    attached_machine_id: Option<String>,
    #[serde(default)]
    created_at: String,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its id.
    pub id: String,
    /// Its name, which other volumes may have, too.
    pub name: String,
    /// The machine that has it mounted.
    pub machine: Option<String>,
    /// When it was created, if the API says so.
    pub created_at: Option<Millis>,
    /// Whether it is deleted, although the API still lists it.
    pub is_deleted: bool,
}

impl From<VolumeRow> for Volume {
    fn from(row: VolumeRow) -> Self {
        let deleted = [
            "scheduling_destroy",
            "pending_destroy",
            "waiting_for_detach",
            "fork_cleanup",
            "destroying",
            "destroyed",
        ];
        Self {
            id: row.id,
            name: row.name,
            machine: row.attached_machine_id.filter(|id| !id.is_empty()),
            created_at: Millis::from_rfc3339(&row.created_at),
            is_deleted: deleted.contains(&row.state.as_str()),
        }
    }
}

/// The body of a creation.
#[derive(Serialize)]
pub(super) struct NewMachineBody<'a> {
    name: &'a str,
    region: &'a str,
    config: NewConfig<'a>,
}

#[derive(Serialize)]
struct NewConfig<'a> {
    image: &'a str,
    guest: Guest,
    env: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
struct Guest {
    cpu_kind: &'static str,
    cpus: u32,
    memory_mb: u32,
}

impl<'a> NewMachineBody<'a> {
    pub(super) fn new(
        (name, region, image): (&'a str, &'a str, &'a str),
        (cpus, memory_mb): (u32, u32),
        environment: &[(String, String)],
    ) -> Self {
        let env = environment.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let guest = Guest { cpu_kind: "shared", cpus, memory_mb };
        Self { name, region, config: NewConfig { image, guest, env } }
    }
}

/// The body of an error. It may also be a text, or empty.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody {
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) status: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_read_whatever_is_missing_or_new() {
        use MachineState::{Active, Ending, Gone, Stopped};
        let rows = [
            (r#"{"id":"m1"}"#, Active, 0),
            (
                r#"{"id":"m1","state":"started","config":{"mounts":[{"volume":"vol_1","path":"/data"}]}}"#,
                Active,
                1,
            ),
            (
                r#"{"id":"m1","state":"stopped","incomplete_config":{"mounts":[{"volume":"vol_1"}]}}"#,
                Stopped,
                1,
            ),
            (r#"{"id":"m1","state":"created","config":{"mounts":[{}]}}"#, Stopped, 0),
            (r#"{"id":"m1","state":"suspended"}"#, Stopped, 0),
            (r#"{"id":"m1","state":"failed"}"#, Stopped, 0),
            (r#"{"id":"m1","state":"stopping"}"#, Active, 0),
            (r#"{"id":"m1","state":"a new word"}"#, Active, 0),
            (r#"{"id":"m1","state":"destroying"}"#, Ending, 0),
            (r#"{"id":"m1","state":"destroyed"}"#, Gone, 0),
            (r#"{"id":"m1","state":"replaced"}"#, Gone, 0),
        ];
        for (text, state, volumes) in rows {
            let machine: Machine = serde_json::from_str::<MachineRow>(text).unwrap().into();
            assert_eq!((machine.state, machine.volumes.len()), (state, volumes), "{text}");
        }
        assert!(serde_json::from_str::<MachineRow>(r#"{"name":"without an id"}"#).is_err());
    }

    #[test]
    fn the_five_last_states_of_a_volume_count_as_deleted() {
        let rows = [
            ("created", false),
            ("hydrating", false),
            ("", false),
            ("scheduling_destroy", true),
            ("pending_destroy", true),
            ("waiting_for_detach", true),
            ("fork_cleanup", true),
            ("destroying", true),
        ];
        for (state, expected) in rows {
            let row = format!(r#"{{"id":"vol_1","state":"{state}","attached_machine_id":null}}"#);
            let volume: Volume = serde_json::from_str::<VolumeRow>(&row).unwrap().into();
            assert_eq!((volume.is_deleted, volume.machine), (expected, None), "{state}");
        }
    }
}
