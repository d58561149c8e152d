use ndarray::{Array2, s};

use crate::Error;

/// Upper left pixels (y, x) of the tiles of `side`² px, `step` apart, that cover a sheet and hold
/// papyrus, row by row. The last tiles may reach beyond the lower and right edges.
pub fn tiles(mask: &Array2<bool>, side: usize, step: usize) -> Vec<(usize, usize)> {
    let (height, width) = mask.dim();
    let starts =
        |size: usize| (0..=size.saturating_sub(side).div_ceil(step)).map(move |i| i * step);
    let all = starts(height).flat_map(|y| starts(width).map(move |x| (y, x)));
    let has_papyrus = |&(y, x): &(usize, usize)| {
        let tile = s![y..(y + side).min(height), x..(x + side).min(width)];
        mask.slice(tile).iter().any(|&papyrus| papyrus)
    };
    all.filter(|&(y, x)| y < height && x < width)
        .filter(has_papyrus)
        .collect()
}

/// Most tiles of a sheet: their places and what is known of each are listed in memory.
const MOST: usize = 100_000_000;

/// # Errors
/// [`Error::Setting`] when a sheet of `size` (height, width) has too many tiles of `side`² px that are
/// `step` px apart to be listed.
pub fn check_count(size: [usize; 2], side: usize, step: usize) -> Result<(), Error> {
    let along = |size: usize| size.saturating_sub(side).div_ceil(step.max(1)) + 1;
    let count = size.map(along).into_iter().fold(1, usize::saturating_mul);
    match count <= MOST {
        true => Ok(()),
        false => Err(Error::Setting {
            key: "step",
            found: format!("{step} px, which makes {count} tiles of {side} px"),
            expected: "at most 100,000,000 tiles, which are listed in memory",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_tiles_than_can_be_listed_are_refused() {
        check_count([60_000, 60_000], 32, 16).unwrap();
        assert!(check_count([60_000, 60_000], 32, 1).is_err());
        assert!(check_count([usize::MAX, usize::MAX], 32, 1).is_err());
    }

    #[test]
    fn every_papyrus_pixel_is_covered_and_bare_tiles_are_left_out() {
        let mask = Array2::from_shape_fn((37, 50), |(y, x)| y < 30 && x > 25);
        let places = tiles(&mask, 8, 4);
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
        assert_eq!(tiles(&Array2::from_elem((5, 3), true), 8, 4), [(0, 0)]);
    }
}
