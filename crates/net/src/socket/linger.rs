//! In:     a connection on which this side has said its last word.
//! Out:    its end, once the client has had the time to read that word.
//! Actors: the task of the connection.
//! Never:  does a client that goes on sending stay for longer than its time, or its bytes.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What a closing connection still takes from a client that is sending, so that it reads its answer, or why
/// there is none, instead of a reset (RFC 9112, 9.6).
pub const LINGER_BYTES_MAX: usize = 1024 * 1024;
/// How long it does.
pub const LINGER_MS: u64 = 2_000;
/// Bytes that are taken at a time.
const READ_BYTES: usize = 16 * 1024;

/// Says that nothing more will come, and takes what still comes from the other side.
pub async fn see_off(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    if stream.shutdown().await.is_ok() {
        take_rest(&mut stream, &mut Vec::new()).await;
    }
}

/// Takes what comes until its end, into a buffer whose content is of no use.
pub async fn take_rest(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) {
    let mut taken = 0;
    while taken < LINGER_BYTES_MAX {
        buffer.clear();
        buffer.reserve(READ_BYTES);
        match stream.read_buf(buffer).await {
            Ok(bytes) if bytes > 0 => taken += bytes,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::on_loop;

    #[test]
    fn who_goes_on_sending_is_heard_for_so_long() {
        on_loop(async |_| {
            let (mut client, mut server) = tokio::io::duplex(READ_BYTES);
            let taking = tokio::task::spawn_local(async move {
                take_rest(&mut server, &mut b"of no use".to_vec()).await;
            });
            let mut sent = 0;
            while client.write_all(&[0; 1024]).await.is_ok() {
                sent += 1024;
            }
            taking.await.unwrap();
            assert!((LINGER_BYTES_MAX..LINGER_BYTES_MAX + 3 * READ_BYTES).contains(&sent), "{sent}");
        });
    }

    #[test]
    fn the_last_word_arrives_and_the_end_is_waited_for() {
        on_loop(async |_| {
            let (mut client, mut server) = tokio::io::duplex(64);
            let parting = tokio::task::spawn_local(async move {
                server.write_all(b"bye").await.unwrap();
                see_off(server).await;
            });
            client.write_all(&[0; 1000]).await.unwrap();
            let mut heard = String::new();
            client.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, "bye");
            assert!(!parting.is_finished());
            drop(client);
            parting.await.unwrap();
        });
    }
}
