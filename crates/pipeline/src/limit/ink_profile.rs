//! How ink differs from bare papyrus over depth.

use std::ops::Range;

use inkling_fragment::{Error, Region, Volume};
use inkling_synth::ink_contrast;
use ndarray::Array2;
use serde::Serialize;

/// Where a profile comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileSource {
    /// The fragment's own labels: mean over ink less mean over bare papyrus.
    Labels,
    /// That of phantoms, for fragments aligned to the built-in target.
    BuiltIn,
}

/// Rows of voxels that a profile is measured on, evenly spread.
const ROWS: usize = 256;

/// What ink of contrast 1 adds in each layer of `volume`, in 16-bit levels, and 0 outside of `layers`: measured
/// where `ink` and bare `papyrus` (y, x) are both known, else that of phantoms.
///
/// # Errors
/// Those of reading.
pub fn ink_profile(
    volume: &dyn Volume,
    layers: Range<usize>,
    papyrus: &Array2<bool>,
    ink: Option<&Array2<bool>>,
) -> Result<(Vec<f32>, ProfileSource), Error> {
    let depth = volume.shape()[0];
    let mut profile = vec![0.0; depth];
    let measured = match ink {
        Some(ink) => difference(volume, layers.clone(), papyrus, ink)?,
        None => None,
    };
    let source = match measured {
        Some(difference) => {
            profile[layers].copy_from_slice(&difference);
            ProfileSource::Labels
        }
        None => {
            layers.for_each(|z| profile[z] = ink_contrast(z as f32));
            ProfileSource::BuiltIn
        }
    };
    Ok((profile, source))
}

/// Mean over ink less mean over bare papyrus, per layer; none without both.
fn difference(
    volume: &dyn Volume,
    layers: Range<usize>,
    papyrus: &Array2<bool>,
    ink: &Array2<bool>,
) -> Result<Option<Vec<f32>>, Error> {
    let (height, width) = papyrus.dim();
    let mut sums = vec![[0.0_f64; 2]; layers.len()];
    let mut counts = [0_u64; 2];
    let mut rows: Vec<usize> = (0..ROWS)
        .map(|row| (2 * row + 1) * height / (2 * ROWS))
        .collect();
    rows.dedup();
    for y in rows {
        let voxels = volume.read(&Region::new(layers.clone(), y..y + 1, 0..width))?;
        for x in (0..width).filter(|&x| papyrus[(y, x)]) {
            let kind = usize::from(ink[(y, x)]);
            counts[kind] += 1;
            for (sum, &value) in sums.iter_mut().zip(voxels.slice(ndarray::s![.., 0, x])) {
                sum[kind] += f64::from(value);
            }
        }
    }
    let [bare, inked] = counts.map(|count| count as f64);
    let per_layer = sums
        .iter()
        .map(|sum| (sum[1] / inked - sum[0] / bare) as f32);
    Ok((bare > 0.0 && inked > 0.0).then(|| per_layer.collect()))
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    #[test]
    fn a_profile_is_measured_or_built_in() {
        let ink = Array2::from_shape_fn((20, 30), |(_, x)| x >= 20);
        let papyrus = Array2::from_elem((20, 30), true);
        let volume = Array3::from_shape_fn((5, 20, 30), |(z, _, x)| {
            1_000 + if x >= 20 { 7 * z as u16 } else { 0 }
        });
        let found = ink_profile(&volume, 1..4, &papyrus, Some(&ink)).unwrap();
        assert_eq!(
            found,
            (vec![0.0, 7.0, 14.0, 21.0, 0.0], ProfileSource::Labels)
        );
        let (profile, source) = ink_profile(&volume, 1..4, &papyrus, None).unwrap();
        assert_eq!((profile[0], source), (0.0, ProfileSource::BuiltIn));
        assert_eq!(profile[2], ink_contrast(2.0));
    }
}
