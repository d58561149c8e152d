//! What Inkling is built from: licences, sources and bans as `deny.toml` has them, no dependency that
//! needs a newer Rust than ours, none that nothing uses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

#[test]
fn licences_sources_and_bans_are_those_of_deny_toml() {
    let rules: toml::Table = toml::from_str(&read(&repository().join("deny.toml"))).unwrap();
    let licences = &rules["licenses"];
    let allowed = strings(&licences["allow"]);
    let exceptions: BTreeMap<&str, BTreeSet<&str>> = licences["exceptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["crate"].as_str().unwrap(), strings(&entry["allow"])))
        .collect();
    let clarified: BTreeMap<&str, &str> = licences["clarify"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["crate"].as_str().unwrap(),
                entry["expression"].as_str().unwrap(),
            )
        })
        .collect();
    let banned: BTreeSet<&str> = rules["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["crate"].as_str().unwrap())
        .collect();
    let packages = built();
    assert!(packages.len() > 200, "{} packages", packages.len());
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        assert!(!banned.contains(name), "{name} is banned");
        let Some(source) = package["source"].as_str() else {
            continue;
        };
        assert!(
            source.starts_with("registry+"),
            "{name} comes from {source}"
        );
        let named = package["license"].as_str();
        let text = named.or(clarified.get(name).copied()).unwrap_or_default();
        let licence = spdx::Expression::parse_mode(text, spdx::ParseMode::LAX);
        let licence = licence.unwrap_or_else(|error| panic!("{name}: {text}: {error}"));
        let own = exceptions.get(name);
        let fits = licence.evaluate(|asked| {
            let asked = asked.to_string();
            allowed.contains(asked.as_str()) || own.is_some_and(|own| own.contains(asked.as_str()))
        });
        assert!(
            fits,
            "{name} has the licence {text}, which deny.toml does not allow"
        );
    }
}

/// Together with clippy's `incompatible_msrv`, which looks at our own code.
#[test]
fn no_dependency_needs_a_newer_rust() {
    let packages = built();
    let ours = packages.iter().find(|package| package["name"] == "inkling");
    let ours = version(&ours.unwrap()["rust_version"]);
    assert!(ours >= vec![1, 85], "edition 2024 needs Rust 1.85");
    for package in &packages {
        assert!(
            version(&package["rust_version"]) <= ours,
            "{} needs Rust {}; rust-version in Cargo.toml is {ours:?}",
            package["name"],
            package["rust_version"]
        );
    }
}

#[test]
fn every_dependency_is_used() {
    let mut named = BTreeSet::new();
    for package in built().iter().filter(|package| package["source"].is_null()) {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let own = sources(manifest.parent().unwrap(), &["src", "targets", "build.rs"]);
        let tests = sources(manifest.parent().unwrap(), &["tests", "benches"]);
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            named.insert(name.to_owned());
            let word = name.replace('-', "_");
            let used =
                is_named(&own, &word) || dependency["kind"] == "dev" && is_named(&tests, &word);
            assert!(used, "{} does not use {name}", package["name"]);
        }
    }
    let workspace: toml::Table = toml::from_str(&read(&repository().join("Cargo.toml"))).unwrap();
    for name in workspace["workspace"]["dependencies"]
        .as_table()
        .unwrap()
        .keys()
    {
        assert!(
            named.contains(name),
            "no crate of the workspace uses {name}"
        );
    }
}

/// Whether `word` stands in `text` by itself.
fn is_named(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

/// All Rust code in the files and folders of a crate.
fn sources(folder: &Path, names: &[&str]) -> String {
    let mut text = String::new();
    let mut open: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension().is_some_and(|end| end == "rs") && path.exists() {
            text.push_str(&read(&path));
        }
    }
    text
}

/// The packages that a default build and its tests are made of, on this platform.
fn built() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--offline", "--locked"]);
    if cfg!(target_os = "linux") {
        command.args(["--filter-platform", &host]);
    }
    let output = command.current_dir(repository()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let mut found: Value = serde_json::from_slice(&output.stdout).unwrap();
    match found["packages"].take() {
        Value::Array(packages) => packages,
        _ => panic!("cargo metadata names no packages"),
    }
}

/// `"1.95"` as numbers; nothing where a package does not say.
fn version(text: &Value) -> Vec<u32> {
    let text = text.as_str().unwrap_or("0");
    text.split('.').map(|part| part.parse().unwrap()).collect()
}

fn strings(list: &toml::Value) -> BTreeSet<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_str().unwrap())
        .collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}
