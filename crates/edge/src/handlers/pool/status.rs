//! In:     the pools of a plan.
//! Out:    how their servers are, for the operator.
//! Actors: the edge's own thread.
//! Never:  does a request wait for it.

use crate::handlers::pool::members::{Member, PoolDesk};
use crate::handlers::pool::server::Trouble;
use hallway_core::plan::Pool;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// How a pool is.
pub(crate) fn status(pool: &Pool, desk: &PoolDesk) -> Value {
    let (members, now_ms) = (desk.members(), desk.now_ms());
    let servers: Vec<Value> = members.list.iter().map(|member| of_server(member, now_ms)).collect();
    let unresolved = [&members.unknown[..], &members.nowhere[..]].concat();
    json!({
        "name": pool.name,
        "servers": servers,
        "unresolved": unresolved,
        "waiting": desk.waiting.load(Ordering::Relaxed),
    })
}

fn of_server(member: &Member, now_ms: u64) -> Value {
    let server = &member.server;
    let (state, trouble) = server.state(now_ms);
    let Trouble { since_ms, why } = trouble.unwrap_or_default();
    json!({
        "server": server.name,
        "host": server.identity.host,
        "protocol": server.identity.protocol.scheme(),
        "weight": member.weight,
        "backup": member.is_backup,
        "open": server.outstanding(),
        "max_connections": member.connections_max,
        "state": state,
        "since_s": now_ms.saturating_sub(since_ms) / 1000,
        "why": why,
    })
}
