//! Pages of the manual, from the command line's own definition.

use clap::{Command, CommandFactory};
use clap_mangen::Man as Page;
use inkling_fragment::write_bytes;
use inkling_pipeline::Context;
use serde_json::{Value, json};

use crate::cli::{Cli, Man};

pub fn run(flags: &Man, context: &Context) -> anyhow::Result<Value> {
    let mut root = Cli::command();
    root.build();
    let pages = pages(&root)?;
    std::fs::create_dir_all(&flags.out)?;
    for (name, page) in &pages {
        write_bytes(flags.out.join(name), page, context.force)?;
    }
    context.say(format!("{}: {} pages", flags.out.display(), pages.len()));
    let names = pages.iter().map(|(name, _)| name);
    Ok(json!({ "folder": flags.out, "pages": names.collect::<Vec<_>>() }))
}

/// The program's page and one for each command: the names of their files, and what is in them.
fn pages(root: &Command) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let commands = root
        .get_subcommands()
        .filter(|command| command.get_name() != "help");
    let named = commands.map(|command| {
        let name = format!("inkling-{}", command.get_name());
        (name, command.clone())
    });
    let all = std::iter::once(("inkling".to_owned(), root.clone())).chain(named);
    let pages = all.map(|(name, command)| {
        let mut page = Vec::new();
        Page::new(command).render(&mut page)?;
        Ok((format!("{name}.1"), page))
    });
    pages.collect()
}
