//! Volumes as networks see them: through depth maps where there are some.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use inkling_align::Warped;
use inkling_fragment::{Columns, Fragment, MapFiles, Region, Volume};

use super::Context;
use super::memory::{Budget, bytes_of};
use crate::failure::Usage;

/// `fragment` through the maps in `maps`/<id>, where a folder is given.
pub fn aligned(fragment: &Fragment, maps: Option<&Path>) -> anyhow::Result<Box<dyn Volume>> {
    let Some(folder) = maps else {
        return Ok(Box::new(fragment.clone()));
    };
    let maps = maps_of(folder, fragment)?;
    let depth = fragment.depth().max(TARGET_LAYERS);
    Ok(Box::new(Warped::new(
        fragment.clone(),
        Arc::new(maps),
        depth,
    )?))
}

/// The maps of `fragment`: `folder` is its own, or that of all fragments' maps.
///
/// # Errors
/// [`Usage`] where there are none, naming what makes them; damaged ones.
pub fn maps_of(folder: &Path, fragment: &Fragment) -> anyhow::Result<MapFiles> {
    let own = folder.join(fragment.id());
    let holds = |folder: &Path| folder.join("z_shift.npy").is_file();
    match (holds(&own), holds(folder)) {
        (true, _) => Ok(MapFiles::open(own)?),
        (false, true) => Ok(MapFiles::open(folder)?),
        (false, false) => Err(Usage(format!(
            "{}: found no depth maps of fragment {} ({} and {} are not there); expected the folder \
             of all fragments' maps, or the fragment's own. Mend: make them with `inkling align {} \
             --out {}`",
            folder.display(),
            fragment.id(),
            own.join("z_shift.npy").display(),
            folder.join("z_shift.npy").display(),
            fragment.path().display(),
            folder.display(),
        ))
        .into()),
    }
}

/// Layers of the built-in target: an aligned fragment has at least these.
const TARGET_LAYERS: usize = 65;

/// The layers `z` of the volume of fragment `id`, in memory when the budget allows, and where they
/// are then; otherwise they are read as they are needed.
pub fn kept(
    volume: Box<dyn Volume>,
    z: Range<usize>,
    id: &str,
    budget: &mut Budget,
    context: &Context,
) -> anyhow::Result<(Box<dyn Volume>, Range<usize>)> {
    let [depth, height, width] = volume.shape();
    if z.end > depth {
        return Ok((volume, z));
    }
    let bytes = bytes_of(volume.as_ref(), z.len());
    if !budget.take(bytes) {
        context.console.say(format!(
            "{id}: {} MiB of voxels do not fit into --memory and are read as they are needed, which is \
             slower",
            bytes >> 20
        ));
        return Ok((volume, z));
    }
    let region = Region::new(z.clone(), 0..height, 0..width);
    let columns = Columns::read(volume.as_ref(), &region)?;
    Ok((Box::new(columns), 0..z.len()))
}
