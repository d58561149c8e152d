//! Training: what is learnt from, in which order, how fast, and how a run is kept.
//!
//! [`Examples`] draws samples from labelled fragments, each addressed by (seed, epoch, index);
//! [`Training`] runs the loop: batches through the network, a weighted sum of losses ([`Loss`]),
//! gradients accumulated and clipped, AdamW under a learning rate in pieces ([`Schedule`]); a [`Validate`] judges every epoch and the best weights are kept. A [`Run`] is
//! the folder in which all of this survives a crash: one whole checkpoint per epoch, and one
//! JSON line of figures.
//!
//! ```
//! use inkling_train::{Schedule, TrainSettings};
//!
//! // The recipe's learning rate rises for a tenth of all steps, then falls along a cosine.
//! let settings = TrainSettings::default();
//! let rate = |step| settings.optimizer.learning_rate * settings.schedule.factor(step, 1000);
//! assert!(rate(0) < rate(100) && rate(100) > rate(999));
//! assert_eq!(settings.schedule, Schedule::default());
//! ```

mod average;
mod batch;
mod checkpoint;
mod error;
mod events;
mod examples;
mod glimpse;
mod gradient_sum;
mod identity;
mod loader;
mod loss;
mod loss_scale;
#[cfg(feature = "mpi")]
mod mpi;
mod optimizer;
mod ranking;
mod ranks;
mod run;
mod schedule;
mod settings;
mod statistics;
mod tally;
mod training;
mod validate;
mod weight_sum;

pub use checkpoint::Progress;
pub use error::Error;
pub use events::Events;
pub use examples::{Examples, TrainingFragment};
pub use identity::Identity;
pub use loader::Loader;
pub use loss::Loss;
pub use loss_scale::LossScale;
#[cfg(feature = "mpi")]
pub use mpi::Joined;
pub use optimizer::OptimizerSettings;
pub use ranking::{Metric, Ranking};
pub use ranks::Ranks;
pub use run::{Epoch, Run};
pub use schedule::{Piece, Schedule, Shape};
pub use settings::TrainSettings;
pub use training::{Step, Training, Watch};
pub use validate::{Validate, Validation};
