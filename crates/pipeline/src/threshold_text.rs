//! Thresholds as people give them: a probability, or a file that `inkling threshold` wrote.

use std::path::Path;

use inkling_fragment::read_text;
use inkling_predict::Threshold;
use serde_json::Value;

use crate::Usage;

/// Most bytes of what `threshold` writes: thousands of predictions' names.
const LONGEST_FILE: u64 = 1 << 20;

/// The threshold that `text` is, as `P` or `LOW,HIGH`, or that the file `text` holds.
///
/// # Errors
/// [`Usage`] for a text that is neither; those of reading.
pub fn parse_threshold(text: &str) -> anyhow::Result<Threshold> {
    let found = match threshold_of_numbers(text) {
        None if Path::new(text).exists() => {
            threshold_of_file(&read_text(Path::new(text), LONGEST_FILE)?)
        }
        found => found,
    };
    found.ok_or_else(|| {
        Usage(format!(
            "--threshold {text}: expected a probability from 0 to 1, two as LOW,HIGH of which the second is \
             no lower, or a file that `inkling threshold` wrote"
        ))
        .into()
    })
}

fn threshold_of_numbers(text: &str) -> Option<Threshold> {
    let number = |text: &str| Threshold::new(text.trim().parse().ok()?);
    match text.split_once(',') {
        None => number(text),
        Some((low, high)) => number(low)?.with_high(number(high)?),
    }
}

fn threshold_of_file(text: &str) -> Option<Threshold> {
    let figures: Value = serde_json::from_str(text).ok()?;
    let low = Threshold::new(figures["threshold"].as_f64()?)?;
    match &figures["high_threshold"] {
        Value::Null => Some(low),
        high => low.with_high(Threshold::new(high.as_f64()?)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_or_two_or_a_file() {
        let both = Threshold::HALF.with_high(Threshold::at_level(230));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("threshold.json");
        std::fs::write(&file, r#"{"threshold": 0.502, "high_threshold": 0.902}"#).unwrap();
        for (text, expected) in [
            ("0.5", Some(Threshold::HALF)),
            ("0.5, 0.902", both),
            (file.to_str().unwrap(), both),
        ] {
            assert_eq!(parse_threshold(text).ok(), expected, "{text}");
        }
        std::fs::write(&file, r#"{"threshold": 0.5, "high_threshold": "0.9"}"#).unwrap();
        for wrong in [
            "1.5",
            "0.5,0.4",
            "0.5,",
            "0.5,0.6,0.7",
            "half",
            file.to_str().unwrap(),
        ] {
            let said = parse_threshold(wrong).unwrap_err().to_string();
            assert!(said.contains(wrong), "{said}");
        }
    }
}
