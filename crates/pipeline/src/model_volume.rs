//! A fragment's voxels as a model reads them.

use std::path::Path;

use inkling_fragment::{Fragment, Volume};
use inkling_predict::InferenceRules;

use crate::depth_maps::aligned;
use crate::ensemble::Ensemble;
use crate::padded_layers::PaddedLayers;
use crate::pooled_layers::PooledLayers;

/// `fragment`, aligned by the maps in `maps` where there are any, its layers pooled where the models' input
/// is, and centred in layers of zeros where it has too few and the flat rules are followed.
///
/// # Errors
/// Those of [`aligned`]; fewer layers than are pooled.
pub fn model_volume(
    fragment: &Fragment,
    maps: Option<&Path>,
    ensemble: &Ensemble,
    rules: InferenceRules,
) -> anyhow::Result<Box<dyn Volume>> {
    let mut volume = aligned(fragment, maps)?;
    if let Some(count) = ensemble.input().z_pool {
        volume = Box::new(PooledLayers::new(volume, count, fragment.stored_bits())?);
    }
    let (found, [_, end]) = (volume.shape()[0], ensemble.input().layers);
    if rules == InferenceRules::Flat && found < end {
        tracing::warn!(
            "{}: it has {found} layers and the model reads {end}; they are centred in layers of zeros",
            fragment.path().display()
        );
        volume = Box::new(PaddedLayers::new(volume, end));
    }
    Ok(volume)
}
