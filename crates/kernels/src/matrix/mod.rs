//! Matrix products: rows of the left factor times packed panels of the right factor's columns.
//!
//! The inner loop holds a tile of sums in registers, several rows by three vectors of columns, adds
//! up along the whole depth and writes each sum once. The order of additions does not depend on the
//! number of threads.

mod amx;
mod bf16;
mod bf16_dot;
mod blocks;
mod dot;
mod int8;
mod int8_dot;
mod layout;
mod packing;
mod precision;
mod product;
mod threading;
mod tile;
mod transpose;

pub use amx::{SIDE as TILE_SIDE, TileRows, Tiles, WIDEST as WIDEST_TILES, found as amx_found};
pub use blocks::{Block, blocks};
pub use dot::{Dot, DotUnit, MAX_TILE, WithDot};
pub use int8::{DEEPEST, Int8Panels, Int8Rows};
pub use layout::MatrixLayout;
pub use packing::{Lhs, RhsPanels};
pub use precision::MulPrecision;
pub use product::multiply;
pub use threading::Threading;
pub use tile::{Addend, OutputRows, StridedRows, multiply_into};
