//! What a fold trains on, leaves out and holds out of a fragment.

use inkling_fragment::Fragment;
use ndarray::{Array2, Zip};

use crate::fold::Fold;
use crate::margin::near_held_out;
use crate::supervision::{training_mask, validation_mask};

/// Which pixels of a fragment's papyrus a fold trains on and which it holds out, all (y, x).
#[derive(Clone, Debug)]
pub struct FoldAreas {
    /// Papyrus.
    pub papyrus: Array2<bool>,
    /// Papyrus that is trained on.
    pub training: Array2<bool>,
    /// Papyrus that would be trained on, were it not held out or near to what is.
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
        let (mut training, mut left_out) = (none(), none());
        if fold.trains_on(index) {
            training.assign(&papyrus);
            if let Some(counts) = training_mask(fragment)? {
                training.zip_mut_with(&counts, |training, &counts| *training &= counts);
            }
            if let Some(near) = near_held_out(fold, fragments, index, margin)? {
                Zip::from(&mut training)
                    .and(&mut left_out)
                    .and(&near)
                    .for_each(|training, left_out, &near| {
                        *left_out = *training && near;
                        *training &= !near;
                    });
            }
        }
        Ok(Self {
            papyrus,
            training,
            margin: left_out,
            held_out,
        })
    }

    /// Pixels that are trained on, left out for the margin, held out, and both trained on and held out.
    pub fn counts(&self) -> [usize; 4] {
        let shared = (&self.training).into_iter().zip(&self.held_out);
        let shared = shared.filter(|&(&training, &held_out)| training && held_out);
        let [training, margin, held_out] = [&self.training, &self.margin, &self.held_out]
            .map(|area| area.iter().filter(|&&set| set).count());
        [training, margin, held_out, shared.count()]
    }
}
