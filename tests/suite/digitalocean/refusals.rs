//! Bad input: each is a sentence with the step and the mend, and nothing costs money that is not shown.

use mission_control_runtime::provision::digitalocean::{
    DigitalOcean, DigitalOceanLimits, USER_DATA_BYTES_MAX,
};
use mission_control_runtime::provision::request::{EntryState, OnTimeout, Step, WantedMachine};
use mission_control_runtime::provision::{Machine, MachineSize, NewMachine, Provider as _, StartData};
use mission_control_runtime::secret::Secret;

use super::cloud::{Cloud, Manners, TOKEN};
use super::crashes::AtOnce;
use super::simulated::{SharedBook, client, lives, wanted, wanted_machine};

/// Each bad value, refused by the check. The rule is the API's own, so the double would refuse it as well.
#[test]
fn each_bad_value_is_refused_before_anything_is_created() {
    type Change = fn(&mut NewMachine, &mut Manners);
    let rows: [(&str, Change); 15] = [
        ("there is no region mars; set PROVISION_REGION to one of fra1, nyc1, tor1", |new, _| {
            new.region = "mars".into();
        }),
        ("the region tor1 takes no new machines now", |new, _| new.region = "tor1".into()),
        (
            "the region fra1 does not offer the size c-60-intel; set another PROVISION_SIZE, or PROVISION_REGION to one of nyc1",
            |new, _| new.size = MachineSize::Listed("c-60-intel".into()),
        ),
        ("does not offer the size huge", |new, _| new.size = MachineSize::Listed("huge".into())),
        ("a droplet needs a size of the price list", |new, _| {
            new.size = MachineSize::Resources { cpus: 1, memory_mb: 512 }
        }),
        ("a droplet takes user data", |new, _| new.start = StartData::Environment(Vec::new())),
        ("there is no image windows; set PROVISION_IMAGE", |new, _| new.image = "windows".into()),
        ("its user data has 65537 bytes, 65536 are allowed", |new, _| {
            new.start = StartData::UserData(Secret::new("x".repeat(USER_DATA_BYTES_MAX + 1)));
        }),
        ("its name needs letters", |new, _| new.name = "a b".into()),
        ("its name needs letters", |new, _| new.name = "a-".into()),
        ("it needs an account id", |new, _| new.account = None),
        ("droplet limit is reached: destroy a machine", |_, manners| manners.droplet_limit = 0),
        ("the token lacks a scope", |_, manners| manners.forbidden = vec!["/v2/account"]),
        ("the token lacks a scope", |_, manners| manners.forbidden = vec!["/v2/regions"]),
        ("the SSH keys cannot be read: the token lacks a scope", |_, manners| {
            manners.forbidden = vec!["/v2/account/keys"];
        }),
    ];
    for (part, change) in rows {
        let (mut new, mut manners) = (wanted(), Manners::default());
        change(&mut new, &mut manners);
        let cloud = Cloud::new(1, manners);
        let error = client(&cloud).check(&new).unwrap_err();
        assert!(error.sentence.contains(part), "{part}: {error}");
        assert!(!error.sentence.contains(TOKEN), "{error}");
        let book = cloud.book();
        assert!(book.changes().is_empty() && book.created == 0, "{part}: {:?}", book.changes());
    }
}

#[test]
fn a_good_request_has_a_price_and_a_rest() {
    let cloud = Cloud::new(1, Manners::default());
    let quote = client(&cloud).check(&wanted()).unwrap();
    assert_eq!(quote.monthly_usd.as_deref(), Some("12.00"));
    assert_eq!(quote.machines_left, Some(10));
    assert!(cloud.book().changes().is_empty());
    // Images may be hidden from the token.
    let cloud = Cloud::new(1, Manners { forbidden: vec!["/v2/images"], ..Manners::default() });
    client(&cloud).check(&wanted()).unwrap();
}

#[test]
fn keys_must_exist_and_one_is_needed() {
    let cloud = Cloud::new(1, Manners::default());
    let with = |keys: Vec<String>| {
        let (naming, pace) = (super::simulated::naming(), super::simulated::CloudPace(cloud.clone()));
        let transport = super::simulated::direct(&cloud);
        let limits = DigitalOceanLimits::default();
        DigitalOcean::with_parts(transport, std::sync::Arc::new(pace), (naming, keys), limits)
            .check(&wanted())
    };
    with(vec![super::api_lists::KEY_FINGERPRINT.to_owned()]).unwrap();
    assert!(with(Vec::new()).unwrap_err().sentence.contains("no SSH key is named"));
    assert!(with(vec!["7".to_owned()]).unwrap_err().sentence.contains("the account has no SSH key 7"));
}

/// The steps say which of them failed; a machine that may cost money is named with its end.
#[test]
fn a_failed_step_is_written_down_and_says_what_costs_money() {
    let rows: [(Step, &str, bool); 4] = [
        (Step::Check, "GET /v2/regions", false),
        (Step::Prepare, "POST /v2/firewalls", false),
        (Step::Create, "POST /v2/droplets", false),
        (Step::Create, "/firewalls?", true),
    ];
    for (step, part, costs) in rows {
        let cloud = Cloud::new(1, Manners::default());
        let book = SharedBook::default();
        // The last row: the machine exists, and the firewall cannot be read.
        let forbidden = if costs { "GET /v2/droplets/500/firewalls" } else { part };
        cloud.book().manners.forbidden = vec![forbidden];
        let failed = lives(&cloud, &book, |it| it.provision(&wanted_machine(), &AtOnce, OnTimeout::Keep));
        let failure = failed.unwrap_or_else(|_| panic!("nothing dies here")).unwrap_err();
        assert_eq!(failure.step, step, "{failure}");
        assert_eq!(failure.left.is_some(), costs, "{part}: {failure:?}");
        assert_eq!(!cloud.book().paid().is_empty(), costs, "{part}");
        let entry = book.entries.lock().unwrap()[0].clone();
        assert_eq!((entry.state, entry.step, entry.may_exist), (EntryState::Failed, Some(step), costs));
        if let Some(left) = failure.left {
            assert!(left.contains("provision destroy --account acc0unt"), "{left}");
        }
        // Once the mistake is mended, the next run gets there.
        cloud.book().manners.forbidden.clear();
        let entry = lives(&cloud, &book, |it| it.provision(&wanted_machine(), &AtOnce, OnTimeout::Keep));
        let entry = entry.unwrap_or_else(|_| panic!("nothing dies here")).unwrap();
        assert_eq!(entry.state, EntryState::Online);
        assert_eq!(cloud.counts(), (1, 1), "{part}");
    }
}

#[test]
fn a_region_that_is_full_now_is_refused_by_the_creation_and_nothing_is_left() {
    let cloud = Cloud::new(1, Manners::default());
    client(&cloud).prepare(&wanted()).unwrap();
    let new = NewMachine { size: MachineSize::Listed("c-60-intel".into()), ..wanted() };
    let error = client(&cloud).create(&new).unwrap_err();
    assert!(error.sentence.contains("the region does not offer it now"), "{error}");
    let limited = Cloud::new(1, Manners { droplet_limit: 0, ..Manners::default() });
    client(&limited).prepare(&wanted()).unwrap();
    let error = client(&limited).create(&wanted()).unwrap_err();
    assert!(error.sentence.contains("droplet limit is reached"), "{error}");
    for cloud in [cloud, limited] {
        assert!(cloud.book().paid().is_empty());
    }
}

/// An account whose id could mean another one has a tag of its own.
#[test]
fn accounts_with_similar_ids_have_machines_of_their_own() {
    let cloud = Cloud::new(1, Manners::default());
    let book = SharedBook::default();
    for account in ["acc", "Acc", "a-cc"] {
        let wanted = WantedMachine { account: account.to_owned(), ..wanted_machine() };
        let done = lives(&cloud, &book, |it| it.provision(&wanted, &AtOnce, OnTimeout::Keep));
        done.unwrap_or_else(|_| panic!("nothing dies here")).unwrap();
    }
    assert_eq!(cloud.book().paid().len(), 3);
    let gone =
        lives(&cloud, &book, |it| it.destroy("Acc")).unwrap_or_else(|_| panic!("nothing dies here")).unwrap();
    assert_eq!(gone.len(), 1);
    let left: Vec<Machine> = client(&cloud).list().unwrap();
    let accounts: Vec<_> = left.iter().filter_map(|machine| machine.account.as_deref()).collect();
    assert_eq!(accounts, ["acc", "a-cc"]);
}
