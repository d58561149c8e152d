//! What papyrus a network has learnt from, and whether a fragment shows any of it.

use std::ops::Range;

use inkling_fragment::{Fragment, Provenance, is_remote};
use serde::{Deserialize, Serialize};

use crate::Recipe;
use crate::fold::Fold;

/// A part of a scan that a network learnt from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearntArea {
    /// The fragment's name in training.
    pub fragment: String,
    /// The scan's name, for people.
    pub scan: String,
    /// The scan's fingerprint, the same for its parts, its aligned copies, and under any name.
    pub fingerprint: String,
    /// Rows of the scan.
    pub rows: Range<usize>,
    /// Columns of the scan.
    pub columns: Range<usize>,
}

/// All that a network learnt from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearntAreas {
    /// The parts of scans that are known.
    pub areas: Vec<LearntArea>,
    /// Whether there are no others: not where training began with weights of another one, nor for published
    /// checkpoints, which do not say.
    pub complete: bool,
}

/// What a fragment shares with what a network learnt from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearntOverlap {
    /// Training fragments that show some of the same papyrus.
    pub fragments: Vec<String>,
    /// Whether all that was learnt from is known.
    pub complete: bool,
}

impl LearntAreas {
    /// What a training of `fold` learns from.
    ///
    /// # Errors
    /// Those of reading voxels.
    pub fn of_training(
        recipe: &Recipe,
        fragments: &[Fragment],
        fold: &Fold,
    ) -> anyhow::Result<Self> {
        let mut areas = Vec::new();
        for (index, fragment) in fragments.iter().enumerate() {
            if fold.learns_from(index) {
                let Provenance {
                    scan,
                    fingerprint,
                    rows,
                    columns,
                    ..
                } = Provenance::of(fragment)?;
                areas.push(LearntArea {
                    fragment: fragment.id().to_owned(),
                    scan,
                    fingerprint,
                    rows,
                    columns,
                });
            }
        }
        Ok(Self {
            areas,
            complete: recipe.model.weights.is_none(),
        })
    }

    /// Adds what another network learnt from.
    pub fn add(&mut self, other: &Self) {
        for area in &other.areas {
            if !self.areas.contains(area) {
                self.areas.push(area.clone());
            }
        }
        self.complete &= other.complete;
    }

    /// What `fragment` shows of it; nothing is known of fragments on servers.
    ///
    /// # Errors
    /// Those of reading voxels.
    pub fn overlap(&self, fragment: &Fragment) -> anyhow::Result<LearntOverlap> {
        let mut fragments = Vec::new();
        // A scan is known by some of its rows: too much to ask of a server.
        let is_remote = is_remote(fragment.path());
        if !self.areas.is_empty() && !is_remote {
            let own = Provenance::of(fragment)?;
            let shared = self
                .areas
                .iter()
                .filter(|area| own.overlaps(&area.provenance()));
            fragments.extend(shared.map(|area| area.fragment.clone()));
            fragments.sort();
            fragments.dedup();
        }
        Ok(LearntOverlap {
            fragments,
            complete: self.complete && !is_remote,
        })
    }
}

impl LearntArea {
    fn provenance(&self) -> Provenance {
        Provenance {
            scan: self.scan.clone(),
            fingerprint: self.fingerprint.clone(),
            rows: self.rows.clone(),
            columns: self.columns.clone(),
            step: 1,
        }
    }
}

impl LearntOverlap {
    /// What a prediction of such a fragment is worth, where it shares anything.
    pub fn warning(&self) -> Option<String> {
        (!self.fragments.is_empty()).then(|| {
            format!(
                "the model learnt from {}, which shows some of the same papyrus: where it does, the map repeats \
                 what it was told. hint: judge the model, and submit readings, by papyrus it never saw",
                self.fragments.join(", ")
            )
        })
    }
}
