//! Tells the program which commit it was built from, for checkpoints.

use std::path::Path;
use std::process::Command;

fn main() {
    // Grows with every commit and every change of branch.
    let log = Path::new("../../.git/logs/HEAD");
    println!("cargo::rerun-if-changed=build.rs");
    if log.exists() {
        println!("cargo::rerun-if-changed={}", log.display());
    }
    println!("cargo::rerun-if-env-changed=INKLING_COMMIT");
    // Said by whoever builds where there is no repository, as in a container.
    let said = std::env::var("INKLING_COMMIT").ok();
    let commit = said.filter(|commit| !commit.is_empty()).or_else(commit);
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let version = match commit {
        Some(commit) => format!("{version} ({commit})"),
        None => version,
    };
    println!("cargo::rustc-env=INKLING_VERSION={version}");
}

fn commit() -> Option<String> {
    Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
