use inkling_pipeline::{Context, Origins, Recipe};
use serde_json::{Value, json};

use crate::cli::Config;

pub fn run(flags: &Config, context: &Context) -> anyhow::Result<Value> {
    if flags.schema {
        let schema = Recipe::schema().to_value();
        let text = serde_json::to_string_pretty(&schema)?;
        context.say(text);
        return Ok(schema);
    }
    let (recipe, origins) = Recipe::resolve(&flags.files, &flags.overrides)?;
    let settings: toml::Table = toml::from_str(&recipe.to_toml()?)?;
    let mut lines = Vec::new();
    flatten("", &settings, &origins, &mut lines);
    context.say(table(&lines));
    let from: serde_json::Map<String, Value> = lines
        .iter()
        .map(|line| (line.key(), json!(line.origin)))
        .collect();
    Ok(json!({ "settings": recipe, "from": from }))
}

/// One value, its table, and where it came from.
struct Line {
    table: String,
    name: String,
    value: String,
    origin: String,
}

impl Line {
    fn key(&self) -> String {
        join(&self.table, &self.name)
    }
}

fn join(table: &str, name: &str) -> String {
    match table.is_empty() {
        true => name.to_owned(),
        false => format!("{table}.{name}"),
    }
}

/// Plain values before tables, as TOML needs them.
fn flatten(path: &str, table: &toml::Table, origins: &Origins, lines: &mut Vec<Line>) {
    for (name, value) in table {
        if !value.is_table() {
            lines.push(Line {
                table: path.to_owned(),
                name: name.clone(),
                value: value.to_string(),
                origin: origins.of(&join(path, name)),
            });
        }
    }
    for (name, value) in table {
        if let toml::Value::Table(inner) = value {
            flatten(&join(path, name), inner, origins, lines);
        }
    }
}

/// The values as TOML, the origins behind them as comments.
fn table(lines: &[Line]) -> String {
    let width = |line: &Line| line.name.len() + 3 + line.value.chars().count();
    // A long list should not push all comments off the screen.
    let column = lines.iter().map(width).filter(|&width| width < 60).max();
    let column = column.unwrap_or(0);
    let mut text = String::new();
    let mut open = "";
    for line in lines {
        if line.table != open {
            text.push_str(&format!("\n[{}]\n", line.table));
            open = &line.table;
        }
        let entry = format!("{} = {}", line.name, line.value);
        text.push_str(&format!("{entry:<column$}  # {}\n", line.origin));
    }
    text.trim().to_owned()
}
