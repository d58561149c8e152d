//! `inkling`: finds ink that nobody can see in X-ray scans of carbonised papyrus.
//!
//! This crate turns flags and settings into calls of the libraries, one file per command, and
//! their results into words, figures and exit codes. `inkling --help` lists the commands.

mod allocator;
mod cli;
mod commands;
mod console;
mod failure;
mod ranks;
#[cfg(test)]
mod reference;
mod threads;

use std::process::ExitCode;

use clap::Parser;
use inkling_fragment::{catch_panic, silence_panics};
use inkling_kernels::simd_level;
use inkling_pipeline::Usage;

fn main() -> ExitCode {
    allocator::keep_free_memory();
    silence_panics();
    let cli = cli::Cli::parse();
    let (ranks, joined) = match ranks::launched(&cli.command) {
        Ok(launched) => launched,
        Err(error) => {
            console::Console::new(cli.json, cli.verbose, cli.quiet).fail(&error);
            return failure::exit_code(&error).into();
        }
    };
    let first = ranks.is_first();
    let console = console::Console::new(cli.json && first, cli.verbose, cli.quiet || !first);
    let run = || {
        simd_level().map_err(|error| Usage(error.to_string()))?;
        threads::within(cli.threads, || commands::run(&cli, &console, &ranks)).flatten()
    };
    let outcome = without_panics(run);
    let outcome = outcome.and_then(|figures| console.finish(&figures));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console.fail(&error);
            if let Some(joined) = joined
                && !ranks.have_failed()
            {
                joined.abort(failure::exit_code(&error));
            }
            failure::exit_code(&error).into()
        }
    }
}

/// A panic, which no input should bring about, becomes an error that asks to be reported.
fn without_panics<T>(run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_panic(run).map_err(failure::fault).flatten()
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
        assert_eq!(failure::exit_code(&text), 1);
        let text = text.to_string();
        assert!(text.contains("index out of bounds"), "{text}");
        assert!(text.contains("main.rs"), "{text}");
        assert!(text.contains("This is a fault of Inkling"), "{text}");
        assert!(without_panics(|| Ok(3)).is_ok_and(|three| three == 3));
    }
}
