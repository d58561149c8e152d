//! Rows of words as columns, sixteen at a time.

use pulp::bytemuck;

use crate::vectors::{Loop, vectorized};

/// Rows that are turned at once.
pub const TURNED: usize = 16;

/// Writes `count` rows of `length` words as columns, `width` from one word of a column to the next.
///
/// # Shapes
/// - rows: `[TURNED, length]`, of which `count` count
/// - turned: `[length, width]`, of which the first `count` of the second axis are written
pub fn transpose(rows: &[u32], length: usize, count: usize, turned: &mut [u32], width: usize) {
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if let (TURNED, Some(wide)) = (count, pulp::x86::V4::try_new()) {
        done = length / TURNED * TURNED;
        wide.vectorize(Loop(
            #[inline(always)]
            || {
                for start in (0..done).step_by(TURNED) {
                    let block = std::array::from_fn(|row| {
                        let words: &[u32; TURNED] = rows[row * length + start..]
                            .first_chunk()
                            .expect("a whole block");
                        pulp::cast(*words)
                    });
                    let lines = turned[start * width..].chunks_mut(width);
                    for (line, column) in lines.zip(turn(wide, block)) {
                        line[..TURNED].copy_from_slice(bytemuck::cast_slice(&[column]));
                    }
                }
            },
        ));
    }
    vectorized(
        #[inline(always)]
        || {
            let lines = turned.chunks_mut(width).enumerate();
            for (index, line) in lines.take(length).skip(done) {
                for (lane, word) in line[..count].iter_mut().enumerate() {
                    *word = rows[lane * length + index];
                }
            }
        },
    );
}

#[cfg(target_arch = "x86_64")]
type Vector = std::arch::x86_64::__m512i;

/// Sixteen rows of sixteen words as columns: by words, by pairs, then by quarters of a vector.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn turn(wide: pulp::x86::V4, rows: [Vector; TURNED]) -> [Vector; TURNED] {
    let v = wide.avx512f;
    // In groups of four rows: quarter `q` of `groups[g][j]` is column 4q + j of the group's rows.
    let groups: [[Vector; 4]; 4] = std::array::from_fn(|group| {
        let [a, b, c, d] = std::array::from_fn(|row| rows[4 * group + row]);
        let (low, high) = (v._mm512_unpacklo_epi32(a, b), v._mm512_unpackhi_epi32(a, b));
        let (low2, high2) = (v._mm512_unpacklo_epi32(c, d), v._mm512_unpackhi_epi32(c, d));
        [
            v._mm512_unpacklo_epi64(low, low2),
            v._mm512_unpackhi_epi64(low, low2),
            v._mm512_unpacklo_epi64(high, high2),
            v._mm512_unpackhi_epi64(high, high2),
        ]
    });
    let mut columns = rows;
    for j in 0..4 {
        let [a, b, c, d] = std::array::from_fn(|group| groups[group][j]);
        // Quarters 0 and 2, then 1 and 3, of two groups each.
        const EVEN: i32 = 0b10_00_10_00;
        const ODD: i32 = 0b11_01_11_01;
        let even = v._mm512_shuffle_i32x4::<EVEN>(a, b);
        let even2 = v._mm512_shuffle_i32x4::<EVEN>(c, d);
        let odd = v._mm512_shuffle_i32x4::<ODD>(a, b);
        let odd2 = v._mm512_shuffle_i32x4::<ODD>(c, d);
        columns[j] = v._mm512_shuffle_i32x4::<EVEN>(even, even2);
        columns[4 + j] = v._mm512_shuffle_i32x4::<EVEN>(odd, odd2);
        columns[8 + j] = v._mm512_shuffle_i32x4::<ODD>(even, even2);
        columns[12 + j] = v._mm512_shuffle_i32x4::<ODD>(odd, odd2);
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        for (length, count, width) in [(16, 16, 16), (37, 16, 48), (21, 5, 16), (3, 16, 20)] {
            let rows: Vec<u32> = (0..(TURNED * length) as u32).collect();
            let mut turned = vec![u32::MAX; length * width];
            transpose(&rows, length, count, &mut turned, width);
            for (index, &word) in turned.iter().enumerate() {
                let (row, column) = (index % width, index / width);
                let expected = match row < count {
                    true => (row * length + column) as u32,
                    false => u32::MAX,
                };
                assert_eq!(word, expected, "{length} {count} {width}: {index}");
            }
        }
    }
}
