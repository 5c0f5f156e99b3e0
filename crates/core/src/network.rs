//! In:     an address, or a network as `10.0.0.0/8`.
//! Out:    whether the one is in the other.
//! Actors: none.
//! Never:  does it matter whether an IPv4 address came by an IPv6 socket (RFC 4291, 2.5.5.2).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The networks that `private` stands for (RFC 1918, RFC 4193, loopback, link-local).
const PRIVATE: [&str; 8] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "::1", "fc00::/7", "fe80::/10"];

/// A network: the addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct Network {
    /// The first address, IPv4 ones as `::ffff:a.b.c.d`.
    bits: u128,
    /// How many bits count, of 128.
    length: u32,
}

impl Network {
    /// Whether the address is in it.
    pub fn holds(&self, address: IpAddr) -> bool {
        (wide(address) ^ self.bits).checked_shr(128 - self.length).unwrap_or(0) == 0
    }

    /// How many bits count; of two networks that hold an address, the one with more is the narrower.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// The networks that a word stands for: one of its own, or all that are `private`.
    ///
    /// # Errors
    /// Where it is neither; the text is the mend.
    pub fn read(text: &str) -> Result<Vec<Network>, String> {
        if text == "private" { PRIVATE.iter().map(|text| text.parse()).collect() } else { Ok(vec![text.parse()?]) }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let mend = || {
            let mend = match text {
                "all" | "any" | "*" => {
                    "all addresses are 0.0.0.0/0 and ::/0; who is not in an 'allow' is kept out by itself"
                }
                "localhost" => "write 127.0.0.1 and ::1",
                _ => "write an address as 192.0.2.7, or a network as 10.0.0.0/8",
            };
            format!("'{text}' is no network; {mend}")
        };
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().map_err(|_| mend())?)),
            None => (text, None),
        };
        let address: IpAddr = address.trim_matches(['[', ']']).parse().map_err(|_| mend())?;
        let (most, before) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let length = length.unwrap_or(most);
        if length > most {
            return Err(mend());
        }
        let length = length + before;
        let bits = wide(address);
        let first = if length == 0 { 0 } else { bits & (u128::MAX << (128 - length)) };
        if first != bits {
            let network = Network { bits: first, length };
            return Err(format!("'{text}' has bits past its length; write '{network}'"));
        }
        Ok(Network { bits, length })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from_bits(self.bits);
        match address.to_ipv4_mapped().filter(|_| self.length >= 96) {
            Some(address) if self.length == 128 => write!(out, "{address}"),
            Some(address) => write!(out, "{address}/{}", self.length - 96),
            None if self.length == 128 => write!(out, "{address}"),
            None => write!(out, "{address}/{}", self.length),
        }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Network, String> {
        text.parse()
    }
}

fn wide(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_in_networks() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:1::", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("[::1]", "::1", true),
        ] {
            let read: Network = network.parse().unwrap();
            assert_eq!(read.holds(address.parse().unwrap()), expected, "{address} in {network}");
        }
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        assert!(Network::read("private").unwrap().iter().any(|network| network.holds(loopback)));
    }

    #[test]
    fn what_is_no_network_is_refused_with_its_mend() {
        for text in ["", "10.0.0.0/33", "10.0.0", "10.0.0.0/x", "host", "::/129"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        let said = "10.1.2.3/8".parse::<Network>().unwrap_err();
        assert!(said.contains("write '10.0.0.0/8'"), "{said}");
        assert_eq!("2001:db8::/32".parse::<Network>().unwrap().to_string(), "2001:db8::/32");
    }
}
