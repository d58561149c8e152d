use std::path::Path;

use inkling_fragment::{Error, Fragment, FragmentWriter, WriteOptions};

use crate::{Phantom, PhantomSettings};

/// Rows made at once; memory is this many rows of all layers.
const BLOCK: usize = 64;

/// Writes a phantom as a fragment folder, its truth beside the layers: `truth/z_shift.npy`,
/// `truth/z_scale.npy`, `inklabels.png`, `mask.png`, `ir.png`.
///
/// `progress` hears (rows done, rows in all).
///
/// # Errors
/// Those of [`FragmentWriter`].
pub fn write_phantom(
    target: impl AsRef<Path>,
    settings: &PhantomSettings,
    force: bool,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Fragment, Error> {
    let phantom = Phantom::new(settings);
    let options = WriteOptions { force, zarr: None };
    let mut writer = FragmentWriter::create(target, phantom.shape(), options)?;
    for first in (0..settings.height).step_by(BLOCK) {
        let rows = first..settings.height.min(first + BLOCK);
        writer.write_rows(phantom.rows(rows.clone()).view())?;
        progress(rows.end as u64, settings.height as u64);
    }
    writer.write_mask(&phantom.mask)?;
    writer.write_ink_labels(&phantom.ink)?;
    writer.write_infrared(&phantom.infrared())?;
    phantom.maps.write(writer.folder().join("truth"), true)?;
    writer.finish()
}
