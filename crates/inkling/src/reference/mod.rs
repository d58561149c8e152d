//! The pages that list every command and every setting, and the schema for editors: written from
//! the code by one command, and compared with it by every test run.
//!
//! `INKLING_WRITE=1 cargo test --release --workspace --bin inkling reference`

mod commands;
mod examples;
mod settings;

use std::path::{Path, PathBuf};

/// The repository's folder.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("a crate lies two folders below the repository")
        .to_path_buf()
}

/// Fails when the file `name` of the repository is not `expected`; with INKLING_WRITE it is written.
fn check(name: &str, expected: &str) {
    let path = repository().join(name);
    if std::env::var_os("INKLING_WRITE").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept.replace("\r\n", "\n") == expected,
        "{name} is not of this code; write it anew with\n    \
         INKLING_WRITE=1 cargo test --release --workspace --bin inkling reference"
    );
}

/// A sentence of help within a Markdown table: on one line, nothing in it taken for markup but
/// code between backquotes.
fn cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::new();
    for (index, part) in line.replace('|', "\\|").split('`').enumerate() {
        if index % 2 == 1 {
            out.push_str(&format!("`{part}`"));
        } else {
            out.push_str(&part.replace('<', "\\<").replace('*', "\\*"));
        }
    }
    out
}
