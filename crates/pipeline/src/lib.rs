//! The whole way from fragments to ink: what joins the libraries, beside flags and words.
//!
//! A [`Recipe`] is everything that an experiment depends on, read from TOML files laid over one
//! another, with single values set on top.
//!
//! ```
//! use inkling_pipeline::Recipe;
//!
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("recipe.toml");
//! std::fs::write(&file, "[train]\nepochs = 30\n")?;
//! let recipe = Recipe::read(&[file], &["model.depth=12".to_owned()])?;
//! assert_eq!((recipe.train.epochs, recipe.model.depth), (30, 12));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod recipe;
mod unread;
mod usage;

pub use recipe::{DataSettings, Flip, Origins, Recipe, ValidationBy, VoxelReading};
pub use usage::Usage;
