use std::ops::Range;

use ndarray::{Array2, Zip, s};

use crate::score::Labelled;

/// Pixels of papyrus per level of the 8-bit image, which has no more to say, and those that are called ink. Counts
/// of several parts add up to those of the whole.
#[derive(Clone, Debug)]
pub struct LevelCounts {
    /// Pixels per level, on bare papyrus and on ink.
    pub levels: [[u64; 256]; 2],
    /// Those that are called ink, on bare papyrus and on ink.
    pub called: [u64; 2],
}

impl Default for LevelCounts {
    fn default() -> Self {
        Self {
            levels: [[0; 256]; 2],
            called: [0; 2],
        }
    }
}

impl LevelCounts {
    /// Adds rows and columns of a sheet, of which `called` says where it is called ink, (y, x).
    pub fn count(
        &mut self,
        sheet: Labelled,
        called: &Array2<bool>,
        [rows, columns]: &[Range<usize>; 2],
    ) {
        let place = s![rows.clone(), columns.clone()];
        Zip::from(sheet.image.slice(place))
            .and(called.slice(place))
            .and(sheet.labels.slice(place))
            .and(sheet.mask.slice(place))
            .for_each(|&level, &called, &ink, &papyrus| {
                self.levels[usize::from(ink)][usize::from(level)] += u64::from(papyrus);
                self.called[usize::from(ink)] += u64::from(papyrus && called);
            });
    }

    /// Adds another part's counts.
    pub fn add(&mut self, other: &Self) {
        let own = self.levels.iter_mut().flatten().chain(&mut self.called);
        own.zip(other.levels.iter().flatten().chain(&other.called))
            .for_each(|(own, count)| *own += count);
    }

    /// Pixels of papyrus.
    pub fn pixels(&self) -> u64 {
        self.levels.iter().flatten().sum()
    }
}
