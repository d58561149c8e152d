use crate::matrix::dot::WithDot;

/// Instructions that no processor of this kind has, or that are not written.
#[derive(Clone, Copy, Debug)]
pub enum Int8Dot {}

impl Int8Dot {
    /// What is added to the left factor's numbers.
    pub const OFFSET: u8 = 0;

    /// None.
    pub fn allowed() -> Option<Self> {
        None
    }

    /// Words of a vector register.
    pub fn lanes(self) -> usize {
        match self {}
    }

    /// Rows and vectors of a register tile.
    pub fn tile(self) -> [usize; 2] {
        match self {}
    }

    /// Runs `work` with these instructions.
    pub fn run(self, _work: impl WithDot) {
        match self {}
    }
}
