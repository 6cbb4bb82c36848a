//! The data directory: its files, their permissions, its failures, and exports.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use mission_control_runtime::clock::SystemClock;
use mission_control_runtime::local::{
    Caller, Data, DataLocation, Engine, Kind, Opening, Options, Owner, Seed,
};
use mission_control_runtime::secret::Secret;
use serde_json::{Value, json};
use tempfile::TempDir;

/// 32 bytes in base64.
const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn opening(directory: &Path) -> Opening {
    Opening {
        location: DataLocation::Directory(directory.to_owned()),
        seed: Seed::Nothing,
        master_key: None,
        options: Options::default(),
    }
}

fn open(directory: &Path) -> Result<Data, String> {
    Data::open(&opening(directory), Box::new(SystemClock)).map_err(|why| why.to_string())
}

fn refused(directory: &Path) -> String {
    open(directory).err().expect("this should have been refused")
}

fn call(data: &Data, kind: Kind, path: &str, mut args: Value) -> Value {
    args["accountId"] = json!(data.account);
    let (status, answer) = data.engine.call(kind, path, &args, Caller::Person, "0123456789abcdef");
    assert_eq!((status, &answer["status"]), (200, &json!("success")), "{path}: {answer}");
    answer["value"].clone()
}

fn store_key(data: &Data) {
    let args = json!({"provider": "openai", "key": "sk-test-0123456789"});
    call(data, Kind::Mutation, "secrets:upsertProviderKey", args);
}

fn stored_key(data: &Data) -> Value {
    let args = json!({"serviceToken": data.service_token.as_ref().unwrap().expose()});
    call(data, Kind::Action, "service/actions:getRuntimeSecrets", args)["keys"][0]["value"].clone()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_directory_is_private_and_keeps_its_data() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("deep/data");
    let first = open(&directory).unwrap();
    assert!(first.is_new);
    let (account, admin_key) = (first.account.clone(), first.admin_key.clone());
    let token = first.service_token.clone().unwrap();
    store_key(&first);
    drop(first);

    assert_eq!(mode(&directory), 0o700);
    let mut names: Vec<String> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["admin-key", "files", "master-key", "mission-control.sqlite", "service-token", "worker-token"]
    );
    for name in names {
        let expected = if name == "files" { 0o700 } else { 0o600 };
        assert_eq!(mode(&directory.join(&name)), expected, "{name}");
    }

    let again = open(&directory).unwrap();
    assert!(!again.is_new);
    assert_eq!((&again.account, &again.admin_key), (&account, &admin_key));
    assert_eq!(again.service_token, Some(token));
    assert_eq!(stored_key(&again), "sk-test-0123456789");
}

#[test]
fn files_that_others_could_read_become_private() {
    let home = TempDir::new().unwrap();
    drop(open(home.path()).unwrap());
    for name in ["admin-key", "master-key", "mission-control.sqlite", "service-token"] {
        fs::set_permissions(home.path().join(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    drop(open(home.path()).unwrap());
    for name in ["admin-key", "master-key", "mission-control.sqlite", "service-token"] {
        assert_eq!(mode(&home.path().join(name)), 0o600, "{name}");
    }
}

/// A token that another system created.
fn foreign_token(data: &Data, end: &str) -> String {
    format!("mc_service_{}_{end}", data.account)
}

#[test]
fn the_token_file_follows_the_valid_token() {
    let home = TempDir::new().unwrap();
    let next = home.path().join("service-token.next");
    let data = open(home.path()).unwrap();
    let mut made = String::new();
    for _ in 0..3 {
        let answer = call(&data, Kind::Action, "service/actions:provisionServiceToken", json!({}));
        made = answer["token"].as_str().unwrap().to_owned();
        // The file is updated immediately, not only at the next start.
        assert!(fs::read_to_string(home.path().join("service-token")).unwrap().trim() == made);
    }
    assert!(!next.exists() && mode(&home.path().join("service-token")) == 0o600);
    drop(data);
    let data = open(home.path()).unwrap();
    assert!(data.service_token == Some(Secret::new(made)));

    let foreign = foreign_token(&data, "made_elsewhere");
    let args = json!({"serviceToken": format!(" {foreign} ")});
    call(&data, Kind::Action, "service/actions:syncServiceToken", args);
    drop(data);
    assert!(open(home.path()).unwrap().service_token == Some(Secret::new(foreign)));
    assert!(!next.exists());
}

#[test]
fn a_new_token_that_cannot_be_written_is_refused_and_the_old_one_stays_valid() {
    let home = TempDir::new().unwrap();
    let data = open(home.path()).unwrap();
    store_key(&data);
    let before = data.service_token.clone();
    let obstacle = home.path().join("service-token.next");
    fs::create_dir(&obstacle).unwrap();
    let foreign = json!({"accountId": data.account, "serviceToken": foreign_token(&data, "x")});
    for (name, args) in
        [("provisionServiceToken", json!({"accountId": data.account})), ("syncServiceToken", foreign)]
    {
        let path = format!("service/actions:{name}");
        let (status, answer) =
            data.engine.call(Kind::Action, &path, &args, Caller::Person, "0123456789abcdef");
        assert_eq!((status, &answer["code"]), (500, &json!("InternalServerError")), "{answer}");
        let why = answer["message"].as_str().unwrap();
        assert!(why.contains("/service-token.next could not be removed"), "{why}");
    }
    assert_eq!(stored_key(&data), "sk-test-0123456789");
    fs::remove_dir(&obstacle).unwrap();
    drop(data);
    assert!(open(home.path()).unwrap().service_token == before);
}

#[test]
fn an_interrupted_new_token_is_completed_or_dropped() {
    let home = TempDir::new().unwrap();
    let (path, next) = (home.path().join("service-token"), home.path().join("service-token.next"));
    let data = open(home.path()).unwrap();
    let token = data.service_token.clone();
    let strange = foreign_token(&data, "x");
    drop(data);
    // Interrupted before the database had the token: the old one stays.
    fs::write(&next, &strange).unwrap();
    assert!(open(home.path()).unwrap().service_token == token);
    assert!(!next.exists());
    // Interrupted afterwards: the new token replaces the old one.
    fs::rename(&path, &next).unwrap();
    fs::write(&path, &strange).unwrap();
    assert!(open(home.path()).unwrap().service_token == token);
    assert!(!next.exists() && open(home.path()).unwrap().service_token == token);
}

#[test]
fn an_invalid_token_is_not_printed() {
    let home = TempDir::new().unwrap();
    let data = open(home.path()).unwrap();
    let token = fs::read(home.path().join("service-token")).unwrap();
    // A token that would fill more than one line of an env file is not kept.
    let strange = foreign_token(&data, "x\nADMIN_KEY=y");
    call(&data, Kind::Action, "service/actions:syncServiceToken", json!({"serviceToken": strange}));
    drop(data);
    assert_eq!(open(home.path()).unwrap().service_token, None);
    assert!(fs::read(home.path().join("service-token")).unwrap() == token);
    fs::remove_file(home.path().join("service-token")).unwrap();
    assert_eq!(open(home.path()).unwrap().service_token, None);
}

#[test]
fn in_memory_there_are_no_files() {
    let opening = Opening { location: DataLocation::parse(":memory:"), ..opening(Path::new("unused")) };
    let data = Data::open(&opening, Box::new(SystemClock)).unwrap();
    store_key(&data);
    assert_eq!(stored_key(&data), "sk-test-0123456789");
    assert!(data.is_new && data.admin_key.expose().starts_with("mc_admin_"));
    assert!(!Path::new(":memory:").exists());
}

/// The keys in the directory give full access. So no other user may be able to place one there or redirect a write.
#[test]
fn a_directory_that_others_control_is_refused() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("data");
    drop(open(&directory).unwrap());
    let mode = |mode| fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
    for open_to_others in [0o770, 0o702, 0o1777] {
        mode(open_to_others);
        let why = refused(&directory);
        assert!(why.contains(&format!("can be changed by other users (mode {open_to_others:o})")), "{why}");
    }
    mode(0o755);
    drop(open(&directory).unwrap());
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    let victim = home.path().join("victim");
    fs::write(&victim, "a file of another program").unwrap();
    for name in
        ["admin-key", "service-token", "master-key", "mission-control.sqlite", "mission-control.sqlite-wal"]
    {
        let (path, aside) = (directory.join(name), home.path().join("aside"));
        let was_there = fs::rename(&path, &aside).is_ok();
        symlink(&victim, &path).unwrap();
        let why = refused(&directory);
        assert!(why.contains(name) && why.contains("it is a symbolic link"), "{why}");
        fs::remove_file(&path).unwrap();
        if was_there {
            fs::rename(&aside, &path).unwrap();
        }
    }
    // A draft of a killed process or of another user is replaced, and its link is not followed.
    fs::remove_file(directory.join("admin-key")).unwrap();
    symlink(&victim, directory.join("admin-key.new")).unwrap();
    drop(open(&directory).unwrap());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "a file of another program");
    assert!(fs::symlink_metadata(directory.join("admin-key")).unwrap().is_file());
}

#[test]
fn every_mistake_is_a_clear_error() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(refused(&file).ends_with("/file is not a directory; set --data to a separate directory"));
    assert!(refused(&file.join("below")).contains("/file/below could not be opened ("));

    let directory = home.path().join("data");
    drop(open(&directory).unwrap());
    let with = |name: &str, content: &[u8]| {
        let path = directory.join(name);
        let before = fs::read(&path).unwrap();
        fs::write(&path, content).unwrap();
        let why = refused(&directory);
        fs::write(&path, before).unwrap();
        why
    };
    assert!(with("admin-key", b"short").contains("/admin-key: this is no admin key (at least 16"));
    assert!(with("admin-key", b"").contains("/admin-key: this is no admin key (at least 16"));
    assert!(
        with("master-key", b"c2hvcnQ=").contains("/master-key: the master key has 5 bytes; it must have 32")
    );
    assert!(with("master-key", b"what?").contains("/master-key: the master key is not base64"));
    fs::remove_file(directory.join("admin-key")).unwrap();
    fs::create_dir(directory.join("admin-key")).unwrap();
    assert!(refused(&directory).contains("/admin-key could not be read ("));
    fs::remove_dir(directory.join("admin-key")).unwrap();
    open(&directory).unwrap();
}

#[test]
fn a_wrong_or_missing_master_key_is_a_clear_error() {
    let home = TempDir::new().unwrap();
    let data = open(home.path()).unwrap();
    store_key(&data);
    drop(data);
    let path = home.path().join("master-key");
    let right = fs::read(&path).unwrap();

    fs::write(&path, MASTER).unwrap();
    assert!(refused(home.path()).starts_with("the provider keys are sealed with master key "));
    fs::remove_file(&path).unwrap();
    let why = refused(home.path());
    assert!(
        why.starts_with("provider keys are stored here, but the master key that sealed them is missing"),
        "{why}"
    );
    assert!(!path.exists(), "no new key replaces it");

    // The environment overrides the file.
    let given = |key: &str| {
        let opening = Opening { master_key: Some(Secret::new(key)), ..opening(home.path()) };
        Data::open(&opening, Box::new(SystemClock))
    };
    assert_eq!(stored_key(&given(str::from_utf8(&right).unwrap()).unwrap()), "sk-test-0123456789");
    let why = given(MASTER).err().unwrap().to_string();
    assert!(why.starts_with("the provider keys are sealed with master key "), "{why}");
    let why = given("short").err().unwrap().to_string();
    assert!(why.starts_with("the master key is not base64"), "{why}");
}

#[test]
fn an_unusable_database_is_a_clear_error() {
    let home = TempDir::new().unwrap();
    let data = open(home.path()).unwrap();
    let why = refused(home.path());
    assert!(why.starts_with("another process has the data open"), "{why}");
    drop(data);

    let path = home.path().join("mission-control.sqlite");
    let good = fs::read(&path).unwrap();
    let sql = |statement: &str| {
        rusqlite::Connection::open(&path).unwrap().execute_batch(statement).unwrap();
        let why = refused(home.path());
        fs::write(&path, &good).unwrap();
        why
    };
    let why = sql("PRAGMA user_version = 99");
    assert!(
        why.starts_with("the data was written by a newer version (layout 99, this program supports up to 3)"),
        "{why}"
    );
    let why = sql("PRAGMA application_id = 7");
    assert!(why.starts_with("the data is damaged (it is another program's database)"), "{why}");

    fs::write(&path, "this is a letter to my aunt, and by no means a database").unwrap();
    let why = refused(home.path());
    assert!(why.starts_with("the data is damaged (file is not a database)"), "{why}");
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    let why = refused(home.path());
    assert!(why.starts_with("the data is damaged ("), "{why}");
    fs::write(&path, &good).unwrap();
    open(home.path()).unwrap();
}

#[test]
fn rotation_replaces_the_key_in_the_file() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("master-key");
    let mut data = open(home.path()).unwrap();
    store_key(&data);
    let old = fs::read(&path).unwrap();
    assert_eq!(data.rotate_key(None).unwrap(), 1);
    assert_eq!(stored_key(&data), "sk-test-0123456789");
    let new = fs::read(&path).unwrap();
    assert!(old != new && mode(&path) == 0o600);
    assert_eq!(data.rotate_key(Some(&Secret::new(MASTER))).unwrap(), 1);
    drop(data);
    assert_eq!(fs::read_to_string(&path).unwrap().trim(), MASTER);
    let data = open(home.path()).unwrap();
    assert_eq!(stored_key(&data), "sk-test-0123456789");
    drop(data);

    // Interrupted before the rotation was committed: the old key stays. The next key may be half written.
    let next = home.path().join("master-key.next");
    for content in [old.as_slice(), b"AAEC"] {
        fs::write(&next, content).unwrap();
        assert_eq!(stored_key(&open(home.path()).unwrap()), "sk-test-0123456789");
        assert!(!next.exists());
    }
    // Interrupted afterwards: the next key replaces the old one.
    fs::rename(&path, &next).unwrap();
    fs::write(&path, &old).unwrap();
    assert_eq!(stored_key(&open(home.path()).unwrap()), "sk-test-0123456789");
    assert_eq!(fs::read_to_string(&path).unwrap().trim(), MASTER);
    assert!(!next.exists());
}

#[test]
fn rotation_of_a_given_key_needs_another_given_key() {
    let home = TempDir::new().unwrap();
    let given = Opening { master_key: Some(Secret::new(MASTER)), ..opening(home.path()) };
    let mut data = Data::open(&given, Box::new(SystemClock)).unwrap();
    store_key(&data);
    assert!(!home.path().join("master-key").exists(), "it is not written to a file");
    let why = data.rotate_key(None).unwrap_err().to_string();
    assert!(why.starts_with("the master key comes from SECRETS_MASTER_KEY_BASE64, so the next one"), "{why}");
    let why = data.rotate_key(Some(&Secret::new("AAEC"))).unwrap_err().to_string();
    assert!(why.starts_with("the master key has 3 bytes"), "{why}");
    assert_eq!(data.rotate_key(Some(&Secret::new(MASTER.replace('A', "B")))).unwrap(), 1);
    assert_eq!(stored_key(&data), "sk-test-0123456789");
    assert!(!home.path().join("master-key").exists());
}

#[test]
fn an_imported_export_exports_the_same() {
    let home = TempDir::new().unwrap();
    let master = Some(Secret::new(MASTER));
    let demo = Opening { seed: Seed::Demo, master_key: master.clone(), ..opening(&home.path().join("one")) };
    let one = Data::open(&demo, Box::new(SystemClock)).unwrap();
    store_key(&one);
    // The first fetch is noted, in both of them.
    stored_key(&one);
    let file = home.path().join("copy.json");
    one.export(&file).unwrap();
    assert_eq!(mode(&file), 0o600);
    let why = one.export(&file).unwrap_err().to_string();
    assert!(why.contains("/copy.json could not be written ("), "not overwritten: {why}");

    let two = Opening { master_key: master, ..opening(&home.path().join("two")) };
    let two = Data::import(&two, &file, Box::new(SystemClock)).unwrap();
    assert_eq!(stored_key(&two), "sk-test-0123456789");
    let mut copies = [&one, &two].map(|data| data.engine.export().unwrap());
    // Only the token is new, because the export contains only the hash of the old one.
    for copy in &mut copies {
        let hash = copy["tables"]["accounts"][0].as_object_mut().unwrap().remove("serviceTokenHash");
        assert!(hash.is_some());
    }
    // `assert_eq!` would print both.
    assert!(copies[0] == copies[1]);
    assert!(one.service_token != two.service_token);

    let Err(why) = Data::import(&demo_in(&home, "two"), &file, Box::new(SystemClock)) else {
        panic!("twice")
    };
    assert!(why.to_string().contains("another process has the data open"));
    drop(two);
    let Err(why) = Data::import(&demo_in(&home, "two"), &file, Box::new(SystemClock)) else {
        panic!("twice")
    };
    assert!(
        why.to_string().ends_with("the directory contains data already; set --data to an empty directory"),
        "{why}"
    );
    // Without the master key the sealed keys would be useless, so nothing is imported.
    let Err(why) = Data::import(&opening(&home.path().join("three")), &file, Box::new(SystemClock)) else {
        panic!("without its key")
    };
    assert!(why.to_string().contains("the provider keys are sealed with master key "), "{why}");
    assert!(open(&home.path().join("three")).unwrap().is_new, "the directory is still empty");
}

#[test]
fn an_export_replaces_nothing_and_leaves_no_draft() {
    let home = TempDir::new().unwrap();
    let data = open(&home.path().join("data")).unwrap();
    let place = home.path().join("copies");
    fs::create_dir(&place).unwrap();
    std::os::unix::fs::symlink("nowhere", place.join("dangling")).unwrap();
    fs::write(place.join("letter"), "to my aunt").unwrap();
    for name in ["dangling", "letter"] {
        let why = data.export(&place.join(name)).unwrap_err().to_string();
        assert!(why.contains(" could not be written (entity already exists); check the path"), "{why}");
    }
    let why = data.export(&place.join("deep/copy")).unwrap_err().to_string();
    assert!(why.contains("/deep/copy could not be written (No such file"), "{why}");
    assert_eq!(fs::read_to_string(place.join("letter")).unwrap(), "to my aunt");
    assert_eq!(fs::read_dir(&place).unwrap().count(), 2);
    data.export(&place.join("copy")).unwrap();
    assert_eq!((fs::read_dir(&place).unwrap().count(), mode(&place.join("copy"))), (3, 0o600));
}

#[test]
fn only_existing_data_are_exported() {
    let home = TempDir::new().unwrap();
    let existing = |opening: &Opening| Data::existing(opening, Box::new(SystemClock));
    let refused = |opening: &Opening| existing(opening).err().unwrap().to_string();
    let empty = || fs::read_dir(home.path()).unwrap().count() == 0;
    let nothing = "no data of a Mission Control exist in ";
    assert!(refused(&opening(home.path())).starts_with(nothing) && empty());
    assert!(refused(&opening(&home.path().join("gone"))).starts_with(nothing) && empty());
    let memory = Opening { location: DataLocation::Memory, ..opening(home.path()) };
    let in_memory = "data in memory are lost when this command ends; set --data to a directory";
    assert_eq!(refused(&memory), in_memory);
    let import = Data::import(&memory, Path::new("gone"), Box::new(SystemClock));
    assert_eq!(import.err().unwrap().to_string(), in_memory);

    // An interrupted first start that created no account.
    fs::write(home.path().join("mission-control.sqlite"), "").unwrap();
    assert!(refused(&opening(home.path())).starts_with(nothing));
    drop(Engine::open(
        &home.path().join("mission-control.sqlite"),
        Box::new(SystemClock),
        Options::default(),
    ));
    assert!(refused(&opening(home.path())).starts_with(nothing));
    assert!(!home.path().join("service-token").exists());

    drop(open(home.path()).unwrap());
    assert!(!existing(&opening(home.path())).unwrap().is_new);
    fs::write(home.path().join("mission-control.sqlite"), "").unwrap();
    assert!(refused(&opening(home.path())).contains("it is empty or missing, but the token of its account"));
}

fn demo_in(home: &TempDir, name: &str) -> Opening {
    Opening { master_key: Some(Secret::new(MASTER)), ..opening(&home.path().join(name)) }
}

/// A change of an export.
type Change = &'static dyn Fn(&mut Value);

#[test]
fn an_invalid_export_is_refused_completely() {
    let engine = || Engine::in_memory(Box::new(SystemClock), Options::default()).unwrap();
    let source = engine();
    source
        .create_account("Acme", "acme", Owner { user_id: "u", name: "Dana", email: "d@example.com" })
        .unwrap();
    let good = source.export().unwrap();
    let with = |change: Change| {
        let mut copy = good.clone();
        change(&mut copy);
        let engine = engine();
        let why = engine.import(&copy).unwrap_err().to_string();
        assert_eq!(engine.export().unwrap()["tables"]["accounts"], json!([]), "nothing is imported: {why}");
        why
    };
    let rows: [(Change, &str); 11] = [
        (&|copy| *copy = json!([]), "this is not an export of the embedded Mission Control"),
        (&|copy| copy["format"] = json!("other"), "this is not an export of the embedded Mission Control"),
        (
            &|copy| copy["version"] = json!(2),
            "the export was made by a newer version (format 2, this program supports up to 1)",
        ),
        (&|copy| copy["version"] = Value::Null, "the export contains no version"),
        (&|copy| copy["tables"] = json!(1), "the export has no tables"),
        (&|copy| copy["tables"]["boats"] = json!([]), "the export contains the unknown table boats"),
        (&|copy| copy["tables"]["tasks"] = json!({}), "the table tasks of the export is not a list"),
        (
            &|copy| copy["tables"]["accounts"][0]["_id"] = Value::Null,
            "the export has a row of accounts without _id or _creationTime",
        ),
        (&|copy| copy["tables"]["memberships"][0]["boat"] = json!(1), ", field boat: unknown field)"),
        (&|copy| copy["tables"]["memberships"][0]["role"] = json!(1), ", field role: invalid type"),
        (
            &|copy| {
                let row = copy["tables"]["memberships"][0].clone();
                copy["tables"]["memberships"].as_array_mut().unwrap().push(row);
            },
            "the export has two rows of memberships with the same _id",
        ),
    ];
    for (change, begins) in rows {
        let why = with(change);
        assert!(why.contains(begins), "{why}");
    }
    let why = source.import(&good).unwrap_err().to_string();
    assert!(why.starts_with("data exist already"), "{why}");
    let target = engine();
    assert_eq!(target.import(&good).unwrap(), 3);
    assert_eq!(target.export().unwrap(), good);

    let home = TempDir::new().unwrap();
    let file = home.path().join("copy");
    let Err(why) = Data::import(&opening(&home.path().join("data")), &file, Box::new(SystemClock)) else {
        panic!("there is no such file")
    };
    assert!(why.to_string().contains("/copy could not be read ("), "{why}");
    fs::write(&file, "{").unwrap();
    let seeded = Opening { seed: Seed::parse(file.to_str().unwrap()), ..opening(&home.path().join("data")) };
    let Err(why) = Data::open(&seeded, Box::new(SystemClock)) else { panic!("that is no JSON") };
    assert!(why.to_string().contains("/copy could not be imported: it is not valid JSON ("), "{why}");
}
