//! docs/reference/settings.md and configs/schema.json: every setting of a recipe with its type,
//! default and meaning, from the settings' own schema.

use inkling_pipeline::Recipe;
use serde_json::{Map, Value};

use super::{cell, check};

#[test]
fn every_setting_is_in_the_reference() {
    check("docs/reference/settings.md", &page(&schema()));
}

#[test]
fn the_schema_for_editors_is_current() {
    let text = serde_json::to_string_pretty(&schema()).unwrap();
    check("configs/schema.json", &format!("{text}\n"));
}

#[test]
fn every_setting_says_what_it_is_for() {
    for table in tables(&schema()) {
        assert!(
            table.meaning.len() > 10,
            "[{}]: {}",
            table.name,
            table.meaning
        );
        for setting in &table.settings {
            let Setting { name, meaning, .. } = setting;
            assert!(meaning.len() > 10, "{}.{name}: {meaning}", table.name);
        }
    }
}

/// The defaults that the schema names are those of a recipe that leaves everything out.
#[test]
fn the_schema_tells_the_true_defaults() {
    let mut recipe = toml::Table::new();
    let mut count = 0;
    for table in tables(&schema()) {
        // An element of a list has no default of its own, and no plain place.
        // A network's sizes are there only where they replace those of its name.
        let sizes = ["maxvit", "hybrid", "resnet3d", "timesformer", "i3d"];
        let of_model = table.name.strip_prefix("model.");
        if table.list || of_model.is_some_and(|name| sizes.contains(&name)) {
            continue;
        }
        for setting in &table.settings {
            if let Some(value) = &setting.default {
                let value = toml::Value::try_from(value).unwrap();
                put(
                    &mut recipe,
                    &format!("{}.{}", table.name, setting.name),
                    value,
                );
                count += 1;
            }
        }
    }
    assert!(count > 60, "{count} defaults");
    let named: Recipe = toml::from_str(&recipe.to_string()).unwrap();
    let named = serde_json::to_value(&named).unwrap();
    assert_eq!(named, serde_json::to_value(Recipe::default()).unwrap());
}

fn put(table: &mut toml::Table, key: &str, value: toml::Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = table
                .entry(first)
                .or_insert_with(|| toml::Table::new().into());
            put(inner.as_table_mut().unwrap(), rest, value);
        }
    }
}

/// A table of a recipe: `[train.loss]`, or `[[train.freeze]]` for an element of a list.
struct Table {
    name: String,
    list: bool,
    meaning: String,
    settings: Vec<Setting>,
}

/// A key of a table.
struct Setting {
    name: String,
    kind: String,
    default: Option<Value>,
    meaning: String,
}

/// The recipes' schema.
fn schema() -> Value {
    Recipe::schema().to_value()
}

fn page(schema: &Value) -> String {
    let mut text = "# Settings\n\nWritten from the program's own definitions. A recipe is a TOML file of these tables; \
        what it leaves out has the default, which is the reference's value where there is one. Every value \
        can be set on the command line (`--set train.epochs=3`). `inkling config` prints what a call \
        would use and where each value came from, and `configs/schema.json` lets editors complete and \
        check recipes.\n"
        .to_owned();
    for table in tables(schema) {
        text.push_str(&section(&table));
    }
    text
}

fn section(table: &Table) -> String {
    let Table { name, meaning, .. } = table;
    let brackets = match table.list {
        true => format!("[[{name}]]"),
        false => format!("[{name}]"),
    };
    let mut text = format!(
        "\n## `{brackets}`\n\n{}\n\n| setting | type | default | meaning |\n| --- | --- | --- | --- |\n",
        cell(meaning)
    );
    for setting in &table.settings {
        let default = setting.default.as_ref().map(|value| format!("`{value}`"));
        text.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            setting.name,
            setting.kind,
            cell(&default.unwrap_or_default()),
            cell(&setting.meaning)
        ));
    }
    text
}

/// All tables, outer ones before inner ones.
fn tables(schema: &Value) -> Vec<Table> {
    let mut found = Vec::new();
    let read = Reader {
        definitions: schema["definitions"].as_object().expect("definitions"),
    };
    for (name, property) in properties(schema) {
        let meaning = description(property);
        read.table(name, false, &meaning, read.resolve(property), &mut found);
    }
    found
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

/// A description as plain text: without the brackets of links between items.
fn description(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.replace("[`", "`").replace("`]", "`")
}

/// Follows a schema's references.
struct Reader<'a> {
    definitions: &'a Map<String, Value>,
}

impl<'a> Reader<'a> {
    /// What a property is, behind references, wrappers and "or nothing".
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().expect("a name");
            return self.resolve(&self.definitions[name]);
        }
        if let Some([only]) = schema["allOf"].as_array().map(Vec::as_slice) {
            return self.resolve(only);
        }
        if let Some([given, null]) = schema["anyOf"].as_array().map(Vec::as_slice)
            && null["type"] == "null"
        {
            return self.resolve(given);
        }
        schema
    }

    fn table(
        &self,
        name: &str,
        list: bool,
        meaning: &str,
        schema: &'a Value,
        found: &mut Vec<Table>,
    ) {
        let place = found.len();
        found.push(Table {
            name: name.to_owned(),
            list,
            meaning: meaning.to_owned(),
            settings: Vec::new(),
        });
        for (key, property) in properties(schema) {
            let inner = self.resolve(property);
            let element = self.resolve(&inner["items"]);
            let meaning = description(property);
            let within = format!("{name}.{key}");
            if inner.get("properties").is_some() {
                self.table(&within, false, &meaning, inner, found);
            } else if element.get("properties").is_some() {
                self.table(&within, true, &meaning, element, found);
            } else {
                found[place]
                    .settings
                    .push(self.setting(key, property, inner));
            }
        }
        // A table that holds nothing but tables.
        if found[place].settings.is_empty() {
            found.remove(place);
        }
    }

    fn setting(&self, key: &str, property: &Value, kind: &Value) -> Setting {
        let choices: Vec<String> = kind["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|choice| {
                let meaning = description(choice);
                format!(
                    "`\"{}\"`: {}",
                    choice["const"].as_str().expect("a name"),
                    meaning.trim_end_matches('.')
                )
            })
            .collect();
        let mut meaning = description(property);
        if !choices.is_empty() {
            meaning = format!("{meaning} {}.", choices.join("; "));
        }
        Setting {
            name: key.to_owned(),
            kind: self.kind(kind),
            default: property.get("default").cloned(),
            meaning,
        }
    }

    /// The type in words.
    fn kind(&self, schema: &Value) -> String {
        let schema = match schema.get("$ref") {
            Some(reference) => {
                let name = reference.as_str().and_then(|name| name.rsplit('/').next());
                &self.definitions[name.expect("a name")]
            }
            None => schema,
        };
        if schema.get("oneOf").is_some() {
            return "name".to_owned();
        }
        if let Some(kinds) = schema["anyOf"].as_array() {
            let kinds: Vec<String> = kinds.iter().map(|kind| self.kind(kind)).collect();
            return kinds.join(" or ");
        }
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            kind => Vec::from_iter(kind.as_str()),
        };
        let kind = kinds.into_iter().find(|kind| *kind != "null");
        match kind.unwrap_or("value") {
            "array" => self.list(schema),
            kind => kind.to_owned(),
        }
    }

    fn list(&self, schema: &Value) -> String {
        let element = self.kind(&schema["items"]);
        match schema["maxItems"].as_u64() {
            Some(count) => format!("{count} {element}s"),
            None => match element.strip_prefix("list of ") {
                Some(inner) => format!("list of lists of {inner}"),
                None => format!("list of {element}s"),
            },
        }
    }
}
