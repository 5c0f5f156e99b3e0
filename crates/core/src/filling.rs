//! Values with variables, as they are written.
//!
//! In:     the value of a header as the operator wrote it.
//! Out:    its parts: text, and what is known by a name.
//! Actors: none.
//! Never:  takes a name that nothing is known by.

use crate::record::StyleFault;
use serde::{Deserialize, Serialize};

/// A part of a value.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Part {
    /// As it stands.
    Text(String),
    /// What is known under this name.
    Variable(Variable),
    /// A header of the request, as far as it goes on: `$http_user_agent`.
    Header(String),
    /// A cookie: `$cookie_sid`.
    Cookie(String),
}

macro_rules! variables {
    ($($name:literal => $variable:ident: $about:literal,)*) => {
        /// What a value can tell; the names are nginx's.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
        pub enum Variable { $(#[doc = $about] $variable),* }

        /// Every variable: its name, and what it is.
        pub const HEADER_VARIABLES: &[(&str, &str)] = &[$(($name, $about)),*];

        impl Variable {
            fn of(name: &str) -> Option<Variable> {
                match name {
                    $($name => Some(Variable::$variable),)*
                    _ => None,
                }
            }
        }
    };
}

variables! {
    "args" => Query: "the query",
    "host" => Host: "the host that was asked, without its port",
    "https" => Https: "on where the client came encrypted",
    "query_string" => QueryString: "the query",
    "remote_addr" => RemoteAddr: "the client's address",
    "remote_port" => RemotePort: "the client's port",
    "remote_user" => RemoteUser: "the user of basic authentication",
    "request_id" => RequestId: "the request's id",
    "request_method" => Method: "the method",
    "request_uri" => Target: "the target as it was sent",
    "scheme" => Scheme: "http or https",
    "server_addr" => ServerAddr: "the address that the client reached",
    "server_port" => ServerPort: "the port that the client reached",
    "server_protocol" => Protocol: "HTTP/1.1 or HTTP/2.0",
    "ssl_cipher" => TlsCipher: "the cipher suite",
    "ssl_client_escaped_cert" => ClientCert: "the client's certificate (PEM), escaped as in a URL",
    "ssl_client_i_dn" => ClientIssuer: "who signed the client's certificate",
    "ssl_client_s_dn" => ClientSubject: "whose the client's certificate is",
    "ssl_client_serial" => ClientSerial: "its number",
    "ssl_client_v_end" => ClientUntil: "until when it is good",
    "ssl_client_v_start" => ClientFrom: "from when",
    "ssl_client_verify" => ClientVerify: "SUCCESS where the client showed a certificate, else NONE",
    "ssl_protocol" => TlsVersion: "TLSv1.2 or TLSv1.3",
    "ssl_server_name" => TlsName: "the name that the client asked for before it was encrypted",
    "uri" => Path: "the path as it was matched",
}

/// Reads a value with variables; `$$` is a dollar, and so is one that no small letter follows. Nothing where there are none.
///
/// # Errors
/// The name of a variable that is not known.
pub fn read_filling(text: &str) -> Result<Option<Vec<Part>>, StyleFault> {
    if !text.contains('$') {
        return Ok(None);
    }
    let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        plain.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            plain.push('$');
            rest = after;
            continue;
        }
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let (name, behind) = after.split_at(after.find(|letter| !is_name(letter)).unwrap_or(after.len()));
        if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
            plain.push('$');
            rest = after;
            continue;
        }
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(match (name.strip_prefix("http_"), name.strip_prefix("cookie_")) {
            (Some(header), _) if !header.is_empty() => Part::Header(header.replace('_', "-")),
            (_, Some(cookie)) if !cookie.is_empty() => Part::Cookie(cookie.into()),
            _ => Part::Variable(Variable::of(name).ok_or_else(|| StyleFault::Unknown(name.into()))?),
        });
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() || parts.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(Some(parts))
}
