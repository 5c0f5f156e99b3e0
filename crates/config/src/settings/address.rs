//! In:     an address as `--bind` takes it.
//! Out:    where to listen; several for a name with several addresses.
//! Actors: the machine: its resolver, for names.
//! Never:  is an address half understood.

use crate::machine::Machine;
use hallway_core::plan::Listen;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

const FORMS: &str = "write host:port, [::]:port, unix:PATH or fd://N";

/// `host:port`, `[::]:port`, `:port`, `port`, `unix:PATH`, `fd://N`; a host alone where there is a port for it.
pub(crate) fn read(text: &str, usual_port: Option<u16>, machine: &dyn Machine) -> Result<Vec<Listen>, String> {
    if let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) {
        return Err(format!("an address has no scheme; write {}", rest.trim_end_matches('/')));
    }
    if text.starts_with('/') || text.starts_with("./") {
        return Err(format!("a socket file is written unix:{text}"));
    }
    if let Some(path) = text.strip_prefix("unix:") {
        if path.is_empty() {
            return Err("the path of the socket file must follow unix:".into());
        }
        let path = machine.absolute(Path::new(path)).map_err(|error| error.to_string())?;
        return Ok(vec![Listen::Unix(path)]);
    }
    if let Some(number) = text.strip_prefix("fd://") {
        let number = number.parse().ok().filter(|number| *number > 2);
        return Ok(vec![Listen::Inherited(number.ok_or("the number of a descriptor above 2 must follow fd://")?)]);
    }
    let (host, port) = split(text, usual_port)?;
    let port: u16 = port.parse().map_err(|_| match port.bytes().all(|byte| byte.is_ascii_digit()) {
        true if !port.is_empty() => format!("there is no port {port}; write 0 to 65535"),
        _ => FORMS.to_owned(),
    })?;
    if host.is_empty() {
        return Ok(vec![Listen::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))]);
    }
    let found = machine.addresses(host.trim_start_matches('[').trim_end_matches(']'), port);
    let mut listeners: Vec<Listen> = Vec::new();
    for address in found.map_err(|error| format!("{FORMS}; the host '{host}' is not known ({error})"))? {
        let listen = Listen::Tcp(address);
        if !listeners.contains(&listen) {
            listeners.push(listen);
        }
    }
    Ok(listeners)
}

/// An address with its port.
pub(crate) fn read_address(text: &str, machine: &dyn Machine) -> Result<Vec<Listen>, String> {
    read(text, None, machine)
}

/// Host and port.
fn split(text: &str, usual_port: Option<u16>) -> Result<(&str, String), String> {
    let is_port = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_port {
        return Ok(("127.0.0.1", text.into()));
    }
    let is_alone =
        |text: &str| !text.is_empty() && (!text.contains(':') || (text.starts_with('[') && text.ends_with(']')));
    match (text.rsplit_once(':'), usual_port) {
        _ if text.is_empty() => Err(FORMS.into()),
        (_, Some(port)) if is_alone(text) => Ok((text, port.to_string())),
        (_, None) if is_alone(text) => Err(format!("write its port, too: {text}:80")),
        (Some((host, port)), _) if host.starts_with('[') || !host.contains(':') => Ok((host, port.into())),
        (Some((host, port)), _) if host.parse::<Ipv6Addr>().is_ok() => {
            Err(format!("an IPv6 address stands in brackets: [{host}]:{port}"))
        }
        _ if text.parse::<Ipv6Addr>().is_ok() => Err(format!("an IPv6 address stands in brackets: [{text}]:8000")),
        _ => Err(FORMS.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    #[test]
    fn a_host_alone_has_the_usual_port() {
        let tcp = |text: &str| Ok(vec![Listen::Tcp(text.parse().unwrap())]);
        assert_eq!(with_port("0.0.0.0"), tcp("0.0.0.0:8000"));
        assert_eq!(with_port("[::1]"), tcp("[::1]:8000"));
        assert_eq!(with_port("[::]"), tcp("[::]:8000"));
        assert!(with_port("localhost").unwrap().contains(&tcp("127.0.0.1:8000").unwrap()[0]));
        assert_eq!(read("0.0.0.0"), Err("write its port, too: 0.0.0.0:80".into()));
        assert_eq!(with_port("::1"), Err("an IPv6 address stands in brackets: [::1]:8000".into()));
        assert_eq!(with_port("::1:80"), Err("an IPv6 address stands in brackets: [::1]:80".into()));
        assert!(with_port("no.such.host.invalid").unwrap_err().contains("is not known"));
    }

    fn with_port(text: &str) -> Result<Vec<Listen>, String> {
        super::read(text, Some(8000), &Model::default())
    }

    fn read(text: &str) -> Result<Vec<Listen>, String> {
        super::read(text, None, &Model::default())
    }

    #[test]
    fn every_form_is_read() {
        let tcp = |text: &str| vec![Listen::Tcp(text.parse().unwrap())];
        assert_eq!(read("127.0.0.1:80"), Ok(tcp("127.0.0.1:80")));
        assert_eq!(read("[::]:8000"), Ok(tcp("[::]:8000")));
        assert_eq!(read(":8000"), Ok(tcp("0.0.0.0:8000")));
        assert_eq!(read("8000"), Ok(tcp("127.0.0.1:8000")));
        assert_eq!(read("unix:/run/a.sock"), Ok(vec![Listen::Unix("/run/a.sock".into())]));
        assert_eq!(read("fd://3"), Ok(vec![Listen::Inherited(3)]));
        for text in ["", "a:b", "127.0.0.1:99999", "fd://0", "fd://x", "::1:80"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
