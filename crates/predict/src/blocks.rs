use std::ops::Range;

/// Rows and columns of the blocks of `side` px of an image, row by row; those at the edge are smaller.
pub(crate) fn blocks(
    (height, width): (usize, usize),
    side: usize,
) -> impl Iterator<Item = [Range<usize>; 2]> {
    let side = side.max(1);
    let rows = (0..height).step_by(side);
    rows.flat_map(move |y| {
        let columns = (0..width).step_by(side);
        columns.map(move |x| [y..height.min(y + side), x..width.min(x + side)])
    })
}
