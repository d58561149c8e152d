//! Settings that nothing reads, since another one switches off what they belong to.

use inkling_align::Method;
use inkling_model::{Approach, Architecture};
use toml::{Table, Value};

use crate::{Recipe, Usage};

/// A setting, and the one that switches it off.
struct Dependent {
    key: &'static str,
    switch: &'static str,
    is_off: fn(&Recipe) -> bool,
}

const fn dependent(
    key: &'static str,
    switch: &'static str,
    is_off: fn(&Recipe) -> bool,
) -> Dependent {
    Dependent {
        key,
        switch,
        is_off,
    }
}

fn by_reference(recipe: &Recipe) -> bool {
    recipe.align.method == Method::Reference
}

/// A published network is whole: it has no encoder and no decoder to choose.
fn is_whole(recipe: &Recipe) -> bool {
    recipe.model.approach.is_published()
}

fn without_focal(recipe: &Recipe) -> bool {
    recipe.train.loss.focal == 0.0
}

/// Those outside `[augment]`, whose transforms know their own, in the order of a recipe.
const DEPENDENTS: [Dependent; 20] = [
    dependent("align.patch", "align.method", by_reference),
    dependent("align.max_shift", "align.method", by_reference),
    dependent("align.scales", "align.method", by_reference),
    dependent("align.smoothness", "align.method", by_reference),
    dependent("model.window", "model.approach", |r| {
        r.model.approach != Approach::Aggregate
    }),
    dependent("model.encoder", "model.approach", is_whole),
    dependent("model.decoder", "model.approach", is_whole),
    dependent("model.hybrid", "model.approach", |r| {
        r.model.approach != Approach::Hybrid
    }),
    dependent("model.resnet3d", "model.approach", |r| {
        r.model.approach != Approach::ResNet3d
    }),
    dependent("model.timesformer", "model.approach", |r| {
        r.model.approach != Approach::TimeSformer
    }),
    dependent("model.i3d", "model.approach", |r| {
        r.model.approach != Approach::I3d
    }),
    dependent("model.dropout", "model.architecture", |r| {
        r.model.architecture == Architecture::Unet && r.model.approach != Approach::TimeSformer
    }),
    dependent("model.maxvit", "model.encoder", |r| {
        !r.model.encoder.starts_with("maxvit")
    }),
    dependent("train.loss.positive_weight", "train.loss.bce", |r| {
        r.train.loss.bce == 0.0
    }),
    dependent("train.loss.focal_gamma", "train.loss.focal", without_focal),
    dependent("train.loss.focal_alpha", "train.loss.focal", without_focal),
    dependent("train.loss.dice_smooth", "train.loss.dice", |r| {
        r.train.loss.dice == 0.0
    }),
    dependent("train.loss.label_smoothing", "train.loss.bce", |r| {
        r.train.loss.bce == 0.0 && r.train.loss.focal == 0.0
    }),
    dependent("predict.average", "predict.tta", |r| {
        r.predict.tta == inkling_predict::Tta::None && r.predict.rotations == 0
    }),
    dependent("data.folds", "data.validation", |r| {
        r.data.validation == Some(crate::ValidationBy::Masks)
    }),
];

/// The settings that nothing reads, each with the one that switches it off.
fn unread(recipe: &Recipe) -> Vec<[String; 2]> {
    let off = DEPENDENTS
        .iter()
        .filter(|dependent| (dependent.is_off)(recipe));
    let keys = off.map(|dependent| [dependent.key, dependent.switch].map(str::to_owned));
    let transforms = recipe.augment.unread().into_iter();
    let transforms = transforms.map(|keys| keys.map(|key| format!("augment.{key}")));
    keys.chain(transforms).collect()
}

/// Refuses a setting that was given in vain: another value than the default, in the same layer as
/// what switches it off or in a later one. `layers` are the recipe's files and overrides, the first
/// first. A later layer may switch off what an earlier one has set, to compare the two.
///
/// # Errors
/// [`Usage`], naming both settings and where the first one stands.
pub(crate) fn check_all_read(recipe: &Recipe, layers: &[(String, Table)]) -> Result<(), Usage> {
    let defaults = table_of(&Recipe::default());
    let last = |key: &str| {
        layers
            .iter()
            .rposition(|(_, table)| at(table, key).is_some())
    };
    for [key, switch] in unread(recipe) {
        let Some(given) = last(&key) else {
            continue;
        };
        let (origin, table) = &layers[given];
        let value = at(table, &key);
        let in_vain = last(&switch).is_none_or(|switched| switched <= given)
            && !is_same(value, at(&defaults, &key));
        if in_vain {
            let resolved = table_of(recipe);
            let off = at(&resolved, &switch).map_or("its default".to_owned(), Value::to_string);
            return Err(Usage(format!(
                "{origin}: found {key} = {}, which nothing reads; expected {switch} to be other than \
                 {off}. hint: change {switch}, or remove {key}",
                value.map_or_else(String::new, Value::to_string),
            )));
        }
    }
    Ok(())
}

/// The settings without those that nothing reads.
pub(crate) fn read_settings(recipe: &Recipe) -> Table {
    let mut table = table_of(recipe);
    for [key, _] in unread(recipe) {
        remove(&mut table, &key);
    }
    table
}

fn table_of(recipe: &Recipe) -> Table {
    Table::try_from(recipe).expect("settings are tables of plain values")
}

fn at<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        Some((first, rest)) => at(table.get(first)?.as_table()?, rest),
        None => table.get(key),
    }
}

fn remove(table: &mut Table, key: &str) {
    match key.split_once('.') {
        Some((first, rest)) => {
            if let Some(Value::Table(inner)) = table.get_mut(first) {
                remove(inner, rest);
            }
        }
        None => {
            table.remove(key);
        }
    }
}

/// Equal, also 1 and 1.0.
fn is_same(one: Option<&Value>, other: Option<&Value>) -> bool {
    let number = |value: &Value| match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    };
    match (one, other) {
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_same(Some(one), Some(other)))
        }
        (Some(one), Some(other)) if number(one).is_some() => number(one) == number(other),
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use inkling_augment::AugmentSettings;

    use super::*;

    fn read(files: &[&str], overrides: &[&str]) -> Result<Recipe, String> {
        let folder = tempfile::tempdir().unwrap();
        let paths = files.iter().enumerate().map(|(index, text)| {
            let path = folder.path().join(format!("{index}.toml"));
            std::fs::write(&path, text).unwrap();
            path
        });
        let paths: Vec<_> = paths.collect();
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        Recipe::read(&paths, &overrides).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_one() {
        let recipe = table_of(&Recipe::default());
        // Left out where there is none.
        let optional = [
            "model.maxvit",
            "model.hybrid",
            "model.resnet3d",
            "model.timesformer",
            "model.i3d",
            "train.loss.focal_alpha",
            "data.folds",
            "data.validation",
        ];
        let of_transforms = AugmentSettings::none().unread();
        let of_transforms = of_transforms.concat().into_iter();
        let of_transforms = of_transforms.map(|key| format!("augment.{key}"));
        let others = DEPENDENTS
            .iter()
            .flat_map(|dependent| [dependent.key, dependent.switch]);
        for key in others.map(str::to_owned).chain(of_transforms) {
            assert!(
                optional.contains(&key.as_str()) || at(&recipe, &key).is_some(),
                "{key}"
            );
        }
    }

    #[test]
    fn what_is_given_in_vain_is_refused() {
        let error = read(&["[augment]\nrotate = 0\nrotate_limit = 20\n"], &[]).unwrap_err();
        assert!(
            error.contains("0.toml: found augment.rotate_limit = 20"),
            "{error}"
        );
        assert!(
            error.contains("augment.rotate to be other than 0"),
            "{error}"
        );
        let error = read(&[], &["train.loss.focal_gamma=3"]).unwrap_err();
        assert!(error.contains("train.loss.focal"), "{error}");
        let error = read(&[], &["model.approach=2d", "model.window=5"]).unwrap_err();
        assert!(error.contains("model.approach"), "{error}");
    }

    #[test]
    fn what_is_read_or_as_ever_is_not() {
        read(&["[augment]\nrotate = 0.1\nrotate_limit = 20\n"], &[]).unwrap();
        read(&["[augment]\nrotate = 0\nrotate_limit = 45\n"], &[]).unwrap();
        read(&[], &["train.loss.focal=1", "train.loss.focal_gamma=3"]).unwrap();
        // Switched off by who comes later.
        read(&["[augment]\nrotate_limit = 20\n"], &["augment.rotate=0"]).unwrap();
    }

    #[test]
    fn settings_that_were_written_can_be_read_again() {
        let recipe = read(&["[augment]\nrotate_limit = 20\n"], &["augment.rotate=0"]).unwrap();
        let text = recipe.to_toml().unwrap();
        let again = read(&[&text], &[]).unwrap();
        assert_eq!(again.to_toml().unwrap(), text);
        assert!(!text.contains("rotate_limit"));
    }
}
