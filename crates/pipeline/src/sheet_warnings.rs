//! Warnings about fragments that differ from those that a model was trained on.

use std::ops::Range;

use inkling_align::{Curve, dark_layers};
use inkling_fragment::{Error, Fragment, Volume, remark};
use ndarray::{Array2, Axis, s};
use serde::{Deserialize, Serialize};

use crate::ImageRegion;

/// Rows of voxels that are looked at, evenly spread.
const ROWS: usize = 16;
/// The prime of FNV-1a's 64-bit hash.
const HASH_FACTOR: u64 = 0x0100_0000_01b3;

/// Percentiles of a fragment's voxels on papyrus, 0 to 65,535.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intensities {
    /// The value below which one voxel in a hundred lies.
    pub p1: f64,
    /// The value below which half of the voxels lie.
    pub p50: f64,
    /// The value below which 99 voxels in a hundred lie.
    pub p99: f64,
}

/// What some rows of a fragment's papyrus hold.
#[derive(Clone, Debug, PartialEq)]
pub struct PapyrusSample {
    /// Percentiles over all layers.
    pub intensities: Intensities,
    /// The mean of each layer that was read.
    pub curve: Curve,
    /// A hash of the values of each layer.
    hashes: Vec<u64>,
}

impl PapyrusSample {
    /// That of the layers `z` of `volume` where `papyrus` is set, from some rows of `within`; `None`
    /// where no papyrus lies on them.
    ///
    /// # Errors
    /// Those of reading.
    pub fn of(
        volume: &dyn Volume,
        z: &Range<usize>,
        papyrus: &Array2<bool>,
        within: &ImageRegion,
    ) -> Result<Option<Self>, Error> {
        let papyrus = papyrus.slice(s![.., within.columns.clone()]);
        let mut values = Vec::new();
        let mut sums = vec![0_u64; z.len()];
        let mut hashes = vec![0_u64; z.len()];
        let rows = (0..ROWS).map(|row| within.row_of(row, ROWS));
        for y in rows.filter(|&y| papyrus.row(y).iter().any(|&any| any)) {
            let voxels = volume.read(&within.line(z.clone(), y))?;
            for (z, layer) in voxels.index_axis(Axis(1), 0).outer_iter().enumerate() {
                let pairs = layer.into_iter().zip(papyrus.row(y));
                let on_papyrus = pairs.filter_map(|(&value, &papyrus)| papyrus.then_some(value));
                values.extend(on_papyrus.inspect(|&value| {
                    sums[z] += u64::from(value);
                    hashes[z] = (hashes[z] ^ u64::from(value)).wrapping_mul(HASH_FACTOR);
                }));
            }
        }
        let pixels = values.len() / z.len().max(1);
        let means = sums.iter().map(|&sum| sum as f64 / pixels as f64);
        let curve = Curve::new(means.collect());
        Ok(Intensities::of(values).map(|intensities| Self {
            intensities,
            curve,
            hashes,
        }))
    }

    /// Layers that are blank or hold what their neighbours hold, in sentences for people; the sample is of a scan's layers
    /// from `first` on, as they are.
    pub fn odd_layers(&self, first: usize) -> Vec<String> {
        let mut odd = dark_layers(&self.curve, first);
        let same = self.hashes.windows(2).zip(self.curve.values().windows(2));
        let twice = same.enumerate().filter(|(_, (hashes, means))| {
            // Blank and saturated layers are alike without being copies.
            hashes[0] == hashes[1] && means[0] > 0.0 && means[0] < f64::from(u16::MAX)
        });
        if self.intensities.contrast() > 0.0 {
            odd.extend(twice.map(|(z, _)| {
                format!(
                    "layers {} and {} hold the same voxels. hint: copy the one that is wrong again",
                    first + z,
                    first + z + 1
                )
            }));
        }
        odd
    }

    /// Warns of [`odd_layers`](Self::odd_layers) of `fragment`.
    pub fn warn_of_odd_layers(&self, fragment: &Fragment, first: usize) {
        for text in self.odd_layers(first) {
            remark(fragment.path(), &text);
        }
    }
}

impl Intensities {
    fn of(mut values: Vec<u16>) -> Option<Self> {
        values.sort_unstable();
        let at = |share: f64| {
            let place = share * values.len().saturating_sub(1) as f64;
            values.get(place.round() as usize).copied().map(f64::from)
        };
        at(0.01)
            .zip(at(0.5))
            .zip(at(0.99))
            .map(|((p1, p50), p99)| Self { p1, p50, p99 })
    }

    fn contrast(&self) -> f64 {
        self.p99 - self.p1
    }

    /// In a word, how this sheet differs from those that were trained on: its median lies further
    /// from theirs than half of their contrast (the 99th percentile less the first), or its contrast
    /// is less than half of theirs.
    fn oddity(&self, trained_on: &[Self]) -> Option<&'static str> {
        let least =
            |value: fn(&Self) -> f64| trained_on.iter().map(value).fold(f64::INFINITY, f64::min);
        let contrast = least(Self::contrast);
        let (dark, bright) = (least(|sheet| sheet.p50), -least(|sheet| -sheet.p50));
        match () {
            () if trained_on.is_empty() => None,
            () if self.p50 < dark - contrast / 2.0 => Some("much darker"),
            () if self.p50 > bright + contrast / 2.0 => Some("much brighter"),
            () if self.contrast() < contrast / 2.0 => Some("much flatter"),
            () => None,
        }
    }
}

/// Warns when the papyrus of `fragment` is much darker, brighter or flatter than that of the fragments
/// that a network is trained on (`trained_on`): it then sees values that it never saw.
pub fn warn_of_other_intensities(
    fragment: &Fragment,
    found: Intensities,
    trained_on: &[Intensities],
) {
    let Some(oddity) = found.oddity(trained_on) else {
        return;
    };
    let hint = match found.p50 > 0.0 {
        true => {
            "bring the scan to their range, or train with sheets like it; --voxels as-is if it was read as of fewer bits"
        }
        false => {
            "most of its voxels are 0: check that the mask is not inverted, and that all layers were copied"
        }
    };
    let median = |sheet: &Intensities| format!("{:.0}", sheet.p50);
    let others: Vec<String> = trained_on.iter().map(median).collect();
    tracing::warn!(
        "{}: its papyrus is {oddity} than that of the sheets which the network is trained on (median \
         {:.0} and 1st to 99th percentile {:.0} to {:.0}, theirs {}). hint: {hint}",
        fragment.path().display(),
        found.p50,
        found.p1,
        found.p99,
        others.join(", ")
    );
}

/// Warns when `fragment` has another number of layers than those that a model was trained on
/// (`trained_on`), so that the layers `layers[0]..layers[1]` lie elsewhere in the sheet; depth maps
/// put that right.
pub fn warn_of_other_depth(fragment: &Fragment, trained_on: &[usize], layers: [usize; 2]) {
    let depth = fragment.depth();
    if trained_on.is_empty() || trained_on.contains(&depth) || fragment.first_layer() > 0 {
        return;
    }
    let known: Vec<String> = trained_on.iter().map(usize::to_string).collect();
    tracing::warn!(
        "{}: it has {depth} layers, and the model was trained on sheets of {}; layers {} to {} may miss \
         the surface. Give --maps auto to bring the sheet to the model's depth, or name the layers \
         with --layers FIRST..END",
        fragment.path().display(),
        known.join(" or "),
        layers[0],
        layers[1] - 1,
    );
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    fn sheet(low: u16, high: u16) -> Intensities {
        let volume = Array3::from_shape_fn((10, 64, 50), |(z, y, x)| {
            let share = ((z * 7 + y * 13 + x * 29) % 101) as f64 / 100.0;
            match x < 40 {
                true => (f64::from(low) + share * f64::from(high - low)) as u16,
                false => 60_000,
            }
        });
        let papyrus = Array2::from_shape_fn((64, 50), |(_, x)| x < 40);
        let whole = ImageRegion::whole([64, 50]);
        let sample = PapyrusSample::of(&volume, &(2..8), &papyrus, &whole).unwrap();
        sample.unwrap().intensities
    }

    #[test]
    fn percentiles_are_those_of_papyrus() {
        let found = sheet(10_000, 20_000);
        assert!((found.p1 - 10_100.0).abs() < 250.0, "{found:?}");
        assert!((found.p50 - 15_000.0).abs() < 250.0, "{found:?}");
        assert!((found.p99 - 19_900.0).abs() < 250.0, "{found:?}");
        let nothing = Array2::from_elem((64, 50), false);
        let volume = Array3::zeros((10, 64, 50));
        assert_eq!(
            PapyrusSample::of(&volume, &(0..10), &nothing, &ImageRegion::whole([64, 50])).unwrap(),
            None
        );
    }

    #[test]
    fn a_layer_that_is_there_twice_is_named() {
        let sample = |change: fn(&mut Array3<u16>)| {
            let noise = |(z, y, x): (usize, usize, usize)| {
                20_000 + ((z * 7919 + y * 104_729 + x * 1_299_709) % 9973) as u16
            };
            let mut volume = Array3::from_shape_fn((10, 64, 50), noise);
            change(&mut volume);
            let papyrus = Array2::from_elem((64, 50), true);
            let whole = ImageRegion::whole([64, 50]);
            let sample = PapyrusSample::of(&volume, &(2..8), &papyrus, &whole).unwrap();
            sample.unwrap().odd_layers(2)
        };
        assert!(sample(|_| {}).is_empty());
        let found = sample(|volume| {
            let copy = volume.index_axis(Axis(0), 4).to_owned();
            volume.index_axis_mut(Axis(0), 5).assign(&copy);
        });
        assert!(
            found.len() == 1 && found[0].contains("layers 4 and 5 hold the same"),
            "{found:?}"
        );
        // The same mean is not the same layer.
        let reversed = sample(|volume| {
            let mut copy = volume.index_axis(Axis(0), 4).to_owned();
            copy.invert_axis(Axis(1));
            volume.index_axis_mut(Axis(0), 5).assign(&copy);
        });
        assert!(reversed.is_empty(), "{reversed:?}");
        assert!(sample(|volume| volume.fill(20_000)).is_empty());
    }

    #[test]
    fn other_brightness_is_odd_and_the_like_is_not() {
        let own = [sheet(10_000, 20_000), sheet(12_000, 24_000)];
        let oddity = |low, high| sheet(low, high).oddity(&own);
        assert_eq!(oddity(11_000, 22_000), None);
        assert_eq!(oddity(8_000, 18_000), None);
        assert_eq!(oddity(1_000, 11_000), Some("much darker"));
        assert_eq!(oddity(30_000, 50_000), Some("much brighter"));
        assert_eq!(oddity(15_000, 17_000), Some("much flatter"));
        assert_eq!(sheet(0, 1).oddity(&[]), None);
    }
}
