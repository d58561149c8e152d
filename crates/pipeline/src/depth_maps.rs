//! Depth maps of fragments, and fragments' voxels read through them.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use inkling_align::{MapCoverage, Warped, check_maps};
use inkling_fragment::{
    Columns, Fragment, MapFiles, Maps, Numbered, Region, Volume, read_text, remark,
};
use serde::Deserialize;

use crate::memory::{Budget, bytes_of};
use crate::{Context, Usage};

/// `fragment` aligned by the maps in `maps/<id>` (or in `maps` itself), where a folder is given; else
/// by the numbers of its layers.
///
/// # Errors
/// Those of [`maps_of`].
pub fn aligned(fragment: &Fragment, maps: Option<&Path>) -> anyhow::Result<Box<dyn Volume>> {
    let Some(folder) = maps else {
        return Ok(Box::new(Numbered::new(fragment.clone())));
    };
    let (maps, fit) = fitted_maps(folder, fragment)?;
    let depth = fit.target_depth(fragment.depth());
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
    Ok(fitted_maps(folder, fragment)?.0)
}

/// The maps of `fragment`, and what is known of their fit.
fn fitted_maps(folder: &Path, fragment: &Fragment) -> anyhow::Result<(MapFiles, Fit)> {
    let folder = folder_of(folder, fragment)?;
    let maps = MapFiles::open(&folder)?;
    let fit = Fit::of(&folder)?;
    fit.warn_of_other_voxels(&folder, fragment)?;
    if maps.size() == [fragment.height(), fragment.width()] {
        let depths = [fragment.depth(), fit.target_depth(fragment.depth())];
        let coverage = check_maps(&maps, || fragment.mask(), depths);
        warn_of_missed(
            &folder,
            coverage.with_context(|| folder.display().to_string())?,
        );
    }
    Ok((maps, fit))
}

/// A hundredth of the papyrus may lie beyond the volume without a word.
fn warn_of_missed(folder: &Path, MapCoverage { papyrus, missed }: MapCoverage) {
    let share = 100.0 * missed as f64 / papyrus.max(1) as f64;
    if share >= 1.0 {
        let text = format!(
            "these maps place {share:.0} % of the papyrus beyond the layers of the volume. hint: look at z_shift.png, and \
             fit them again with `inkling align`"
        );
        remark(folder, &text);
    }
}

fn folder_of(folder: &Path, fragment: &Fragment) -> anyhow::Result<PathBuf> {
    let own = folder.join(fragment.id());
    let holds = |folder: &Path| folder.join("z_shift.npy").is_file();
    match (holds(&own), holds(folder)) {
        (true, _) => Ok(own),
        (false, true) => Ok(folder.to_owned()),
        (false, false) => Err(Usage(format!(
            "{}: found no depth maps of fragment {} ({} and {} are not there); expected the folder \
             of all fragments' maps, or the fragment's own. hint: make them with `inkling align {} \
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

/// What `align.json` says of the maps beside it; nothing of maps that were cut or come from elsewhere.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fit {
    voxels: Option<String>,
    target_layers: Option<usize>,
}

impl Fit {
    fn of(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("align.json");
        if !path.is_file() {
            return Ok(Self::default());
        }
        let fit: Self = serde_json::from_str(&read_text(&path, LONGEST_FIT)?).map_err(|error| {
            Usage(format!(
                "{}: {error}; expected what `inkling align` wrote. hint: fit the maps again",
                path.display()
            ))
        })?;
        match fit.target_layers {
            Some(layers) if !(1..=MOST_TARGET_LAYERS).contains(&layers) => Err(Usage(format!(
                "{}: found {layers} layers of the target; expected 1 to {MOST_TARGET_LAYERS}. hint: \
                 fit the maps again",
                path.display()
            ))
            .into()),
            _ => Ok(fit),
        }
    }

    /// Layers of the aligned volume of a scan of `depth` layers.
    fn target_depth(&self, depth: usize) -> usize {
        self.target_layers.unwrap_or(depth.max(TARGET_LAYERS))
    }

    fn warn_of_other_voxels(&self, folder: &Path, fragment: &Fragment) -> anyhow::Result<()> {
        let Some(fitted) = &self.voxels else {
            return Ok(());
        };
        if *fitted != fragment.fingerprint()? {
            let text = format!(
                "these maps were fitted to other voxels than those of {}, as another scan, level or \
                 band has them. Fit them again with `inkling align` unless it is a copy of the same \
                 layers",
                fragment.path().display()
            );
            remark(folder, &text);
        }
        Ok(())
    }
}

/// Most bytes of `align.json`, which describes every patch.
const LONGEST_FIT: u64 = 256 << 20;

/// Most layers of a target.
const MOST_TARGET_LAYERS: usize = 65_536;

/// Layers of the built-in target: an aligned fragment has at least these.
const TARGET_LAYERS: usize = 65;

/// The layers `z` of `volume`, which is fragment `id`, loaded into memory if `budget` has room for
/// them, and their range in the volume that is returned; else `volume` as it is, which reads from
/// files, and a line that says so.
///
/// # Errors
/// Those of reading.
pub fn load_if_small(
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
        context.say(format!(
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
