//! Which pixels of a fragment are trained on and which are validated on.

use std::ops::Range;

use inkling_fragment::{Fragment, Volume};
use inkling_train::{Error, TrainingFragment};
use ndarray::Array2;

/// `fragment` to train on: the layers `layers` of `volume` with `labels` (y, x), which count within
/// the supervision mask, outside the validation mask, and not where `near` is set, (y, x).
///
/// # Errors
/// Those of reading the masks.
pub fn training_fragment(
    fragment: &Fragment,
    volume: Box<dyn Volume>,
    layers: Range<usize>,
    labels: Array2<bool>,
    near: Option<&Array2<bool>>,
) -> anyhow::Result<TrainingFragment> {
    let mut supervision = training_mask(fragment)?;
    if let Some(near) = near {
        let counts = supervision.get_or_insert_with(|| Array2::from_elem(near.dim(), true));
        counts.zip_mut_with(near, |counts, &near| *counts &= !near);
    }
    let training = TrainingFragment::new(
        fragment.path().display().to_string(),
        volume,
        layers,
        fragment.mask()?,
        labels,
        supervision,
    );
    Ok(match fragment.is_bare() {
        true => training.without_ink(),
        false => training,
    })
}

/// Where labels count for training, (y, x): within the supervision mask and outside the validation
/// mask; `None` for a fragment that has neither.
pub(crate) fn training_mask(fragment: &Fragment) -> anyhow::Result<Option<Array2<bool>>> {
    let validation = fragment.validation_mask()?;
    let trusted = match (fragment.supervision_mask()?, &validation) {
        (Some(trusted), _) => trusted,
        (None, Some(validation)) => Array2::from_elem(validation.dim(), true),
        (None, None) => return Ok(None),
    };
    Ok(Some(match validation {
        Some(validation) => {
            let mut counts = trusted;
            counts.zip_mut_with(&validation, |counts, &kept| *counts &= !kept);
            counts
        }
        None => trusted,
    }))
}

/// Where a held-out fragment is validated, (y, x): papyrus within its validation mask; without one,
/// papyrus within its supervision mask.
///
/// # Errors
/// Those of reading the masks.
pub fn validation_mask(fragment: &Fragment) -> anyhow::Result<Array2<bool>> {
    let mut mask = fragment.mask()?;
    let counts = match fragment.validation_mask()? {
        Some(kept) => Some(kept),
        None => fragment.supervision_mask()?,
    };
    if let Some(counts) = counts {
        mask.zip_mut_with(&counts, |mask, &counts| *mask &= counts);
    }
    Ok(mask)
}

/// The fragment's ink labels, (y, x).
///
/// # Errors
/// A fragment without labels; those of reading.
pub fn labels(fragment: &Fragment) -> anyhow::Result<Array2<bool>> {
    let labels = fragment.ink_labels()?;
    Ok(labels.ok_or_else(|| Error::Labels {
        fragment: fragment.path().display().to_string(),
        found: "no inklabels.png",
        hint: "add the labels; name papyrus that has no ink in data.bare; or leave the fragment out",
    })?)
}
