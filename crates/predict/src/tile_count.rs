use crate::Error;

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
}
