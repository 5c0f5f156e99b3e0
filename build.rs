//! In:     the sources of the worker's extension.
//! Out:    the extension, optimised for release and quickly built otherwise, for the program to carry inside itself.
//! Actors: a cargo of its own, in its own target directory (the outer one holds the lock of its own).
//! Never:  does a plain `cargo build` need a second command.

#![allow(clippy::disallowed_macros)] // Cargo reads what is printed here.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    for source in ["crates/core", "crates/ring", "crates/pyworker", "Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={source}");
    }
    let out = PathBuf::from(variable("OUT_DIR"));
    // OUT_DIR is target/PROFILE/build/hallway-HASH/out. What is not for release is made again often, and soon.
    let is_release = out.ancestors().nth(3).is_some_and(|profile| profile.ends_with("release"));
    let profile = if is_release { "release" } else { "quick" };
    let target = out.ancestors().nth(4).unwrap_or(&out).join("extension");
    let status = Command::new(variable("CARGO"))
        .args(["build", "--profile", profile, "--locked", "--package", "hallway-pyworker", "--target-dir"])
        .arg(&target)
        .current_dir(&root)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status();
    match status {
        Ok(status) if status.success() => {}
        other => fail(&format!("the worker's extension could not be built: {other:?}")),
    }
    println!("cargo:rustc-env=EXTENSION_FILE={}", target.join(profile).join("libhallway_native.so").display());
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| fail(&format!("cargo did not set {name}")))
}

fn fail(why: &str) -> ! {
    println!("cargo:warning={why}");
    std::process::exit(1)
}
