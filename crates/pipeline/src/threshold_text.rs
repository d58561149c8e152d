//! Thresholds as people give them: a probability, or a file that `inkling threshold` wrote.

use std::path::Path;

use inkling_fragment::read_text;
use inkling_predict::Threshold;
use serde_json::Value;

use crate::Usage;

/// Most bytes of what `threshold` writes: thousands of predictions' names.
const LONGEST_FILE: u64 = 1 << 20;

/// The threshold that `text` is, or that the file `text` holds.
///
/// # Errors
/// [`Usage`] for a text that is neither; those of reading.
pub fn parse_threshold(text: &str) -> anyhow::Result<Threshold> {
    let number = match text.parse::<f64>() {
        Ok(number) => number,
        Err(_) if Path::new(text).exists() => {
            let file = read_text(Path::new(text), LONGEST_FILE)?;
            let figures: Value = serde_json::from_str(&file).unwrap_or_default();
            figures["threshold"].as_f64().unwrap_or(f64::NAN)
        }
        Err(_) => f64::NAN,
    };
    Threshold::new(number).ok_or_else(|| {
        Usage(format!(
            "--threshold {text}: expected a probability from 0 to 1, or a file that `inkling \
             threshold` wrote"
        ))
        .into()
    })
}
