//! Real files and a real environment.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use mission_control_runtime::app::load::{Surroundings, load};
use mission_control_runtime::config::Configuration;
use tempfile::TempDir;

use super::{ACCOUNT, TOKEN, mistakes, warnings};

fn surroundings(folder: &TempDir) -> Surroundings {
    let variables = [
        ("ACCOUNT_ID", ACCOUNT),
        ("CONVEX_URL", "https://happy-otter-123.convex.cloud"),
        ("SERVICE_TOKEN", TOKEN),
        ("HOME", "/home/mc"),
    ];
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Surroundings {
        variables: variables.into(),
        default_env_file: folder.path().join("default.env"),
        working_directory: folder.path().to_owned(),
    }
}

fn with(mut surroundings: Surroundings, name: &str, value: impl Into<OsString>) -> Surroundings {
    surroundings.variables.push((name.into(), value.into()));
    surroundings
}

fn check_one(configuration: &Configuration, words: &str) {
    let mistakes = mistakes(configuration);
    assert!(configuration.settings.is_none());
    assert!(mistakes.len() == 1 && mistakes[0].contains(words), "{words}: {mistakes:#?}");
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// `--env-file F` must exist; without it, `/etc/mission-control-runtime.env` is optional.
#[test]
fn the_default_file_may_be_missing_and_a_named_one_may_not() {
    let folder = TempDir::new().unwrap();
    let around = surroundings(&folder);
    assert_eq!(load(None, &around).settings.unwrap().http.port, 3001);
    write(&around.default_env_file, "HEALTH_PORT=4001\n");
    assert_eq!(load(None, &around).settings.unwrap().http.port, 4001);
    let named = folder.path().join("named.env");
    let home = vec![("HOME".into(), "/home/mc".into())];
    let bare = Surroundings { variables: home, ..surroundings(&folder) };
    check_one(&load(Some(&named), &bare), "named.env cannot be used: there is no such file");
    check_one(&load(Some(&named), &around), "named.env cannot be used: there is no such file");
    write(&named, "HEALTH_HOST=localhost\n");
    let settings = load(Some(&named), &around).settings.unwrap();
    assert_eq!(
        (settings.http.host.as_str(), settings.http.port),
        ("localhost", 3001),
        "only one file counts"
    );
}

/// A missing or unreadable env file is a clear error.
#[test]
fn an_unusable_env_file_is_a_clear_error() {
    let folder = TempDir::new().unwrap();
    let around = surroundings(&folder);
    let path = folder.path().join("x.env");
    check_one(&load(Some(folder.path()), &around), "it is a directory, not a file");
    write(&path, vec![b'#'; 1024 * 1024 + 1]);
    check_one(&load(Some(&path), &around), "it is larger than 1024 KiB");
    write(&path, b"HEALTH_PORT=\xff\n");
    check_one(&load(Some(&path), &around), "it is not UTF-8 text");
    check_one(&load(Some(&path.join("below")), &around), "there is no such file");
    check_one(&load(Some(Path::new("/dev/zero")), &around), "it is not a regular file");
    let loop_ = folder.path().join("loop");
    symlink(&loop_, &loop_).unwrap();
    check_one(&load(Some(&loop_), &around), "it cannot be read");
    // An existing default file is checked like any other.
    fs::create_dir(&around.default_env_file).unwrap();
    check_one(&load(None, &around), "default.env cannot be used: it is a directory");
}

#[test]
fn a_world_readable_file_with_secrets_is_warned() {
    let folder = TempDir::new().unwrap();
    let around = surroundings(&folder);
    write(&around.default_env_file, format!("SERVICE_TOKEN={TOKEN}\n"));
    assert_eq!(warnings(&load(None, &around)), Vec::<String>::new());
    fs::set_permissions(&around.default_env_file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(warnings(&load(None, &around))[0].contains("chmod 600"));
}

#[test]
fn secrets_are_read_from_files() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway-token");
    let around = with(surroundings(&folder), "OPENCLAW_GATEWAY_TOKEN_FILE", &path);
    check_one(&load(None, &around), "there is no such file");
    write(&path, "t0k3n-t0k3n\n");
    let loaded = load(None, &around);
    assert_eq!(warnings(&loaded), Vec::<String>::new());
    assert_eq!(loaded.settings.unwrap().gateway.token.unwrap().expose(), "t0k3n-t0k3n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let shown = path.display();
    assert_eq!(
        warnings(&load(None, &around)),
        [format!(
            "OPENCLAW_GATEWAY_TOKEN_FILE={shown}: the file contains a secret, and every user of this machine can \
             read it. Run chmod 600 on it."
        )]
    );
    write(&path, vec![b'x'; 64 * 1024 + 1]);
    check_one(&load(None, &around), "it is larger than 64 KiB");
    write(&path, b"\xff\xfe");
    check_one(&load(None, &around), "it is not UTF-8 text");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    check_one(&load(None, &around), "it is a directory, not a file");
}

/// An invalid certificate file is reported with the other mistakes.
#[test]
fn certificates_must_be_a_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("roots.pem");
    let around = with(surroundings(&folder), "SSL_CERT_FILE", &path);
    check_one(&load(None, &around), "there is no such file");
    let commented = surroundings(&folder);
    write(&commented.default_env_file, format!("SSL_CERT_FILE={}  # our own\n", folder.path().display()));
    let loaded = load(None, &commented);
    check_one(&loaded, "default.env, line 1): a comment after a value is part of the value here");
    assert_eq!(warnings(&loaded), Vec::<String>::new());
    fs::remove_file(&commented.default_env_file).unwrap();
    fs::create_dir(&path).unwrap();
    check_one(&load(None, &around), "it is a directory, not a file");
    fs::remove_dir(&path).unwrap();
    write(&path, "");
    check_one(&load(None, &around), "it contains no certificate");
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    write(&path, certificate);
    assert_eq!(load(None, &around).settings.unwrap().ssl_cert_file, Some(path));
    let unset = with(surroundings(&folder), "SSL_CERT_FILE", "");
    assert_eq!(load(None, &unset).settings.unwrap().ssl_cert_file, None);
}

/// Values that are not UTF-8: a mistake in our variables, ignored in others.
#[test]
fn bytes_that_are_not_utf8() {
    let folder = TempDir::new().unwrap();
    let bytes = || OsString::from_vec(vec![b'x', 0xff]);
    check_one(
        &load(None, &with(surroundings(&folder), "STATE_DIR", bytes())),
        "STATE_DIR (environment) is ***: it is not UTF-8",
    );
    let mut others = with(surroundings(&folder), "SOMEBODY_ELSE", bytes());
    others.variables.push((bytes(), "x".into()));
    assert!(load(None, &others).settings.is_some());
}
