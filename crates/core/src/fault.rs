//! In:     what went wrong at some stop of the journey.
//! Out:    which status it has, what its reader is told, whether waiting helps.
//! Actors: none.
//! Never:  is an error erased to text and guessed again; every stop speaks this one enum.

use crate::method::Methods;
use std::borrow::Cow;

/// Which limit a head is beyond, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadLimit {
    /// Bytes of the whole.
    Bytes(usize),
    /// Bytes of a line.
    Line(usize),
    /// How many lines.
    Lines(usize),
    /// What stands behind a chunked body.
    Trailers,
    /// What an app or a server of the uwsgi protocol can be given.
    Handed,
}

/// Why a request has no answer of its own. The text of a variant is for the client and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 400: the bytes are not a request (RFC 9112), or mean two things.
    BadRequest(&'static str),
    /// 401: the route is for those who show a name and a password.
    Unauthorized,
    /// 403: the route is not for this client.
    Forbidden,
    /// 404: no route, no file.
    NotFound,
    /// 405: the resource exists, for these methods.
    MethodNotAllowed(Methods),
    /// 408: the head or the body did not arrive in time.
    RequestTimeout(&'static str),
    /// 407: the proxy is for those who show a name and a password.
    ProxyUnauthorized,
    /// 412: what is there is not in the state that the request asks for.
    PreconditionFailed,
    /// 413: the body is longer than `body_max`.
    BodyTooLarge,
    /// 414: the request target is longer than the limit.
    TargetTooLong,
    /// 416: no range of the request is in what is there, which has this many bytes.
    RangeNotSatisfiable(u64),
    /// 417: an expectation other than `100-continue`.
    ExpectationFailed,
    /// 421: there is no site of this name here.
    Misdirected,
    /// 429: this client has had what it gets; so many seconds until there is more.
    TooManyRequests(u32),
    /// 431: the head is beyond a limit.
    HeadTooLarge(HeadLimit),
    /// 499 in the log only: the client left before its answer.
    ClientGone,
    /// 500: the application raised an exception before it answered.
    AppFailed,
    /// 500: hallway could not do its part (a full disk, a file that cannot be read).
    Internal(&'static str),
    /// 501: a method or transfer coding that is not implemented.
    NotImplemented(&'static str),
    /// 502: the server that a client of the forward proxy asked for does not answer.
    Unreachable,
    /// 502: no encrypted connection to the server came about.
    ServerTls,
    /// 502: the server's certificate is none that is trusted.
    ServerCertificate,
    /// 502: the server ended the connection before its answer was whole.
    ServerLost,
    /// 502: the worker died or broke the lane while it had this request.
    WorkerLost,
    /// 502: the application's answer cannot be sent as HTTP.
    BadAnswer(&'static str),
    /// 503: no server of the pool is to be asked at the moment.
    NoServer,
    /// 503: as many as may are at it already.
    Busy,
    /// 503: there is no room for a long body (`spool_max`, a full disk, one that does not answer).
    SpoolFull,
    /// 503: the site is closed for work.
    Maintenance,
    /// 503: no worker of the application could be started.
    AppDown,
    /// 503: the application's queue is full.
    QueueFull,
    /// 503: the request waited in the queue for longer than `queue.max_wait`.
    QueueTimeout,
    /// 502: who was asked whether the request may pass said neither yes nor no.
    AuthUnclear,
    /// 504: the same did not answer in time.
    AuthLate,
    /// 504: a file system did not answer in time.
    FilesLate,
    /// 504: a name server did not answer in time.
    NamesLate,
    /// 504: the application took longer than `timeout`.
    AppTimeout,
    /// 504: the server took no connection in time.
    ConnectTimeout,
    /// 504: the server took longer to answer than it may.
    ServerTimeout,
    /// 505: an HTTP version that this port does not speak.
    VersionUnsupported,
}

impl Fault {
    /// The status that says it (RFC 9110, 15), or 499 as nginx logs it.
    pub fn status(self) -> u16 {
        match self {
            Fault::BadRequest(_) => 400,
            Fault::Unauthorized => 401,
            Fault::Forbidden => 403,
            Fault::NotFound => 404,
            Fault::MethodNotAllowed(_) => 405,
            Fault::RequestTimeout(_) => 408,
            Fault::ProxyUnauthorized => 407,
            Fault::PreconditionFailed => 412,
            Fault::BodyTooLarge => 413,
            Fault::TargetTooLong => 414,
            Fault::RangeNotSatisfiable(_) => 416,
            Fault::ExpectationFailed => 417,
            Fault::Misdirected => 421,
            Fault::TooManyRequests(_) => 429,
            Fault::HeadTooLarge(_) => 431,
            Fault::ClientGone => 499,
            Fault::AppFailed | Fault::Internal(_) => 500,
            Fault::NotImplemented(_) => 501,
            Fault::Unreachable | Fault::ServerTls | Fault::ServerCertificate | Fault::ServerLost => 502,
            Fault::WorkerLost | Fault::BadAnswer(_) | Fault::AuthUnclear => 502,
            Fault::NoServer | Fault::Busy | Fault::SpoolFull | Fault::Maintenance => 503,
            Fault::AppDown | Fault::QueueFull | Fault::QueueTimeout => 503,
            Fault::FilesLate | Fault::NamesLate | Fault::AppTimeout | Fault::AuthLate => 504,
            Fault::ConnectTimeout | Fault::ServerTimeout => 504,
            Fault::VersionUnsupported => 505,
        }
    }

    /// One sentence for the person who reads the answer.
    pub fn detail(self) -> &'static str {
        match self {
            Fault::BadRequest(why) | Fault::RequestTimeout(why) | Fault::NotImplemented(why) => why,
            Fault::BadAnswer(why) | Fault::Internal(why) => why,
            Fault::Unauthorized => "This address is for those who show their name and password.",
            Fault::TooManyRequests(_) => "There were too many requests. Try again in a moment.",
            Fault::Busy => "There are too many requests at a time. Try again in a moment.",
            Fault::SpoolFull => "There is no room for a long body at the moment (spool_max). Try again in a moment.",
            Fault::FilesLate => "The file system that this is on did not answer in time.",
            Fault::NamesLate => "The address of that server could not be found in time.",
            Fault::Maintenance => "This site is closed for a moment, for work on it.",
            Fault::Forbidden => "This address is not for everybody.",
            Fault::NotFound => "There is nothing at this address.",
            Fault::Misdirected => "There is no site of this name here.",
            Fault::MethodNotAllowed(_) => "This address does not take this method.",
            Fault::ProxyUnauthorized => "This proxy is for those who show their name and password.",
            Fault::PreconditionFailed => "What is at this address has changed.",
            Fault::RangeNotSatisfiable(_) => "What is at this address is shorter than that.",
            Fault::BodyTooLarge => "The request body is larger than this server takes (body_max).",
            Fault::TargetTooLong => "The address is longer than this server takes (target_max).",
            Fault::ExpectationFailed => "The only expectation this server meets is 100-continue.",
            Fault::HeadTooLarge(HeadLimit::Bytes(_)) => "The request head is longer than this server takes (head_max).",
            Fault::HeadTooLarge(HeadLimit::Line(_)) => {
                "A header line is longer than this server takes (head_line_max)."
            }
            Fault::HeadTooLarge(HeadLimit::Lines(_)) => {
                "There are more header lines than this server takes (head_lines_max)."
            }
            Fault::HeadTooLarge(HeadLimit::Trailers) => "The trailers are longer than this server takes, 8 KiB.",
            Fault::HeadTooLarge(HeadLimit::Handed) => {
                "The request head is longer than what can be handed on to whatever answers here."
            }
            Fault::ClientGone => "The client left.",
            Fault::AppDown => "The application behind this address cannot be started at the moment. Try again later.",
            Fault::AppFailed => "The application failed on this request.",
            Fault::Unreachable => "That server does not answer.",
            Fault::ServerTls => "No encrypted connection to that server came about.",
            Fault::ServerCertificate => "The certificate of that server is not trusted.",
            Fault::ServerLost => "The server ended the connection before it had answered.",
            Fault::NoServer => "No server can be asked for this at the moment. Try again in a moment.",
            Fault::ConnectTimeout => "The server could not be reached in time.",
            Fault::ServerTimeout => "The server took too long to answer.",
            Fault::AuthUnclear => "Whether this request may pass could not be found out.",
            Fault::AuthLate => "Whether this request may pass could not be found out in time.",
            Fault::WorkerLost => "The application stopped while it worked on this request.",
            Fault::QueueFull => {
                "Whatever answers here is busy, and the queue before it is full. Try again in a moment."
            }
            Fault::QueueTimeout => "Whatever answers here was busy for too long. Try again in a moment.",
            Fault::AppTimeout => "The application took too long to answer.",
            Fault::VersionUnsupported => "This server speaks HTTP/1.0, HTTP/1.1 and HTTP/2 here.",
        }
    }

    /// The same, with the limit as a number where there is one.
    pub fn told(self) -> Cow<'static, str> {
        match self {
            Fault::HeadTooLarge(HeadLimit::Bytes(most)) => {
                format!("The request head is longer than {most} bytes (head_max).").into()
            }
            Fault::HeadTooLarge(HeadLimit::Line(most)) => {
                format!("A header line is longer than {most} bytes (head_line_max).").into()
            }
            Fault::HeadTooLarge(HeadLimit::Lines(most)) => {
                format!("There are more than {most} header lines (head_lines_max).").into()
            }
            fault => fault.detail().into(),
        }
    }

    /// What it is called in `Proxy-Status`, where a server of a pool was to answer (RFC 9209, 2.3).
    pub fn proxy_error(self) -> Option<&'static str> {
        Some(match self {
            Fault::Unreachable => "connection_refused",
            Fault::ServerTls => "tls_protocol_error",
            Fault::ServerCertificate => "tls_certificate_error",
            Fault::ConnectTimeout => "connection_timeout",
            Fault::ServerLost => "connection_terminated",
            Fault::ServerTimeout => "http_response_timeout",
            Fault::BadAnswer(_) => "http_protocol_error",
            Fault::NoServer => "destination_unavailable",
            Fault::QueueFull | Fault::QueueTimeout => "connection_limit_reached",
            _ => return None,
        })
    }

    /// Seconds for `Retry-After`, where waiting helps.
    pub fn retry_after_s(self) -> Option<u32> {
        match self {
            Fault::TooManyRequests(seconds) => Some(seconds.max(1)),
            Fault::Maintenance => Some(60),
            // It is tried again after ten seconds at the latest.
            Fault::AppDown => Some(10),
            Fault::NoServer | Fault::Busy | Fault::QueueFull | Fault::QueueTimeout => Some(1),
            Fault::SpoolFull | Fault::FilesLate => Some(5),
            _ => None,
        }
    }
}

/// The standard phrase of a status (RFC 9110, 15; RFC 6585).
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
