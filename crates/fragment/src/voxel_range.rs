//! Whether 16-bit files hold values of 8 or 12 bits.
//!
//! The rule, of which docs/formats.md tells: a row of each of up to nine layers, evenly spread, is
//! looked at; where its largest value leaves a doubt, four rows of every layer. A largest value of
//! 32 to 255 means 8 bits, one of 2048 to 4095 means 12 bits; anything else is taken as it is. A
//! scan of 16 bits whose papyrus is dark, up to 2047, is therefore never brightened. A value
//! beyond the range that shows later is an error, not a white voxel.

use std::path::Path;

use ndarray::Array3;

use crate::remarks::remark;
use crate::{Error, Region};

/// How stored 16-bit values become voxels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoxelRange {
    /// As they are.
    Sixteen,
    /// Values 0 to 255, times 257.
    Eight,
    /// Values 0 to 4095, times 16.
    Twelve,
}

/// Layers of which one row is looked at first.
const LAYERS: usize = 9;
/// Rows of every layer that are looked at in doubt.
const ROWS: usize = 4;
/// Largest values that mean 8 bits.
const EIGHT: std::ops::RangeInclusive<u16> = 32..=255;
/// Largest values that mean 12 bits.
const TWELVE: std::ops::RangeInclusive<u16> = 2048..=4095;

impl VoxelRange {
    /// The significant bits of a stored value.
    pub fn bits(self) -> u8 {
        match self {
            Self::Sixteen => 16,
            Self::Eight => 8,
            Self::Twelve => 12,
        }
    }

    /// The range that a largest value speaks of.
    fn of(largest: u16) -> Self {
        match largest {
            largest if EIGHT.contains(&largest) => Self::Eight,
            largest if TWELVE.contains(&largest) => Self::Twelve,
            _ => Self::Sixteen,
        }
    }

    /// Looks at some rows of the volume of `shape` (z, y, x) at `path`, and says what it decides. Rows
    /// that cannot be read are passed over: whoever needs them hears of it.
    pub(crate) fn find(
        path: &Path,
        [depth, height, width]: [usize; 3],
        read: impl Fn(&Region) -> Result<Array3<u16>, Error>,
    ) -> Self {
        let row = |z: usize, y: usize| read(&Region::new(z..z + 1, y..y + 1, 0..width));
        let mut seen = Seen::default();
        let layers = depth.min(LAYERS);
        for index in 0..layers {
            let middle = |length: usize| length * (2 * index + 1) / (2 * layers);
            seen.add_what_is_read(row(middle(depth), middle(height)));
        }
        if !seen.is_doubtful() {
            return Self::Sixteen;
        }
        for z in 0..depth {
            for index in 0..ROWS {
                let place = ROWS * (z % ROWS) + index;
                seen.add_what_is_read(row(z, height * (2 * place + 1) / (2 * ROWS * ROWS)));
                if !seen.is_doubtful() {
                    return Self::Sixteen;
                }
            }
        }
        let range = Self::of(seen.largest);
        let largest = seen.largest;
        match (range, largest) {
            (_, 0) => {}
            (Self::Sixteen, _) => remark(
                path,
                &format!(
                    "no voxel above {largest} of 65535 was seen: a very dark scan. hint: if its \
                     values are of fewer bits than 16, scale them up"
                ),
            ),
            (range, _) => remark(
                path,
                &format!(
                    "values up to {largest} in 16-bit files: read as {} bits, times {}. hint: \
                     --voxels as-is (in a recipe data.voxels = \"as-is\") if the scan is that dark",
                    range.bits(),
                    range.factor()
                ),
            ),
        }
        range
    }

    fn factor(self) -> u16 {
        match self {
            Self::Sixteen => 1,
            Self::Eight => 257,
            Self::Twelve => 16,
        }
    }

    /// Stored values made voxels, in place.
    ///
    /// # Errors
    /// [`Error::VoxelRange`] for a value that is larger than the range allows.
    pub(crate) fn apply(self, path: &Path, voxels: &mut Array3<u16>) -> Result<(), Error> {
        let limit = match self {
            Self::Sixteen => return Ok(()),
            Self::Eight => *EIGHT.end(),
            Self::Twelve => *TWELVE.end(),
        };
        match voxels.iter().copied().max() {
            Some(found) if found > limit => Err(Error::VoxelRange {
                path: path.to_owned(),
                found,
                bits: self.bits(),
                limit,
            }),
            _ => {
                let factor = self.factor();
                voxels.mapv_inplace(|value| value * factor);
                Ok(())
            }
        }
    }
}

/// What rows have shown.
#[derive(Default)]
struct Seen {
    largest: u16,
    /// Some value is no 8-bit one scaled to 16 bits, as files of 8 bits are read.
    is_unscaled: bool,
}

impl Seen {
    fn add_what_is_read(&mut self, voxels: Result<Array3<u16>, Error>) {
        for &voxel in voxels.iter().flatten() {
            self.largest = self.largest.max(voxel);
            self.is_unscaled |= voxel % 257 != 0;
        }
    }

    /// Whether the largest value may be that of fewer bits than 16.
    fn is_doubtful(&self) -> bool {
        self.largest <= *TWELVE.end() && (self.is_unscaled || self.largest == 0)
    }
}
