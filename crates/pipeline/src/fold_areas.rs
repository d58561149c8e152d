//! What a fold learns from, leaves out and holds out of a fragment.

use inkling_fragment::Fragment;
use ndarray::{Array2, Zip};

use crate::fold::Fold;
use crate::margin::near_held_out;
use crate::supervision::{training_mask, validation_mask};

/// Which pixels of a fragment's papyrus a fold learns from and which it holds out, all (y, x).
#[derive(Clone, Debug)]
pub struct FoldAreas {
    /// Papyrus.
    pub papyrus: Array2<bool>,
    /// Papyrus that is learnt from.
    pub learnt: Array2<bool>,
    /// Papyrus that would be learnt from, were it not held out or near to what is.
    pub margin: Array2<bool>,
    /// Papyrus that is validated on.
    pub held_out: Array2<bool>,
}

impl FoldAreas {
    /// Those of the fragment at `index` in `fold`, with `margin` px around what is held out.
    ///
    /// # Errors
    /// Those of reading masks and `part.json`.
    pub fn of(
        fold: &Fold,
        fragments: &[Fragment],
        index: usize,
        margin: usize,
    ) -> anyhow::Result<Self> {
        let fragment = &fragments[index];
        let papyrus = fragment.mask()?;
        let none = || Array2::from_elem(papyrus.dim(), false);
        let held_out = match fold.holds_out(index) {
            true => validation_mask(fragment)?,
            false => none(),
        };
        let (mut learnt, mut left_out) = (none(), none());
        if fold.learns_from(index) {
            learnt.assign(&papyrus);
            if let Some(counts) = training_mask(fragment)? {
                learnt.zip_mut_with(&counts, |learnt, &counts| *learnt &= counts);
            }
            if let Some(near) = near_held_out(fold, fragments, index, margin)? {
                Zip::from(&mut learnt)
                    .and(&mut left_out)
                    .and(&near)
                    .for_each(|learnt, left_out, &near| {
                        *left_out = *learnt && near;
                        *learnt &= !near;
                    });
            }
        }
        Ok(Self {
            papyrus,
            learnt,
            margin: left_out,
            held_out,
        })
    }

    /// Pixels that are learnt from, left out for the margin, held out, and both learnt from and held out.
    pub fn counts(&self) -> [usize; 4] {
        let shared = (&self.learnt).into_iter().zip(&self.held_out);
        let shared = shared.filter(|&(&learnt, &held_out)| learnt && held_out);
        let [learnt, margin, held_out] = [&self.learnt, &self.margin, &self.held_out]
            .map(|area| area.iter().filter(|&&set| set).count());
        [learnt, margin, held_out, shared.count()]
    }
}
