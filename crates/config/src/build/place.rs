//! In:     words that name a server, or what tells one request from another.
//! Out:    where the server is and what it speaks; what a key is made of.
//! Actors: none.
//! Never:  is an address guessed.

use hallway_core::fields::is_token;
use hallway_core::plan::{HashBy, Place, Protocol};

/// How URLs of servers begin, what is spoken there, and the port where none is named.
const SCHEMES: [(&str, Protocol, Option<u16>); 8] = [
    ("http", Protocol::Http, Some(80)),
    ("https", Protocol::Https, Some(443)),
    ("h2c", Protocol::H2c, Some(80)),
    ("h2", Protocol::H2, Some(443)),
    ("grpc", Protocol::H2c, Some(80)),
    ("grpcs", Protocol::H2, Some(443)),
    ("fastcgi", Protocol::FastCgi, Some(9000)),
    ("uwsgi", Protocol::Uwsgi, None),
];

/// Reads the URL of a server.
pub(super) fn place(text: &str) -> Result<(Place, Protocol), String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return socket(path).map(|place| (place, Protocol::Http));
    }
    if text.contains(',') {
        let all: Vec<String> = text.split(',').map(|one| format!("\"{}\"", one.trim())).collect();
        return Err(format!("write a list: [{}]", all.join(", ")));
    }
    if let Some(path) = text.strip_prefix("unix//") {
        return Err(format!("write \"unix:/{path}\""));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        if let Some((address, _)) = text.split_once(' ') {
            return Err(format!("write a table: {{ url = \"http://{address}\", weight = … }}"));
        }
        let host = if text.starts_with(':') { "127.0.0.1" } else { "" };
        return Err(format!("write a URL, as in \"http://{host}{text}\""));
    };
    let scheme = &*scheme.to_ascii_lowercase();
    let Some((_, protocol, default_port)) = SCHEMES.iter().find(|(name, ..)| *name == scheme) else {
        let names = SCHEMES.map(|(name, ..)| name);
        return Err(format!("there is no scheme '{scheme}'; there are {}", names.join(", ")));
    };
    if let Some(path) = rest.strip_prefix("unix:") {
        return socket(path).map(|place| (place, *protocol));
    }
    if rest.starts_with('/') {
        return Err(format!("write a socket with 'unix:': \"{scheme}://unix:{rest}\""));
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return Err("a server has no path; change paths in the route, by 'strip' or 'rewrite'".into());
    }
    if authority.contains('@') {
        return Err(
            "a server has no user; write request_headers = { set = { Authorization = \"Basic …\" } } in a pool".into(),
        );
    }
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => {
            let number = port.parse().ok().filter(|port| *port != 0);
            (name, Some(number.ok_or_else(|| format!("'{port}' is no port; write 1 to 65535"))?))
        }
        _ => (authority, None),
    };
    let is_service = name.starts_with('_');
    let port = match (port, default_port, is_service) {
        (Some(_), _, true) => return Err("the SRV records of this name say the port; take it out".into()),
        (None, _, true) => None,
        (Some(port), ..) => Some(port),
        (None, Some(port), _) => Some(*port),
        (None, None, _) => return Err(format!("write its port: \"{scheme}://{name}:PORT\"")),
    };
    if name.contains(':') && !name.starts_with('[') {
        return Err(format!("write an address of IPv6 in brackets: \"{scheme}://[{name}]:PORT\""));
    }
    if name.is_empty() {
        return Err(format!("write its host: \"{scheme}://127.0.0.1:PORT\""));
    }
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    let name = if is_address { name.to_owned() } else { super::site::ascii(name)? };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if !is_address && !name.trim_end_matches('.').split('.').all(is_label) {
        return Err(format!("'{name}' is no host"));
    }
    Ok((Place::Host { name, port }, *protocol))
}

fn socket(path: &str) -> Result<Place, String> {
    if let Some(path) = path.strip_suffix(":/").or(path.strip_suffix(':')) {
        return Err(format!("the path of the socket ends where it ends: \"unix:{path}\""));
    }
    if path.starts_with('/') && path.len() < 108 {
        return Ok(Place::Unix(path.into()));
    }
    Err("write the whole path of the socket, as in \"unix:/run/app.sock\"; it has at most 107 bytes".into())
}

/// Reads what a key is made of.
pub(super) fn hash_by(text: &str) -> Option<HashBy> {
    let name = |name: &str| is_token(name.as_bytes()).then(|| name.to_owned());
    match (text, text.split_once(':')) {
        ("path", _) => Some(HashBy::Path),
        ("client", _) => Some(HashBy::Client),
        (_, Some(("header", of))) => name(of).map(HashBy::Header),
        (_, Some(("cookie", of))) => name(of).map(HashBy::Cookie),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Place {
        Place::Host { name: name.into(), port: Some(port) }
    }

    #[test]
    fn every_form_of_a_server_is_read() {
        for (text, at, protocol) in [
            ("http://a.example", host("a.example", 80), Protocol::Http),
            ("HTTPS://A.example:8443/", host("a.example", 8443), Protocol::Https),
            ("h2c://[::1]:9000", host("::1", 9000), Protocol::H2c),
            ("grpcs://b", host("b", 443), Protocol::H2),
            ("fastcgi://127.0.0.1", host("127.0.0.1", 9000), Protocol::FastCgi),
            ("http://käse.example", host("xn--kse-qla.example", 80), Protocol::Http),
            ("unix:/run/app.sock", Place::Unix("/run/app.sock".into()), Protocol::Http),
            ("uwsgi://unix:/run/app.sock", Place::Unix("/run/app.sock".into()), Protocol::Uwsgi),
            ("http://_http._tcp.a", Place::Host { name: "_http._tcp.a".into(), port: None }, Protocol::Http),
        ] {
            assert_eq!(place(text), Ok((at, protocol)), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_answered_with_the_mend() {
        for (text, mend) in [
            ("10.0.0.1:9000", "write a URL, as in \"http://10.0.0.1:9000\""),
            (":9000", "write a URL, as in \"http://127.0.0.1:9000\""),
            ("a:1, b:2", "write a list: [\"a:1\", \"b:2\"]"),
            ("a:1 weight=2", "write a table: { url = \"http://a:1\", weight = … }"),
            ("http://a/b", "a server has no path; change paths in the route, by 'strip' or 'rewrite'"),
            ("http://a:0", "'0' is no port; write 1 to 65535"),
            ("http://::1", "write an address of IPv6 in brackets: \"http://[:]:PORT\""),
            ("uwsgi://a", "write its port: \"uwsgi://a:PORT\""),
            ("http://", "write its host: \"http://127.0.0.1:PORT\""),
            ("http://a..b", "'a..b' is no host"),
            ("http://_a._tcp.b:80", "the SRV records of this name say the port; take it out"),
            ("fastcgi:///run/x", "write a socket with 'unix:': \"fastcgi://unix:/run/x\""),
            ("unix:/run/x:/", "the path of the socket ends where it ends: \"unix:/run/x\""),
        ] {
            assert_eq!(place(text), Err(mend.into()), "{text}");
        }
        assert!(place(&format!("unix:/{}", "a".repeat(107))).is_err(), "the kernel takes 107 bytes");
        assert!(place("ftp://a").unwrap_err().starts_with("there is no scheme 'ftp'"));
    }

    #[test]
    fn what_a_key_is_made_of() {
        assert_eq!(hash_by("path"), Some(HashBy::Path));
        assert_eq!(hash_by("header:X-User"), Some(HashBy::Header("X-User".into())));
        assert_eq!(hash_by("cookie:at"), Some(HashBy::Cookie("at".into())));
        assert!([" path", "header:", "header:a b", "user"].into_iter().all(|text| hash_by(text).is_none()));
    }
}
