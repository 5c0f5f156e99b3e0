//! In:     plans, one after the other.
//! Out:    what goes on from one to the next, and what a plan that is refused leaves as it was.
//! Actors: the test.
//! Never:  is a log written by it.

use super::*;
use crate::fakes::{FakeMaster, planned};
use hallway_core::plan::{App, LimitBy, Most, Place, Rate, Route, Server, Site};
use tokio::sync::mpsc::unbounded_channel;

fn builder() -> (RulesBuilder, Arc<FakeMaster>) {
    let (mailboxes, master) = (Mailboxes::new(vec![unbounded_channel().0]), Arc::new(FakeMaster::default()));
    (RulesBuilder::new(mailboxes, master.clone(), (1, Some(0))), master)
}

fn zone(burst: u64) -> Zone {
    let most = Most::Rate(Rate { interval_ns: 1_000_000_000, burst });
    Zone { name: "z".into(), by: LimitBy::All, most, tells: false }
}

fn server(port: u16) -> Server {
    planned(([127, 0, 0, 1], port).into())
}

fn plan() -> Plan {
    Plan {
        apps: vec![App::new("web", "app:app".into(), 1)],
        pools: vec![Arc::new(Pool::new("p", vec![server(1)]))],
        zones: vec![zone(5)],
        ..Plan::empty()
    }
}

fn answer(path: &str) -> Route {
    let (media_type, body) = ("text/plain".into(), String::new());
    Route::new(path, Target::Respond { status: 200, media_type, body })
}

#[test]
fn what_has_its_name_again_goes_on() {
    let (mut builder, _) = builder();
    builder.rules(plan(), 1, Vec::new()).unwrap();
    let (desk, pool, limiter) = (builder.desk(0).unwrap(), builder.pools["p"].clone(), builder.limiters["z"].clone());
    let known = pool.members().list[0].server.clone();
    let mut next = plan();
    next.pools = vec![Arc::new(Pool::new("p", vec![server(1), server(2)]))];
    builder.rules(next, 2, Vec::new()).unwrap();
    assert!(Arc::ptr_eq(&builder.desk(0).unwrap(), &desk));
    assert!(Arc::ptr_eq(&builder.pools["p"], &pool));
    assert!(Arc::ptr_eq(&builder.limiters["z"], &limiter));
    let members = pool.members();
    assert!(Arc::ptr_eq(&members.list[0].server, &known) && members.list.len() == 2);
}

#[test]
fn what_is_another_or_has_gone_begins_anew() {
    let (mut builder, _) = builder();
    builder.rules(plan(), 1, Vec::new()).unwrap();
    let (desk, pool, limiter) = (builder.desk(0).unwrap(), builder.pools["p"].clone(), builder.limiters["z"].clone());
    builder.rules(Plan { zones: vec![zone(6)], ..Plan::empty() }, 2, Vec::new()).unwrap();
    assert!(!Arc::ptr_eq(&builder.limiters["z"], &limiter), "another rate counts from its own beginning");
    assert!(builder.desk(0).is_none() && builder.pools.is_empty());
    assert_eq!(builder.status()["pools"].as_array().unwrap().len(), 0);
    builder.rules(plan(), 3, Vec::new()).unwrap();
    assert!(!Arc::ptr_eq(&builder.desk(0).unwrap(), &desk) && !Arc::ptr_eq(&builder.pools["p"], &pool));
}

#[test]
fn a_plan_that_is_refused_changes_nothing() {
    let log = || AccessLog { path: Some("/var/log/x".into()), format: hallway_core::plan::LogFormat::Json };
    let twice = || Site::new(&["a.example"], vec![answer("/")]);
    let bad: [(Plan, &str); 3] = [
        (Plan { sites: vec![twice(), twice()], ..Plan::empty() }, "two sites are called a.example"),
        (Plan { sites: vec![Site::new(&["b"], vec![answer("/"), answer("/")])], ..Plan::empty() }, "alike"),
        (Plan { logs: vec![log()], ..Plan::empty() }, "files of access logs have not come"),
    ];
    for (refused, why) in bad {
        let (mut builder, _) = builder();
        builder.rules(plan(), 1, Vec::new()).unwrap();
        let (desk, limiter) = (builder.desk(0).unwrap(), builder.limiters["z"].clone());
        let members = builder.pools["p"].members();
        let error = builder.rules(refused, 2, Vec::new()).err().unwrap().to_string();
        assert!(error.contains(why), "{error}");
        assert!(Arc::ptr_eq(&builder.desk(0).unwrap(), &desk) && Arc::ptr_eq(&builder.limiters["z"], &limiter));
        assert!(Arc::ptr_eq(&builder.pools["p"].members(), &members));
        assert_eq!(builder.log_files(), 0);
    }
}

#[test]
fn a_log_goes_on_in_its_file_whatever_its_form() {
    let (mut builder, _) = builder();
    let log = |format| AccessLog { path: Some("/var/log/x".into()), format };
    let null = || File::options().write(true).open("/dev/null").unwrap();
    let (json, combined) = (hallway_core::plan::LogFormat::Json, hallway_core::plan::LogFormat::Combined);
    let logs = vec![log(json.clone()), log(combined)];
    builder.rules(Plan { logs, ..Plan::empty() }, 1, vec![null()]).unwrap();
    assert_eq!((builder.log_files(), lock(&builder.writers).len()), (1, 1), "two forms, one file");
    builder.rules(Plan { logs: vec![log(json)], ..Plan::empty() }, 2, vec![null()]).unwrap();
    builder.reopen_logs(vec![null()]);
    assert_eq!((builder.log_files(), lock(&builder.writers).len()), (1, 1));
    builder.rules(Plan::empty(), 3, Vec::new()).unwrap();
    assert_eq!((builder.log_files(), lock(&builder.writers).len()), (0, 0));
}

#[test]
fn the_master_is_told_when_all_loops_go_by_a_plan_and_when_nothing_does() {
    let (mut builder, master) = builder();
    let rules = builder.rules(Plan { edge_threads: 2, ..Plan::empty() }, 7, Vec::new()).unwrap();
    rules.note_adopted();
    assert_eq!(master.told().len(), 0);
    rules.note_adopted();
    assert_eq!(master.told(), ["adopted 7"]);
    drop(rules);
    assert_eq!(master.told(), ["over 7"]);
}

#[test]
fn the_operator_is_told_of_names_that_stand_for_nothing_yet() {
    let (mut builder, _) = builder();
    let named = Server { at: Place::Host { name: "nobody.invalid".into(), port: Some(80) }, ..server(1) };
    builder
        .rules(Plan { pools: vec![Arc::new(Pool::new("p", vec![named, server(9)]))], ..Plan::empty() }, 1, Vec::new())
        .unwrap();
    let status = builder.status();
    let pool = &status["pools"][0];
    assert_eq!((&pool["name"], &pool["unresolved"]), (&json!("p"), &json!(["nobody.invalid"])));
    assert_eq!((&pool["servers"][0]["server"], &pool["servers"][0]["state"]), (&json!("127.0.0.1:9"), &json!("ready")));
}
