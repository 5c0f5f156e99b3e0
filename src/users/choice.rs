//! Chooses who the edge and the apps run as, where nobody is named.
//!
//! In:     what is named; whose the directories of the apps are.
//! Out:    a user for each, and why it is that one.
//! Actors: the file system and the system's database of users.
//! Never:  is anybody root, or an app what the edge is, because nothing was written.

use super::owner::owner_of;
use super::rights::{self, is_mapped};
use super::{by_name, by_number, changes_users, name_of};
use hallway_core::plan::{App, Plan, User};
use std::path::Path;

/// Who the edge is, if there is such a user; else, and for apps, those that every system has.
const EDGES: [&str; 2] = ["hallway", "nobody"];
const APPS: [&str; 2] = ["nobody", "daemon"];
/// Where there are no names at all, as in an image with one file: numbers that systems leave free for nobody.
const NUMBERS: [u32; 2] = [65_534, 65_533];

/// Why somebody is a user that is written.
const WRITTEN: &str = "it is written";
/// Why nobody else is chosen.
const SAME: &str = "only root can start something as somebody else";
const POWERLESS: &str = "this is a root that may not become anybody else (CAP_SETUID, CAP_SETGID)";

/// Chooses for the edge and for all apps. What is written stays.
pub(crate) fn choose(user: &mut Option<User>, apps: &mut [App]) -> String {
    let origin = choose_for_edge(user);
    choose_for_apps(user.as_ref(), apps);
    origin
}

fn choose_for_edge(user: &mut Option<User>) -> String {
    if user.is_some() {
        return WRITTEN.into();
    }
    if !changes_users() {
        return stays().into();
    }
    *user = first_of(&EDGES, None);
    match user {
        Some(user) if user.name == EDGES[0] => "it is there".into(),
        Some(_) => format!("there is no user '{}', and root has to be written", EDGES[0]),
        None => "no other user can be become".into(),
    }
}

/// The same for apps alone, beside an edge that is this user.
pub(crate) fn choose_for_apps(edge: Option<&User>, apps: &mut [App]) {
    for app in apps {
        if app.user.is_some() && app.user_origin.is_empty() {
            app.user_origin = WRITTEN.into();
        }
        if app.user_origin != WRITTEN {
            (app.user, app.user_origin) = match changes_users() {
                true => of_directory(&app.chdir, edge.map(|edge| edge.uid)),
                false => (None, stays().into()),
            };
        }
    }
}

fn stays() -> &'static str {
    if rustix::process::geteuid().is_root() { POWERLESS } else { SAME }
}

/// The owner of a directory; where that is nobody to be, another one.
fn of_directory(chdir: &Path, edge: Option<u32>) -> (Option<User>, String) {
    let shown = chdir.display();
    let why = match owner_of(chdir) {
        Err(why) => why,
        Ok(owner) if owner.uid == 0 => format!("its directory {shown} is root's, and root has to be written"),
        Ok(owner) if Some(owner.uid) == edge => format!("its directory {shown} is the edge's"),
        Ok(owner) => {
            let user = by_number(owner.uid, owner.gid);
            if is_mapped(&user) {
                return (Some(user), format!("it is the owner of {shown}"));
            }
            format!("the owner of {shown}, {}, is not in this container", owner.uid)
        }
    };
    (first_of(&APPS, edge), why)
}

/// The first of these users that can be become, and is neither root nor that one.
fn first_of(names: &[&str], but: Option<u32>) -> Option<User> {
    let named = names.iter().filter_map(|name| by_name(name).ok().flatten());
    let numbered = NUMBERS.into_iter().map(|number| by_number(number, number));
    named.chain(numbered).find(|user| user.uid != 0 && Some(user.uid) != but && is_mapped(user))
}

/// Who everything runs as, for a person, and what is not walled from what.
pub(crate) fn told(plan: &Plan) -> Vec<String> {
    if plan.user.is_none() && plan.apps.iter().all(|app| app.user.is_none()) {
        let walls = if plan.apps.is_empty() { "" } else { ": nothing walls the edge and the apps from each other" };
        return vec![format!("everything runs as '{}'{walls}; {}", super::own_name(), plan.user_origin)];
    }
    let mut lines: Vec<String> = rights::doubt_system().into_iter().collect();
    lines.push(format!("the edge runs as {}", why(plan.user.as_ref(), &plan.user_origin)));
    lines.extend(plan.apps.iter().map(told_of));
    let uid = |user: Option<&User>| user.map_or(0, |user| user.uid);
    let mut uids: Vec<u32> = plan.apps.iter().map(|app| uid(app.user.as_ref())).collect();
    uids.sort_unstable();
    uids.dedup();
    for one in uids {
        let apps = plan.apps.iter().filter(|app| uid(app.user.as_ref()) == one).map(|app| app.name.clone());
        let mut names: Vec<String> = apps.collect();
        if one == uid(plan.user.as_ref()) {
            names.insert(0, "the edge".into());
        }
        if names.len() > 1 {
            let who = name_of(one);
            let names = names.join(", ");
            lines.push(format!(
                "{names} all run as '{who}': nothing walls them from each other; write user = \"…\" in each [app.…]"
            ));
        }
        if one == 0 {
            lines.push("what runs as root can change this machine and every other app".into());
        }
    }
    lines
}

/// What the start tells of users: who an app runs as, where that is not its directory's owner and not written.
pub(crate) fn surprises(plan: &Plan) -> Vec<String> {
    if rustix::process::geteuid().is_root() && plan.user.is_none() && !plan.by_flags {
        return vec![format!("everything runs as root: {}", plan.user_origin)];
    }
    let is_expected = |app: &App| app.user_origin == WRITTEN || app.user_origin.starts_with("it is the owner");
    plan.apps.iter().filter(|app| app.user.is_some() && !is_expected(app)).map(told_of).collect()
}

fn told_of(app: &App) -> String {
    format!("{} runs as {}", app.name, why(app.user.as_ref(), &app.user_origin))
}

fn why(user: Option<&User>, origin: &str) -> String {
    format!("'{}': {origin}", user.map_or_else(super::own_name, |user| user.name.clone()))
}
