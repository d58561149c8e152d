use serde::{Deserialize, Serialize};

use crate::Error;

/// `[align]` in a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlignSettings {
    /// Side of the smallest square patches whose shifts are fitted, in pixels; they lie half
    /// their side apart. Patches of twice the side come first.
    pub patch: usize,
    /// First and last layer of the target that are compared.
    pub layers: [usize; 2],
    /// Largest shift looked for, in layers of the target.
    pub max_shift: f64,
    /// Range of scales looked for.
    pub scales: [f64; 2],
    /// How strongly neighbouring patches hold together: the misfit, as a share of the target's
    /// variance, that a difference of one layer costs. Larger values suit sheets that hardly
    /// bend.
    pub smoothness: f64,
    /// How depths are fitted.
    pub method: Method,
    /// Takes the layers in reverse order: for a sheet scanned from its other side.
    pub flip: bool,
    /// Bytes that voxels and their sums may take.
    pub memory: usize,
}

/// How depths are fitted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Every patch along the depths found so far, by all its shifts, held together by its
    /// neighbours; one scale for the sheet.
    #[default]
    Robust,
    /// The reference solution's two stages on the halved volume: every patch against the sheet's own curve
    /// by least squares, outliers replaced; then the sheet against the target.
    Reference,
}

impl Default for AlignSettings {
    fn default() -> Self {
        Self {
            patch: 48,
            layers: [17, 47],
            max_shift: 30.0,
            scales: [0.3, 3.0],
            smoothness: 0.02,
            method: Method::Robust,
            flip: false,
            memory: 512 << 20,
        }
    }
}

/// Largest side of a patch, in pixels.
const LARGEST_PATCH: usize = 65_536;
/// Most layers of a target, and the largest shift.
const MOST_LAYERS: usize = 1_024;
/// Least memory for voxels, in bytes.
const LEAST_MEMORY: usize = 64 << 10;

impl AlignSettings {
    /// # Errors
    /// [`Error::Setting`] for the first value out of its range.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |key, found: String, expected| {
            Err(Error::Setting {
                key,
                found,
                expected,
            })
        };
        if !(2..=LARGEST_PATCH).contains(&self.patch) {
            let expected = "2 to 65,536 px, more than a sheet's side";
            return wrong("patch", self.patch.to_string(), expected);
        }
        let [first, last] = self.layers;
        if last > MOST_LAYERS || first.saturating_add(4) > last {
            let expected = "a range of at least 5 layers, up to layer 1,024";
            return wrong("layers", format!("{:?}", self.layers), expected);
        }
        let [low, high] = self.scales;
        if !(low >= 0.01 && low <= high && high <= 100.0) {
            let expected =
                "a rising range within 0.01 and 100: beyond, a scan is one layer or none";
            return wrong("scales", format!("{:?}", self.scales), expected);
        }
        let shift = self.max_shift;
        if !(shift > 0.0 && shift <= MOST_LAYERS as f64) {
            let expected = "a number above 0, up to 1,024 layers, more than a sheet's scan has";
            return wrong("max_shift", shift.to_string(), expected);
        }
        if !(self.smoothness >= 0.0 && self.smoothness.is_finite()) {
            return wrong(
                "smoothness",
                self.smoothness.to_string(),
                "a number of at least 0",
            );
        }
        if self.memory < LEAST_MEMORY {
            let expected = "at least 65536 bytes (64 KiB)";
            return wrong("memory", self.memory.to_string(), expected);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_reason_are_refused_by_name() {
        type Change = fn(&mut AlignSettings);
        let changes: [(&str, Change); 11] = [
            ("patch", |s| s.patch = 1_000_000_000),
            ("patch", |s| s.patch = 1),
            ("layers", |s| s.layers = [44, 20]),
            ("layers", |s| s.layers = [usize::MAX, usize::MAX]),
            ("layers", |s| s.layers = [0, 1_000_000_000]),
            ("max_shift", |s| s.max_shift = f64::NAN),
            ("max_shift", |s| s.max_shift = 1e18),
            ("scales", |s| s.scales = [-1.0, 2.0]),
            ("scales", |s| s.scales = [0.3, f64::INFINITY]),
            ("smoothness", |s| s.smoothness = -0.1),
            ("memory", |s| s.memory = 0),
        ];
        for (key, change) in changes {
            let mut settings = AlignSettings::default();
            change(&mut settings);
            let message = settings.check().unwrap_err().to_string();
            assert!(message.contains(&format!("align.{key}")), "{message}");
        }
        AlignSettings::default().check().unwrap();
    }
}
