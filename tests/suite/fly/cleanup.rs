//! The clean-up of an app. The oracle is the book of the double: what still exists, and what was asked.

use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::provision::fly::{CleanupOptions, CleanupReport, Fly, clean_up};

use super::machines_api::{Fault, MachinesApi};

/// 2026-11-21T00:00:00Z: twenty days after the machines were created.
const NOW: Millis = Millis(1_795_219_200_000);

fn for_real() -> CleanupOptions {
    CleanupOptions { dry_run: false, machines_at_once: 1, volumes_at_once: 1, ..CleanupOptions::default() }
}

fn cleaned(fly: &Fly, options: &CleanupOptions) -> CleanupReport {
    clean_up(fly, options, NOW).unwrap_or_else(|error| panic!("{error}"))
}

/// An app with a machine in each state that matters, their volumes, and a volume of no machine.
fn an_app() -> MachinesApi {
    let api = MachinesApi::start();
    {
        let mut book = api.book();
        (book.stop_looks, book.delete_looks, book.bound, book.listed) = (2, 2, 2, 1);
    }
    api.machine_with_volume("afw-1-0", "started");
    api.machine_with_volume("afw-2-0", "stopped");
    api.machine("afw-3-0", "suspended");
    api.book().add_volume("openclaw_data_9", None, "2026-11-01T00:00:00Z");
    api
}

#[test]
fn a_dry_run_changes_nothing_and_names_what_would_go() {
    let api = an_app();
    let report = cleaned(&api.client(), &CleanupOptions::default());
    let book = api.book();
    assert!(book.changes().is_empty(), "{:?}", book.changes());
    assert_eq!((report.machines_found, report.machines_deleted), (3, 0));
    assert_eq!((report.volumes_found, report.volumes_deleted), (3, 0));
    assert_eq!(report.machine_ids_to_delete, book.live_machines());
    assert_eq!(report.volume_ids_to_delete, book.live_volumes());
    assert!(report.is_complete());
}

#[test]
fn everything_goes_in_order_and_the_report_agrees_with_the_book() {
    let api = an_app();
    let (machines, volumes): (Vec<String>, Vec<String>) = {
        let book = api.book();
        let owned = |ids: Vec<&str>| ids.into_iter().map(str::to_owned).collect();
        (owned(book.live_machines()), owned(book.live_volumes()))
    };
    let report = cleaned(&api.client(), &for_real());
    let book = api.book();
    assert!(report.is_complete(), "{}", report.text());
    assert_eq!((&report.machine_ids_deleted, &report.volume_ids_deleted), (&machines, &volumes));
    assert!(book.live_machines().is_empty() && book.live_volumes().is_empty(), "{book:?}");
    assert!(report.warnings.is_empty() && report.errors.is_empty(), "{}", report.text());
    // Cordon, stop, wait, delete; no force; machines before volumes.
    let of_first: Vec<&str> =
        book.requests.iter().map(String::as_str).filter(|line| line.contains("/machines/m1")).collect();
    assert!(of_first[0].ends_with("/m1/cordon") && of_first[1].ends_with("/m1/stop"), "{of_first:?}");
    assert!(of_first[2].contains("/m1/wait?state=stopped"), "{of_first:?}");
    assert!(!book.requests.iter().any(|line| line.contains("force")), "{:?}", book.requests);
    let changes = book.changes();
    let last_machine = changes.iter().rposition(|line| line.contains("/machines/")).unwrap();
    let first_volume = changes.iter().position(|line| line.contains("/volumes/")).unwrap();
    assert!(last_machine < first_volume, "{changes:?}");
    drop(book);
    let again = cleaned(&api.client(), &for_real());
    assert_eq!((again.machines_found, again.volumes_found, again.is_complete()), (0, 0, true));
}

/// One fault at each request, of each kind: the clean-up still ends with nothing left.
#[test]
fn a_fault_at_any_request_leaves_nothing_behind() {
    use Fault::{AnswerLost, DoneAnd500, Refused, RequestLost};
    let requests = {
        let api = an_app();
        cleaned(&api.client(), &for_real());
        api.book().requests.len()
    };
    assert!(requests > 20, "{requests}");
    for number in 1..=requests {
        for fault in [Refused(408), Refused(429), Refused(500), RequestLost, AnswerLost, DoneAnd500] {
            let api = an_app();
            api.book().faults = [(number, fault)].into();
            let report = cleaned(&api.client(), &for_real());
            let book = api.book();
            assert!(report.is_complete(), "{fault:?} at {number}: {}\n{:?}", report.text(), book.requests);
            assert_eq!((report.machines_deleted, report.volumes_deleted), (3, 3), "{fault:?} at {number}");
            assert!(
                book.live_machines().is_empty() && book.live_volumes().is_empty(),
                "{fault:?} at {number}"
            );
        }
    }
}

/// A thing that is gone at any step is deleted.
#[test]
fn what_is_gone_at_any_step_counts_as_deleted() {
    for step in ["/cordon", "/stop", "/wait", "DELETE"] {
        let api = an_app();
        api.book().always = vec![(step, Fault::Refused(404))];
        let report = cleaned(&api.client(), &for_real());
        // The double still has what it claimed to be gone, so the last list shows it.
        let is_listed = step == "DELETE";
        assert_eq!(report.is_complete(), !is_listed, "{step}: {}", report.text());
        assert!(report.errors.is_empty() != is_listed, "{step}: {}", report.text());
    }
}

/// What fails for good is reported, remains in the report, and stops nothing else.
#[test]
fn what_fails_for_good_is_reported_and_stops_nothing_else() {
    for status in [500, 403, 400] {
        let api = an_app();
        api.book().always = vec![("DELETE /v1/apps/agents-eu/machines/m1", Fault::Refused(status))];
        let report = cleaned(&api.client(), &for_real());
        assert!(!report.is_complete());
        assert_eq!(
            (&report.machine_ids_remaining, report.machines_deleted),
            (&vec!["m1".to_owned()], 2),
            "{status}"
        );
        assert_eq!(report.errors.len(), 1, "{}", report.text());
        assert!(report.errors[0].contains(&format!("HTTP {status}")), "{}", report.errors[0]);
        // Its volume is left to it.
        assert!(api.book().live_volumes() == ["vol_2"], "{:?}", api.book().live_volumes());
    }
    let api = an_app();
    api.book().always = vec![("/cordon", Fault::Refused(500)), ("/stop", Fault::Refused(500))];
    let report = cleaned(&api.client(), &for_real());
    assert!(report.is_complete(), "{}", report.text());
    assert_eq!(report.warnings.len(), 2, "{}", report.text());
}

#[test]
fn a_volume_that_stays_bound_remains_with_its_reason() {
    let api = an_app();
    api.book().always = vec![("DELETE /v1/apps/agents-eu/volumes/vol_2", Fault::Refused(412))];
    let report = cleaned(&api.client(), &for_real());
    assert_eq!((report.volumes_remaining, report.volumes_deleted), (1, 2), "{}", report.text());
    assert_eq!(report.volume_ids_remaining, ["vol_2"]);
    assert!(report.errors[0].contains("vol_2"), "{:?}", report.errors);
}

/// Only what the filters cover goes: by the beginning of the name, and by age.
#[test]
fn filters_keep_the_rest() {
    let prepared = || {
        let api = MachinesApi::start();
        let mut book = api.book();
        let old = book.add("afw-1-0", "started", "2026-11-01T00:00:00Z");
        book.add_volume("openclaw_data_1", Some(&old), "2026-11-01T00:00:00Z");
        let young = book.add("afw-2-0", "started", "2026-11-20T23:59:30Z");
        book.add_volume("openclaw_data_2", Some(&young), "2026-11-01T00:00:00Z");
        let other = book.add("database", "started", "2026-11-01T00:00:00Z");
        book.add_volume("pg_data", Some(&other), "2026-11-01T00:00:00Z");
        book.add_volume("pg_backup", None, "2026-11-01T00:00:00Z");
        book.add("afw-8-0", "stopped", "no date");
        drop(book);
        (api, old, young)
    };
    let (api, ..) = prepared();
    let options = CleanupOptions {
        name_prefix: Some("afw-".to_owned()),
        age_min: Duration::from_mins(1),
        ..for_real()
    };
    let report = cleaned(&api.client(), &options);
    assert!(report.is_complete(), "{}", report.text());
    assert_eq!((report.machines_deleted, report.volumes_deleted), (1, 1), "{}", report.text());
    let book = api.book();
    let names: Vec<&str> =
        book.live_machines().into_iter().map(|id| book.machines[id].name.as_str()).collect();
    assert_eq!(names, ["afw-2-0", "database", "afw-8-0"]);
    assert_eq!(book.live_volumes().len(), 3);
    let reasons: Vec<&str> = report.kept.iter().map(|kept| kept.reason.as_str()).collect();
    for part in
        ["younger than 60 s", "does not begin with afw-", "its age is unknown", "which stays, has it mounted"]
    {
        assert!(reasons.iter().any(|reason| reason.contains(part)), "{part}: {reasons:?}");
    }
    let touched = book.changes();
    assert!(touched.iter().all(|line| line.contains("m1") || line.contains("vol_2")), "{touched:?}");
}

/// The API has answered with an empty list although machines existed. Their volumes stay.
#[test]
fn volumes_of_machines_that_are_not_listed_stay() {
    let api = an_app();
    api.book().hides_machines = true;
    let report = cleaned(&api.client(), &for_real());
    let book = api.book();
    assert_eq!(book.live_machines().len(), 3);
    assert_eq!(report.volume_ids_deleted.len(), 1, "{}", report.text());
    assert_eq!(book.live_volumes().len(), 2);
    assert!(
        report.kept.iter().all(|kept| kept.reason.contains("Fly does not list that machine")),
        "{report:?}"
    );
}

/// A volume belongs to a machine if either the volume or the machine says so.
#[test]
fn a_volume_that_only_its_machine_names_stays_with_it() {
    let api = MachinesApi::start();
    let (_, of_database) = api.machine_with_volume("database", "started");
    let (_, of_worker) = api.machine_with_volume("afw-1-0", "started");
    let (stuck, of_stuck) = api.machine_with_volume("afw-2-0", "stopped");
    for volume in api.book().volumes.values_mut() {
        volume.machine = None;
    }
    api.book().always = vec![("DELETE /v1/apps/agents-eu/machines/m5", Fault::Refused(403))];
    let options = CleanupOptions { name_prefix: Some("afw-".to_owned()), ..for_real() };
    let report = cleaned(&api.client(), &options);
    assert_eq!((report.machine_ids_remaining, &report.volume_ids_deleted), (vec![stuck], &vec![of_worker]));
    assert_eq!(api.book().live_volumes(), [of_database.as_str(), of_stuck.as_str()]);
}

/// A machine that is created while others are deleted keeps its volume, also if only the machine names it.
#[test]
fn a_machine_that_appears_meanwhile_keeps_its_volume() {
    let api = MachinesApi::start();
    let (_, of_worker) = api.machine_with_volume("afw-1-0", "stopped");
    let free = api.book().add_volume("openclaw_data_2", None, "2026-11-01T00:00:00Z");
    api.book().appears_after = Some(("DELETE", "afw-2-0", free.clone()));
    let report = cleaned(&api.client(), &for_real());
    assert_eq!(report.volume_ids_deleted, [of_worker]);
    assert_eq!(api.book().live_volumes(), [free.as_str()]);
    assert!(report.kept.iter().any(|kept| kept.id == free && kept.reason.contains("has it mounted")));
}

/// A list with an empty id would make paths that mean something else.
#[test]
fn a_list_with_an_empty_id_is_refused() {
    let api = MachinesApi::start();
    api.book().add_nameless();
    assert!(
        clean_up(&api.client(), &for_real(), NOW).is_err_and(|error| error.sentence.contains("has no id"))
    );
    assert!(api.book().changes().is_empty());
}

/// The last list fails: what is left is not known, so the clean-up is not complete.
#[test]
fn an_unknown_rest_is_no_success() {
    let api = an_app();
    let requests = {
        cleaned(&api.client(), &for_real());
        api.book().requests.len()
    };
    let api = an_app();
    api.book().faults = (requests..requests + 8).map(|number| (number, Fault::Refused(500))).collect();
    let report = cleaned(&api.client(), &for_real());
    assert!(
        !report.is_complete() && report.errors[0].contains("What is left is unknown"),
        "{}",
        report.text()
    );
}

/// Many machines at once: each is deleted once, by several threads.
#[test]
fn two_hundred_machines_go_at_once() {
    let api = MachinesApi::start();
    api.book().stop_looks = 1;
    for number in 0..200 {
        api.machine_with_volume(
            &format!("afw-{number}-0"),
            if number % 2 == 0 { "started" } else { "stopped" },
        );
    }
    let options = CleanupOptions { dry_run: false, ..CleanupOptions::default() };
    let report = cleaned(&api.client(), &options);
    assert!(report.is_complete(), "{}", report.text());
    assert_eq!((report.machines_deleted, report.volumes_deleted), (200, 200));
    let book = api.book();
    let deletions = book.changes().iter().filter(|line| line.starts_with("DELETE")).count();
    assert_eq!(deletions, 400, "each once");
}

/// An app that cannot be read is an error, and nothing is changed.
#[test]
fn an_app_that_cannot_be_read_is_left_alone() {
    for (part, fault) in [
        ("GET /v1/apps/agents-eu", Fault::Refused(500)),
        ("machines", Fault::Refused(403)),
        ("volumes", Fault::RequestLost),
    ] {
        let api = an_app();
        api.book().always = vec![(part, fault)];
        assert!(clean_up(&api.client(), &for_real(), NOW).is_err());
        assert!(api.book().changes().is_empty(), "{part}: {:?}", api.book().changes());
    }
}
