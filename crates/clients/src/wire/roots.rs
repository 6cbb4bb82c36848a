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
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector, Transport};

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

/// The trusted authorities, with the TLS configuration made of them. Read once and shared by all agents.
#[derive(Clone, Debug)]
pub struct Roots {
    source: RootsSource,
    count: Option<usize>,
    tls: TlsConfig,
    connector: SharedConnector,
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
        if let Some(path) = named {
            return Self::named(path).map_err(|reason| BadRoots { path: path.to_owned(), reason });
        }
        Ok(Self::system(&SYSTEM_BUNDLES).unwrap_or_else(Self::bundled))
    }

    /// Trusts only the certificates in this file, each of which must be valid.
    fn named(path: &Path) -> Result<Self, BadRootsReason> {
        let bytes = read(path)?;
        let mut store = RootCertStore::empty();
        let mut found = Vec::new();
        for (index, item) in CertificateDer::pem_slice_iter(&bytes).enumerate() {
            let der = item.map_err(|_| BadRootsReason::Malformed(index + 1))?;
            store.add(der.clone()).map_err(|_| BadRootsReason::Malformed(index + 1))?;
            found.push(der);
        }
        if found.is_empty() {
            return Err(BadRootsReason::Empty);
        }
        Ok(Self::of(RootsSource::Named(path.to_owned()), &found))
    }

    /// Loads the first bundle with a usable certificate. Unusable certificates in it are skipped, as other
    /// programs do.
    fn system(places: &[&str]) -> Option<Self> {
        places.iter().find_map(|place| {
            let bytes = read(Path::new(place)).ok()?;
            let mut store = RootCertStore::empty();
            let sound = |der: &CertificateDer<'static>| store.add(der.clone()).is_ok();
            let found: Vec<_> =
                CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok).filter(sound).collect();
            (!found.is_empty()).then(|| Self::of(RootsSource::System(PathBuf::from(place)), &found))
        })
    }

    fn bundled() -> Self {
        Self::with(RootsSource::Bundled, None, RootCerts::WebPki)
    }

    fn of(source: RootsSource, found: &[CertificateDer<'static>]) -> Self {
        let certificates: Vec<_> = found.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        Self::with(source, Some(found.len()), RootCerts::new_with_certs(&certificates))
    }

    fn with(source: RootsSource, count: Option<usize>, roots: RootCerts) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(roots)
            // Named explicitly, so that no other crate's default provider is used.
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        Self { source, count, tls, connector: SharedConnector::default() }
    }

    /// The source of the authorities.
    pub fn source(&self) -> &RootsSource {
        &self.source
    }

    /// The number of authorities. `None` for the list inside this program.
    pub fn count(&self) -> Option<usize> {
        self.count
    }

    /// The source in words, for `doctor`.
    pub fn describe(&self) -> String {
        let count = self.count.unwrap_or_default();
        let some = if count == 1 { "1 authority".to_owned() } else { format!("{count} authorities") };
        match &self.source {
            RootsSource::Named(path) => format!("{some} from {} (SSL_CERT_FILE)", path.display()),
            RootsSource::System(path) => format!("{some} from {} (the system's bundle)", path.display()),
            RootsSource::Bundled => "the authorities bundled with this program (Mozilla's list)".to_owned(),
        }
    }

    pub(super) fn tls_config(&self) -> TlsConfig {
        self.tls.clone()
    }

    pub(super) fn connector(&self) -> SharedConnector {
        self.connector.clone()
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

/// One connector for all agents with the same trust.
///
/// The library's connector keeps the TLS configuration that it builds at its first use. Sharing it parses the
/// authorities once, not once per worker. It also lets one worker resume the TLS session of another.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedConnector(Arc<DefaultConnector>);

impl Connector for SharedConnector {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        self.0.connect(details, chained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_system_bundle_the_bundled_list_is_used() {
        assert!(Roots::system(&["/nowhere/at/all.pem", "/"]).is_none());
        let roots = Roots::bundled();
        assert_eq!((roots.source(), roots.count()), (&RootsSource::Bundled, None));
        assert!(roots.describe().contains("bundled"), "{}", roots.describe());
    }
}
