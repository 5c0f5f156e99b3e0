//! In:     requests for pools whose servers are made up.
//! Out:    what the servers saw, and what was fetched.
//! Actors: the test is client, servers and sweeper.
//! Never:  waits for time to pass.

mod exchange;
mod queue;

use super::members::PoolDesk;
use super::*;
use crate::fakes::{FakeWire, arrival};
use crate::request::context::RequestContext;
use crate::request::loop_plan::LoopPlan;
use hallway_core::plan::{Plan, Pool, Server};
use hallway_core::{Fault, Head};
use hallway_net::http::exchange::Exchange;
use hallway_net::runtime::event_loop::EventLoop;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Pools on an event loop.
struct Ground {
    event_loop: Rc<EventLoop>,
    upstreams: Rc<Upstreams>,
    pools: Pools,
}

/// What was fetched, as text.
#[derive(Debug, Eq, PartialEq)]
struct Got {
    status: u16,
    /// Its value of this field.
    cookie: Option<String>,
    body: Result<String, Fault>,
}

impl Ground {
    fn new(event_loop: &Rc<EventLoop>, pool: Pool) -> Ground {
        Ground::with(event_loop, vec![pool])
    }

    fn with(event_loop: &Rc<EventLoop>, pools: Vec<Pool>) -> Ground {
        let pools: Vec<Arc<Pool>> = pools.into_iter().map(Arc::new).collect();
        let desks = pools.iter().map(|pool| {
            let desk = Arc::new(PoolDesk::new(Instant::now()));
            desk.renew((pool, 1), &pools, &|_| None);
            (desk, pool.clone())
        });
        let tls = PoolsTls::of(&pools).unwrap();
        let upstreams = Rc::new(Upstreams::new(event_loop.clone()));
        let pools = Pools::new(1, desks.collect(), tls);
        Ground { event_loop: event_loop.clone(), upstreams, pools }
    }

    fn desk(&self) -> &Arc<PoolDesk> {
        self.pools.of(0).0
    }

    fn context(&self) -> RequestContext {
        RequestContext::begin(&self.event_loop, Rc::new(LoopPlan::from(Arc::new(Plan::empty()))))
    }

    /// Fetches, and takes the whole answer; how often it was tried.
    async fn tried(&self, head: &Head, wire: &mut FakeWire) -> (Result<Got, Fault>, usize) {
        let mut context = self.context();
        let arrival = arrival("192.0.2.7");
        let mut exchange = Exchange { head, arrival: &arrival, wire };
        let fetched = fetch((&self.upstreams, &self.pools), &mut exchange, &mut context, to(0)).await;
        let got = match fetched {
            Err(fault) => Err(fault),
            Ok(fetched) => Ok(taken(fetched).await),
        };
        (got, context.record.tries.len())
    }

    async fn fetch(&self, head: &Head) -> Result<Got, Fault> {
        self.tried(head, &mut FakeWire::default()).await.0
    }
}

fn to(pool: usize) -> Destination<'static> {
    Destination {
        pool,
        prefix_bytes: 0,
        body_bytes_max: 1 << 20,
        timeout_ms: None,
        places: None,
        as_it_came: AsItCame::Yes,
    }
}

async fn taken(fetched: Fetched) -> Got {
    let (head, body) = match fetched {
        Fetched::Whole(head, piece) => (head, Ok(piece.bytes().to_vec())),
        Fetched::Upgrade(head, _) => (head, Ok(Vec::new())),
        Fetched::Answer(head, mut stream) => {
            let mut bytes = Vec::new();
            let end = loop {
                match stream.next().await {
                    Err(fault) => break Err(fault),
                    Ok((piece, last)) => {
                        bytes.extend_from_slice(piece.bytes());
                        if last {
                            break Ok(());
                        }
                    }
                }
            };
            (head, end.map(|()| bytes))
        }
    };
    let cookie = head.fields.named(b"Set-Cookie").map(|value| String::from_utf8_lossy(value).into_owned());
    Got { status: head.status, cookie, body: body.map(|bytes| String::from_utf8(bytes).unwrap()) }
}

fn pool(servers: Vec<Server>) -> Pool {
    Pool::new("p", servers)
}
