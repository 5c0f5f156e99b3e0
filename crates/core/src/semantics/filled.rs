//! In:     the value of a header as the operator wrote it, with variables; a request, what the edge knows of it.
//! Out:    the value.
//! Actors: none.
//! Never:  does a variable say something of a client that only a stranger has said, or end a line.

use crate::decimal::digits;
use crate::fields::is_value;
use crate::filling::{Part, Variable};
use crate::head::Head;
use crate::route::host_of;
use crate::semantics::{ForwardedFacts, Speaker, cookie};

/// A value for this request; nothing where it comes to nothing, as with nginx.
pub fn filled(parts: &[Part], head: &Head, facts: &ForwardedFacts<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => out.extend_from_slice(text.as_bytes()),
            Part::Cookie(name) => out.extend_from_slice(cookie(head, name.as_bytes()).unwrap_or_default()),
            Part::Header(name) => put_header(&mut out, name, head, facts),
            Part::Variable(variable) => put(&mut out, *variable, head, facts),
        }
    }
    let value = out.trim_ascii();
    (!value.is_empty() && is_value(value)).then(|| value.to_vec())
}

/// What hallway writes itself is what it writes; of the rest, what goes on.
fn put_header(out: &mut Vec<u8>, name: &str, head: &Head, facts: &ForwardedFacts<'_>) {
    let addresses = &facts.addresses;
    match name {
        "host" => out.extend_from_slice(head.host()),
        "x-forwarded-for" | "x-real-ip" => out.extend_from_slice(addresses.peer_ip.as_bytes()),
        "x-forwarded-proto" => out.extend_from_slice(if addresses.https { b"https" } else { b"http" }),
        "x-forwarded-host" => out.extend_from_slice(facts.host),
        "x-forwarded-port" => put_number(out, addresses.local_port),
        "x-request-id" => out.extend_from_slice(facts.request_id.as_bytes()),
        name if facts.is_of_certificate(name.as_bytes()) => {
            out.extend_from_slice(facts.told_certificate(head).map_or("", |(_, told)| told).as_bytes());
        }
        "forwarded" if facts.belief.speaker != Speaker::Proxy => {}
        name if facts.belief.passes(name.as_bytes()) => {
            out.extend_from_slice(head.fields.named(name.as_bytes()).unwrap_or_default());
        }
        _ => {}
    }
}

fn put(out: &mut Vec<u8>, variable: Variable, head: &Head, facts: &ForwardedFacts<'_>) {
    let (addresses, certificate, tls) = (&facts.addresses, facts.certificate, facts.tls);
    let text: &[u8] = match variable {
        Variable::Query | Variable::QueryString => head.query(),
        Variable::Host => host_of(facts.host),
        Variable::Https => {
            if addresses.https {
                b"on"
            } else {
                b""
            }
        }
        Variable::RemoteAddr => addresses.peer_ip.as_bytes(),
        Variable::RemotePort => return put_number(out, addresses.peer_port),
        Variable::RemoteUser => facts.user.unwrap_or_default().as_bytes(),
        Variable::RequestId => facts.request_id.as_bytes(),
        Variable::Method => head.method(),
        Variable::Target => head.raw_target(),
        Variable::Scheme => {
            if addresses.https {
                b"https"
            } else {
                b"http"
            }
        }
        Variable::ServerAddr => addresses.local_name.as_bytes(),
        Variable::ServerPort => return put_number(out, addresses.local_port),
        Variable::Protocol => head.version.as_str().as_bytes(),
        Variable::TlsCipher => tls.map_or("", |tls| tls.cipher).as_bytes(),
        Variable::TlsVersion => tls.map_or("", |tls| tls.version).as_bytes(),
        Variable::TlsName => tls.map_or("", |tls| tls.server_name).as_bytes(),
        Variable::ClientVerify => match tls {
            Some(tls) if tls.shows_certificate => b"SUCCESS",
            Some(_) => b"NONE",
            None => b"",
        },
        Variable::ClientCert => certificate.map_or("", |it| &it.escaped).as_bytes(),
        Variable::ClientIssuer => certificate.map_or("", |it| &it.issuer).as_bytes(),
        Variable::ClientSubject => certificate.map_or("", |it| &it.subject).as_bytes(),
        Variable::ClientSerial => certificate.map_or("", |it| &it.serial).as_bytes(),
        Variable::ClientFrom => certificate.map_or("", |it| &it.dates[0]).as_bytes(),
        Variable::ClientUntil => certificate.map_or("", |it| &it.dates[1]).as_bytes(),
        Variable::Path => head.path(),
    };
    out.extend_from_slice(text);
}

fn put_number(out: &mut Vec<u8>, number: u16) {
    if number != 0 {
        out.extend_from_slice(digits(number.into(), &mut [0; 20]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filling::read_filling;
    use crate::http1::parse_head;
    use crate::record::StyleFault;
    use crate::semantics::Addresses;

    #[test]
    fn values_are_filled() {
        let mut head = Head::default();
        let raw = b"GET //a%7e?x=1 HTTP/1.1\r\nHost: shop:81\r\nUser-Agent: me\r\nX-Forwarded-For: 6.6.6.6\r\n\
            X-Forwarded-User: root\r\nX-Cert: forged\r\nCookie: a=1; sid=s\r\n\r\n";
        parse_head(raw, 99, &mut head).unwrap();
        let addresses = Addresses { peer_ip: "10.1.2.3", peer_port: 9, local_name: "l", local_port: 81, https: true };
        let facts = ForwardedFacts {
            addresses,
            host: b"shop:81",
            user: Some("alice"),
            certificate_header: Some("X-Cert"),
            ..ForwardedFacts::default()
        };
        for (text, value) in [
            ("$remote_addr:$remote_port", Some("10.1.2.3:9")),
            ("$scheme://$host$request_uri", Some("https://shop//a%7e?x=1")),
            ("$uri?$args", Some("/a~?x=1")),
            ("user=$remote_user; $cookie_sid", Some("user=alice; s")),
            ("$http_user_agent", Some("me")),
            ("$http_x_forwarded_for", Some("10.1.2.3")),
            ("$http_x_forwarded_user", None),
            ("$http_x_cert", None),
            ("$ssl_client_s_dn", None),
            ("a$$b, $5, US$", Some("a$b, $5, US$")),
            ("$$", Some("$")),
        ] {
            let parts = read_filling(text).unwrap().unwrap();
            let seen = filled(&parts, &head, &facts).map(|value| String::from_utf8(value).unwrap());
            assert_eq!(seen.as_deref(), value, "{text}");
        }
        assert_eq!(read_filling("plain"), Ok(None));
        assert_eq!(read_filling("a $remote_adr"), Err(StyleFault::Unknown("remote_adr".into())));
    }
}
