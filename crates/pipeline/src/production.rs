//! The rules by which published networks' maps were made.

use inkling_fragment::{Fragment, SideImageKind, Volume, covered, is_remote};
use inkling_model::Approach;
use inkling_predict::{InferenceRules, Sheet};
use ndarray::Array2;

use crate::{ImageRegion, Usage};

/// The rules of a network's publishers: those of `--as production`.
///
/// # Errors
/// [`Usage`] for an `approach` that nobody has published maps of.
pub fn production_rules(approach: Approach) -> Result<InferenceRules, Usage> {
    match approach {
        Approach::Hybrid => Ok(InferenceRules::Flat),
        Approach::ResNet3d | Approach::TimeSformer | Approach::I3d => Ok(InferenceRules::Canonical),
        other => Err(Usage(format!(
            "--as production: found a network of approach {}; expected hybrid, resnet3d, timesformer \
             or i3d, whose publishers have rules of their own. hint: leave --as out",
            other.name()
        ))),
    }
}

/// The pixels of `region` that are predicted of a fragment, whose `volume` is read in the layers `z`, by
/// `rules`: those of the mask, or those that the published programs find by the voxels alone.
///
/// # Errors
/// A region that reaches beyond the sheet, or holds no papyrus; those of reading.
pub fn sheet_of(
    fragment: &Fragment,
    volume: &dyn Volume,
    z: std::ops::Range<usize>,
    region: Option<&ImageRegion>,
    rules: InferenceRules,
) -> anyhow::Result<Sheet> {
    let within = |mask: Array2<bool>| match region {
        Some(region) => region.of_mask(&mask, fragment.path()),
        None => Ok(mask),
    };
    if rules == InferenceRules::Reference {
        return Ok(Sheet::of_mask(within(fragment.mask()?)?));
    }
    let size = fragment.size();
    // A server is not asked for all of a volume to find its edge.
    let rough = match is_remote(fragment.path()) {
        true => fragment.rough_papyrus()?,
        false => None,
    };
    let asked = within(rough.unwrap_or_else(|| Array2::from_elem(size, true)))?;
    let papyrus = within(covered(volume, z, &asked)?)?;
    if !papyrus.iter().any(|&papyrus| papyrus) {
        return Err(inkling_fragment::Error::NoPapyrus {
            path: fragment.path().to_owned(),
        }
        .into());
    }
    if rules == InferenceRules::Canonical {
        return Ok(Sheet::of_mask(papyrus));
    }
    let shown = match fragment.side_image(SideImageKind::Mask)? {
        Some(_) => fragment.mask()?,
        None => Array2::from_elem(size, true),
    };
    Ok(Sheet::new(papyrus, within(shown)?))
}
