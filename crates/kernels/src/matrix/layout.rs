//! Where a matrix lies in a slice.

/// The position of a matrix in a slice: element `(r, c)` is `values[start + r · row + c · column]`.
#[derive(Clone, Copy, Debug)]
pub struct MatrixLayout {
    /// Index of element `(0, 0)`.
    pub start: usize,
    /// Stride from one row to the next.
    pub row: usize,
    /// Stride from one column to the next.
    pub column: usize,
}

impl MatrixLayout {
    /// A row-major matrix of `columns` columns, from the slice's start.
    pub fn rows(columns: usize) -> Self {
        Self {
            start: 0,
            row: columns,
            column: 1,
        }
    }

    /// The same strides from another first element.
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

    /// # Panics
    /// When a matrix of `[rows, columns]` here reaches beyond `values`, or has no values.
    pub fn check(self, [rows, columns]: [usize; 2], values: &[f32]) {
        assert!(rows > 0 && columns > 0, "an empty matrix");
        let last = self.start + (rows - 1) * self.row + (columns - 1) * self.column;
        assert!(last < values.len(), "the matrix reaches beyond its slice");
    }
}
