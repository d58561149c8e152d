//! `inkling`: finds ink that nobody can see in X-ray scans of carbonised papyrus.
//!
//! This crate turns flags and settings into calls of the libraries, one file per command, and
//! their results into words, figures and exit codes. `inkling --help` lists the commands.

mod cli;
mod commands;
mod console;
mod failure;
mod recipe;

use std::process::ExitCode;

use clap::Parser;

/// Networks ask for megabytes and give them back thousands of times a second; the system's
/// allocator hands each piece back to the kernel, which fills the next one with zeros.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let console = console::Console::new(cli.json, cli.verbose, cli.quiet);
    let outcome = commands::run(&cli, &console);
    match outcome {
        Ok(figures) => {
            console.finish(&figures);
            ExitCode::SUCCESS
        }
        Err(error) => {
            console.fail(&error);
            failure::exit_code(&error)
        }
    }
}
