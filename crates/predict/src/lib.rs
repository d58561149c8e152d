//! Prediction: paints the ink of whole fragments, and judges the painting.
//!
//! A [`Predictor`] walks over the papyrus in overlapping [`tiles`], looks at each several ways
//! round ([`Tta`]), and blends what the networks say under spline weights ([`Blend`]). [`score`]
//! compares a probability image with labels; [`run_lengths`] and [`submission`] write it as the
//! competition wants it; [`HeldOut`] judges a network while it is trained.
//!
//! ```
//! use inkling_predict::{Tta, run_lengths, score};
//!
//! // Twelve-fold test-time augmentation takes eight passes.
//! let passes = Tta::Full.passes();
//! assert_eq!(passes.len(), 8);
//! assert_eq!(passes.iter().map(|pass| pass.weight).sum::<f32>(), 12.0);
//!
//! let painted = ndarray::array![[0, 250], [240, 3]];
//! let ink = ndarray::array![[false, true], [true, false]];
//! let papyrus = ndarray::Array2::from_elem((2, 2), true);
//! assert_eq!(score(&painted, &ink, &papyrus, 0.5)?.f05, 1.0);
//! assert_eq!(run_lengths(&painted, 0.5), "2 2");
//! # Ok::<(), inkling_predict::Error>(())
//! ```

mod blend;
mod error;
mod held_out;
mod prediction;
mod score;
mod settings;
mod submission;
mod tiles;
mod tta;

pub use blend::{Blend, spline_weights};
pub use error::Error;
pub use held_out::HeldOut;
pub use prediction::{Prediction, Predictor, to_image};
pub use score::{Score, score};
pub use settings::{Average, PredictSettings};
pub use submission::{run_lengths, submission};
pub use tiles::tiles;
pub use tta::{Pass, Tta};
