//! The trusted certificate authorities, which vouch for servers.
//!
//! The first of these sources is used:
//!
//! 1. the file that `SSL_CERT_FILE` names, if it is set;
//! 2. the system's bundle;
//! 3. the list in this program (Mozilla's, from the `webpki-roots` crate), so that an empty container image
//!    works.
//!
//! A file that a person named must be right. Any defect is reported at the start, and no other source is
//! tried.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// The usual places of the system's bundle. The first with a certificate is used.
const SYSTEM_BUNDLES: [&str; 6] = [
    // Debian, Ubuntu, Alpine, Arch
    "/etc/ssl/certs/ca-certificates.crt",
    // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    // openSUSE
    "/etc/ssl/ca-bundle.pem",
    // Alpine's libressl, the BSDs, macOS
    "/etc/ssl/cert.pem",
    // OpenELEC
    "/etc/pki/tls/cacert.pem",
];

/// A bundle has some hundred kilobytes. A file over 16 MiB is no bundle, and is not read into memory.
const BUNDLE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The trusted authorities, with the TLS configuration made of them. Clones share both.
///
/// Without `SSL_CERT_FILE` the system's bundle is read at the first `https` connection or question.
#[derive(Clone, Debug, Default)]
pub struct Roots(Arc<OnceLock<Loaded>>);

#[derive(Debug)]
struct Loaded {
    source: RootsSource,
    count: usize,
    /// Shared by all agents, so one agent can resume the TLS session of another.
    tls: Arc<ClientConfig>,
}

/// Where the trusted authorities come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootsSource {
    /// The file that `SSL_CERT_FILE` names.
    Named(PathBuf),
    /// The system's bundle.
    System(PathBuf),
    /// The list inside this program.
    Bundled,
}

/// A certificate file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRoots {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: BadRootsReason,
}

/// What is wrong with a certificate file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRootsReason {
    /// There is no such file.
    Missing,
    /// It is a directory (that would be `SSL_CERT_DIR`).
    Directory,
    /// It exists, but cannot be read.
    Unreadable(io::ErrorKind),
    /// It is larger than any bundle.
    TooLarge,
    /// It can be read, but has no certificate in it.
    Empty,
    /// The n-th certificate in the file is malformed.
    Malformed(usize),
}

impl Roots {
    /// Loads the authorities. `named` is the value of `SSL_CERT_FILE`.
    pub fn load(named: Option<&Path>) -> Result<Self, BadRoots> {
        let Some(path) = named else { return Ok(Self::default()) };
        let loaded = Loaded::named(path).map_err(|reason| BadRoots { path: path.to_owned(), reason })?;
        Ok(Self(Arc::new(OnceLock::from(loaded))))
    }

    fn loaded(&self) -> &Loaded {
        self.0.get_or_init(|| Loaded::system(&SYSTEM_BUNDLES).unwrap_or_else(Loaded::bundled))
    }

    /// The source of the authorities.
    pub fn source(&self) -> &RootsSource {
        &self.loaded().source
    }

    /// The number of authorities.
    pub fn count(&self) -> usize {
        self.loaded().count
    }

    pub(super) fn tls(&self) -> &Arc<ClientConfig> {
        &self.loaded().tls
    }

    /// The source in words, for `doctor`.
    pub fn describe(&self) -> String {
        let count = self.count();
        let some = if count == 1 { "1 authority".to_owned() } else { format!("{count} authorities") };
        match self.source() {
            RootsSource::Named(path) => format!("{some} from {} (SSL_CERT_FILE)", path.display()),
            RootsSource::System(path) => format!("{some} from {} (the system's bundle)", path.display()),
            RootsSource::Bundled => "the authorities bundled with this program (Mozilla's list)".to_owned(),
        }
    }
}

impl Loaded {
    /// Trusts only the certificates in this file, each of which must be valid.
    fn named(path: &Path) -> Result<Self, BadRootsReason> {
        let bytes = read(path)?;
        let mut store = RootCertStore::empty();
        for (index, item) in CertificateDer::pem_slice_iter(&bytes).enumerate() {
            let malformed = BadRootsReason::Malformed(index + 1);
            store.add(item.map_err(|_| malformed)?).map_err(|_| malformed)?;
        }
        if store.is_empty() {
            return Err(BadRootsReason::Empty);
        }
        Ok(Self::of(RootsSource::Named(path.to_owned()), store))
    }

    /// Loads the first bundle with a usable certificate. Unusable certificates in it are skipped, as other
    /// programs do.
    fn system(places: &[&str]) -> Option<Self> {
        places.iter().find_map(|place| {
            let bytes = read(Path::new(place)).ok()?;
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok));
            (!store.is_empty()).then(|| Self::of(RootsSource::System(PathBuf::from(place)), store))
        })
    }

    fn bundled() -> Self {
        let roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
        Self::of(RootsSource::Bundled, RootCertStore { roots })
    }

    fn of(source: RootsSource, store: RootCertStore) -> Self {
        let count = store.len();
        // Named explicitly, so that no other crate's default provider is used.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports the versions that this program is built with")
            .with_root_certificates(store)
            .with_no_client_auth();
        Self { source, count, tls: Arc::new(tls) }
    }
}

/// Reads a file that should be a bundle.
fn read(path: &Path) -> Result<Vec<u8>, BadRootsReason> {
    let wrong = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => BadRootsReason::Missing,
        io::ErrorKind::IsADirectory => BadRootsReason::Directory,
        kind => BadRootsReason::Unreadable(kind),
    };
    let about = std::fs::metadata(path).map_err(wrong)?;
    if about.is_dir() {
        return Err(BadRootsReason::Directory);
    }
    if !about.is_file() {
        // A pipe or a device could block or never end.
        return Err(BadRootsReason::Unreadable(io::ErrorKind::InvalidInput));
    }
    if about.len() > BUNDLE_BYTES_MAX {
        return Err(BadRootsReason::TooLarge);
    }
    std::fs::read(path).map_err(wrong)
}

impl BadRootsReason {
    /// What is wrong, to follow the name of the file.
    pub fn explain(self) -> String {
        match self {
            Self::Missing => "does not exist".to_owned(),
            Self::Directory => "is a directory; a PEM file is needed".to_owned(),
            Self::Unreadable(kind) => format!("cannot be read ({kind})"),
            Self::TooLarge => "is larger than 16 MiB, which no certificate bundle is".to_owned(),
            Self::Empty => {
                "holds no certificate (a block that begins with -----BEGIN CERTIFICATE-----)".to_owned()
            }
            Self::Malformed(number) => format!("is damaged: certificate no. {number} in it is malformed"),
        }
    }
}

impl fmt::Display for BadRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SSL_CERT_FILE: {} {}; name a readable PEM file, or unset the variable",
            self.path.display(),
            self.reason.explain()
        )
    }
}

impl std::error::Error for BadRoots {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_system_bundle_the_bundled_list_is_used() {
        assert!(Loaded::system(&["/nowhere/at/all.pem", "/"]).is_none());
        let roots = Roots(Arc::new(OnceLock::from(Loaded::bundled())));
        assert_eq!(roots.source(), &RootsSource::Bundled);
        assert!(roots.describe().contains("bundled"), "{}", roots.describe());
    }
}
