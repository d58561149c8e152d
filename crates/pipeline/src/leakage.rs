//! Refuses folds that are validated on papyrus which the network is trained on.

use inkling_fragment::{Fragment, Provenance, SharedVoxels, VoxelSketch};

use crate::Usage;
use crate::fold::Fold;

/// Refuses a fold of which a held-out fragment shows pixels that a training fragment shows too.
///
/// # Errors
/// [`Usage`], naming both and where they agree; those of reading.
pub fn refuse_leaks(folds: &[Fold], fragments: &[Fragment]) -> anyhow::Result<()> {
    let origins = fragments.iter().map(Origin::of);
    let origins = origins.collect::<anyhow::Result<Vec<_>>>()?;
    for fold in folds {
        refuse_shared_pixels(fold, fragments, &origins)?;
    }
    Ok(())
}

/// Where a fragment comes from: as its `part.json` says, and as its voxels show.
struct Origin {
    provenance: Provenance,
    sketch: VoxelSketch,
}

impl Origin {
    fn of(fragment: &Fragment) -> anyhow::Result<Self> {
        Ok(Self {
            provenance: Provenance::of(fragment)?,
            sketch: VoxelSketch::of(fragment)?,
        })
    }

    /// In words, how `other` shows papyrus that this one shows too; `None` where it does not.
    fn shared_with(&self, other: &Self) -> Option<String> {
        let (ours, theirs) = (&self.provenance, &other.provenance);
        if ours.overlaps(theirs) {
            return Some(format!(
                "on the same pixels of scan {} (rows {:?} and {:?}, columns {:?} and {:?})",
                ours.scan, ours.rows, theirs.rows, ours.columns, theirs.columns,
            ));
        }
        let shown = |shared: SharedVoxels, whose: &str| {
            format!(
                "with the same voxels ({} runs of pixels agree; the first pixel of {whose} lies at \
                 row {}, column {} of the other)",
                shared.matches, shared.row, shared.column
            )
        };
        let forth = self.sketch.shared_with(&other.sketch);
        let back = || other.sketch.shared_with(&self.sketch);
        forth
            .map(|shared| shown(shared, "the second"))
            .or_else(|| back().map(|shared| shown(shared, "the first")))
    }
}

fn refuse_shared_pixels(
    fold: &Fold,
    fragments: &[Fragment],
    origins: &[Origin],
) -> anyhow::Result<()> {
    for &held_out in &fold.held_out {
        let others = (0..fragments.len()).filter(|&index| index != held_out);
        for training in others.filter(|&index| fold.trains_on(index)) {
            if let Some(shared) = origins[held_out].shared_with(&origins[training]) {
                return Err(Usage(format!(
                    "fold {}: found {}, held out, and {}, trained on, {shared}; expected papyrus \
                     that the network never saw. hint: leave one of them out of data.fragments, or \
                     hold out both in data.folds",
                    fold.name,
                    fragments[held_out].path().display(),
                    fragments[training].path().display(),
                ))
                .into());
            }
        }
    }
    Ok(())
}
