//! In:     the values of a configuration file.
//! Out:    the plan; or what is wrong with values that by themselves look right.
//! Actors: the file system is asked whether what is named exists.
//! Never:  is a plan made of values with problems.

mod app;
mod builder;
mod doubts;
mod env_file;
mod hierarchy;
mod modifiers;
mod place;
mod pool;
mod rights;
mod route;
mod server;
mod several;
mod site;
mod tls;
mod values;

use crate::machine::Machine;
use crate::node::{Node, Table};
use crate::problem::{Problems, Sources};
use crate::shape::Shape;
use crate::tables::FILE;
use builder::Builder;
use hallway_core::plan::Plan;

/// Makes the plan of a file's values. Problems are added to those of reading it; with any there is no plan.
pub(crate) fn plan(table: &Table, machine: &dyn Machine, sources: &Sources, problems: &mut Problems) -> Option<Plan> {
    Shape { machine, problems }.check_table(table, FILE, "");
    let has_https = table.get("server").and_then(Node::table).is_some_and(|server| server.get("https").is_some())
        || machine.given().encrypted;
    let (certificates, logs, zones, pools) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut builder = Builder { machine, sources, problems, file: table, has_https, certificates, logs, zones, pools };
    let mut user = builder.user(table);
    let mut apps = builder.apps(table);
    let user_origin = machine.choose(&mut user, &mut apps);
    let names: Vec<String> = apps.iter().map(|app| app.name.clone()).collect();
    builder.pools(table);
    let log = builder.access_log(table);
    let sites = builder.sites(table, &names, log);
    if builder.problems.is_empty() {
        builder.doubt_unused(table, &sites);
    }
    let plan = Plan {
        listeners: builder.listeners(table),
        edge_threads: builder.threads(table),
        certificates: std::mem::take(&mut builder.certificates),
        sites,
        pools: std::mem::take(&mut builder.pools),
        resolvers: builder.resolvers(table),
        apps,
        trust: builder.trust(table),
        forward_proxy: builder.forward_proxy(table),
        spool_bytes_max: builder.spool_bytes_max(table),
        stop_timeout_ms: builder.stop_timeout_ms(table),
        watchdog_ms: builder.watchdog_ms(table),
        reloads: false,
        by_flags: false,
        user,
        user_origin,
        zones: std::mem::take(&mut builder.zones),
        logs: std::mem::take(&mut builder.logs),
        log,
        limits: builder.limits(table),
    };
    if builder.problems.is_empty() {
        builder.doubt_plan(table, &plan);
        builder.check_rights(table, &plan);
    }
    problems.is_empty().then_some(plan)
}
