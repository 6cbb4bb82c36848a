//! Makes the connections of all agents: through the configured proxy or directly, with TLS for `https`.

use ureq::unversioned::transport::{ConnectProxyConnector, ConnectionDetails, Connector, Transport};

use super::roots::Roots;
use super::socket::SocketTransport;
use super::tls::TlsTransport;

/// Makes connections that trust these authorities.
#[derive(Clone, Debug)]
pub(super) struct NetworkConnector {
    pub(super) roots: Roots,
}

impl Connector for NetworkConnector {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let below: Box<dyn Transport> = match ConnectProxyConnector::default().connect(details, chained)? {
            Some(proxied) => Box::new(proxied),
            None => Box::new(SocketTransport::connect(details)?),
        };
        if !details.needs_tls() || below.is_tls() {
            return Ok(Some(below));
        }
        Ok(Some(Box::new(TlsTransport::over(below, self.roots.tls(), details)?)))
    }
}
