use super::{TileNumbers, TileRows};

/// Registers that no processor of this kind has, or that this system does not let programs use.
#[derive(Debug)]
pub struct ShapedTiles;

/// Whether processor and system have them.
pub fn found() -> bool {
    false
}

impl ShapedTiles {
    pub(super) fn new(_numbers: TileNumbers, _rows: usize, _depth: usize) -> Self {
        unreachable!("no level of instructions here has tiles")
    }

    pub fn multiply(
        &self,
        left: TileRows,
        right: TileRows,
        _places: &[[usize; 2]],
        _tiles: usize,
        _sums: &mut [f32],
    ) {
        unreachable!("no tiles were made for {left:?} and {right:?}")
    }
}
