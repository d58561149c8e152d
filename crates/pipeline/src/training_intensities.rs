//! How bright the fragments of a fold are.

use inkling_fragment::Fragment;

use crate::fold::Fold;
use crate::sheet_warnings::{Intensities, PapyrusSample, warn_of_other_intensities};
use crate::{ImageRegion, Recipe, depth_maps};

/// Percentiles of the voxels of each training fragment, in the order of `fragments`; warns of a
/// fragment, held out or not, that differs much from the training fragments beside it.
///
/// # Errors
/// Those of reading.
pub fn training_intensities(
    recipe: &Recipe,
    fragments: &[Fragment],
    fold: &Fold,
) -> anyhow::Result<Vec<Intensities>> {
    let layers = recipe.data.layers[0]..recipe.data.layers[1];
    let mut sheets = Vec::new();
    for (index, fragment) in fragments.iter().enumerate() {
        let volume = depth_maps::aligned(fragment, recipe.data.maps.as_deref())?;
        if layers.end > volume.shape()[0] {
            // What reads them says it better.
            continue;
        }
        let sample = PapyrusSample::of(
            volume.as_ref(),
            &layers,
            &fragment.mask()?,
            &ImageRegion::whole([fragment.height(), fragment.width()]),
        )?;
        if let Some(sample) = sample {
            if recipe.data.maps.is_none() {
                sample.warn_of_odd_layers(fragment, layers.start);
            }
            sheets.push((index, sample.intensities));
        }
    }
    let trained_on = |without: usize| -> Vec<Intensities> {
        let others = sheets
            .iter()
            .filter(|(index, _)| *index != without && fold.trains_on(*index));
        others.map(|(_, found)| *found).collect()
    };
    for &(index, found) in &sheets {
        warn_of_other_intensities(&fragments[index], found, &trained_on(index));
    }
    Ok(trained_on(fragments.len()))
}
