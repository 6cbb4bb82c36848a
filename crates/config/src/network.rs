//! IP networks in CIDR notation, for the list of networks from which agents may call.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::value::{Problem, expected};

/// The form of a list of networks, for messages.
const ALLOWED: &str = "networks such as 172.18.0.0/16, 10.0.0.7 or fd00::/8, with commas between them";

/// A network: all addresses that share the first bits of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether it contains only addresses of this machine.
    pub fn is_this_machine(&self) -> bool {
        let bits_min = if self.address.is_ipv4() { 8 } else { 128 };
        self.address.is_loopback() && self.bits >= bits_min
    }

    /// Whether every address is in the network.
    pub fn is_everything(&self) -> bool {
        self.bits == 0
    }

    /// Whether the address is in the network. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differs = u32::from(ours) ^ u32::from(theirs);
                differs.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differs = u128::from(ours) ^ u128::from(theirs);
                differs.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => all,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|bits| *bits <= all).ok_or(())?
            }
            Some(_) => return Err(()),
        };
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Parses a list of networks, separated by commas or blanks.
pub(super) fn networks(text: &str) -> Result<Vec<Network>, Problem> {
    let words = text.split([',', ' ', '\t']).filter(|word| !word.is_empty());
    let read: Result<Vec<Network>, ()> = words.map(str::parse).collect();
    read.map_err(|()| expected(ALLOWED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_the_addresses_with_its_prefix() {
        let rows = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("10.0.0.0/8", "::ffff:10.2.3.4", true),
            ("172.16.0.0/12", "172.31.255.255", true),
            ("172.16.0.0/12", "172.32.0.0", false),
            ("192.168.1.7", "192.168.1.7", true),
            ("192.168.1.7", "192.168.1.8", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::1", "::1", true),
            ("::/0", "2001:db8::1", true),
        ];
        for (network, address, expected) in rows {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network} {address}");
        }
    }

    #[test]
    fn refuses_a_list_with_an_invalid_network() {
        for text in
            ["10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "10.0.0.0/+8", "runtime", "10.0.0.0/8/8", "/8"]
        {
            assert!(networks(text).is_err(), "{text}");
        }
        assert_eq!(networks("10.0.0.0/8, ::1 172.18.0.5").unwrap().len(), 3);
        assert_eq!(networks(" , ").unwrap(), []);
    }
}
