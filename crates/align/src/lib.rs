//! Depth alignment: brings every patch of papyrus to the same depth.
//!
//! Papyrus is not level in its scan, and sheets differ in thickness, so that a fixed layer shows
//! the surface here and its inside there. But the mean intensity of papyrus over depth has a
//! shape of its own ([`Curve`]). [`align`] measures it patch by patch and finds the shift of each
//! patch, and the one scale of the sheet, that lay it onto a [`Target`]; [`Warped`] reads a volume
//! through the resulting maps.
//!
//! Convention: an input layer `z` belongs to the target layer `z × scale + shift`.
//!
//! ```
//! use inkling_align::{AlignSettings, Target, align_volume};
//! use ndarray::{Array2, Array3};
//!
//! // A sheet that lies four layers too deep.
//! let target = Target::built_in();
//! let brightness = |z: f64| 20_000.0 + 10_000.0 * target.curve.at((z - 4.0).clamp(1.0, 62.0));
//! let volume = Array3::from_shape_fn((65, 64, 64), |(z, _, _)| brightness(z as f64) as u16);
//! let mask = Array2::from_elem((64, 64), true);
//! let settings = AlignSettings { patch: 32, ..Default::default() };
//! let found = align_volume("sheet", &volume, &mask, &target, &settings, &|_, _| {})?;
//! assert!((found.shift + 4.0).abs() < 0.1 && (found.scale - 1.0).abs() < 0.01);
//! # Ok::<(), inkling_align::Error>(())
//! ```

mod alignment;
mod cells;
mod curve;
mod dark_layers;
mod depth_field;
mod error;
mod fit;
mod initial_guesses;
mod lattice;
mod least_squares;
mod map_check;
mod measure;
mod misfit;
mod parabola;
mod patches;
mod reference;
mod settings;
mod shifts;
mod target;
mod warp;
mod write;

pub use alignment::{Alignment, Patch, Seconds, align, align_volume};
pub use curve::Curve;
pub use dark_layers::dark_layers;
pub use depth_field::DepthField;
pub use error::Error;
pub use map_check::{MapCoverage, check_maps};
pub use measure::{FragmentCurves, measure_curves, measure_volume_curves};
pub use settings::{AlignSettings, Method};
pub use target::Target;
pub use warp::{WarpSeconds, Warped, write_warped};
pub use write::write_curves;
