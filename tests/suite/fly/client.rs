//! Each operation of the client, and what a lost, late or repeated one does.

use mission_control_runtime::provision::fly::AppName;
use mission_control_runtime::provision::{
    ErrorClass, Machine, MachineSize, MachineState, NewMachine, Provider as _, StartData,
};

use super::machines_api::{APP, Fault, MachinesApi, TOKEN};
use crate::support::provider_contract::check_contract;

fn wanted(name: &str) -> NewMachine {
    NewMachine {
        name: name.to_owned(),
        account: None,
        region: "fra".to_owned(),
        image: "registry/worker:1".to_owned(),
        size: MachineSize::Resources { cpus: 2, memory_mb: 1024 },
        start: StartData::Environment(vec![("WORKER_ID".to_owned(), name.to_owned())]),
        asked_before: false,
    }
}

#[test]
fn it_keeps_the_contract_of_providers() {
    check_contract(&MachinesApi::start().client(), &wanted("afw-1-0"));
}

/// Whatever happens to each attempt, one machine exists afterwards, and the caller has it.
#[test]
fn a_creation_with_a_fault_creates_one_machine() {
    use Fault::{AnswerLost, DoneAnd500, Refused, RequestLost};
    let faults =
        [Refused(408), Refused(429), Refused(500), Refused(503), RequestLost, AnswerLost, DoneAnd500];
    for fault in faults {
        for often in 1..=3 {
            let api = MachinesApi::start();
            api.book().faults = (1..=often).map(|number| (number, fault)).collect();
            let machine =
                api.client().create(&wanted("afw-1-0")).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            let book = api.book();
            assert_eq!((machine.name.as_str(), book.created), ("afw-1-0", 1), "{fault:?} {often} times");
            assert_eq!(book.live_machines(), [machine.id.as_str()], "{fault:?} {often} times");
            let config = &book.bodies[0]["config"];
            assert_eq!(config["env"]["WORKER_ID"], "afw-1-0");
            assert_eq!((&config["guest"]["cpus"], &config["guest"]["memory_mb"]), (&2.into(), &1024.into()));
        }
    }
}

/// All attempts are answered with an error although the first has created the machine: it is found by its name.
#[test]
fn a_creation_that_never_gets_an_answer_is_found_by_its_name() {
    let api = MachinesApi::start();
    api.book().always = vec![("POST", Fault::AnswerLost)];
    let machine = api.client().create(&wanted("afw-1-0")).unwrap();
    assert_eq!((api.book().created, machine.name.as_str()), (1, "afw-1-0"));
}

#[test]
fn a_creation_that_is_refused_is_not_repeated() {
    for (status, class) in
        [(400, ErrorClass::Refused), (401, ErrorClass::Refused), (422, ErrorClass::Refused)]
    {
        let api = MachinesApi::start();
        api.book().always = vec![("POST", Fault::Refused(status))];
        let error = api.client().create(&wanted("afw-1-0")).unwrap_err();
        assert_eq!((error.class, error.status), (class, Some(status)));
        assert_eq!(api.book().requests.len(), 1, "{:?}", api.book().requests);
    }
}

#[test]
fn the_pause_that_the_api_demands_is_kept() {
    let api = MachinesApi::start();
    {
        let mut book = api.book();
        (book.retry_after, book.faults) = (Some(1), [(1, Fault::Refused(429))].into());
    }
    let began = std::time::Instant::now();
    api.client().list().unwrap();
    assert!(began.elapsed() >= std::time::Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn a_machine_is_found_by_name_and_listed_until_it_is_gone() {
    let api = MachinesApi::start();
    let (one, volume) = api.machine_with_volume("one", "started");
    api.machine("two", "destroyed");
    let fly = api.client();
    let expected = Machine {
        id: one.clone(),
        name: "one".to_owned(),
        region: "fra".to_owned(),
        state: MachineState::Active,
        version: Some(format!("01{one}")),
        created_at: Some(mission_control_runtime::clock::Millis(1_793_491_200_000)),
        volumes: vec![volume],
        ..Machine::default()
    };
    assert_eq!(fly.list().unwrap(), std::slice::from_ref(&expected));
    assert_eq!(fly.find("one").unwrap(), Some(expected));
    assert_eq!(fly.find("two").unwrap(), None);
}

#[test]
fn a_stop_waits_until_the_machine_has_stopped() {
    let api = MachinesApi::start();
    api.book().stop_looks = 3;
    let id = api.machine("one", "started");
    let fly = api.client();
    let machine = fly.find("one").unwrap().unwrap();
    fly.stop(&machine).unwrap();
    assert_eq!(api.book().machines[&id].state, "stopped");
    // Again: of one that has stopped, and of one that is gone.
    fly.stop(&machine).unwrap();
    fly.destroy(&machine).unwrap();
    fly.stop(&machine).unwrap();
    fly.destroy(&machine).unwrap();
    assert!(api.book().live_machines().is_empty());
}

/// A machine that never stops is an error with its reason; destroying it uses force as the last resort.
#[test]
fn a_machine_that_does_not_stop_is_destroyed_by_force() {
    let api = MachinesApi::start();
    api.book().stop_looks = u32::MAX;
    api.machine("one", "started");
    let fly = api.client();
    let machine = fly.find("one").unwrap().unwrap();
    let error = fly.stop(&machine).unwrap_err();
    assert!(error.sentence.contains("has not stopped within"), "{error}");
    api.book().delete_looks = 4;
    fly.destroy(&machine).unwrap();
    let book = api.book();
    assert!(book.live_machines().is_empty());
    let deletions: Vec<&str> = book.changes().into_iter().filter(|line| line.starts_with("DELETE")).collect();
    assert_eq!(deletions.len(), 2);
    assert!(deletions[1].ends_with("?force=true"), "{deletions:?}");
}

#[test]
fn a_machine_that_stays_listed_is_an_error_after_the_limit() {
    let api = MachinesApi::start();
    api.book().delete_looks = u32::MAX;
    api.machine("one", "stopped");
    let fly = api.client();
    let error = fly.destroy(&fly.find("one").unwrap().unwrap()).unwrap_err();
    assert_eq!(error.class, ErrorClass::Ambiguous);
    assert!(error.sentence.contains("still listed after"), "{error}");
}

#[test]
fn access_is_checked_with_a_sentence_that_helps() {
    let api = MachinesApi::start();
    api.client().check_access().unwrap();
    let rows = [
        (APP, "another-token", "FLY_API_TOKEN needs a valid one"),
        ("no-such-app", TOKEN, "App no-such-app: it does not exist"),
    ];
    for (app, token, part) in rows {
        let error = api.client_of(app, token).check_access().unwrap_err();
        assert!(error.sentence.contains(part), "{error}");
        assert!(!error.sentence.contains(token), "{error}");
    }
    // The server is gone.
    let fly = api.client();
    drop(api);
    let error = fly.check_access().unwrap_err();
    assert!(error.sentence.contains("no answer from Fly"), "{error}");
    assert_eq!(error.class, ErrorClass::Transient);
}

#[test]
fn the_name_of_an_app_is_one_segment_of_a_path() {
    for good in ["a", "agents-eu", "a1"] {
        assert!(AppName::parse(good).is_some(), "{good}");
    }
    let long = "a".repeat(64);
    for bad in ["", "Agents", "a/b", "a b", "..", "a?b", "a\n", "ä", long.as_str()] {
        assert!(AppName::parse(bad).is_none(), "{bad}");
    }
}
