//! Fetches stored files of the deployment: the addresses come from the queue, and each is valid for a while.

use std::time::Duration;

use crate::wire::{self, Fault, Phases, Roots, Stop};
use mcr_model::BaseUrl;
use mcr_model::memory::{ByteBudget, Pool};

/// The limit of fetching one file.
const FETCH_MAX: Duration = Duration::from_mins(2);

/// A thread's client for stored files.
#[derive(Clone, Debug)]
pub struct FileClient {
    roots: Roots,
    stop: Stop,
    memory: Pool,
}

impl FileClient {
    /// A client with this trust. `stop` ends its calls.
    pub fn new(roots: &Roots, stop: &Stop) -> Self {
        Self { roots: roots.clone(), stop: stop.clone(), memory: ByteBudget::default().requests }
    }

    /// The content of a file of at most this size. The error says why it cannot be had, without the address: the address
    /// grants access.
    pub fn fetch(&self, url: &str, bytes_max: usize) -> Result<Vec<u8>, String> {
        let base = origin(url).ok_or("its address is not understood")?;
        let phases = Phases {
            connect: Duration::from_secs(10),
            send: Duration::from_secs(30),
            answer: Duration::from_secs(30),
            body: FETCH_MAX,
            idle: Duration::ZERO,
            idle_connections: 0,
        };
        let agent = wire::agent(&base, &self.roots, &phases);
        let _registration = self.stop.register(&agent);
        if self.stop.is_closed() {
            return Err("the service stops".to_owned());
        }
        let words = |_: Fault| "the connection broke".to_owned();
        let request = agent.get(url).config().timeout_global(Some(FETCH_MAX)).build();
        let response = request.call().map_err(|error| words(Fault::of(&error)))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(format!("the deployment answered with status {status}"));
        }
        let too_large = || format!("it is larger than {bytes_max} bytes");
        if response.body().content_length().is_some_and(|length| length > bytes_max as u64) {
            return Err(too_large());
        }
        let mut share = self.memory.share(bytes_max, FETCH_MAX);
        let mut content = Vec::new();
        let mut reader = response.into_body().into_with_config().limit(bytes_max as u64 + 1).reader();
        share.read_to_end(&mut reader, &mut content).map_err(|error| words(Fault::of_io(&error)))?;
        if content.len() > bytes_max { Err(too_large()) } else { Ok(content) }
    }
}

/// The scheme, the host and the port of an address.
fn origin(url: &str) -> Option<BaseUrl> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    BaseUrl::parse(&format!("{scheme}://{authority}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_an_address_has_no_path_and_no_key() {
        let origin = |url: &str| origin(url).map(|base| base.as_str().trim_end_matches('/').to_owned());
        assert_eq!(
            origin("https://x.convex.cloud/api/storage/1?token=a").as_deref(),
            Some("https://x.convex.cloud")
        );
        assert_eq!(origin("http://127.0.0.1:3210/api/storage/1").as_deref(), Some("http://127.0.0.1:3210"));
        assert_eq!(origin("file:///etc/passwd"), None);
        assert_eq!(origin("no address"), None);
    }
}
