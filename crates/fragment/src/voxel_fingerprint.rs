//! By which voxels a scan is known again.

use ndarray::Axis;
use sha2::{Digest, Sha256};

use crate::{Error, Region, Volume, sha256_hex};

/// Rows of voxels that are hashed, evenly spread.
const ROWS: usize = 8;

/// SHA-256, in hex, of a scan's height and width and the upper 8 bits of some rows of its middle
/// layers: the same under other masks, labels, names and formats, with layers reversed, and at 8
/// bits.
pub(crate) fn voxel_fingerprint(volume: &dyn Volume) -> Result<String, Error> {
    let [depth, height, width] = volume.shape();
    let layers = (depth - 1) / 2..depth / 2 + 1;
    let mut hash = Sha256::new();
    for size in [height, width] {
        hash.update((size as u64).to_le_bytes());
    }
    for row in (0..ROWS).map(|row| (2 * row + 1) * height / (2 * ROWS)) {
        let voxels = volume.read(&Region::new(layers.clone(), row..row + 1, 0..width))?;
        // The larger of both layers, so that their order does not matter.
        let largest = voxels.fold_axis(Axis(0), 0, |&most: &u16, &voxel| most.max(voxel));
        hash.update(
            largest
                .iter()
                .map(|voxel| (voxel >> 8) as u8)
                .collect::<Vec<_>>(),
        );
    }
    Ok(sha256_hex(hash))
}
