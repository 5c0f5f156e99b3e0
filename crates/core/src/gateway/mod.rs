//! In:     a request; what a server that speaks no HTTP answers.
//! Out:    the request in its protocol; the answer's head and body.
//! Actors: none.
//! Never:  does a client write a variable that only the gateway may.

mod fastcgi;
mod head;
mod script;
mod uwsgi;
mod variables;

pub use fastcgi::{Decoder, Step, put_begin, put_stdin, put_stdin_end};
pub use head::parse_gateway_head;
pub use script::{Named, Seen, name_script};
pub use uwsgi::put_uwsgi;
pub use variables::{Gateway, put_variables};
