//! In:     a measured stream with a socket of the kernel below it; its other end.
//! Out:    what is read, written, and given up.
//! Actors: the test is both sides, and the sweeper.
//! Never:  does a test wait for time to pass: it sweeps as of another time.

use super::*;
use crate::socket::stream::Socket;
use std::io::{IoSlice, Read, Write};
use std::os::unix::net::UnixStream;
use std::task::Waker;

/// A time by which every wait is over.
const LATER_MS: u64 = 1 << 40;

struct Ends {
    metered: Metered,
    event_loop: Rc<EventLoop>,
    client: UnixStream,
}

fn run(test: impl AsyncFnOnce(Ends)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, server) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        let server = tokio::net::UnixStream::from_std(server).unwrap();
        let event_loop = EventLoop::alone().unwrap();
        let stream = Stream::Plain(Socket::Unix(server.into()));
        let metered = Metered::new(&event_loop, stream, b"read before".to_vec(), Rc::default());
        turn().await;
        test(Ends { metered, event_loop, client }).await;
    });
}

/// Has the kernel tell what is ready.
async fn turn() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

impl Ends {
    fn write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut task = Context::from_waker(Waker::noop());
        Pin::new(&mut self.metered).poll_write_vectored(&mut task, &[IoSlice::new(bytes)])
    }

    fn flush(&mut self) -> Poll<io::Result<()>> {
        Pin::new(&mut self.metered).poll_flush(&mut Context::from_waker(Waker::noop()))
    }

    fn shut_down(&mut self) -> Poll<io::Result<()>> {
        Pin::new(&mut self.metered).poll_shutdown(&mut Context::from_waker(Waker::noop()))
    }

    fn read(&mut self) -> Poll<io::Result<Vec<u8>>> {
        let mut room = [0; 64];
        let mut into = ReadBuf::new(&mut room);
        let read = Pin::new(&mut self.metered).poll_read(&mut Context::from_waker(Waker::noop()), &mut into);
        read.map_ok(|()| into.filled().to_vec())
    }

    /// What the client has got so far.
    fn got(&mut self) -> Vec<u8> {
        self.client.set_nonblocking(true).unwrap();
        let mut got = vec![0; 1 << 20];
        let bytes = self.client.read(&mut got).unwrap_or(0);
        got.truncate(bytes);
        got
    }

    /// Writes until the client would have to take some of it.
    async fn fill(&mut self) {
        for _ in 0..1000 {
            turn().await;
            if self.write(&[7; 20_000]).is_pending() {
                return;
            }
        }
        panic!("the kernel takes everything");
    }
}

#[test]
fn what_was_read_before_comes_first() {
    run(async |mut ends| {
        assert!(matches!(ends.read(), Poll::Ready(Ok(bytes)) if bytes == b"read before"));
        assert!(ends.read().is_pending());
    });
}

#[test]
fn frames_leave_with_the_flush() {
    run(async |mut ends| {
        assert!(matches!(ends.write(b"one"), Poll::Ready(Ok(3))));
        assert!(matches!(ends.write(b" two"), Poll::Ready(Ok(4))));
        assert_eq!(ends.got(), b"");
        assert!(ends.flush().is_ready());
        assert_eq!(ends.got(), b"one two");
    });
}

#[test]
fn a_client_that_takes_nothing_is_given_up_whatever_else_is_to_be_sent() {
    run(async |mut ends| {
        ends.fill().await;
        ends.event_loop.deadlines.sweep(LATER_MS);
        // Answers to its pings are kept beside what waits already, and prolong nothing.
        assert!(matches!(ends.write(b"pong"), Poll::Ready(Ok(4))));
        assert!(matches!(ends.flush(), Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut));
    });
}

#[test]
fn who_was_told_everything_is_read_to_its_end() {
    run(async |mut ends| {
        assert!(ends.write(b"bye").is_ready());
        assert!(ends.shut_down().is_pending(), "its end has not come");
        assert_eq!(ends.got(), b"bye");
        ends.event_loop.deadlines.sweep(LATER_MS);
        assert!(matches!(ends.shut_down(), Poll::Ready(Ok(()))), "its time is over");
    });
}

#[test]
fn who_has_ended_is_not_waited_for() {
    run(async |mut ends| {
        ends.client.write_all(&[0; 9000]).unwrap();
        ends.client.shutdown(std::net::Shutdown::Write).unwrap();
        turn().await;
        assert!(matches!(ends.shut_down(), Poll::Ready(Ok(()))));
    });
}

#[test]
fn who_goes_on_sending_has_had_enough_to_read_by_then() {
    run(async |mut ends| {
        assert!(ends.shut_down().is_pending());
        ends.client.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while ends.shut_down().is_pending() {
            sent += ends.client.write(&[0; 50_000]).unwrap_or(0);
            turn().await;
        }
        assert!((LINGER_BYTES_MAX..2 * LINGER_BYTES_MAX).contains(&sent), "{sent} bytes");
    });
}

#[test]
fn frames_without_use_end_the_connection() {
    run(async |mut ends| {
        assert!(ends.read().is_ready());
        ends.metered.meter.read_bytes.set(BYTES_FOR_ONE * BYTES_FREE);
        assert!(ends.read().is_pending(), "so many are free");
        ends.metered.meter.read_bytes.set(BYTES_FOR_ONE * (BYTES_FREE + 1));
        assert!(matches!(ends.read(), Poll::Ready(Err(_))));
        ends.metered.meter.note_payload(1);
        assert!(ends.read().is_pending(), "some of it was of use");
    });
}
