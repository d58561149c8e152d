//! Which pixels of a sheet are predicted.

use std::ops::Range;

use ndarray::{Array2, Zip, s};

use crate::InferenceRules;

/// The pixels that decide what is predicted of a sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    papyrus: Array2<bool>,
    shown: Option<Array2<bool>>,
}

/// The grey levels of a sheet's two bits, when it is kept as an image.
const PAPYRUS: u8 = 85;
const SHOWN: u8 = 170;

impl Sheet {
    /// Tiles that hold papyrus are predicted, and papyrus gets a value; `mask` is (y, x).
    pub fn of_mask(mask: Array2<bool>) -> Self {
        Self {
            papyrus: mask,
            shown: None,
        }
    }

    /// Tiles that hold `papyrus` are predicted, and give the pixels of `shown` a value that they hold; both
    /// are (y, x).
    ///
    /// # Panics
    /// When the two differ in size.
    pub fn new(papyrus: Array2<bool>, shown: Array2<bool>) -> Self {
        assert_eq!(papyrus.dim(), shown.dim(), "one sheet");
        Self {
            papyrus,
            shown: Some(shown),
        }
    }

    /// Where papyrus is, (y, x).
    pub fn papyrus(&self) -> &Array2<bool> {
        &self.papyrus
    }

    /// The pixels that get a value, (y, x).
    pub fn shown(&self) -> &Array2<bool> {
        self.shown.as_ref().unwrap_or(&self.papyrus)
    }

    /// Height and width, in pixels.
    pub fn size(&self) -> [usize; 2] {
        [self.papyrus.nrows(), self.papyrus.ncols()]
    }

    /// Upper left pixels (y, x) of the tiles of `side`² px, `step` apart by `rules`, that hold papyrus and
    /// show anything, row by row.
    pub fn tiles(&self, rules: InferenceRules, side: usize, step: usize) -> Vec<(usize, usize)> {
        let [height, width] = self.size();
        self.tiles_of(&[0..height, 0..width], rules, side, step)
    }

    /// Those of the [`tiles`](Self::tiles) that reach into some rows and columns.
    pub fn tiles_of(
        &self,
        [rows, columns]: &[Range<usize>; 2],
        rules: InferenceRules,
        side: usize,
        step: usize,
    ) -> Vec<(usize, usize)> {
        let [height, width] = self.size();
        let starts = |size: usize, part: &Range<usize>| {
            let mut starts = rules.starts(size, side, step);
            starts.retain(|&start| start < part.end && start + side > part.start);
            starts
        };
        let columns = starts(width, columns);
        let any = |mask: &Array2<bool>, (y, x): (usize, usize)| {
            let tile = s![y..(y + side).min(height), x..(x + side).min(width)];
            mask.slice(tile).iter().any(|&set| set)
        };
        let rows = starts(height, rows).into_iter();
        rows.flat_map(|y| columns.iter().map(move |&x| (y, x)))
            .filter(|&place| any(&self.papyrus, place))
            .filter(|&place| self.shown.as_ref().is_none_or(|shown| any(shown, place)))
            .collect()
    }

    /// As an image: 255 where papyrus gets a value, less for one without the other, 0 for neither.
    pub(crate) fn to_image(&self) -> Array2<u8> {
        let mut image = self.papyrus.mapv(|papyrus| u8::from(papyrus) * PAPYRUS);
        Zip::from(&mut image)
            .and(self.shown())
            .for_each(|level, &shown| *level += u8::from(shown) * SHOWN);
        image
    }

    /// What [`to_image`](Self::to_image) made an image of.
    pub(crate) fn of_image(image: &Array2<u8>) -> Self {
        let bit = |of: u8| image.mapv(|level| level == of || level == PAPYRUS + SHOWN);
        match image
            .iter()
            .any(|&level| level == PAPYRUS || level == SHOWN)
        {
            true => Self::new(bit(PAPYRUS), bit(SHOWN)),
            false => Self::of_mask(image.mapv(|level| level > 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(sheet: &Sheet) -> Vec<(usize, usize)> {
        sheet.tiles(InferenceRules::Reference, 8, 4)
    }

    #[test]
    fn every_papyrus_pixel_is_covered_and_bare_tiles_are_left_out() {
        let mask = Array2::from_shape_fn((37, 50), |(y, x)| y < 30 && x > 25);
        let places = starts(&Sheet::of_mask(mask.clone()));
        for ((y, x), &papyrus) in mask.indexed_iter() {
            let within = |start: usize, at: usize| (start..start + 8).contains(&at);
            let covered = places
                .iter()
                .any(|&(top, left)| within(top, y) && within(left, x));
            assert!(covered || !papyrus, "({y}, {x})");
        }
        assert!(places.iter().all(|&(y, x)| y < 30 && x + 8 > 26));
    }

    #[test]
    fn a_sheet_smaller_than_a_tile_is_one_tile() {
        let sheet = Sheet::of_mask(Array2::from_elem((5, 3), true));
        assert_eq!(starts(&sheet), [(0, 0)]);
        assert_eq!(sheet.tiles(InferenceRules::Flat, 8, 4), [(0, 0)]);
    }

    #[test]
    fn images_keep_both_bits() {
        let papyrus = Array2::from_shape_fn((20, 12), |(y, _)| y < 9);
        let shown = Array2::from_shape_fn((20, 12), |(_, x)| x >= 8);
        let sheet = Sheet::new(papyrus.clone(), shown);
        assert_eq!(Sheet::of_image(&sheet.to_image()), sheet);
        assert_eq!(starts(&sheet), [(0, 4), (4, 4), (8, 4)]);
        let same = Sheet::of_mask(papyrus);
        assert_eq!(Sheet::of_image(&same.to_image()), same);
    }
}
