//! The program `inkling`; its parts are the library of the same name.

#[cfg(test)]
mod reference;

use std::process::ExitCode;

fn main() -> ExitCode {
    inkling::run_command_line(std::env::args_os()).into()
}
