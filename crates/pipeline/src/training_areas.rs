//! The papyrus that a network was trained on, and whether a fragment shows any of it.

use std::ops::Range;

use inkling_fragment::{Fragment, Provenance, is_remote};
use serde::{Deserialize, Serialize};

use crate::Recipe;
use crate::fold::Fold;

/// A part of a scan that a network was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingArea {
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

/// The papyrus that a network was trained on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingAreas {
    /// The parts of scans that are known.
    pub areas: Vec<TrainingArea>,
    /// Whether there are no others: not where training began with weights of another one, nor for published
    /// checkpoints, which do not say.
    pub complete: bool,
}

/// What a fragment shares with what a network was trained on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingOverlap {
    /// Training fragments that show some of the same papyrus.
    pub fragments: Vec<String>,
    /// Whether all training data is known.
    pub complete: bool,
}

impl TrainingAreas {
    /// The training areas of `fold`.
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
            if fold.trains_on(index) {
                let Provenance {
                    scan,
                    fingerprint,
                    rows,
                    columns,
                    ..
                } = Provenance::of(fragment)?;
                areas.push(TrainingArea {
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

    /// Adds what another network was trained on.
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
    pub fn overlap(&self, fragment: &Fragment) -> anyhow::Result<TrainingOverlap> {
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
        Ok(TrainingOverlap {
            fragments,
            complete: self.complete && !is_remote,
        })
    }
}

impl TrainingArea {
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

impl TrainingOverlap {
    /// What a prediction of such a fragment is worth, where it shares anything.
    pub fn warning(&self) -> Option<String> {
        (!self.fragments.is_empty()).then(|| {
            format!(
                "the model was trained on {}, which shows some of the same papyrus: there the map repeats its training \
                 labels. hint: evaluate the model, and submit readings, on papyrus that it was not trained on",
                self.fragments.join(", ")
            )
        })
    }
}
