//! In:     the certificate that a client has shown, which was verified (DER, RFC 5280).
//! Out:    what is said of it to applications and servers, under the names that Apache, nginx and Envoy use.
//! Actors: none.
//! Never:  is anything verified here, or does a byte of it end a line or a quoted string.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// Names of hosts and of people that are told of one certificate.
const NAMES_MAX: usize = 16;

/// What is said of a certificate.
#[derive(Clone, Debug, Default)]
pub struct ClientCertificate {
    /// Whose it is, as RFC 2253 writes names.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its number, in hexadecimal.
    pub serial: String,
    /// From when and until when it is good: `Nov 29 15:34:41 2026 GMT`.
    pub dates: [String; 2],
    /// Itself (PEM), with every byte escaped that a header cannot have.
    pub escaped: String,
    /// As Envoy says it in `X-Forwarded-Client-Cert`.
    pub forwarded: String,
    /// `SSL_CLIENT_…` as mod_ssl names them.
    pub variables: Vec<(String, String)>,
}

impl ClientCertificate {
    /// Reads one; `digest` is its SHA-256 in hexadecimal. What cannot be read of it stays empty.
    pub fn read(der: &[u8], digest: &str) -> ClientCertificate {
        let pem = pem(der);
        let mut read = ClientCertificate { escaped: escaped(&pem), ..ClientCertificate::default() };
        let mut put = |name: &str, value: &str| {
            // What a program would take for the end of it is none of it.
            let is_plain = name == "CERT" || !value.bytes().any(|byte| byte.is_ascii_control());
            if is_plain && !value.is_empty() {
                read.variables.push((format!("SSL_CLIENT_{name}"), value.to_owned()));
            }
        };
        put("VERIFY", "SUCCESS");
        put("CERT", &pem);
        let parts = parts(der).unwrap_or_default();
        read.subject = in_text(&parts.subject);
        read.issuer = in_text(&parts.issuer);
        (read.serial, read.dates) = (parts.serial, parts.dates);
        put("M_SERIAL", &read.serial);
        put("S_DN", &read.subject);
        put("I_DN", &read.issuer);
        put("V_START", &read.dates[0]);
        put("V_END", &read.dates[1]);
        for (whose, attributes) in [("S", &parts.subject), ("I", &parts.issuer)] {
            for wanted in ["CN", "O", "OU", "C", "ST", "L", "emailAddress"] {
                let found = attributes.iter().flatten().find(|(name, _)| name == wanted);
                let name = if wanted == "emailAddress" { "Email" } else { wanted };
                found.into_iter().for_each(|(_, value)| put(&format!("{whose}_DN_{name}"), value));
            }
        }
        for (kind, name) in [(RFC822_NAME, "Email"), (DNS_NAME, "DNS")] {
            let names = parts.names.iter().filter(|(of, _)| *of == kind).take(NAMES_MAX);
            names.enumerate().for_each(|(at, (_, value))| put(&format!("SAN_{name}_{at}"), value));
        }
        // Readers of this header differ in what a backslash before a quote, or before another one, means: no name has either.
        let subject = read.subject.replace("\\\\", "\\5C").replace("\\\"", "\\22");
        read.forwarded = format!("Hash={digest};Cert=\"{}\";Subject=\"{subject}\"", read.escaped);
        for (kind, key) in [(URI, "URI"), (DNS_NAME, "DNS")] {
            // A name with a separator could be taken for another element.
            let is_plain =
                |value: &str| value.bytes().all(|byte| byte.is_ascii_graphic() && !b";,\"=\\".contains(&byte));
            let names = parts.names.iter().filter(|(of, value)| *of == kind && is_plain(value)).take(NAMES_MAX);
            for (_, value) in names {
                let _ = write!(read.forwarded, ";{key}={value}");
            }
        }
        read
    }
}

/// Attributes of a name, several together where they stand together.
type Attributes = Vec<Vec<(String, String)>>;

#[derive(Default)]
struct Parts {
    serial: String,
    issuer: Attributes,
    dates: [String; 2],
    subject: Attributes,
    names: Vec<(u8, String)>,
}

/// Tags of DER (X.690), and of alternative names (RFC 5280, 4.2.1.6).
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const UTC_TIME: u8 = 0x17;
const BMP_STRING: u8 = 0x1e;
const RFC822_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// Elements of DER, one after the other.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (length, rest) = rest.split_first()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(*length & 0x7f))?;
                (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }
}

impl<'a> Elements<'a> {
    fn inside(&mut self, wanted: u8) -> Option<Elements<'a>> {
        self.next().filter(|(tag, _)| *tag == wanted).map(|(_, content)| Elements(content))
    }
}

fn parts(der: &[u8]) -> Option<Parts> {
    let mut body = Elements(der).inside(SEQUENCE)?.inside(SEQUENCE)?;
    let first = body.next()?;
    let (_, serial) = if first.0 == VERSION { body.next()? } else { first };
    let serial = serial.iter().skip(usize::from(serial.len() > 1 && serial[0] == 0));
    let serial = serial.map(|byte| format!("{byte:02X}")).collect();
    body.next()?;
    let issuer = attributes(body.inside(SEQUENCE)?)?;
    let mut dates = body.inside(SEQUENCE)?;
    let dates = [dates.next()?, dates.next()?].map(|(tag, text)| date(tag, text).unwrap_or_default());
    let subject = attributes(body.inside(SEQUENCE)?)?;
    body.next()?;
    let extensions = body.find(|(tag, _)| *tag == EXTENSIONS).map(|(_, content)| content).unwrap_or_default();
    let names = Elements(extensions).inside(SEQUENCE).map(alternative_names).unwrap_or_default();
    Some(Parts { serial, issuer, dates, subject, names })
}

fn alternative_names(extensions: Elements<'_>) -> Vec<(u8, String)> {
    let found = extensions.filter(|(tag, _)| *tag == SEQUENCE).find_map(|(_, extension)| {
        let mut parts = Elements(extension);
        let is_it = parts.next()?.1 == SUBJECT_ALT_NAME;
        let (_, value) = parts.last().filter(|_| is_it)?;
        Elements(value).inside(SEQUENCE)
    });
    let text = |(tag, value): (u8, &[u8])| Some((tag, std::str::from_utf8(value).ok()?.to_owned()));
    found
        .into_iter()
        .flatten()
        .filter(|(tag, _)| matches!(*tag, RFC822_NAME | DNS_NAME | URI))
        .filter_map(text)
        .collect()
}

fn attributes(name: Elements<'_>) -> Option<Attributes> {
    name.map(|(_, set)| {
        let pairs = Elements(set).map(|(_, pair)| {
            let mut pair = Elements(pair);
            let ((_, kind), (tag, value)) = (pair.next()?, pair.next()?);
            Some((known(kind), text(tag, value)))
        });
        pairs.collect()
    })
    .collect()
}

/// What an attribute is called (RFC 4514, 3), or its numbers.
fn known(kind: &[u8]) -> String {
    let name = match kind {
        [0x55, 0x04, 0x03] => "CN",
        [0x55, 0x04, 0x04] => "SN",
        [0x55, 0x04, 0x05] => "serialNumber",
        [0x55, 0x04, 0x06] => "C",
        [0x55, 0x04, 0x07] => "L",
        [0x55, 0x04, 0x08] => "ST",
        [0x55, 0x04, 0x09] => "street",
        [0x55, 0x04, 0x0a] => "O",
        [0x55, 0x04, 0x0b] => "OU",
        [0x55, 0x04, 0x0c] => "title",
        [0x55, 0x04, 0x2a] => "GN",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01] => "emailAddress",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01] => "UID",
        _ => return numbers(kind),
    };
    name.into()
}

fn numbers(kind: &[u8]) -> String {
    let (mut text, mut number, mut is_first) = (String::new(), 0u64, true);
    for byte in kind {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if std::mem::take(&mut is_first) {
            let first = (number / 40).min(2);
            let _ = write!(text, "{first}.{}", number - 40 * first);
        } else {
            let _ = write!(text, ".{number}");
        }
        number = 0;
    }
    text
}

fn text(tag: u8, value: &[u8]) -> String {
    if tag == BMP_STRING {
        let units: Vec<u16> = value.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        return String::from_utf16_lossy(&units);
    }
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// The last part first, as RFC 2253 has it.
fn in_text(attributes: &Attributes) -> String {
    let parts = attributes.iter().rev().map(|set| {
        let pairs = set.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
        pairs.collect::<Vec<_>>().join("+")
    });
    parts.collect::<Vec<_>>().join(",")
}

/// Bytes beyond ASCII as OpenSSL and nginx write them, since not everybody takes them in a header.
fn quoted(value: &str) -> String {
    let mut text = String::new();
    for (at, byte) in value.bytes().enumerate() {
        let is_edge = at == 0 || at + 1 == value.len();
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => text.extend(['\\', char::from(byte)]),
            b' ' if is_edge => text.push_str("\\ "),
            b'#' if at == 0 => text.push_str("\\#"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\{byte:02X}")),
        }
    }
    text
}

/// As OpenSSL prints it; nothing for what is none.
fn date(tag: u8, text: &[u8]) -> Option<String> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let (year, rest) = text.split_at_checked(if tag == UTC_TIME { 2 } else { 4 })?;
    let year: u32 = year.parse().ok()?;
    // RFC 5280, 4.1.2.5.1.
    let year = if tag == UTC_TIME { year + if year < 50 { 2000 } else { 1900 } } else { year };
    let pair = |at: usize| rest.get(at..at + 2)?.parse::<usize>().ok();
    let month = MONTHS.get(pair(0)?.checked_sub(1)?)?;
    Some(format!("{month} {:2} {:02}:{:02}:{:02} {year} GMT", pair(2)?, pair(4)?, pair(6)?, pair(8)?))
}

fn pem(der: &[u8]) -> String {
    let digits = STANDARD.encode(der);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in digits.as_bytes().chunks(64) {
        text.extend(line.iter().map(|digit| char::from(*digit)));
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}

/// As in a URL (nginx's `$ssl_client_escaped_cert`).
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by openssl: `/C=DE/O=Acme, Inc./CN=J\u{fc}rgen "J" <x>/emailAddress=j@example.com`, with alternative names, signed by itself.
    const DER: &str = include_str!("../../cases/client_certificate.b64");

    #[test]
    fn what_openssl_says_of_it() {
        let der = STANDARD.decode(DER.replace(['\n', ' '], "")).unwrap();
        let read = ClientCertificate::read(&der, "ab");
        let of = |name: &str| read.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let name = "emailAddress=j@example.com,CN=J\\C3\\BCrgen \\\"J\\\" \\<x\\>,O=Acme\\, Inc.,C=DE";
        assert_eq!((read.subject.as_str(), read.issuer.as_str()), (name, name));
        assert_eq!(of("SSL_CLIENT_S_DN_CN"), Some("J\u{fc}rgen \"J\" <x>"));
        assert_eq!((of("SSL_CLIENT_S_DN_O"), of("SSL_CLIENT_S_DN_Email")), (Some("Acme, Inc."), Some("j@example.com")));
        assert_eq!((of("SSL_CLIENT_M_SERIAL"), read.serial.as_str()), (Some("AB12"), "AB12"));
        assert_eq!(read.dates, ["Nov 29 16:31:48 2026 GMT", "Dec  9 16:31:48 2036 GMT"]);
        assert_eq!((of("SSL_CLIENT_SAN_DNS_0"), of("SSL_CLIENT_SAN_DNS_1")), (Some("a.example"), Some("b.example")));
        assert_eq!(of("SSL_CLIENT_SAN_Email_0"), Some("j@example.com"));
        assert!(of("SSL_CLIENT_CERT").unwrap().starts_with("-----BEGIN CERTIFICATE-----\nMII"));
        assert!(read.forwarded.starts_with("Hash=ab;Cert=\"-----BEGIN%20CERTIFICATE-----%0AMII"));
        assert!(read.forwarded.ends_with(";URI=spiffe://acme/j;DNS=a.example;DNS=b.example"), "{}", read.forwarded);
        assert!(read.forwarded.contains("CN=J\\C3\\BCrgen \\22J\\22 \\<x"), "{}", read.forwarded);
        assert_eq!(read.forwarded.matches('"').count(), 4, "{}", read.forwarded);
    }

    #[test]
    fn what_is_none_is_said_to_be_nothing() {
        let der = STANDARD.decode(DER.replace(['\n', ' '], "")).unwrap();
        for end in 0..der.len() {
            let read = ClientCertificate::read(&der[..end], "ab");
            assert!(read.subject.is_empty() && read.variables.len() == 2, "cut at {end}");
        }
        let mut broken = der.clone();
        for at in 0..der.len() {
            broken[at] ^= 0x55;
            let read = ClientCertificate::read(&broken, "ab");
            let is_line = |text: &str| !text.bytes().any(|byte| byte.is_ascii_control());
            assert!(is_line(&read.forwarded) && is_line(&read.subject), "changed at {at}");
            broken[at] = der[at];
        }
    }
}
