use std::path::PathBuf;

/// What can go wrong in training.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is out of its range.
    #[error("train.{key}: found {found}; expected {expected}. hint: change it in [train]")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// The value found.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The frozen tensors leave nothing to train, or are none.
    #[error("train.freeze: found {found}; expected {expected}. hint: {hint}")]
    Freeze {
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
        /// What to do.
        hint: &'static str,
    },
    /// No fragment to train on is left.
    #[error(
        "data.fragments: found no fragment to train on beside the held-out ones; expected at \
         least one. hint: name more fragments, or hold out fewer"
    )]
    NoFragments,
    /// A fragment to train on has no labels, or labels without ink.
    #[error("{fragment}: found {found}; expected ink labels to train on. hint: {hint}")]
    Labels {
        /// The fragment's folder.
        fragment: String,
        /// What was found.
        found: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The loss became NaN or infinite.
    #[error(
        "found {count} losses in a row that are NaN or infinite (last at step {step}); expected finite \
         ones. hint: lower train.optimizer.learning_rate, or check the volumes for damage"
    )]
    NotANumber {
        /// Skipped steps in a row.
        count: u32,
        /// The last of them.
        step: u64,
    },
    /// The run's folder holds something else.
    #[error("{}: found {found}; expected {expected}. hint: {hint}", path.display())]
    Run {
        /// The file or folder.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
        /// What to do.
        hint: String,
    },
    /// Another of the ranks that train together failed.
    #[error(
        "rank {rank} failed, and its own message says why; training ends on all ranks. Finished \
         epochs are kept. hint: put that right, then give the command again with --resume, on any \
         number of ranks"
    )]
    OtherRank {
        /// The rank that failed.
        rank: usize,
    },
    /// Several ranks cannot train together like this.
    #[error("ranks: found {found}; expected {expected}. hint: {hint}")]
    Ranks {
        /// What was found.
        found: String,
        /// What was expected.
        expected: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// Reading or writing failed.
    #[error("{}: {source}. hint: check the disk and the permissions", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// A fragment could not be read, or a file not written.
    #[error(transparent)]
    Fragment(#[from] inkling_fragment::Error),
    /// A sample could not be made.
    #[error(transparent)]
    Augment(#[from] inkling_augment::Error),
    /// The network could not be made, read or written.
    #[error(transparent)]
    Model(#[from] inkling_model::Error),
    /// A thread that works for training failed where no failure was foreseen.
    #[error(
        "{what}: found a fault of this program: {panic}. hint: report it, with the command and this message"
    )]
    Fault {
        /// What was being made.
        what: String,
        /// What it said.
        panic: inkling_fragment::Panic,
    },
    /// Fewer samples were made than are due.
    #[error(
        "a batch: found {found} samples; expected {expected}. hint: report it, with the command and this message"
    )]
    Short {
        /// Samples that were made.
        found: usize,
        /// Samples that are due.
        expected: usize,
    },
    /// Validation failed.
    #[error("validation: {0}")]
    Validation(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Whether the hint lies in the flags or the settings.
    pub fn is_settings(&self) -> bool {
        match self {
            Self::Setting { .. } | Self::Freeze { .. } | Self::NoFragments => true,
            Self::Fragment(error) => error.is_settings(),
            Self::Augment(error) => error.is_settings(),
            Self::Model(error) => error.is_settings(),
            _ => false,
        }
    }

    pub(crate) fn setting(key: &'static str, found: impl ToString, expected: &'static str) -> Self {
        Self::Setting {
            key,
            found: found.to_string(),
            expected,
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::Io { path, source }
    }
}
