//! Overlapping tiles, and their blending.

use inkling_predict::{Blend, InferenceRules, Rows, Sheet, check_count};
use ndarray::{Array2, ArrayView1, Axis, Ix2, s};
use pyo3::prelude::*;

use crate::arrays::Given;
use crate::buffers::{Borrowed, to_numpy};
use crate::errors::{exception, input};
use crate::work;

/// Upper left pixels of the tiles that cover a sheet and hold papyrus, row by row.
///
/// Args:
///     mask: Where there is papyrus, bool (y, x).
///     side: Side of a tile, in pixels.
///     step: Pixels from one tile to the next; half a side by default.
///
/// Returns:
///     numpy.ndarray: int64 (tile, 2), each (y, x). The last tiles may reach beyond the sheet.
///
/// Raises:
///     InputError: For a side or step of 0, and more than 100 million tiles.
///
/// Examples:
///     >>> import inkling, numpy
///     >>> inkling.tile_places(numpy.ones((8, 12), bool), 8).tolist()
///     [[0, 0], [0, 4]]
#[pyfunction]
#[pyo3(signature = (mask, side, step=None))]
pub fn tile_places<'py>(
    py: Python<'py>,
    mask: &Bound<'py, PyAny>,
    side: usize,
    step: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let mask = Given::new("mask", mask, "(y, x)")?.mask()?;
    let step = step.unwrap_or(side.div_ceil(2));
    if side == 0 || step == 0 {
        return Err(input(format!(
            "side and step: found {side} and {step}; expected at least 1 px"
        )));
    }
    check_count([mask.nrows(), mask.ncols()], side, step)
        .map_err(|error| exception(&error.into()))?;
    let places = Sheet::of_mask(mask).tiles(InferenceRules::Reference, side, step);
    let place = |(index, axis): (usize, usize)| [places[index].0, places[index].1][axis] as i64;
    to_numpy(py, Array2::from_shape_fn((places.len(), 2), place))
}

/// The weights of a tile's pixels along one axis: a second-order spline, 0 at the edges, of mean 1.
///
/// Args:
///     side: Side of a tile, in pixels, from 1 to 65536.
///
/// Returns:
///     numpy.ndarray: float64 (side,).
#[pyfunction]
pub fn spline_weights(py: Python<'_>, side: usize) -> PyResult<Bound<'_, PyAny>> {
    match (1..=65536).contains(&side) {
        true => to_numpy(py, inkling_predict::spline_weights(side)),
        false => Err(input(format!("side: found {side}; expected 1 to 65536 px"))),
    }
}

/// Blends overlapping tiles into a sheet: their mean under spline weights, 0 outside the mask.
///
/// Args:
///     tiles: float32 (tile, y, x), square, such as probabilities of ink.
///     places: Their upper left pixels, integers (tile, 2), each (y, x), in any order.
///     mask: Where there is papyrus, bool (y, x).
///
/// Returns:
///     numpy.ndarray: float32 (y, x), of the mask's size.
///
/// Raises:
///     InputError: For tiles that are not square or hold NaN, as many places as tiles, places off the sheet.
///
/// Examples:
///     >>> import inkling, numpy
///     >>> mask = numpy.ones((8, 12), bool)
///     >>> places = inkling.tile_places(mask, 8)
///     >>> tiles = numpy.full((len(places), 8, 8), 0.25, numpy.float32)
///     >>> float(inkling.blend(tiles, places, mask).max())
///     0.25
#[pyfunction]
pub fn blend<'py>(
    py: Python<'py>,
    tiles: &Bound<'py, PyAny>,
    places: &Bound<'py, PyAny>,
    mask: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let tiles = Given::new("tiles", tiles, "(tile, y, x)")?.tiles()?;
    let tiles = tiles.view();
    let mask = Given::new("mask", mask, "(y, x)")?.mask()?;
    let (count, side, across) = tiles.dim();
    if side != across {
        return Err(input(format!(
            "tiles: found {side} × {across} px; expected squares, (tile, y, x)"
        )));
    }
    let order = in_order(places, count, mask.dim())?;
    let blended = work::long(py, |interrupt| {
        let rules = InferenceRules::Reference;
        let weights = rules.weights(None, side, side);
        let mut blend = Blend::new(&mask, rules, weights, 1);
        let mut sheet = Array2::zeros(mask.dim());
        let mut keep = |rows: Rows| -> anyhow::Result<()> {
            let values = rows.values.slice(s![0, .., ..]);
            let range = rows.first..rows.first + values.nrows();
            sheet.slice_mut(s![range, ..]).assign(&values);
            Ok(())
        };
        for (index, [y, x]) in order {
            interrupt.check();
            let tile = tiles.index_axis(Axis(0), index);
            anyhow::ensure!(
                tile.iter().all(|value| value.is_finite()),
                inkling_pipeline::Usage(format!(
                    "tiles: found NaN or infinity in tile {index}; expected finite numbers"
                ))
            );
            blend.add([y, x], tile.insert_axis(Axis(0)), &mut keep)?;
        }
        blend.finish(&mut keep)?;
        Ok(sheet)
    })?;
    to_numpy(py, blended)
}

/// The tiles and their places, from the top row to the bottom one.
fn in_order(
    places: &Bound<PyAny>,
    count: usize,
    (height, width): (usize, usize),
) -> PyResult<Vec<(usize, [usize; 2])>> {
    let numpy = places.py().import("numpy")?;
    let wrong = |found: String| {
        input(format!(
            "places: found {found}; expected integers ({count}, 2), each (y, x) within {height} × {width} px"
        ))
    };
    let array = numpy.call_method1("asarray", (places,))?;
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    let shape: Vec<usize> = array.getattr("shape")?.extract()?;
    if !["i", "u"].contains(&kind.as_str()) || shape != [count, 2] {
        return Err(wrong(format!(
            "{} of shape {shape:?}",
            array.getattr("dtype")?
        )));
    }
    let array = numpy.call_method1("require", (array, "int64", ["ALIGNED"]))?;
    let array: Borrowed<i64, Ix2> = Borrowed::new(&array)?;
    let mut order = Vec::with_capacity(count);
    for (index, row) in array.view().outer_iter().enumerate() {
        let at = |row: ArrayView1<i64>, axis: usize, size: usize| {
            usize::try_from(row[axis])
                .ok()
                .filter(|&place| place < size)
        };
        match (at(row, 0, height), at(row, 1, width)) {
            (Some(y), Some(x)) => order.push((index, [y, x])),
            _ => return Err(wrong(format!("({}, {}) at {index}", row[0], row[1]))),
        }
    }
    order.sort_by_key(|(_, [y, _])| *y);
    Ok(order)
}
