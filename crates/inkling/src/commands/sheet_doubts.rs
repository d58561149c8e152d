//! What speaks against a sheet's being read as the model's own sheets were.

use inkling_fragment::{Fragment, Region, Volume as _};

/// Rows of voxels that are looked at, evenly spread.
const ROWS: usize = 5;

/// Says it when voxels of 16 bits hold 8- or 12-bit values: a network that was trained on the whole
/// range sees next to nothing of them.
///
/// # Errors
/// Those of reading.
pub fn warn_of_dark_voxels(fragment: &Fragment) -> anyhow::Result<()> {
    let [depth, height, width] = fragment.shape();
    let mut largest = 0;
    for row in (0..ROWS).map(|row| (2 * row + 1) * height / (2 * ROWS)) {
        let voxels = fragment.read(&Region::new(0..depth, row..row + 1, 0..width))?;
        largest = largest.max(voxels.iter().copied().max().unwrap_or(0));
    }
    let (bits, factor) = match largest {
        1..=255 => (8, 257),
        256..=4095 => (12, 16),
        _ => return Ok(()),
    };
    tracing::warn!(
        "{}: no voxel that was looked at exceeds {largest} of 65535, as if values of {bits} bits lay in \
         files of 16; they are read as they are, nearly black. Multiply them by {factor} if so",
        fragment.path().display()
    );
    Ok(())
}

/// Says it when `fragment` has another number of layers than those that a model was trained on, so
/// that the layers it reads lie elsewhere in the sheet; maps of depth mend that.
pub fn warn_of_other_depth(fragment: &Fragment, trained_on: &[usize], layers: [usize; 2]) {
    let depth = fragment.depth();
    if trained_on.is_empty() || trained_on.contains(&depth) {
        return;
    }
    let known: Vec<String> = trained_on.iter().map(usize::to_string).collect();
    tracing::warn!(
        "{}: it has {depth} layers, and the model was trained on sheets of {}; layers {} to {} may miss \
         the surface. Give --maps auto to bring the sheet to the model's depth",
        fragment.path().display(),
        known.join(" or "),
        layers[0],
        layers[1],
    );
}
