use inkling_fragment::{DepthMaps, Error as ReadError, Maps};
use ndarray::{Array2, ArrayView2, Axis, Zip, s};
use rayon::prelude::*;

use crate::Error;
use crate::warp::Column;

/// Rows of maps that are in memory at once.
const BLOCK: usize = 256;

/// A column of papyrus shows its sheet if at least this many of its layers are read.
const FEWEST_LAYERS: f32 = 8.0;

/// What depth maps do to the papyrus of a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MapCoverage {
    /// Pixels of papyrus.
    pub papyrus: usize,
    /// Pixels of papyrus whose column lies almost wholly beyond the volume: all layers show its first or last one.
    pub missed: usize,
}

/// Checks that `maps`, applied to a volume of `depth` layers as `target_depth` layers, make sense of its papyrus: finite numbers,
/// scales other than 0, and columns that lie within the volume. `papyrus` (y, x), of the maps' size, is asked for only if some do
/// not.
///
/// # Errors
/// [`Error::MapValue`] for a column of papyrus whose shift or scale is NaN or infinite, or whose scale is 0; [`Error::MapsMiss`]
/// if more than half of the papyrus is missed; those of reading.
pub fn check_maps(
    maps: &dyn Maps,
    papyrus: impl Fn() -> Result<Array2<bool>, ReadError>,
    [depth, target_depth]: [usize; 2],
) -> Result<MapCoverage, Error> {
    let reach = Reach::new(depth, target_depth);
    let [height, width] = maps.size();
    let mut loaded: Option<Array2<bool>> = None;
    let mut missed = 0;
    for first in (0..height).step_by(BLOCK) {
        let end = height.min(first + BLOCK);
        let block = maps.read(first..end, 0..width)?;
        if reach.holds_all(&block) {
            continue;
        }
        let loaded = match &mut loaded {
            Some(loaded) => loaded,
            none => none.insert(papyrus()?),
        };
        let rows = loaded.slice(s![first..end, ..]);
        missed += reach
            .missed(&block, rows)
            .map_err(|[y, x]| Error::MapValue {
                place: [first + y, x],
                shift: block.z_shift[[y, x]],
                scale: block.z_scale[[y, x]],
            })?;
    }
    let papyrus = loaded.map_or(0, |papyrus| papyrus.iter().filter(|&&set| set).count());
    match 2 * missed > papyrus {
        true => Err(Error::MapsMiss {
            share: missed as f64 / papyrus as f64,
            depth,
        }),
        false => Ok(MapCoverage { papyrus, missed }),
    }
}

/// Which columns show enough of a volume.
struct Reach {
    /// Last layer of the volume.
    last: f32,
    /// Last layer of the target.
    target_last: f32,
    fewest: f32,
}

impl Reach {
    fn new(depth: usize, target_depth: usize) -> Self {
        Self {
            last: depth.saturating_sub(1) as f32,
            target_last: target_depth.saturating_sub(1) as f32,
            fewest: FEWEST_LAYERS.min(depth.min(target_depth) as f32 / 4.0),
        }
    }

    /// Whether a column shows enough layers, both of the volume and of the target; `None` where its map is NaN, infinite or 0.
    fn holds(&self, shift: f32, scale: f32) -> Option<bool> {
        let column = Column::fitted(shift, scale)?;
        let [one, other] = [0.0, self.target_last].map(|z| column.at(z));
        let within = one.max(other).min(self.last) - one.min(other).max(0.0);
        let layers = within.min(within * scale.abs()) + 1.0;
        Some(layers >= self.fewest)
    }

    fn holds_all(&self, block: &DepthMaps) -> bool {
        let rows = block.z_shift.axis_iter(Axis(0)).into_par_iter();
        rows.zip(block.z_scale.axis_iter(Axis(0)))
            .all(|(shifts, scales)| {
                let mut columns = shifts.iter().zip(scales);
                columns.all(|(&shift, &scale)| self.holds(shift, scale) == Some(true))
            })
    }

    /// Pixels of papyrus whose columns show too little; the first without a finite place is the error.
    fn missed(&self, block: &DepthMaps, papyrus: ArrayView2<bool>) -> Result<usize, [usize; 2]> {
        let mut missed = 0;
        let mut wrong = None;
        Zip::indexed(papyrus)
            .and(&block.z_shift)
            .and(&block.z_scale)
            .for_each(|(y, x), &papyrus, &shift, &scale| {
                if papyrus {
                    match self.holds(shift, scale) {
                        None => wrong = wrong.or(Some([y, x])),
                        Some(holds) => missed += usize::from(!holds),
                    }
                }
            });
        wrong.map_or(Ok(missed), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shift: f32, scale: f32, papyrus: bool) -> Result<MapCoverage, Error> {
        let mut maps = DepthMaps::identity(300, 4);
        maps.z_shift.row_mut(280).fill(shift);
        maps.z_scale.row_mut(280).fill(scale);
        let mut mask = Array2::from_elem((300, 4), true);
        mask.row_mut(280).fill(papyrus);
        check_maps(&maps, || Ok(mask.clone()), [65, 65])
    }

    #[test]
    fn nan_is_an_error_on_papyrus() {
        for (shift, scale) in [
            (f32::NAN, 1.0),
            (f32::INFINITY, 1.0),
            (0.0, f32::NAN),
            (0.0, 0.0),
        ] {
            let error = check(shift, scale, true).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::MapValue {
                        place: [280, 0],
                        ..
                    }
                ),
                "{error}"
            );
            assert_eq!(check(shift, scale, false).unwrap().missed, 0);
        }
    }

    #[test]
    fn columns_beyond_the_volume_are_counted() {
        let missed = |shift, scale| check(shift, scale, true).unwrap().missed;
        // Sheets as they occur: shifted, thin, thick, and the other way round.
        for (shift, scale) in [(0.0, 1.0), (18.0, 0.6), (-30.0, 1.6), (64.0, -1.0)] {
            assert_eq!(missed(shift, scale), 0, "{shift} {scale}");
        }
        for (shift, scale) in [
            (60.0, 1.0),
            (-60.0, 1.0),
            (1e6, 1.0),
            (0.0, 1e-9),
            (0.0, 1e9),
            (0.0, -1.0),
        ] {
            assert_eq!(missed(shift, scale), 4, "{shift} {scale}");
        }
    }

    #[test]
    fn maps_that_miss_most_of_the_papyrus_are_an_error() {
        let mut maps = DepthMaps::identity(10, 10);
        maps.z_shift.fill(1000.0);
        let mask = || Ok(Array2::from_elem((10, 10), true));
        let error = check_maps(&maps, mask, [65, 65]).unwrap_err();
        assert!(
            matches!(error, Error::MapsMiss { depth: 65, .. }),
            "{error}"
        );
    }

    /// The mask is read only if there is something to ask it.
    #[test]
    fn good_maps_need_no_mask() {
        let maps = DepthMaps::identity(10, 10);
        let found = check_maps(&maps, || unreachable!("no column is odd"), [65, 65]).unwrap();
        assert_eq!(found, MapCoverage::default());
    }
}
