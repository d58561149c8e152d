//! Which float is white: scans come as floats from 0 to 1, or from 0 to 65535.

use crate::Error;

/// Floats from 0 to `white`, which become 0 to 65535.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FloatRange {
    pub white: f32,
}

impl FloatRange {
    /// Before the largest value is known: floats stay as they are.
    pub const UNKNOWN: Self = Self { white: 65_535.0 };

    /// The range that a largest value speaks of, and a sentence about it.
    ///
    /// # Errors
    /// [`Error::LayerContent`], about `path`, for a value between the two ranges, beyond both, or 0.
    pub fn of_largest(largest: f32, path: &std::path::Path) -> Result<(Self, String), Error> {
        let white = match largest {
            value if value > 0.0 && value <= 1.01 => 1.0,
            value if value > 256.0 && value <= 65_536.0 => 65_535.0,
            value => {
                return Err(Error::LayerContent {
                    path: path.to_owned(),
                    found: format!("floats up to {value}"),
                    expected: "floats from 0 to 1, or from 0 to 65535",
                    hint: "convert the layers to 16-bit grey",
                });
            }
        };
        let remark = format!(
            "its layers are floats up to about {largest}: they are read as going from 0 to {white}"
        );
        Ok((Self { white }, remark))
    }

    /// A float as a voxel. NaN, which scans have outside the papyrus, is 0. One hundredth beyond the
    /// range is rounding.
    ///
    /// # Errors
    /// What was found, in words, for a value further beyond the range.
    pub fn voxel(self, value: f32) -> Result<u16, String> {
        let share = value / self.white;
        if share.is_nan() {
            return Ok(0);
        }
        if !(-0.01..=1.01).contains(&share) {
            return Err(format!(
                "a value of {value} in a volume whose values go from 0 to {}",
                self.white
            ));
        }
        Ok((share.clamp(0.0, 1.0) * 65_535.0).round() as u16)
    }
}
