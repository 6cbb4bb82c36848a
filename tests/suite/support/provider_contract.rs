//! What every provider of machines promises, whatever its API is like.

use mission_control_runtime::provision::{MachineState, NewMachine, Provider};

/// Plays a machine's life, each step twice.
pub(crate) fn check_contract(provider: &dyn Provider, wanted: &NewMachine) {
    provider.check(wanted).unwrap();
    assert_eq!(provider.find(&wanted.name).unwrap(), None, "a check changes nothing");
    for _ in 0..2 {
        provider.prepare(wanted).unwrap();
    }
    assert!(provider.list().unwrap().is_empty(), "a preparation creates no machine");
    assert_eq!(provider.settle(wanted).unwrap(), None);
    let machine = provider.create(wanted).unwrap();
    assert_eq!((&machine.name, &machine.region), (&wanted.name, &wanted.region));
    assert_eq!(provider.create(wanted).unwrap().id, machine.id, "a second creation finds the first machine");
    let again = NewMachine { asked_before: true, ..wanted.clone() };
    assert_eq!(provider.create(&again).unwrap().id, machine.id, "and so does one after a crash");
    assert_eq!(provider.settle(wanted).unwrap().map(|found| found.id), Some(machine.id.clone()));
    assert_eq!(provider.find(&wanted.name).unwrap().map(|found| found.id), Some(machine.id.clone()));
    assert_eq!(provider.find("another-name").unwrap(), None);
    let listed: Vec<String> = provider.list().unwrap().into_iter().map(|machine| machine.id).collect();
    assert_eq!(listed, [machine.id.as_str()]);
    for _ in 0..2 {
        provider.stop(&machine).unwrap();
        let found = provider.find(&wanted.name).unwrap().unwrap();
        assert_eq!(found.state, MachineState::Stopped);
    }
    for _ in 0..2 {
        provider.destroy(&machine).unwrap();
        assert_eq!(provider.find(&wanted.name).unwrap(), None);
    }
    provider.stop(&machine).unwrap();
    assert!(provider.list().unwrap().is_empty());
}
