//! docs/reference/commands.md: every command with its flags, from clap's own definition.

use clap::{Arg, ArgAction, Command, CommandFactory};

use super::{cell, check};
use inkling::cli::Cli;

#[test]
fn every_command_is_in_the_reference() {
    check("docs/reference/commands.md", &page());
}

#[test]
fn every_command_and_flag_says_what_it_is_for() {
    let mut root = Cli::command();
    root.build();
    for command in commands(&root) {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for arg in command.get_arguments() {
            let help = arg.get_help().map(|text| text.to_string());
            assert!(
                help.is_some_and(|text| text.len() > 5),
                "{} {}",
                command.get_name(),
                arg.get_id()
            );
        }
    }
}

fn page() -> String {
    let mut root = Cli::command();
    root.build();
    let mut text = format!(
        "# Commands\n\nWritten from the program's own definitions; `inkling COMMAND --help` prints the same.\n\n\
         {}.\n\n## Flags of every command\n\n",
        cell(&root.get_about().expect("a description").to_string())
    );
    text.push_str(&flags(
        root.get_arguments().filter(|arg| arg.is_global_set()),
    ));
    text.push_str("\nExit codes: 0 done, 1 failed, 2 wrong usage or settings.\n");
    for command in commands(&root) {
        text.push_str(&section(command.clone()));
    }
    text
}

fn commands(root: &Command) -> impl Iterator<Item = &Command> {
    root.get_subcommands()
        .filter(|command| command.get_name() != "help")
}

/// One command: what it does, how it is called, its arguments and flags.
fn section(mut command: Command) -> String {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").replace('\n', "\n    ");
    let about = command.get_about().expect("a description").to_string();
    let own = command.get_arguments().filter(|arg| {
        !arg.is_global_set() && !["help", "version"].contains(&arg.get_id().as_str())
    });
    format!(
        "\n## {}\n\n{}.\n\n    {usage}\n\n{}",
        command.get_name(),
        cell(&about),
        flags(own)
    )
}

/// A table of arguments.
fn flags<'a>(args: impl Iterator<Item = &'a Arg>) -> String {
    let rows: String = args.filter(|arg| !arg.is_hide_set()).map(row).collect();
    match rows.is_empty() {
        true => "It takes no flags of its own.\n".to_owned(),
        false => format!("| | meaning | default |\n| --- | --- | --- |\n{rows}"),
    }
}

fn row(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let default: Vec<String> = arg
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    let default = match takes_value(arg) {
        true => default.join(", "),
        false => String::new(),
    };
    let required = match arg.is_required_set() {
        true => " (required)",
        false => "",
    };
    format!(
        "| {}{required} | {}.{} | {default} |\n",
        cell(&format!("`{}`", name(arg))),
        cell(help.trim_end_matches('.')),
        choices(arg)
    )
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

/// `-q, --quiet`, `--out <DIR>`, `<FRAGMENT>...`.
fn name(arg: &Arg) -> String {
    let values = match takes_value(arg) {
        true => arg.get_value_names().unwrap_or_default().join(" "),
        false => String::new(),
    };
    let many = match arg
        .get_num_args()
        .is_some_and(|count| count.max_values() > 1)
    {
        true => "...",
        false => "",
    };
    let short = arg.get_short().map(|short| format!("-{short}, "));
    match arg.get_long() {
        Some(long) => format!("{}--{long} {values}{many}", short.unwrap_or_default())
            .trim_end()
            .to_owned(),
        None => format!("{values}{many}"),
    }
}

/// The values that a flag knows, each with its meaning.
fn choices(arg: &Arg) -> String {
    if !takes_value(arg) {
        return String::new();
    }
    let known: Vec<String> = arg
        .get_possible_values()
        .iter()
        .map(|value| {
            let help = value
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            match help.is_empty() {
                true => format!("`{}`", value.get_name()),
                false => format!(
                    "`{}`: {}",
                    value.get_name(),
                    cell(help.trim_end_matches('.'))
                ),
            }
        })
        .collect();
    match known.is_empty() {
        true => String::new(),
        false => format!(" {}.", known.join("; ")),
    }
}
