//! Matrices cut into strips of columns, for tasks.

/// Cuts rows of `columns` values, `pitch` apart, every `width` columns: each strip has one piece of every row.
///
/// # Panics
/// When a row but the last is shorter than its columns.
pub fn strips(
    values: &mut [f32],
    pitch: usize,
    columns: usize,
    width: usize,
) -> Vec<Vec<&mut [f32]>> {
    let mut strips: Vec<Vec<_>> = Vec::new();
    strips.resize_with(columns.div_ceil(width), Vec::new);
    for row in values.chunks_mut(pitch) {
        for (strip, piece) in strips.iter_mut().zip(row[..columns].chunks_mut(width)) {
            strip.push(piece);
        }
    }
    strips
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strip_has_a_piece_of_every_row() {
        let mut values = [0.0; 13];
        for (index, strip) in strips(&mut values, 7, 6, 4).into_iter().enumerate() {
            for piece in strip {
                piece.fill(index as f32 + 1.0);
            }
        }
        let row = [1.0, 1.0, 1.0, 1.0, 2.0, 2.0];
        assert_eq!(values[..6], row);
        assert_eq!(values[6..], [[0.0].as_slice(), &row].concat());
    }
}
