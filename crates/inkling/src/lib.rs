//! `inkling`: finds ink that nobody can see in X-ray scans of carbonised papyrus.
//!
//! This crate turns flags and settings into calls of the libraries, one file per command, and
//! their results into words, figures and exit codes. `inkling --help` lists the commands. The program
//! is [`run_command_line`] with the process's arguments; the Python package calls the same.

mod allocator;
pub mod cli;
mod commands;
mod console;
mod failure;
mod ranks;
mod threads;
mod version;

use std::ffi::OsString;

pub use allocator::{Allocated, give_back_when_idle, keep_free_memory};
use clap::Parser;
use clap::error::ErrorKind;
pub use failure::{exit_code, fault, lines};
use inkling_fragment::{catch_panic, silence_panics};
use inkling_kernels::simd_level;
use inkling_pipeline::Usage;

/// Version and commit.
pub const VERSION: &str = env!("INKLING_VERSION");

/// Does what a command line asks for, whose first word is the program's name, and gives its exit code: 0 done,
/// 1 failed, 2 wrong usage or settings. To be called once in a process, before anything else uses rayon's
/// threads.
pub fn run_command_line(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    silence_panics();
    match cli::Cli::try_parse_from(arguments) {
        Ok(cli) => run(&cli),
        Err(shown) if shown.kind() == ErrorKind::DisplayVersion => {
            console::to_stdout(&version::version_text());
            0
        }
        Err(shown) => {
            // Help and versions are such errors, too. A closed stream hears nothing.
            let _ = shown.print();
            u8::try_from(shown.exit_code()).unwrap_or(2)
        }
    }
}

fn run(cli: &cli::Cli) -> u8 {
    keep_free_memory();
    let (ranks, joined) = match ranks::launched(&cli.command) {
        Ok(launched) => launched,
        Err(error) => {
            console::Console::new(cli.json, cli.verbose, cli.quiet).fail(&error);
            return exit_code(&error);
        }
    };
    let first = ranks.is_first();
    let console = console::Console::new(cli.json && first, cli.verbose, cli.quiet || !first);
    let run = || {
        simd_level().map_err(|error| Usage(error.to_string()))?;
        threads::within(cli.threads, || commands::run(cli, &console, &ranks)).flatten()
    };
    let outcome = without_panics(run);
    let outcome = outcome.and_then(|figures| console.finish(&figures));
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            console.fail(&error);
            if let Some(joined) = joined
                && !ranks.have_failed()
            {
                joined.abort(exit_code(&error));
            }
            exit_code(&error)
        }
    }
}

/// A panic, which no input should bring about, becomes an error that asks to be reported.
fn without_panics<T>(run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_panic(run).map_err(fault).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_names_its_place() {
        silence_panics();
        let error = without_panics(|| {
            let nothing: [u8; 0] = [];
            Ok(nothing[std::hint::black_box(3)])
        });
        let text = error.unwrap_err();
        assert_eq!(exit_code(&text), 1);
        let text = text.to_string();
        assert!(text.contains("index out of bounds"), "{text}");
        assert!(text.contains("lib.rs"), "{text}");
        assert!(text.contains("This is a fault of Inkling"), "{text}");
        assert!(without_panics(|| Ok(3)).is_ok_and(|three| three == 3));
    }
}
