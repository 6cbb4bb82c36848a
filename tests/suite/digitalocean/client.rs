//! Each operation of the client, and what a lost, late, doubled or refused one does. The oracle is the double's book.

use mission_control_runtime::provision::{
    ErrorClass, Machine, MachineState, NewMachine, Provider as _, StartData,
};
use mission_control_runtime::secret::Secret;
use serde_json::{Value, json};

use super::cloud::{Cloud, Fault, Manners};
use super::simulated::{client, wanted};
use crate::support::provider_contract::check_contract;

fn cloud() -> Cloud {
    Cloud::new(1, Manners::default())
}

fn with(change: impl FnOnce(&mut Manners)) -> Cloud {
    let mut manners = Manners::default();
    change(&mut manners);
    Cloud::new(1, manners)
}

/// A cloud with its tags and its firewall.
fn prepared(change: impl FnOnce(&mut Manners)) -> Cloud {
    let cloud = with(change);
    client(&cloud).prepare(&wanted()).unwrap();
    cloud
}

fn a_creation(cloud: &Cloud) -> Machine {
    client(cloud).create(&wanted()).unwrap_or_else(|error| panic!("{error}\n{:#?}", cloud.book().requests))
}

#[test]
fn it_keeps_the_contract_of_providers() {
    check_contract(&client(&cloud()), &wanted());
}

#[test]
fn a_machine_has_what_it_was_created_with() {
    let cloud = prepared(|_| {});
    let machine = a_creation(&cloud);
    assert_eq!(machine.state, MachineState::Active);
    assert_eq!(machine.address.map(|address| address.to_string()).as_deref(), Some("127.0.0.1"));
    assert_eq!(machine.account.as_deref(), Some("acc0unt"));
    assert_eq!(machine.size.as_deref(), Some("s-1vcpu-2gb"));
    let book = cloud.book();
    let body = &book.droplets.values().next().unwrap().body;
    let expected = json!({
        "name": "mission-control-acc0unt-1",
        "region": "fra1",
        "size": "s-1vcpu-2gb",
        "image": "debian-12-x64",
        "ssh_keys": [42],
        "tags": ["mission-control", "mission-control:account:acc0unt"],
        "user_data": "#cloud-config\n",
    });
    assert_eq!(*body, expected);
}

/// The tag and the firewall exist before the machine: SSH comes in and nothing else.
#[test]
fn tag_and_firewall_come_first() {
    let cloud = prepared(|_| {});
    a_creation(&cloud);
    let book = cloud.book();
    let changes = book.changes();
    assert_eq!(changes, ["POST /v2/tags", "POST /v2/tags", "POST /v2/firewalls", "POST /v2/droplets"]);
    let firewall = &book.firewalls["fw-1"];
    assert_eq!(firewall["tags"], json!(["mission-control"]));
    let inbound = firewall["inbound_rules"].as_array().unwrap();
    assert_eq!(inbound.len(), 1);
    assert_eq!((&inbound[0]["protocol"], &inbound[0]["ports"]), (&json!("tcp"), &json!("22")));
    assert_eq!(firewall["outbound_rules"].as_array().unwrap().len(), 3);
}

#[test]
fn a_firewall_that_was_changed_gets_its_rules_back_and_another_one_stays() {
    let cloud = prepared(|_| {});
    client(&cloud).prepare(&wanted()).unwrap();
    assert!(
        !cloud.book().requests.iter().any(|line| line.starts_with("PUT")),
        "the same rules in the API's spelling"
    );
    let opened = json!({"protocol": "tcp", "ports": "3001", "sources": {"addresses": ["0.0.0.0/0"]}});
    {
        let mut book = cloud.book();
        let firewall = book.firewalls.get_mut("fw-1").unwrap();
        firewall["inbound_rules"].as_array_mut().unwrap().push(opened);
        firewall["droplet_ids"] = json!([77]);
        book.firewalls.insert("fw-0".to_owned(), json!({"id": "fw-0", "name": "of-somebody", "tags": null}));
    }
    client(&cloud).prepare(&wanted()).unwrap();
    let book = cloud.book();
    assert_eq!(book.firewalls["fw-1"]["inbound_rules"].as_array().map(Vec::len), Some(1));
    assert_eq!(book.firewalls["fw-1"]["droplet_ids"], json!([77]), "a PUT resets what it leaves out");
    assert_eq!(book.firewalls["fw-0"]["tags"], Value::Null);
}

/// Whatever happens to each of the first requests for a droplet, one exists afterwards, and the caller has it.
#[test]
fn a_creation_with_a_fault_creates_one_machine() {
    use Fault::{AnswerLost, DoneAnd500, Refused, RequestLost};
    for fault in [Refused(408), Refused(429), Refused(500), Refused(503), RequestLost, AnswerLost, DoneAnd500]
    {
        let requests = {
            let cloud = prepared(|_| {});
            let before = cloud.book().requests.len();
            a_creation(&cloud);
            before + 1..=cloud.book().requests.len()
        };
        for number in requests {
            for often in 1..=3 {
                let cloud = prepared(|_| {});
                cloud.book().faults = (number..number + often).map(|number| (number, fault)).collect();
                let machine = a_creation(&cloud);
                let book = cloud.book();
                assert_eq!((book.created, book.most_at_once), (1, 1), "{fault:?} {often} times at {number}");
                assert_eq!(book.paid(), [machine.name.as_str()], "{fault:?} {often} times at {number}");
            }
        }
    }
}

/// Each creation is preceded by a look, and follows a lost one only after the lists had time to show it.
#[test]
fn a_creation_is_never_repeated_blindly() {
    let cloud = prepared(|manners| manners.lists_ms = 100_000);
    let first = cloud.book().requests.len() + 3;
    cloud.book().faults = [(first, Fault::AnswerLost)].into();
    a_creation(&cloud);
    let book = cloud.book();
    assert_eq!(book.requests[first - 1], "POST /v2/droplets");
    assert_eq!(book.requests.iter().filter(|line| *line == "POST /v2/droplets").count(), 1);
    let looks =
        book.requests[first..].iter().filter(|line| line.contains("tag_name=mission-control%3Aaccount"));
    assert!(looks.count() > 10, "the lists are read again until they show it");
}

/// Lost before it was sent: only after the time to show has passed is it sent again.
#[test]
fn a_creation_that_was_lost_is_sent_again_after_the_lists_had_their_time() {
    let cloud = prepared(|_| {});
    let first = cloud.book().requests.len() + 3;
    cloud.book().faults = [(first, Fault::RequestLost)].into();
    let began = cloud.book().now_ms;
    a_creation(&cloud);
    let book = cloud.book();
    assert_eq!(book.created, 1);
    let created_ms = book.droplets.values().next().unwrap().created_ms;
    assert!(created_ms - began >= 180_000, "{} ms", created_ms - began);
}

#[test]
fn a_creation_without_any_answer_is_unknown_and_found_later() {
    let cloud = prepared(|manners| manners.lists_ms = 10_000_000);
    let number = cloud.book().requests.len() + 3;
    cloud.book().always = vec![("POST /v2/droplets", Fault::AnswerLost)];
    // Then the lists fail as well.
    cloud.book().faults = (number + 1..number + 60).map(|number| (number, Fault::Refused(500))).collect();
    let error = client(&cloud).create(&wanted()).unwrap_err();
    assert_eq!(error.class, ErrorClass::Ambiguous, "{error}");
    {
        let mut book = cloud.book();
        (book.faults, book.always) = (std::collections::BTreeMap::new(), Vec::new());
        book.droplets.values_mut().for_each(|droplet| droplet.listed_ms = 0);
    }
    let machine = client(&cloud).create(&NewMachine { asked_before: true, ..wanted() }).unwrap();
    assert_eq!(cloud.book().paid(), [machine.name.as_str()]);
    assert_eq!(cloud.book().created, 1);
}

/// A request that is refused before any look says nothing about the machine of an earlier request.
#[test]
fn a_refusal_before_the_first_look_leaves_an_earlier_creation_unknown() {
    let cloud = prepared(|_| {});
    let long = StartData::UserData(Secret::new("x".repeat(1024 * 1024)));
    for (asked_before, class) in [(false, ErrorClass::Refused), (true, ErrorClass::Ambiguous)] {
        let rows = [
            NewMachine { asked_before, start: long.clone(), ..wanted() },
            NewMachine { asked_before, account: None, ..wanted() },
        ];
        for refused in rows {
            let error = client(&cloud).create(&refused).unwrap_err();
            assert_eq!(error.class, class, "{error}");
        }
    }
}

/// The tags of a creation are never applied: they are given again, to the droplet of our own answer only.
#[test]
fn tags_that_do_not_come_are_given_again() {
    let cloud = prepared(|manners| manners.tags_ms = None);
    let machine = a_creation(&cloud);
    assert_eq!(machine.account.as_deref(), Some("acc0unt"));
    let book = cloud.book();
    assert_eq!(book.changes().iter().filter(|line| line.ends_with("/resources")).count(), 2);
}

#[test]
fn an_action_that_ends_in_an_error_leaves_nothing_behind() {
    let cloud = prepared(|manners| manners.next_errs = true);
    let error = client(&cloud).create(&wanted()).unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.sentence.contains("accepted it (500), but failed"), "{error}");
    assert!(cloud.book().paid().is_empty());
    a_creation(&cloud);
    assert_eq!(cloud.book().paid().len(), 1);
}

#[test]
fn a_droplet_that_disappears_after_it_was_accepted_can_be_asked_for_again() {
    let cloud = prepared(|manners| manners.next_vanishes = true);
    let error = client(&cloud).create(&wanted()).unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.sentence.contains("disappeared; try again"), "{error}");
    a_creation(&cloud);
    assert_eq!(cloud.book().paid().len(), 1);
}

/// A deleted droplet stays visible for more than a minute, and a second deletion is 404.
#[test]
fn a_deletion_waits_until_the_droplet_is_gone() {
    let cloud = prepared(|_| {});
    let machine = a_creation(&cloud);
    let provider = client(&cloud);
    provider.destroy(&machine).unwrap();
    assert!(cloud.book().paid().is_empty());
    provider.destroy(&machine).unwrap();
    let deletions = cloud.book().changes().iter().filter(|line| line.starts_with("DELETE")).count();
    assert_eq!(deletions, 1);
    // For ever: that is said.
    cloud.book().manners.ends_ms = i64::MAX / 4;
    let machine = a_creation(&cloud);
    let error = provider.destroy(&machine).unwrap_err();
    assert!(error.sentence.contains("still shown after 300 s"), "{error}");
    assert_eq!(error.class, ErrorClass::Ambiguous);
}

/// A shutdown promises only that it was asked. One that is ignored is followed by a power-off.
#[test]
fn a_stop_waits_and_then_turns_the_power_off() {
    for (stops_ms, power_offs) in [(Some(30_000), 0), (None, 1)] {
        let cloud = prepared(|manners| manners.stops_ms = stops_ms);
        let machine = a_creation(&cloud);
        client(&cloud).stop(&machine).unwrap();
        assert_eq!(client(&cloud).find(&machine.name).unwrap().unwrap().state, MachineState::Stopped);
        assert_eq!(cloud.book().bodies.matches("power_off").count(), power_offs);
    }
}

/// Another action runs on the droplet: the deletion waits for its end.
#[test]
fn a_pending_event_is_waited_for() {
    let cloud = prepared(|_| {});
    let machine = a_creation(&cloud);
    {
        let mut book = cloud.book();
        let busy_ms = book.now_ms + 60_000;
        book.droplets.values_mut().for_each(|droplet| droplet.busy_ms = busy_ms);
    }
    client(&cloud).destroy(&machine).unwrap();
    assert!(cloud.book().paid().is_empty());
}

/// After a 429 the client waits as the headers say, with `Retry-After` and without.
#[test]
fn the_pause_that_the_headers_demand_is_kept() {
    for names_pause in [true, false] {
        let cloud = prepared(|manners| (manners.per_minute, manners.names_pause) = (12, names_pause));
        a_creation(&cloud);
        let book = cloud.book();
        assert_eq!(book.created, 1);
        // A person is told what is awaited and for how long.
        assert!(
            book.told
                .iter()
                .any(|line| line.contains("too many requests") && line.contains(". Try 2 of 6 follows in ")),
            "{:?}",
            book.told
        );
        // A client that does not wait would be refused again and again.
        assert!(
            book.refused_429 <= book.requests.len() / 8 + 1,
            "{} of {}",
            book.refused_429,
            book.requests.len()
        );
        assert!(book.refused_429 > 0);
    }
}

#[test]
fn a_pause_that_is_too_long_is_an_error_with_its_length() {
    let cloud = prepared(|_| {});
    cloud.book().hour_is_used_up = true;
    let error = client(&cloud).list().unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(
        error.sentence.contains("too many requests") && error.sentence.contains("try again in"),
        "{error}"
    );
}

/// Somebody else's droplet is never changed, whatever it is called.
#[test]
fn an_untagged_droplet_is_never_touched() {
    let cloud = prepared(|manners| manners.tags_ms = None);
    // It has the name that ours would have.
    let foreign = json!({"name": wanted().name, "size": "s-1vcpu-2gb", "region": "fra1", "image": "debian-12-x64",
        "ssh_keys": [42], "tags": []});
    {
        let mut book = cloud.book();
        book.create(&foreign);
        book.now_ms += 600_000;
    }
    let before = cloud.book().changes().len();
    let provider = client(&cloud);
    let error = provider.create(&wanted()).unwrap_err();
    assert!(error.sentence.contains("has its name, but not the tags"), "{error}");
    assert_eq!(provider.find(&wanted().name).unwrap(), None);
    let by_id = Machine { id: "500".to_owned(), ..Machine::default() };
    for refused in [provider.destroy(&by_id), provider.stop(&by_id)] {
        let error = refused.unwrap_err();
        assert_eq!(error.class, ErrorClass::Refused);
        assert!(error.sentence.contains("left alone"), "{error}");
    }
    let no_id = Machine { id: "500/../501".to_owned(), ..Machine::default() };
    assert!(provider.destroy(&no_id).is_err());
    let book = cloud.book();
    assert_eq!(book.changes().len(), before, "{:?}", book.changes());
    assert_eq!(book.paid(), [wanted().name.as_str()]);
}

#[test]
fn an_account_has_one_machine_only() {
    let cloud = prepared(|_| {});
    a_creation(&cloud);
    let second = NewMachine { name: "mission-control-acc0unt-2".to_owned(), ..wanted() };
    let error = client(&cloud).create(&second).unwrap_err();
    assert!(error.sentence.contains("has the machine mission-control-acc0unt-1 (500) already"), "{error}");
    assert_eq!(cloud.book().paid().len(), 1);
}

#[test]
fn long_lists_are_read_to_their_end() {
    let cloud = prepared(|manners| (manners.droplet_limit, manners.tags_ms) = (1000, Some(0)));
    for number in 0..450 {
        let body = json!({"name": format!("mission-control-a{number}-1"), "size": "s-1vcpu-2gb", "region": "fra1",
            "image": "debian-12-x64", "ssh_keys": [42], "tags": ["mission-control"]});
        cloud.book().create(&body);
    }
    cloud.book().now_ms += 60_000;
    assert_eq!(client(&cloud).list().unwrap().len(), 450);
    let lists =
        cloud.book().requests.iter().filter(|line| line.contains("tag_name=mission-control&")).count();
    assert_eq!(lists, 3);
}
