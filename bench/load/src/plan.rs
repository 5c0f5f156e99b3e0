//! In:     the words of the command line.
//! Out:    what to send where, how fast, how long, and what must come back.
//! Actors: none.
//! Never:  is a word that means nothing passed over.

use crate::check::Expectation;
use crate::request::RequestForm;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// How to call this program.
pub(crate) const USAGE: &str = "\
usage: hallway-load closed --connections N --seconds S [options] ADDR
       hallway-load open --rate R --connections N --seconds S [options] ADDR

closed: every connection sends its next request when it has its answer.
open:   requests are due at a constant rate; latency counts from when a request was due.

  --warmup S            seconds before the measured ones (0)
  --method M            (GET)
  --path P              (/)
  --host H              (ADDR)
  --body-bytes N        send a body of N deterministic letters (0)
  --expect-status N     (200)
  --expect-bytes N      length of the answer's body
  --expect-prefix TEXT  how the answer's body begins
  --expect-sha256 HEX   digest of the answer's body
Every body must also equal the first right one. Exit code 1 when one did not, or a connection failed.";

const OPTIONS: &[&str] = &[
    "--rate",
    "--connections",
    "--seconds",
    "--warmup",
    "--method",
    "--path",
    "--host",
    "--body-bytes",
    "--expect-status",
    "--expect-bytes",
    "--expect-prefix",
    "--expect-sha256",
];

/// When requests are due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    Closed,
    Open { per_second: f64 },
}

/// One run.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) pace: Pace,
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) warmup: Duration,
    pub(crate) measured: Duration,
    pub(crate) request: RequestForm,
    pub(crate) expectation: Expectation,
}

/// Reads the words behind the program's name.
pub(crate) fn read(words: impl Iterator<Item = String>) -> Result<Plan, String> {
    let (mode, address, options) = sort(words)?;
    let host = options.get("--host").cloned().unwrap_or_else(|| address.clone());
    let pace = match mode.as_str() {
        "closed" if options.contains_key("--rate") => return Err("--rate belongs to open".into()),
        "closed" => Pace::Closed,
        "open" => Pace::Open { per_second: rate(&options)? },
        other => return Err(format!("{other:?} is neither closed nor open")),
    };
    let sha256 = options.get("--expect-sha256").map(|hex| hex.to_ascii_lowercase());
    if sha256.as_ref().is_some_and(|hex| hex.len() != 64 || hex.bytes().any(|byte| !byte.is_ascii_hexdigit())) {
        return Err("--expect-sha256 is not 64 hexadecimal digits".into());
    }
    let connections = number(&options, "--connections")?.filter(|count| *count > 0);
    Ok(Plan {
        pace,
        address: address.parse().map_err(|_| format!("{address:?} is not an address such as 127.0.0.1:8000"))?,
        connections: connections.ok_or("--connections N is missing")?,
        warmup: duration(&options, "--warmup")?.unwrap_or_default(),
        measured: duration(&options, "--seconds")?.ok_or("--seconds S is missing")?,
        request: RequestForm {
            method: options.get("--method").cloned().unwrap_or_else(|| "GET".into()),
            path: options.get("--path").cloned().unwrap_or_else(|| "/".into()),
            host,
            body_bytes: number(&options, "--body-bytes")?.unwrap_or(0),
        },
        expectation: Expectation {
            status: number(&options, "--expect-status")?.unwrap_or(200),
            bytes: number(&options, "--expect-bytes")?,
            prefix: options.get("--expect-prefix").cloned(),
            sha256,
        },
    })
}

type Sorted = (String, String, HashMap<String, String>);

/// The mode, the address, and the value behind each option.
fn sort(mut words: impl Iterator<Item = String>) -> Result<Sorted, String> {
    let mode = words.next().ok_or("no mode is given")?;
    let (mut address, mut options) = (None, HashMap::new());
    while let Some(word) = words.next() {
        if OPTIONS.contains(&word.as_str()) {
            let value = words.next().ok_or(format!("{word} has no value"))?;
            if options.insert(word.clone(), value).is_some() {
                return Err(format!("{word} is given twice"));
            }
        } else if word.starts_with('-') || address.is_some() {
            return Err(format!("{word:?} means nothing here"));
        } else {
            address = Some(word);
        }
    }
    Ok((mode, address.ok_or("no address is given")?, options))
}

fn number<N: FromStr>(options: &HashMap<String, String>, name: &str) -> Result<Option<N>, String> {
    let read = |text: &String| text.parse().map_err(|_| format!("{name} {text} is not a number that fits"));
    options.get(name).map(read).transpose()
}

fn duration(options: &HashMap<String, String>, name: &str) -> Result<Option<Duration>, String> {
    let Some(seconds) = number::<f64>(options, name)? else { return Ok(None) };
    Duration::try_from_secs_f64(seconds).map(Some).map_err(|_| format!("{name} {seconds} is not a time"))
}

fn rate(options: &HashMap<String, String>) -> Result<f64, String> {
    let rate = number(options, "--rate")?.filter(|rate: &f64| *rate > 0.0 && *rate < 1e7);
    rate.ok_or("--rate R is missing, or not between 0 and 10,000,000".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Plan, String> {
        read(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn closed_with_what_goes_without_saying() {
        let plan = read_text("closed --connections 4 --seconds 0.5 127.0.0.1:80").unwrap();
        assert_eq!((plan.pace, plan.connections, plan.warmup), (Pace::Closed, 4, Duration::ZERO));
        assert_eq!((plan.measured, plan.request.host.as_str()), (Duration::from_millis(500), "127.0.0.1:80"));
        assert_eq!((plan.request.method.as_str(), plan.expectation.status), ("GET", 200));
    }

    #[test]
    fn open_with_everything() {
        let plan = read_text(
            "open --rate 1500.5 --connections 4 --seconds 2 --warmup 1 --method POST --path /e --host h --body-bytes 9 \
             --expect-status 201 --expect-bytes 9 --expect-prefix ab 127.0.0.1:80",
        )
        .unwrap();
        assert_eq!((plan.pace, plan.warmup), (Pace::Open { per_second: 1500.5 }, Duration::from_secs(1)));
        assert_eq!((plan.request.body_bytes, plan.expectation.bytes), (9, Some(9)));
        assert_eq!((plan.expectation.status, plan.expectation.prefix.as_deref()), (201, Some("ab")));
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            "closed",
            "sideways --connections 1 --seconds 1 127.0.0.1:80",
            "closed --connections 0 --seconds 1 127.0.0.1:80",
            "closed --connections 1 127.0.0.1:80",
            "closed --connections 1 --seconds -1 127.0.0.1:80",
            "closed --connections 1 --seconds 1 --rate 5 127.0.0.1:80",
            "closed --connections 1 --seconds 1 --seconds 2 127.0.0.1:80",
            "closed --connections 1 --seconds 1 nowhere",
            "closed --connections 1 --seconds 1 --expect-sha256 abc 127.0.0.1:80",
            "closed --connections 1 --seconds 1 --fast 127.0.0.1:80",
            "open --connections 1 --seconds 1 127.0.0.1:80",
            "open --rate 0 --connections 1 --seconds 1 127.0.0.1:80",
            "closed --connections 1 --seconds",
        ] {
            assert!(read_text(text).is_err(), "{text}");
        }
    }
}
