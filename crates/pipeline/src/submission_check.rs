//! What a reading needs before it is submitted to others.

use std::path::{Path, PathBuf};

use inkling_fragment::ImageMetadata;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::overall_verdict::overall_verdict;
use crate::training_areas::TrainingOverlap;
use crate::window_size::{LARGEST_WINDOW, WindowSize};

/// What is there and what is missing of a map that is to be submitted as a reading.
#[derive(Clone, Debug, Serialize)]
pub struct SubmissionCheck {
    /// The map.
    pub file: PathBuf,
    /// Whether nothing is missing; none where something is not known.
    pub passes: Option<bool>,
    /// What was looked at.
    pub checks: Vec<SubmissionItem>,
}

/// One thing that a reading needs.
#[derive(Clone, Debug, Serialize)]
pub struct SubmissionItem {
    /// Its name: `provenance`, `scale`, `window`, `training`, `whole`.
    pub name: &'static str,
    /// Whether it is there; none where that is not known.
    pub passes: Option<bool>,
    /// What was found, and what would mend it.
    pub sentence: String,
}

impl SubmissionCheck {
    /// Goes through what the map at `path` says of itself.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        let metadata = ImageMetadata::read(path)?;
        let checks = match &metadata.provenance {
            None => vec![item(
                "provenance",
                Some(false),
                "it does not say where it comes from. hint: submit the file that `inkling predict` wrote; other \
                 programs drop this when they save an image again",
            )],
            Some(recorded) => vec![
                provenance(recorded),
                scale(metadata.pixel_size),
                window(recorded),
                training(recorded),
                whole(recorded),
            ],
        };
        Ok(Self {
            file: path.to_owned(),
            passes: overall_verdict(checks.iter().map(|check| check.passes)),
            checks,
        })
    }
}

fn item(name: &'static str, passes: Option<bool>, sentence: impl Into<String>) -> SubmissionItem {
    SubmissionItem {
        name,
        passes,
        sentence: sentence.into(),
    }
}

fn provenance(recorded: &Value) -> SubmissionItem {
    let models = recorded["models"].as_array().map_or(0, Vec::len);
    let named = models > 0 && recorded["plan"]["data"].is_string();
    let text = format!(
        "{}, fragment {}, {models} models by their SHA-256, all settings",
        recorded["program"].as_str().unwrap_or("an unknown program"),
        recorded["fragment"].as_str().unwrap_or("unknown"),
    );
    item("provenance", Some(named), text)
}

fn scale(pixel_size: Option<f64>) -> SubmissionItem {
    match pixel_size {
        Some(size) => item("scale", Some(true), format!("{size:.3} µm a pixel")),
        None => item(
            "scale",
            Some(false),
            "it does not say how large a pixel is. hint: predict with --pixel-size, as 7.91",
        ),
    }
}

fn window(recorded: &Value) -> SubmissionItem {
    let window: Option<WindowSize> = serde_json::from_value(recorded["window"].clone()).ok();
    match window.and_then(|window| Some((window, window.millimetres?))) {
        Some((window, millimetres)) => item(
            "window",
            Some(millimetres <= LARGEST_WINDOW),
            window.warning().unwrap_or_else(|| {
                format!("the network sees {window}, at most {LARGEST_WINDOW} mm")
            }),
        ),
        None => item(
            "window",
            None,
            "how much papyrus the network sees at once is not known without the size of a pixel",
        ),
    }
}

fn training(recorded: &Value) -> SubmissionItem {
    // Images of earlier versions have it under another name.
    let overlap = recorded
        .get("trained_on")
        .or_else(|| recorded.get("learnt_from"));
    let overlap = overlap.and_then(|overlap| TrainingOverlap::deserialize(overlap).ok());
    match overlap {
        Some(overlap) if !overlap.fragments.is_empty() => item(
            "training",
            Some(false),
            overlap.warning().unwrap_or_default(),
        ),
        Some(overlap) if overlap.complete => item(
            "training",
            Some(true),
            "the models were trained on no papyrus of this fragment",
        ),
        _ => item(
            "training",
            None,
            "the models do not say all that they were trained on. hint: ask whoever trained them whether this papyrus \
             was among it",
        ),
    }
}

fn whole(recorded: &Value) -> SubmissionItem {
    match recorded["region"].as_str() {
        None => item("whole", Some(true), "the whole sheet was predicted"),
        Some(region) => item(
            "whole",
            None,
            format!(
                "only {region} was predicted; what lies outside is black because nobody looked"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use inkling_fragment::write_gray_with;
    use serde_json::json;

    use super::*;

    fn verdicts(metadata: &ImageMetadata) -> (Option<bool>, Vec<(&'static str, Option<bool>)>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.png");
        let image = ndarray::Array2::from_elem((9, 8), 7_u8);
        write_gray_with(&path, image.view(), metadata, false).unwrap();
        let found = SubmissionCheck::of(&path).unwrap();
        let checks = found.checks.iter().map(|check| (check.name, check.passes));
        (found.passes, checks.collect())
    }

    #[test]
    fn what_is_missing_is_named() {
        let recorded = |overlaps: &[&str], complete: bool, pixels: usize, region: Value| {
            json!({
                "program": "inkling 1",
                "fragment": "1",
                "models": [{ "sha256": "ab" }],
                "plan": { "data": "cd" },
                "window": WindowSize::new(pixels, Some(8.0)),
                "trained_on": { "fragments": overlaps, "complete": complete },
                "region": region,
            })
        };
        let of = |recorded: Value, pixel_size: Option<f64>| {
            verdicts(&ImageMetadata {
                provenance: Some(recorded),
                pixel_size,
            })
        };
        let good = of(recorded(&[], true, 62, Value::Null), Some(8.0));
        assert_eq!(good.0, Some(true), "{good:?}");
        let passes = |found: &(Option<bool>, Vec<(&str, Option<bool>)>), name: &str| {
            let check = found.1.iter().find(|(known, _)| *known == name);
            check.unwrap().1
        };
        let seen = of(recorded(&["2"], true, 62, Value::Null), Some(8.0));
        assert_eq!(
            (seen.0, passes(&seen, "training")),
            (Some(false), Some(false))
        );
        let unsaid = of(recorded(&[], false, 62, Value::Null), Some(8.0));
        assert_eq!((unsaid.0, passes(&unsaid, "training")), (None, None));
        let wide = of(recorded(&[], true, 64, Value::Null), Some(8.0));
        assert_eq!(
            (wide.0, passes(&wide, "window")),
            (Some(false), Some(false))
        );
        let part = of(recorded(&[], true, 62, json!("0:3,0:3")), Some(8.0));
        assert_eq!((part.0, passes(&part, "whole")), (None, None));
        let unscaled = of(recorded(&[], true, 62, Value::Null), None);
        assert_eq!(
            (unscaled.0, passes(&unscaled, "scale")),
            (Some(false), Some(false))
        );
        let bare = verdicts(&ImageMetadata::default());
        assert_eq!(bare, (Some(false), vec![("provenance", Some(false))]));
    }
}
