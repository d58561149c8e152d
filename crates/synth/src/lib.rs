//! Phantom fragments: scans of papyrus that never was, with known ink and known depth.
//!
//! A sheet follows the measured depth profile of real papyrus, seen through a smooth random depth
//! map and a thickness. Fibres cross, brightness drifts, noise is correlated, the outline is
//! ragged, and Greek capitals of varying pressure differ from bare papyrus only faintly and only
//! in their course over depth: a single layer does not show them. Every value follows from the
//! seed and its place, so that a phantom is the same on any number of threads.
//!
//! ```
//! use inkling_synth::{Phantom, PhantomSettings};
//!
//! let settings = PhantomSettings { height: 96, width: 120, letter_height: 40, ..Default::default() };
//! let phantom = Phantom::new(&settings);
//! let upper = phantom.rows(0..48);
//! assert_eq!(upper, phantom.volume().slice(ndarray::s![.., ..48, ..]));
//! assert!(phantom.ink.iter().any(|&ink| ink));
//! ```

mod field;
mod letters;
mod phantom;
mod profile;
mod settings;
mod write;

pub use phantom::{Phantom, ink_contrast};
pub use settings::PhantomSettings;
pub use write::write_phantom;
