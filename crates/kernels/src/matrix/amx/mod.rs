//! Tile registers of AMX: sixteen rows of sixteen words each, and instructions that multiply a whole tile by another.

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod none;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod x86;

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
use none as processor;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use x86 as processor;

#[cfg(target_arch = "x86_64")]
use crate::simd::{SimdLevel, level};

pub use processor::{ShapedTiles, found};

/// Rows of a tile, and words of a row.
pub const SIDE: usize = 16;
/// Most tiles of columns whose sums are held at once; those of a panel of the right factor.
pub const WIDEST: usize = 3;

/// What a word of the factors holds.
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "no other processor has tiles")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileNumbers {
    /// Two bf16; sums are f32.
    Bf16,
    /// Four whole numbers of 8 bits, those of the left factor without a sign; sums are whole numbers of 32 bits.
    Int8,
}

/// The tile registers, where processor and system have them and [`crate::simd_level`] allows them.
#[derive(Clone, Copy, Debug)]
pub struct Tiles(TileNumbers);

impl Tiles {
    /// The tile registers for such numbers.
    #[cfg(target_arch = "x86_64")]
    pub fn allowed(numbers: TileNumbers) -> Option<Self> {
        (level() == SimdLevel::Amx).then_some(Self(numbers))
    }

    /// Tiles for products of up to [`SIDE`] rows of the left factor, over sums of `depth` words.
    pub fn shaped(self, rows: usize, depth: usize) -> ShapedTiles {
        ShapedTiles::new(self.0, rows, depth)
    }
}

/// Words of a factor from its first element on, and the words from one row to the next.
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    allow(dead_code, reason = "no other processor or system has tiles")
)]
#[derive(Clone, Copy, Debug)]
pub struct TileRows<'a> {
    /// All of them.
    pub words: &'a [u32],
    /// From row to row.
    pub pitch: usize,
}
