//! Recipes in TOML files, layered, with single values overridden by `--set`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use figment::error::{Actual, Kind};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use inkling_fragment::{read_text, split_name};
use inkling_model::ModelSettings;
use inkling_predict::PredictSettings;

use crate::old_keys::rename_old_keys;
use crate::recipe::is_on_hub;
use crate::unread::{check_all_read, read_settings};
use crate::{Recipe, Usage};

impl Recipe {
    /// Reads `files` in order, later ones over earlier ones, then `overrides` (`key=value`).
    ///
    /// # Errors
    /// A file that is missing or no TOML, an unknown key (naming the nearest), a value of the
    /// wrong type; all of them are the user's to put right.
    pub fn read(files: &[PathBuf], overrides: &[String]) -> anyhow::Result<Self> {
        Ok(Self::resolve(files, overrides)?.0)
    }

    /// As [`read`](Self::read), over a model's own `[predict]`.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn read_over(
        predict: &PredictSettings,
        files: &[PathBuf],
        overrides: &[String],
    ) -> anyhow::Result<Self> {
        let own = Layer {
            origin: "the model".to_owned(),
            values: nested("predict", toml::Value::try_from(predict)?),
        };
        Ok(Self::layered(Figment::new().merge(own), files, overrides)?.0)
    }

    /// The `[model]` of a published checkpoint, with those of the `overrides` that are of it.
    ///
    /// # Errors
    /// An unknown key, a value of the wrong type or out of its range.
    pub fn model_over(
        model: &ModelSettings,
        overrides: &[String],
    ) -> anyhow::Result<ModelSettings> {
        let own = Layer {
            origin: "the checkpoint".to_owned(),
            values: nested("model", toml::Value::try_from(model)?),
        };
        let mut layers = Figment::new().merge(own);
        for entry in overrides.iter().filter(|entry| is_of_model(entry)) {
            let (key, value) = parse_override(entry)?;
            layers = layers.merge(Layer {
                origin: format!("--set {entry}"),
                values: nested(&key, value),
            });
        }
        let model: ModelSettings = layers
            .extract_inner("model")
            .map_err(|error| anyhow::Error::new(Usage(explain(&error))))?;
        model.check()?;
        Ok(model)
    }

    /// As [`read`](Self::read), with the layers that the values came from.
    pub fn resolve(files: &[PathBuf], overrides: &[String]) -> anyhow::Result<(Self, Origins)> {
        Self::layered(Figment::new(), files, overrides)
    }

    fn layered(
        mut layers: Figment,
        files: &[PathBuf],
        overrides: &[String],
    ) -> anyhow::Result<(Self, Origins)> {
        let mut given = Vec::new();
        for file in files {
            let text = read_text(file, LONGEST).map_err(|error| Usage(error.to_string()))?;
            let values: toml::Table = toml::from_str(&text)
                .map_err(|error| Usage(format!("{}: not TOML: {error}", file.display())))?;
            given.push((file.display().to_string(), rooted(values, file)));
        }
        for entry in overrides {
            let (key, value) = parse_override(entry)?;
            given.push((format!("--set {entry}"), nested(&key, value)));
        }
        for (origin, values) in &mut given {
            rename_old_keys(origin, values);
        }
        for (origin, values) in given.clone() {
            layers = layers.merge(Layer { origin, values });
        }
        let mut recipe: Self = layers
            .extract()
            .map_err(|error| anyhow::Error::new(Usage(explain(&error))))?;
        // TOML has no null: an empty text takes back what an earlier file gave.
        recipe.data.maps.take_if(|maps| maps.as_os_str().is_empty());
        recipe.model.weights.take_if(|weights| weights.is_empty());
        recipe.check()?;
        check_all_read(&recipe, &given)?;
        Ok((recipe, Origins(layers)))
    }

    /// The settings as TOML, to be kept beside a result; without those that nothing reads.
    pub fn to_toml(&self) -> anyhow::Result<String> {
        toml::to_string_pretty(&read_settings(self))
            .context("the settings cannot be written as TOML")
    }
}

/// Where each value of a recipe came from.
pub struct Origins(Figment);

impl Origins {
    /// The file or flag that gave `key` (dotted) its value, or `default`.
    pub fn of(&self, key: &str) -> String {
        let found = self.0.find_metadata(key);
        found.map_or_else(|| "default".to_owned(), |layer| layer.name.to_string())
    }
}

/// Whether an override is of `[model]`.
pub fn is_of_model(entry: &str) -> bool {
    entry.trim_start().starts_with("model.")
}

/// Most bytes of a recipe.
const LONGEST: u64 = 1 << 20;
/// Most tables within one another that `--set` may name; recipes have two.
const DEEPEST: usize = 8;

/// One file's or flag's values.
struct Layer {
    origin: String,
    values: toml::Table,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let values = Value::serialize(&self.values)?;
        let dict = values.into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(dict))
    }
}

/// Makes every path in a recipe start at the recipe's folder, wherever the program is run.
fn rooted(mut values: toml::Table, file: &Path) -> toml::Table {
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    let root = |value: &mut toml::Value| {
        if let toml::Value::String(text) = value
            && !text.is_empty()
            && !inkling_fragment::is_remote(split_name(Path::new(&*text)).1)
        {
            let own = folder.join(&*text);
            let named = (!own.exists()).then(|| text.split_once('=')).flatten();
            *text = match named {
                Some((name, path)) => format!("{name}={}", folder.join(path).display()),
                None => own.to_string_lossy().into_owned(),
            };
        }
    };
    if let Some(toml::Value::Table(data)) = values.get_mut("data") {
        if let Some(toml::Value::Array(fragments)) = data.get_mut("fragments") {
            fragments.iter_mut().for_each(root);
        }
        data.get_mut("maps").into_iter().for_each(root);
    }
    if let Some(toml::Value::Table(model)) = values.get_mut("model") {
        // Names of the hub's repositories are no paths.
        let of_hub = |value: &toml::Value| {
            let text = value.as_str().unwrap_or_default();
            text.starts_with("timm/") && !folder.join(text).exists()
        };
        let pretrained = model.get_mut("pretrained").filter(|value| !of_hub(value));
        pretrained.into_iter().for_each(root);
        let elsewhere = |value: &toml::Value| value.as_str().is_some_and(is_on_hub);
        let weights = model.get_mut("weights").filter(|value| !elsewhere(value));
        weights.into_iter().for_each(root);
    }
    values
}

/// `train.epochs=3` or `model.encoder=maxvit…`; the value is TOML, or else a plain string, unless it begins as lists,
/// tables and quoted strings do.
fn parse_override(entry: &str) -> anyhow::Result<(String, toml::Value)> {
    let Some((key, value)) = entry.split_once('=') else {
        let message = format!("--set {entry}: expected key=value, such as train.epochs=3");
        return Err(Usage(message).into());
    };
    if key.split('.').count() > DEEPEST {
        let shown: String = key.chars().take(80).collect();
        let message = format!("--set {shown}…: expected a key such as train.epochs");
        return Err(Usage(message).into());
    }
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"));
    let value = match parsed.map(|mut table| table.remove("value")) {
        Ok(Some(parsed)) => parsed,
        Err(error) if value.trim_start().starts_with(['[', '{', '"', '\'']) => {
            let hint = match value.contains('\\') {
                true => {
                    "a backslash in double quotes begins an escape: put paths in single quotes, ['C:\\scans\\1']"
                }
                false => "strings within a list or a table are quoted, as in [\"a\", \"b\"]",
            };
            let reason = error.message();
            let message = format!(
                "--set {entry}: found a value that is no TOML ({reason}); expected a list, a table or a quoted \
                 string. hint: {hint}"
            );
            return Err(Usage(message).into());
        }
        _ => toml::Value::String(value.to_owned()),
    };
    Ok((key.trim().to_owned(), value))
}

/// `value` in the tables that the dotted `key` names.
fn nested(key: &str, value: toml::Value) -> toml::Table {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    let value = match rest.is_empty() {
        true => value,
        false => toml::Value::Table(nested(rest, value)),
    };
    toml::Table::from_iter([(first.to_owned(), value)])
}

fn explain(error: &figment::Error) -> String {
    let origin = error
        .metadata
        .as_ref()
        .map_or_else(|| "the settings".to_owned(), |layer| layer.name.to_string());
    let path = error.path.join(".");
    let unlike = |found: String, expected: &str| {
        format!(
            "{origin}: {path}: found {found}; expected {}. hint: `inkling config` shows every setting with a value",
            expected_value(expected)
        )
    };
    match &error.kind {
        Kind::UnknownField(key, known) => {
            // Some sources put the key itself at the path's end, others do not.
            let table = path.strip_suffix(key.as_str()).unwrap_or(&path);
            let table = table.trim_end_matches('.');
            let within = |key: &str| match table.is_empty() {
                true => key.to_owned(),
                false => format!("{table}.{key}"),
            };
            let nearest = nearest(key, known)
                .map(|name| format!(" hint: did you mean \"{}\"?", within(name)));
            format!(
                "{origin}: found the unknown key \"{}\"; expected one of {}.{}",
                within(key),
                known.join(", "),
                nearest.unwrap_or_default()
            )
        }
        Kind::UnknownVariant(found, known) => format!(
            "{origin}: {path}: found \"{found}\"; expected one of {}.{}",
            known.join(", "),
            nearest(found, known)
                .map(|name| format!(" hint: did you mean \"{name}\"?"))
                .unwrap_or_default()
        ),
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            unlike(found_value(found), expected)
        }
        Kind::InvalidLength(found, expected) => unlike(format!("{found} values"), expected),
        other => format!("{origin}: {path}: {other}"),
    }
}

/// A value as it stands in a recipe.
fn found_value(found: &Actual) -> String {
    match found {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        // With a point, which a whole number does not have.
        Actual::Float(value) => format!("{value:?}"),
        Actual::Str(text) => format!("the text \"{text}\""),
        Actual::Seq => "a list".to_owned(),
        Actual::Map | Actual::NewtypeStruct => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// What serde expects, without the names of Rust's types.
fn expected_value(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        "an array of length 2" | "array of length 2" => "a list of two",
        table if table.starts_with("struct ") => "a table",
        other => other,
    }
}

/// Which of the `known` names begins with `name`, else takes the fewest changes to become it.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let changes = |known: &&&str| match known.starts_with(name) {
        true => 0,
        false => strsim::damerau_levenshtein(known, name),
    };
    known.iter().min_by_key(changes).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str, overrides: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recipe.toml");
        std::fs::write(&path, text).unwrap();
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        Recipe::read(&[path], &overrides).unwrap_err().to_string()
    }

    #[test]
    fn a_choice_that_is_none_names_the_nearest() {
        let text = refusal("", &["model.conversion=center"]);
        assert!(
            text.contains("model.conversion: found \"center\""),
            "{text}"
        );
        assert!(text.contains("repeat, centre, acs"), "{text}");
        assert!(text.contains("did you mean \"centre\"?"), "{text}");
    }

    #[test]
    fn a_value_of_another_type_is_named_as_it_stands() {
        for (value, found, expected) in [
            ("\"18\"", "the text \"18\"", "a whole number, 0 or more"),
            ("18.0", "18.0", "a whole number, 0 or more"),
            ("-1", "-1", "a whole number, 0 or more"),
            ("true", "true", "a whole number, 0 or more"),
            ("[1]", "a list", "a whole number, 0 or more"),
        ] {
            let text = refusal(&format!("[model]\ndepth = {value}\n"), &[]);
            let said =
                format!("recipe.toml: model.depth: found {found}; expected {expected}. hint: ");
            assert!(text.contains(&said), "{text}");
        }
        let text = refusal("[data]\nlayers = [20]\n", &[]);
        assert!(
            text.contains("data.layers: found 1 values; expected a list of two"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_path_takes_back_an_earlier_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recipe.toml");
        let read = |text: &str, overrides: &[&str]| {
            std::fs::write(&path, text).unwrap();
            let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
            Recipe::read(std::slice::from_ref(&path), &overrides).unwrap()
        };
        let text = "[data]\nmaps = \"maps\"\n[model]\nweights = \"run\"\n";
        assert!(read(text, &[]).data.maps.is_some());
        let taken_back = read(text, &["data.maps=", "model.weights="]);
        assert_eq!(
            (taken_back.data.maps, taken_back.model.weights),
            (None, None)
        );
        assert_eq!(read("[data]\nmaps = \"\"\n", &[]).data.maps, None);
    }

    #[test]
    fn the_beginning_of_a_key_is_nearer_than_a_short_one() {
        let text = refusal("", &["train.optimizer.clip=1"]);
        assert!(
            text.contains("did you mean \"train.optimizer.clip_norm\"?"),
            "{text}"
        );
    }

    #[test]
    fn lists_that_are_no_toml_are_told_from_strings() {
        for (value, hint) in [
            ("data.fragments=[1, b]", "quoted, as in [\"a\", \"b\"]"),
            ("data.fragments=[\"a\"", "quoted, as in"),
            (
                r#"data.fragments=["C:\users\1"]"#,
                "put paths in single quotes",
            ),
        ] {
            let text = refusal("", &[value]);
            assert!(
                text.contains(&format!("--set {value}: found a value that is no TOML")),
                "{text}"
            );
            assert!(text.contains(hint), "{text}");
        }
        let (_, plain) = parse_override(r"train.out=C:\users\1").unwrap();
        assert_eq!(plain.as_str(), Some(r"C:\users\1"));
        let (_, list) = parse_override(r"data.fragments=['C:\users\1']").unwrap();
        assert_eq!(list.as_array().unwrap()[0].as_str(), Some(r"C:\users\1"));
    }

    #[test]
    fn an_old_name_is_read_over_and_under_the_new_one() {
        let read = |text: &str, overrides: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("recipe.toml");
            std::fs::write(&path, text).unwrap();
            let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
            let recipe = Recipe::read(&[path], &overrides).unwrap();
            recipe.augment.degradation.probability
        };
        let old = "[augment]\nspoil = 0.25\n";
        assert_eq!(read(old, &[]), 0.25);
        assert_eq!(read(old, &["augment.noise_or_blur=0.5"]), 0.5);
        let new = "[augment]\nnoise_or_blur = 0.25\n";
        assert_eq!(read(new, &["augment.spoil=0.5"]), 0.5);
    }

    /// Parsers that call themselves would overflow the stack.
    #[test]
    fn what_nests_without_end_is_refused() {
        let deep = 200_000;
        let arrays = format!("a = {}{}", "[".repeat(deep), "]".repeat(deep));
        assert!(refusal(&arrays, &[]).contains("recipe.toml"));
        let tables = format!("{} = 1", vec!["a"; deep].join("."));
        assert!(refusal(&tables, &[]).contains("recipe.toml"));
        let key = format!("{}=1", vec!["train"; deep].join("."));
        let text = refusal("", &[&key]);
        assert!(
            text.contains("expected a key such as train.epochs"),
            "{text}"
        );
        assert!(text.len() < 300);
        let value = format!("train.epochs={}", "[".repeat(deep));
        assert!(refusal("", &[&value]).contains("train.epochs"));
    }

    #[test]
    fn a_recipe_of_more_than_a_mebibyte_is_refused() {
        let text = format!("# {}\n", "x".repeat(1 << 20));
        assert!(refusal(&text, &[]).contains("recipe.toml"));
    }
}
