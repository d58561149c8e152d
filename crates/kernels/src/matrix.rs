//! Matrix products through the `gemm` crate, with every access checked to lie within its slice.

use gemm::Parallelism;

/// Who multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The calling thread alone.
    This,
    /// All threads share the product's tiles, each of which one of them sums alone.
    All,
}

/// Where a matrix lies in a slice.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The first element's index.
    pub start: usize,
    /// From one row to the next.
    pub row: usize,
    /// From one column to the next.
    pub column: usize,
}

impl Place {
    /// Rows one after another, `columns` values each.
    pub fn rows(columns: usize) -> Self {
        Self {
            start: 0,
            row: columns,
            column: 1,
        }
    }

    /// The same matrix from another first element on.
    pub fn at(self, start: usize) -> Self {
        Self { start, ..self }
    }

    /// The transposed matrix.
    pub fn transposed(self) -> Self {
        Self {
            row: self.column,
            column: self.row,
            ..self
        }
    }

    /// One past the last element that a matrix of `rows × columns` has here.
    fn end(self, rows: usize, columns: usize) -> usize {
        self.start + (rows - 1) * self.row + (columns - 1) * self.column + 1
    }
}

/// `c = left · right`, or `c += left · right` if `add`, on this thread or on all.
///
/// # Shapes
/// - left: `[m, k]`, right: `[k, n]`, c: `[m, n]`; each a slice and its place in it
///
/// # Panics
/// When a matrix reaches beyond its slice.
pub fn multiply(
    [m, k, n]: [usize; 3],
    (left, left_place): (&[f32], Place),
    (right, right_place): (&[f32], Place),
    (c, c_place): (&mut [f32], Place),
    add: bool,
    threads: Threads,
) {
    if m == 0 || n == 0 || k == 0 {
        assert!(k > 0 || add, "an empty sum");
        return;
    }
    assert!(left_place.end(m, k) <= left.len(), "left reaches beyond");
    assert!(right_place.end(k, n) <= right.len(), "right reaches beyond");
    assert!(c_place.end(m, n) <= c.len(), "the product reaches beyond");
    let c = c[c_place.start..].as_mut_ptr();
    let left = left[left_place.start..].as_ptr();
    let right = right[right_place.start..].as_ptr();
    #[allow(
        unsafe_code,
        reason = "the library takes pointers; all three matrices lie within their slices"
    )]
    // SAFETY: the asserted ends bound every index that the strides can reach, `c` is borrowed
    // alone, and the slices live until the call returns.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c,
            c_place.column as isize,
            c_place.row as isize,
            add,
            left,
            left_place.column as isize,
            left_place.row as isize,
            right,
            right_place.column as isize,
            right_place.row as isize,
            1.0_f32,
            1.0_f32,
            false,
            false,
            false,
            match threads {
                Threads::This => Parallelism::None,
                Threads::All => Parallelism::Rayon(0),
            },
        );
    }
}
