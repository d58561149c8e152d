//! Volumes as networks see them: through depth maps where there are some.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use inkling_align::Warped;
use inkling_fragment::{Columns, Fragment, MapFiles, Region, Volume};

/// Volumes up to this size are read once and kept; larger ones are read as they are needed.
const KEPT_BYTES: usize = 2 << 30;

/// `fragment` through the maps in `maps`/<id>, where a folder is given.
pub fn aligned(fragment: &Fragment, maps: Option<&Path>) -> anyhow::Result<Box<dyn Volume>> {
    let Some(folder) = maps else {
        return Ok(Box::new(fragment.clone()));
    };
    let maps = MapFiles::open(folder.join(fragment.id()))?;
    let depth = fragment.depth().max(TARGET_LAYERS);
    Ok(Box::new(Warped::new(
        fragment.clone(),
        Arc::new(maps),
        depth,
    )?))
}

/// Layers of the built-in target: an aligned fragment has at least these.
const TARGET_LAYERS: usize = 65;

/// The layers `z` of `volume`, in memory when they fit, and where they are then.
pub fn kept(
    volume: Box<dyn Volume>,
    z: Range<usize>,
) -> anyhow::Result<(Box<dyn Volume>, Range<usize>)> {
    let [depth, height, width] = volume.shape();
    if z.end > depth || 2 * z.len() * height * width > KEPT_BYTES {
        return Ok((volume, z));
    }
    let region = Region::new(z.clone(), 0..height, 0..width);
    let columns = Columns::read(volume.as_ref(), &region)?;
    Ok((Box::new(columns), 0..z.len()))
}
