//! In:     a byte stream.
//! Out:    the requests that hyper's server sees in it.
//! Actors: hyper on a connection that holds the stream and nothing else.
//! Never:  does it wait: all bytes are there, and what is written is dropped.

use crate::{Seen, Verdict};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// All of a stream, then its end.
struct Feed(Vec<u8>, usize);

impl hyper::rt::Read for Feed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut room: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let left = self.0.len() - self.1;
        let take = left.min(room.remaining());
        let from = self.1;
        room.put_slice(&self.0[from..from + take]);
        self.1 += take;
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Feed {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(crate) fn read(stream: &[u8]) -> Verdict {
    let verdict = Rc::new(RefCell::new(Verdict::default()));
    let shared = verdict.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let verdict = shared.clone();
        async move {
            let (method, target) = (request.method().to_string(), request.uri().to_string());
            // A request whose body is not whole counts for neither engine.
            if let Ok(body) = request.into_body().collect().await {
                verdict.borrow_mut().seen.push(Seen { method, target, body: body.to_bytes().to_vec() });
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let serving =
        hyper::server::conn::http1::Builder::new().half_close(true).serve_connection(Feed(stream.to_vec(), 0), service);
    let mut serving = pin!(serving);
    let mut task = Context::from_waker(Waker::noop());
    for _ in 0..10_000 {
        if let Poll::Ready(ended) = serving.as_mut().poll(&mut task) {
            verdict.borrow_mut().refused = ended.err().map(|error| error.to_string());
            break;
        }
    }
    verdict.take()
}
