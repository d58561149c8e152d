//! Matrices cut into blocks, for tasks.

/// Some rows and columns of a matrix.
#[derive(Debug)]
pub struct Block<'a> {
    /// The first row.
    pub row: usize,
    /// The first column.
    pub column: usize,
    /// Its columns, row by row.
    pub rows: Vec<&'a mut [f32]>,
}

/// Cuts rows of `columns` values, `pitch` apart, into blocks of `height` rows and `width` columns, the last of either
/// perhaps fewer; those of the same rows follow one another.
///
/// # Panics
/// When a row is shorter than its columns.
pub fn blocks(
    values: &mut [f32],
    pitch: usize,
    columns: usize,
    [height, width]: [usize; 2],
) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    for (index, rows) in values.chunks_mut(height * pitch).enumerate() {
        let first = blocks.len();
        blocks.extend((0..columns).step_by(width).map(|column| Block {
            row: index * height,
            column,
            rows: Vec::with_capacity(height),
        }));
        for row in rows.chunks_mut(pitch) {
            let pieces = row[..columns].chunks_mut(width);
            for (block, piece) in blocks[first..].iter_mut().zip(pieces) {
                block.rows.push(piece);
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_every_value_but_those_between_rows() {
        let mut values = [0.0; 20];
        let blocks = blocks(&mut values, 7, 6, [2, 4]);
        let places: Vec<_> = blocks
            .iter()
            .map(|block| [block.row, block.column, block.rows.len()])
            .collect();
        assert_eq!(places, [[0, 0, 2], [0, 4, 2], [2, 0, 1], [2, 4, 1]]);
        for (index, block) in blocks.into_iter().enumerate() {
            for piece in block.rows {
                piece.fill(index as f32 + 1.0);
            }
        }
        let upper = [1.0, 1.0, 1.0, 1.0, 2.0, 2.0];
        assert_eq!(values[..6], upper);
        assert_eq!(values[7..13], upper);
        assert_eq!(values[14..], [3.0, 3.0, 3.0, 3.0, 4.0, 4.0]);
        assert_eq!([values[6], values[13]], [0.0; 2]);
    }
}
