//! In:     when each request was due and answered, and how it went.
//! Out:    the counts and latencies of the measured interval, as one JSON object.
//! Actors: none.
//! Never:  is a fault forgotten because it fell into the warm-up, or a request because it got no answer.

use crate::connection::{Fault, Reach};
use crate::histogram::Histogram;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// One of the short intervals of which each has a p99 of its own: a machine that stalls spoils some of them, a server
/// that does spoils most.
const WINDOW: Duration = Duration::from_millis(250);

/// What happened so far.
pub(crate) struct Tally {
    measured_from: Instant,
    last_answer: Instant,
    latency_ns: Histogram,
    window_ns: Histogram,
    window_until: Instant,
    window_p99s_ns: Vec<u64>,
    due: u64,
    ended: u64,
    errors: u64,
    wrong: u64,
    reconnects: u64,
    first_fault: Option<String>,
}

impl Tally {
    /// Requests due at `measured_from` or later are measured; those before are the warm-up.
    pub(crate) fn new(measured_from: Instant) -> Self {
        Self {
            measured_from,
            last_answer: measured_from,
            latency_ns: Histogram::new(),
            window_ns: Histogram::new(),
            window_until: measured_from + WINDOW,
            window_p99s_ns: Vec::new(),
            due: 0,
            ended: 0,
            errors: 0,
            wrong: 0,
            reconnects: 0,
            first_fault: None,
        }
    }

    /// A request is to be sent.
    pub(crate) fn begin(&mut self) {
        self.due += 1;
    }

    /// A request that was due then has ended now.
    pub(crate) fn end(&mut self, due: Instant, now: Instant, outcome: Result<Reach, Fault>) {
        self.ended += 1;
        match outcome {
            Ok(reach) if due >= self.measured_from => {
                let latency = now.saturating_duration_since(due).as_nanos();
                let latency = u64::try_from(latency).unwrap_or(u64::MAX);
                self.latency_ns.record(latency);
                while due >= self.window_until {
                    self.close_window();
                }
                self.window_ns.record(latency);
                self.reconnects += u64::from(reach == Reach::Reconnected);
                self.last_answer = self.last_answer.max(now);
            }
            Ok(_) => {}
            Err(Fault::Connection(text)) => {
                self.errors += 1;
                self.first_fault.get_or_insert(text);
            }
            Err(Fault::Wrong(text)) => {
                self.wrong += 1;
                self.first_fault.get_or_insert(text);
            }
        }
    }

    fn close_window(&mut self) {
        if self.window_ns.count() > 0 {
            self.window_p99s_ns.push(self.window_ns.quantile(0.99));
        }
        self.window_ns.clear();
        self.window_until += WINDOW;
    }

    /// No request is waited for any longer: those without an answer are errors.
    pub(crate) fn close(&mut self) {
        self.close_window();
        self.window_p99s_ns.sort_unstable();
        let unanswered = self.due - self.ended;
        if unanswered > 0 {
            self.errors += unanswered;
            self.first_fault.get_or_insert(format!("{unanswered} requests had no answer when the wait was over"));
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.errors == 0 && self.wrong == 0
    }

    pub(crate) fn report(&self) -> Value {
        let seconds = self.last_answer.duration_since(self.measured_from).as_secs_f64();
        let requests = self.latency_ns.count();
        let window_p99 = self.window_p99s_ns.get(self.window_p99s_ns.len() / 2).copied().unwrap_or(0);
        let quantile = |share| micros(self.latency_ns.quantile(share) as f64);
        json!({
            "requests": requests,
            "errors": self.errors,
            "wrong": self.wrong,
            "reconnects": self.reconnects,
            "seconds": seconds,
            "rate": if seconds > 0.0 { requests as f64 / seconds } else { 0.0 },
            "latency_us": {
                "p50": quantile(0.5),
                "p90": quantile(0.9),
                "p99": quantile(0.99),
                "p999": quantile(0.999),
                "max": micros(self.latency_ns.max() as f64),
                "p99_window": micros(window_p99 as f64),
                "mean": micros(self.latency_ns.mean()),
            },
            "first_fault": self.first_fault,
        })
    }
}

fn micros(nanos: f64) -> f64 {
    (nanos / 10.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_warm_up_is_not_measured_but_its_faults_count() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut tally = Tally::new(at(100));
        (0..4).for_each(|_| tally.begin());
        tally.end(at(50), at(150), Ok(Reach::Reconnected));
        tally.end(at(100), at(101), Ok(Reach::Kept));
        tally.end(at(110), at(600), Ok(Reach::Reconnected));
        tally.end(at(60), at(61), Err(Fault::Wrong("status 500".into())));
        tally.close();
        let report = tally.report();
        assert_eq!((&report["requests"], &report["reconnects"]), (&json!(2), &json!(1)));
        assert_eq!((&report["wrong"], &report["errors"]), (&json!(1), &json!(0)));
        assert_eq!((&report["seconds"], &report["rate"]), (&json!(0.5), &json!(4.0)));
        assert_eq!((&report["latency_us"]["max"], &report["first_fault"]), (&json!(490_000.0), &json!("status 500")));
        assert!(!tally.is_clean());
    }

    #[test]
    fn one_stall_spoils_one_window() {
        let start = Instant::now();
        let mut tally = Tally::new(start);
        for number in 0..1000_u64 {
            tally.begin();
            let due = start + Duration::from_millis(number);
            let took_ms = if (300..320).contains(&number) { 50 } else { 1 };
            tally.end(due, due + Duration::from_millis(took_ms), Ok(Reach::Kept));
        }
        tally.close();
        let latency = &tally.report()["latency_us"];
        assert!(latency["p99"].as_f64().unwrap() > 49_000.0, "{latency}");
        assert!((990.0..1010.0).contains(&latency["p99_window"].as_f64().unwrap()), "{latency}");
    }

    #[test]
    fn a_request_without_an_answer_is_an_error() {
        let mut tally = Tally::new(Instant::now());
        tally.begin();
        assert!(tally.is_clean());
        tally.close();
        assert!(!tally.is_clean());
        assert_eq!(tally.report()["errors"], json!(1));
    }
}
