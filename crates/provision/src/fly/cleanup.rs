//! Deletes the machines and volumes of an app: cordon, stop, wait, delete, then the volumes.
//!
//! Every step may fail, be answered late or not at all, or find that the thing is gone. A machine that is gone at any step
//! is deleted. A volume is kept while a machine that is not to be deleted has it mounted, also one that the list of
//! machines lacks: Fly has shown empty lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use mcr_model::clock::Millis;

use super::{CleanupReport, Fly, Kept, Volume};
use crate::{Machine, MachineState, Provider as _, ProviderError};

/// What to delete, and how.
#[derive(Clone, Debug)]
pub struct CleanupOptions {
    /// Only report what would be deleted.
    pub dry_run: bool,
    /// Delete only machines whose names begin with this, and their volumes.
    pub name_prefix: Option<String>,
    /// Delete only what is at least this old.
    pub age_min: Duration,
    /// How many machines are deleted at a time.
    pub machines_at_once: usize,
    /// How many volumes are deleted at a time.
    pub volumes_at_once: usize,
}

impl Default for CleanupOptions {
    fn default() -> Self {
        Self {
            dry_run: true,
            name_prefix: None,
            age_min: Duration::ZERO,
            machines_at_once: 6,
            volumes_at_once: 16,
        }
    }
}

impl CleanupOptions {
    /// Why something with this name and age stays.
    fn keeps(&self, name: &str, created_at: Option<Millis>, now: Millis) -> Option<String> {
        if let Some(prefix) = self.name_prefix.as_ref().filter(|prefix| !name.starts_with(*prefix)) {
            return Some(format!("its name does not begin with {prefix}"));
        }
        if self.age_min.is_zero() {
            return None;
        }
        match created_at {
            Some(created_at) if now.since(created_at) >= self.age_min => None,
            Some(_) => Some(format!("it is younger than {} s", self.age_min.as_secs())),
            None => Some("its age is unknown".to_owned()),
        }
    }
}

/// Deletes what the options cover. An error says that nothing was deleted, because the app cannot be read.
pub fn clean_up(fly: &Fly, options: &CleanupOptions, now: Millis) -> Result<CleanupReport, ProviderError> {
    fly.check_access()?;
    let mut report = CleanupReport {
        app_name: fly.app().as_str().to_owned(),
        dry_run: options.dry_run,
        ..CleanupReport::default()
    };
    let (machines, mut kept) = select_machines(fly.list()?, options, now, &mut report);
    let volumes = fly.volumes()?;
    report.volumes_found = volumes.len();
    if options.dry_run {
        report.machine_ids_to_delete = machines.iter().map(|machine| machine.id.clone()).collect();
        let volumes = select_volumes(volumes, &machines, &kept, options, now, &mut report);
        report.volume_ids_to_delete = volumes.into_iter().map(|volume| volume.id).collect();
        return Ok(report);
    }
    // Listed again: a volume may have been mounted or created in the meantime.
    let listed = delete_machines(fly, &machines, options, &mut report);
    match listed.and_then(|listed| Ok((listed, fly.volumes()?))) {
        Ok((listed, volumes)) => {
            let is_gone = |machine: &Machine| report.machine_ids_deleted.contains(&machine.id);
            let gone: Vec<Machine> = machines.iter().filter(|machine| is_gone(machine)).cloned().collect();
            kept.extend(machines.into_iter().chain(listed).filter(|machine| !is_gone(machine)));
            let volumes = select_volumes(volumes, &gone, &kept, options, now, &mut report);
            delete_volumes(fly, &volumes, options, &mut report);
        }
        Err(error) => report.errors.push(format!("What is left is unknown. {}", error.sentence)),
    }
    Ok(report)
}

/// The machines to delete, and those that stay.
fn select_machines(
    machines: Vec<Machine>,
    options: &CleanupOptions,
    now: Millis,
    report: &mut CleanupReport,
) -> (Vec<Machine>, Vec<Machine>) {
    report.machines_found = machines.len();
    let (mut selected, mut kept) = (Vec::new(), Vec::new());
    for machine in machines {
        match options.keeps(&machine.name, machine.created_at, now) {
            Some(reason) => {
                report.kept.push(Kept { id: machine.id.clone(), reason });
                kept.push(machine);
            }
            None => selected.push(machine),
        }
    }
    (selected, kept)
}

/// The volumes to delete: those of the deleted machines, and those of no machine that the options cover. A volume belongs to a
/// machine if either of the two says so.
fn select_volumes(
    volumes: Vec<Volume>,
    machines: &[Machine],
    kept: &[Machine],
    options: &CleanupOptions,
    now: Millis,
    report: &mut CleanupReport,
) -> Vec<Volume> {
    let (kept, machines) = (Mounts::of(kept), Mounts::of(machines));
    let mut selected = Vec::new();
    for volume in volumes {
        let reason = match (kept.machine_of(&volume), machines.machine_of(&volume), &volume.machine) {
            (Some(id), _, _) => Some(format!("machine {id}, which stays, has it mounted")),
            (None, Some(_), _) => None,
            (None, None, Some(id)) => {
                Some(format!("machine {id} has it mounted, and Fly does not list that machine"))
            }
            (None, None, None) => options.keeps(&volume.name, volume.created_at, now),
        };
        match reason {
            Some(reason) => report.kept.push(Kept { id: volume.id, reason }),
            None => selected.push(volume),
        }
    }
    selected
}

/// Which machine has which volume, as the machines say.
struct Mounts<'a> {
    machines: BTreeSet<&'a str>,
    volumes: BTreeMap<&'a str, &'a str>,
}

impl<'a> Mounts<'a> {
    fn of(machines: &'a [Machine]) -> Self {
        let mounts = |machine: &'a Machine| {
            machine.volumes.iter().map(|volume| (volume.as_str(), machine.id.as_str()))
        };
        Self {
            machines: machines.iter().map(|machine| machine.id.as_str()).collect(),
            volumes: machines.iter().flat_map(mounts).collect(),
        }
    }

    /// The machine among them that has this volume, as the volume or the machine says.
    fn machine_of(&self, volume: &'a Volume) -> Option<&'a str> {
        let by_volume = volume.machine.as_deref().filter(|id| self.machines.contains(id));
        by_volume.or_else(|| self.volumes.get(volume.id.as_str()).copied())
    }
}

/// What became of a machine.
struct Removal {
    warnings: Vec<String>,
    error: Option<String>,
}

/// Returns the machines that are listed afterwards.
fn delete_machines(
    fly: &Fly,
    machines: &[Machine],
    options: &CleanupOptions,
    report: &mut CleanupReport,
) -> Result<Vec<Machine>, ProviderError> {
    let removals = at_once(options.machines_at_once, machines, |machine| remove(fly, machine));
    let mut gone: BTreeSet<&str> = BTreeSet::new();
    for (machine, removal) in machines.iter().zip(removals) {
        report.warnings.extend(removal.warnings);
        match removal.error {
            Some(error) => report.errors.push(error),
            None => drop(gone.insert(&machine.id)),
        }
    }
    // What counts is whether they are still listed.
    let listed = fly.list();
    for machine in listed.iter().flatten().filter(|machine| machine.state != MachineState::Ending) {
        if gone.remove(machine.id.as_str()) {
            report.warnings.push(format!("Machine {} is deleted, but still listed", machine.id));
        }
    }
    for machine in machines {
        let is_gone = gone.contains(machine.id.as_str());
        let ids = if is_gone { &mut report.machine_ids_deleted } else { &mut report.machine_ids_remaining };
        ids.push(machine.id.clone());
    }
    report.machines_deleted = report.machine_ids_deleted.len();
    report.machines_remaining = report.machine_ids_remaining.len();
    listed
}

/// Deletes one machine.
fn remove(fly: &Fly, machine: &Machine) -> Removal {
    let mut warnings = Vec::new();
    if machine.state == MachineState::Active {
        for step in [fly.cordon(&machine.id), fly.stop(machine)] {
            match step {
                Ok(()) => {}
                // It is gone, so the rest only confirms that.
                Err(error) if error.is_gone() => break,
                Err(error) => warnings.push(error.sentence),
            }
        }
    }
    let error = fly.destroy(machine).err().map(|error| error.sentence);
    Removal { warnings, error }
}

fn delete_volumes(fly: &Fly, volumes: &[Volume], options: &CleanupOptions, report: &mut CleanupReport) {
    let results = at_once(options.volumes_at_once, volumes, |volume| fly.delete_volume(&volume.id));
    let mut gone: BTreeSet<String> = BTreeSet::new();
    for (volume, result) in volumes.iter().zip(results) {
        match result {
            Ok(()) => drop(gone.insert(volume.id.clone())),
            Err(error) => report.errors.push(error.sentence),
        }
    }
    // A deleted volume is listed for a moment more.
    let until = Instant::now() + fly.limits().volumes;
    let listed = loop {
        match fly.volumes() {
            Ok(left) => {
                let left: BTreeSet<String> = left.into_iter().map(|volume| volume.id).collect();
                let is_listed = gone.iter().any(|id| left.contains(id));
                if !is_listed || Instant::now() >= until || fly.calls.stop.wait(fly.limits().look) {
                    break left;
                }
            }
            Err(error) => {
                report.errors.push(format!("What is left is unknown. {}", error.sentence));
                break BTreeSet::new();
            }
        }
    };
    for volume in volumes {
        if gone.contains(&volume.id) && !listed.contains(&volume.id) {
            report.volume_ids_deleted.push(volume.id.clone());
            continue;
        }
        if gone.contains(&volume.id) {
            report.warnings.push(format!("Volume {} is deleted, but still listed", volume.id));
        }
        report.volume_ids_remaining.push(volume.id.clone());
    }
    report.volumes_deleted = report.volume_ids_deleted.len();
    report.volumes_remaining = report.volume_ids_remaining.len();
}

/// Works on all items with this many threads. The results are in the order of the items.
fn at_once<T: Sync, R: Send>(threads: usize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let waiting = Mutex::new(items.iter().enumerate());
    let done = Mutex::new(Vec::with_capacity(items.len()));
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((number, item)) = next else { break };
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((number, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}
