//! Settings that nothing reads, since another one switches off what they belong to.

use inkling_align::Method;
use inkling_augment::MixingKind;
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

fn never_spoilt(recipe: &Recipe) -> bool {
    recipe.augment.spoil == 0.0
}

fn without_focal(recipe: &Recipe) -> bool {
    recipe.train.loss.focal == 0.0
}

/// All of them, in the order in which a recipe lists them.
const DEPENDENTS: [Dependent; 28] = [
    dependent("align.patch", "align.method", by_reference),
    dependent("align.max_shift", "align.method", by_reference),
    dependent("align.scales", "align.method", by_reference),
    dependent("align.smoothness", "align.method", by_reference),
    dependent("model.window", "model.approach", |r| {
        r.model.approach != Approach::Aggregate
    }),
    dependent("model.dropout", "model.architecture", |r| {
        r.model.architecture == Architecture::Unet
    }),
    dependent("model.maxvit", "model.encoder", |r| {
        !r.model.encoder.starts_with("maxvit")
    }),
    dependent("augment.tilt_limit", "augment.tilt", |r| {
        r.augment.tilt == 0.0
    }),
    dependent("augment.rotate_limit", "augment.rotate", |r| {
        r.augment.rotate == 0.0
    }),
    dependent(
        "augment.brightness_limit",
        "augment.brightness_contrast",
        |r| r.augment.brightness_contrast == 0.0,
    ),
    dependent(
        "augment.contrast_limit",
        "augment.brightness_contrast",
        |r| r.augment.brightness_contrast == 0.0,
    ),
    dependent("augment.noise_variance", "augment.spoil", never_spoilt),
    dependent("augment.noise_range", "augment.spoil", never_spoilt),
    dependent("augment.gaussian_blur", "augment.spoil", never_spoilt),
    dependent("augment.motion_blur", "augment.spoil", never_spoilt),
    dependent("augment.grid_steps", "augment.grid_distortion", |r| {
        r.augment.grid_distortion == 0.0
    }),
    dependent("augment.grid_limit", "augment.grid_distortion", |r| {
        r.augment.grid_distortion == 0.0
    }),
    dependent("augment.dropout_size", "augment.coarse_dropout", |r| {
        r.augment.coarse_dropout == 0.0
    }),
    dependent("augment.mixing.probability", "augment.mixing.kind", |r| {
        r.augment.mixing.kind == MixingKind::None
    }),
    dependent("augment.mixing.cut_side", "augment.mixing.kind", |r| {
        r.augment.mixing.kind != MixingKind::CutMix
    }),
    dependent("augment.mixing.alpha", "augment.mixing.kind", |r| {
        r.augment.mixing.kind != MixingKind::MixUp
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
    for dependent in DEPENDENTS {
        let Some(given) = last(dependent.key) else {
            continue;
        };
        let (origin, table) = &layers[given];
        let value = at(table, dependent.key);
        let in_vain = (dependent.is_off)(recipe)
            && last(dependent.switch).is_none_or(|switched| switched <= given)
            && !is_same(value, at(&defaults, dependent.key));
        if in_vain {
            let resolved = table_of(recipe);
            let switch =
                at(&resolved, dependent.switch).map_or("its default".to_owned(), Value::to_string);
            return Err(Usage(format!(
                "{origin}: found {} = {}, which nothing reads; expected {} to be other than {switch}. \
                 hint: change {}, or remove {}",
                dependent.key,
                value.map_or_else(String::new, Value::to_string),
                dependent.switch,
                dependent.switch,
                dependent.key,
            )));
        }
    }
    Ok(())
}

/// The settings without those that nothing reads.
pub(crate) fn read_settings(recipe: &Recipe) -> Table {
    let mut table = table_of(recipe);
    for dependent in DEPENDENTS {
        if (dependent.is_off)(recipe) {
            remove(&mut table, dependent.key);
        }
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
            "train.loss.focal_alpha",
            "data.folds",
            "data.validation",
        ];
        for dependent in DEPENDENTS {
            for key in [dependent.key, dependent.switch] {
                assert!(
                    optional.contains(&key) || at(&recipe, key).is_some(),
                    "{key}"
                );
            }
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
