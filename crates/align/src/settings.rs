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
    /// Every patch along the relief found so far, by all its shifts, held together by its
    /// neighbours; one scale for the sheet.
    #[default]
    Robust,
    /// The write-up's two stages on the halved volume: every patch against the sheet's own curve
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

impl AlignSettings {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |key, found: String, expected| {
            Err(Error::Setting {
                key,
                found,
                expected,
            })
        };
        if self.patch < 2 {
            return wrong("patch", self.patch.to_string(), "at least 2 px");
        }
        if self.layers[0] + 4 > self.layers[1] {
            return wrong(
                "layers",
                format!("{:?}", self.layers),
                "a range of at least 5 layers",
            );
        }
        let [low, high] = self.scales;
        if !(low > 0.0 && low <= high && high.is_finite()) {
            return wrong(
                "scales",
                format!("{:?}", self.scales),
                "a rising range above 0",
            );
        }
        if !(self.max_shift > 0.0 && self.max_shift.is_finite()) {
            return wrong("max_shift", self.max_shift.to_string(), "a number above 0");
        }
        if !(self.smoothness >= 0.0 && self.smoothness.is_finite()) {
            return wrong(
                "smoothness",
                self.smoothness.to_string(),
                "a number of at least 0",
            );
        }
        Ok(())
    }
}
