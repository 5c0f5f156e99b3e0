//! In:     answers as servers send them, whole and byte by byte.
//! Out:    what the reader makes of them.
//! Actors: none.
//! Never:  does how the bytes are cut change what is read.

use super::*;

type Read = Result<Option<(u16, Vec<u8>, bool)>, String>;

fn own(read: Result<Option<Answer<'_>>, String>) -> Read {
    read.map(|answer| answer.map(|answer| (answer.status, answer.body.to_vec(), answer.closes)))
}

/// Reads the text at once and byte by byte, and asserts that both ways agree.
fn read(text: &str, bodiless: bool) -> Read {
    let mut at_once = AnswerReader::new(bodiless);
    at_once.room().extend_from_slice(text.as_bytes());
    let whole = own(at_once.read(false));
    let mut piecewise = AnswerReader::new(bodiless);
    let mut last = Ok(None);
    for (index, byte) in text.bytes().enumerate() {
        piecewise.room().push(byte);
        last = own(piecewise.read(false));
        if !matches!(last, Ok(None)) && index + 1 < text.len() {
            assert!(whole.is_err(), "read before its end: {text:?}");
            return whole;
        }
    }
    assert_eq!(whole, last);
    whole
}

#[test]
fn a_length() {
    let answer = read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello", false);
    assert_eq!(answer, Ok(Some((200, b"hello".to_vec(), false))));
    let answer = read("HTTP/1.1 404 No\r\ncontent-length: 0\r\nconnection: Close\r\n\r\n", false);
    assert_eq!(answer, Ok(Some((404, vec![], true))));
}

#[test]
fn chunks_with_extension_and_trailer() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nX: y\r\n\r\n";
    assert_eq!(read(text, false), Ok(Some((200, b"hello!".to_vec(), false))));
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(read(text, false), Ok(Some((200, vec![], false))));
}

#[test]
fn a_reader_reads_the_next_answer_after_clear() {
    let mut reader = AnswerReader::new(false);
    for body in ["one", "three", ""] {
        reader.clear();
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        reader.room().extend_from_slice(text.as_bytes());
        assert_eq!(own(reader.read(false)), Ok(Some((200, body.as_bytes().to_vec(), false))));
    }
}

#[test]
fn a_body_that_ends_with_the_connection() {
    let mut reader = AnswerReader::new(false);
    reader.room().extend_from_slice(b"HTTP/1.0 200 OK\r\n\r\nall of it");
    assert_eq!(own(reader.read(false)), Ok(None));
    assert_eq!(own(reader.read(true)), Ok(Some((200, b"all of it".to_vec(), true))));
}

#[test]
fn a_body_cut_short_is_never_whole() {
    let mut reader = AnswerReader::new(false);
    reader.room().extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell");
    assert_eq!(own(reader.read(true)), Ok(None));
}

#[test]
fn no_body_after_head_204_304_and_interim_answers() {
    assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true), Ok(Some((200, vec![], false))));
    assert_eq!(read("HTTP/1.1 204 No Content\r\n\r\n", false), Ok(Some((204, vec![], false))));
    assert_eq!(read("HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n", false), Ok(Some((304, vec![], false))));
    let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(read(text, false), Ok(Some((200, b"x".to_vec(), false))));
}

#[test]
fn whether_the_connection_stays() {
    let closes = |text: &str| read(text, false).map(|answer| answer.map(|(_, _, closes)| closes));
    assert_eq!(closes("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), Ok(Some(true)));
    assert_eq!(closes("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"), Ok(Some(false)));
    assert_eq!(closes("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, close\r\n\r\n"), Ok(Some(true)));
}

#[test]
fn what_is_no_answer() {
    let head = "HTTP/1.1 200 OK\r\n";
    for text in [
        "SSH-2.0-x\r\n\r\n".to_owned(),
        format!("{head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
        format!("{head}Content-Length: +1\r\n\r\nx"),
        format!("{head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{head}Transfer-Encoding: gzip\r\n\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nz\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n"),
        format!("{head}Content-Length: 1\r\n\r\nxy"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nmore"),
    ] {
        assert!(read(&text, false).is_err(), "{text:?}");
    }
}
