//! In:     `hallway.toml`, the files of `conf.d` beside it, the machine.
//! Out:    one tree of values, each with the place where it was written; or every problem at once.
//! Actors: the file system.
//! Never:  is a value used that no declaration names, or a problem told without its place.

mod build;
mod declare;
mod effective;
mod foreign;
pub mod machine;
mod model;
mod near;
mod node;
mod own_variables;
mod problem;
mod read;
mod schema;
pub mod settings;
mod shape;
pub mod show;
mod synonyms;
mod tables;
#[cfg(test)]
mod tests;

pub use model::Model;
pub use near::{is_slip, nearest};
pub use own_variables::{is_among, is_own};
pub use read::neighbours;
pub use schema::schema;
pub use show::{routes, summary};

use hallway_core::plan::Plan;
use machine::Machine;
pub use problem::{Position, Remark, Weight};
use problem::{Problems, Sources};
use std::path::Path;

/// What is wanted of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// That all of it is right.
    Everything,
    /// A plan, even if something is missing for single apps.
    WhatCanBeServed,
}

/// Reads a file and all that belongs to it: the plan, and warnings as a person reads them.
///
/// # Errors
/// Every problem, as a person reads it.
pub fn load(file: &Path, machine: &dyn Machine, wanted: Wanted) -> Result<(Plan, String), String> {
    let (mut sources, mut problems) = (Sources::default(), Problems::default());
    let plan = plan(file, machine, &mut sources, &mut problems);
    let is_good = problems.is_empty() && (wanted == Wanted::WhatCanBeServed || !problems.has_faults());
    let plan = plan.filter(|_| is_good).ok_or_else(|| problems.show(&sources))?;
    Ok((plan, problems.show_faults(&sources) + &problems.show_warnings(&sources)))
}

/// The same for a program: a plan where there is no problem, and everything that is said.
pub fn inspect(file: &Path, machine: &dyn Machine) -> (Option<Plan>, Vec<Remark>) {
    let (mut sources, mut problems) = (Sources::default(), Problems::default());
    let plan = plan(file, machine, &mut sources, &mut problems).filter(|_| problems.is_empty());
    (plan, problems.remarks(&sources))
}

fn plan(file: &Path, machine: &dyn Machine, sources: &mut Sources, problems: &mut Problems) -> Option<Plan> {
    let table = read::read_files(file, machine, sources, problems);
    if sources.is_empty() || problems.is_unreadable() {
        return None;
    }
    build::plan(&table, machine, sources, problems)
}

/// What a file comes to, as a person reads it; it was found to be valid before.
pub fn effective(file: &Path, machine: &dyn Machine, plan: &Plan) -> String {
    let (mut sources, mut problems) = (Sources::default(), Problems::default());
    let table = read::read_files(file, machine, &mut sources, &mut problems);
    effective::show(&table, (&sources, &problems), (machine, plan))
}
