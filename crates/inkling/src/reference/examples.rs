//! Every call of `inkling` that the documentation shows must be one that `inkling` takes.

use std::path::{Path, PathBuf};

use clap::Parser;
use pulldown_cmark::{Event, Tag, TagEnd};

use super::repository;
use inkling::cli::Cli;

#[test]
fn every_documented_call_is_understood() {
    let mut seen = 0;
    // The reference of commands shows how calls are built, not calls.
    let calls_of = |file: &PathBuf| !file.ends_with("reference/commands.md");
    for file in pages(&repository()).into_iter().filter(calls_of) {
        let text = std::fs::read_to_string(&file).unwrap();
        for call in calls(&text) {
            seen += 1;
            // Help and the version come as errors that go to stdout.
            let parsed = Cli::try_parse_from(call.split_whitespace());
            if let Some(error) = parsed.err().filter(clap::Error::use_stderr) {
                panic!("{}: {call}\n{error}", file.display());
            }
        }
    }
    assert!(seen > 30, "{seen} calls found in the documentation");
}

/// The README and every page of the documentation.
fn pages(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|end| end == "md") => found.push(path),
                false => {}
            }
        }
    }
    found
}

/// The lines of code blocks that call `inkling`, joined where they end with a backslash, without
/// comments, redirections and what comes before (`srun`, `target/release/`).
fn calls(markdown: &str) -> Vec<String> {
    let mut code = String::new();
    let mut within = false;
    for event in pulldown_cmark::Parser::new(markdown) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => within = true,
            Event::End(TagEnd::CodeBlock) => within = false,
            Event::Text(text) if within => code.push_str(&text),
            _ => {}
        }
    }
    let code = code.replace("\\\n", " ");
    code.lines().filter_map(call).collect()
}

fn call(line: &str) -> Option<String> {
    let line = line.split(" #").next()?.split(" > ").next()?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let program = words.iter().position(|word| {
        let name = word.rsplit('/').next();
        name == Some("inkling") && !word.contains('.')
    })?;
    // A call, not an argument of another program such as a script or git.
    let launchers = ["srun", "mpirun", "time", "/usr/bin/time"];
    let launched = words.first().is_some_and(|first| launchers.contains(first));
    // A path to the program alone is an argument: `oracles/run.py target/release/inkling`.
    (program == 0 || launched).then(|| {
        let arguments = words[program + 1..].join(" ").replace('\'', "");
        format!("inkling {arguments}")
    })
}
