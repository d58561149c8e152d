//! Transposition of blocks of words, sixteen rows at a time.

#[cfg(target_arch = "x86_64")]
use pulp::{Arch, bytemuck};

#[cfg(target_arch = "x86_64")]
use crate::simd::arch;

#[cfg(target_arch = "x86_64")]
use crate::vectors::Loop;
use crate::vectors::vectorized;

/// Rows of a block.
pub const BLOCK: usize = 16;

/// Transposes the first `count` of [`BLOCK`] rows of `length` words; `width` is the stride between the
/// words of a column.
///
/// # Shapes
/// - rows: `[BLOCK, length]`, of which `count` count
/// - transposed: `[length, width]`, of which the first `count` of the second axis are written
pub fn transpose(rows: &[u32], length: usize, count: usize, transposed: &mut [u32], width: usize) {
    let done = transpose_whole_blocks(rows, length, count, transposed, width);
    vectorized(
        #[inline(always)]
        || {
            let lines = transposed.chunks_mut(width).enumerate();
            for (index, line) in lines.take(length).skip(done) {
                for (lane, word) in line[..count].iter_mut().enumerate() {
                    *word = rows[lane * length + index];
                }
            }
        },
    );
}

/// Words of each row that were transposed with whole vectors: those of whole blocks, where the processor has them.
#[cfg(target_arch = "x86_64")]
fn transpose_whole_blocks(
    rows: &[u32],
    length: usize,
    count: usize,
    transposed: &mut [u32],
    width: usize,
) -> usize {
    let (BLOCK, Arch::V4(wide)) = (count, arch()) else {
        return 0;
    };
    let done = length / BLOCK * BLOCK;
    wide.vectorize(Loop(
        #[inline(always)]
        || {
            for start in (0..done).step_by(BLOCK) {
                let block = std::array::from_fn(|row| {
                    let words: &[u32; BLOCK] = rows[row * length + start..]
                        .first_chunk()
                        .expect("a whole block");
                    pulp::cast(*words)
                });
                let lines = transposed[start * width..].chunks_mut(width);
                for (line, column) in lines.zip(transpose_block(wide, block)) {
                    line[..BLOCK].copy_from_slice(bytemuck::cast_slice(&[column]));
                }
            }
        },
    ));
    done
}

/// None.
#[cfg(not(target_arch = "x86_64"))]
fn transpose_whole_blocks(_: &[u32], _: usize, _: usize, _: &mut [u32], _: usize) -> usize {
    0
}

#[cfg(target_arch = "x86_64")]
type Vector = std::arch::x86_64::__m512i;

/// Transposes 16 × 16 words: by words, by pairs, then by quarters of a vector.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transpose_block(wide: pulp::x86::V4, rows: [Vector; BLOCK]) -> [Vector; BLOCK] {
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
            let rows: Vec<u32> = (0..(BLOCK * length) as u32).collect();
            let mut transposed = vec![u32::MAX; length * width];
            transpose(&rows, length, count, &mut transposed, width);
            for (index, &word) in transposed.iter().enumerate() {
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
