//! An https server with a certificate made for the occasion, by an authority made for the occasion.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, for `SSL_CERT_FILE`.
    pub(crate) pem: String,
}

/// A certificate with its key.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    /// The certificate again, in PEM.
    pub(crate) pem: String,
}

/// The certificate of a server, before it is signed.
pub(crate) fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names).unwrap()
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { pem: certificate.pem(), certificate: certificate.into(), key: key.serialize_der() }
    }
}

/// Signed by nobody but itself.
pub(crate) fn self_signed(params: &CertificateParams) -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity { pem: certificate.pem(), certificate: certificate.into(), key: key.serialize_der() }
}

/// The server; it gives every request the same answer. It ends with this value.
pub(crate) struct TlsServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

impl TlsServer {
    pub(crate) fn start(identity: Identity, answer: Vec<u8>) -> Self {
        Self::with_versions(identity, answer, rustls::ALL_VERSIONS)
    }

    pub(crate) fn with_versions(
        identity: Identity,
        answer: Vec<u8>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key));
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![identity.certificate], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, end) = (connections.clone(), ended.clone());
        thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                counter.fetch_add(1, Ordering::SeqCst);
                let (config, answer) = (config.clone(), answer.clone());
                thread::spawn(move || serve(config, stream, &answer));
            }
        });
        Self { address, connections, ended }
    }

    /// `scheme://host:PORT`
    pub(crate) fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}", self.address.port())
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Frees the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(config: Arc<ServerConfig>, stream: TcpStream, answer: &[u8]) {
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let mut seen = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return,
            // The library has sent an alert already; what the client still writes is read, so that the alert is not
            // overtaken by a reset.
            Err(_) => {
                let _ = stream.sock.shutdown(std::net::Shutdown::Write);
                while stream.sock.read(&mut chunk).is_ok_and(|count| count > 0) {}
                return;
            }
            Ok(count) => seen.extend_from_slice(&chunk[..count]),
        }
        // The bodies of these tests end with the request's own braces.
        if seen.ends_with(b"]}") {
            seen.clear();
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    }
}
