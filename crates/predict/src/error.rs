use std::path::PathBuf;

use ndarray::Array2;

/// What can go wrong in prediction and scoring.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting out of its range.
    #[error("predict.{key}: found {found}; expected {expected}. hint: change it in [predict]")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// The value found.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Models that cannot be averaged.
    #[error("{}: found a model for patches of {found}; expected {expected} as the first model has. hint: predict with each alone", path.display())]
    Disagreement {
        /// The odd model's file.
        path: PathBuf,
        /// Its patch.
        found: String,
        /// The first model's.
        expected: String,
    },
    /// Images that do not lie on each other.
    #[error(
        "{what}: found {found:?} px (height, width); expected {expected:?} px as the prediction has. hint: give the images of one fragment"
    )]
    Size {
        /// Which image.
        what: &'static str,
        /// Its size.
        found: [usize; 2],
        /// The prediction's size.
        expected: [usize; 2],
    },
    /// Nothing to score.
    #[error(
        "labels: found no ink within the mask; expected some to score by. hint: check that the labels mark ink in white"
    )]
    NoInk,
    /// Masks of bare sheets without papyrus.
    #[error(
        "bare sheets: found no papyrus within their masks; expected some. hint: check that the masks mark papyrus in white"
    )]
    NoPapyrus,
    /// Papyrus that is said to be bare, and is predicted to be ink.
    #[error(
        "bare sheets: found that even a probability of 1 may leave {:.4} % of such papyrus; expected thresholds that leave at most {:.4} % of it. hint: train on bare papyrus (data.bare), name more of it, or allow a larger share", 100.0 * found, 100.0 * expected
    )]
    NotBare {
        /// Share of such papyrus that no threshold takes away, at most.
        found: f64,
        /// The share that was allowed.
        expected: f64,
    },
    /// Nothing to calibrate by.
    #[error(
        "calibration: found {found}; expected labelled ink and bare papyrus on which probabilities rise from the one to the other. hint: give labels and masks of the predicted sheets, in their order"
    )]
    Calibration {
        /// What the labels and maps hold.
        found: &'static str,
    },
    /// The network gave NaN or infinity.
    #[error(
        "found NaN or infinity in the prediction of the tile at ({y}, {x}); expected logits. hint: check the weights and the volume for damage; in training lower train.optimizer.learning_rate"
    )]
    NotANumber {
        /// The tile's first row.
        y: usize,
        /// The tile's first column.
        x: usize,
    },
    /// A part that is none.
    #[error(
        "--part {found}: expected K/N with K from 1 to N and N up to 100,000, such as 2/8. hint: number the parts from 1"
    )]
    Shard {
        /// What was given.
        found: String,
    },
    /// Tiles of another prediction.
    #[error("{}: found a prediction that differs in {found}; expected the same plan. hint: give the settings, models and fragment it was begun with, or another --out", path.display())]
    OtherPlan {
        /// The store.
        path: PathBuf,
        /// What differs.
        found: String,
    },
    /// A part that is there already.
    #[error("{}: found a prediction that was begun; expected none. hint: give --resume to continue it, --force to replace it, or --out another folder", path.display())]
    Begun {
        /// The part's file.
        path: PathBuf,
    },
    /// A part that another process is writing.
    #[error("{}: found a part that another process is predicting; expected one that no process uses. hint: wait for it, end it, or give another --part", path.display())]
    InProgress {
        /// The part's file.
        path: PathBuf,
    },
    /// No prediction was begun there.
    #[error("{}: found no plan ({reason}); expected the parts of a prediction. hint: give the folder that `predict --part` wrote", path.display())]
    NoPlan {
        /// The plan's file.
        path: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// Parts that are not there.
    #[error("{}: found no part {missing}; expected all parts. hint: run `predict` with --part and --resume for each of them", path.display())]
    MissingParts {
        /// The store.
        path: PathBuf,
        /// The missing ones.
        missing: String,
    },
    /// Parts of different numbers.
    #[error("{}: found parts of {found:?}; expected parts of one number. hint: remove those that do not belong", path.display())]
    MixedParts {
        /// The store.
        path: PathBuf,
        /// Of how many parts they say they are.
        found: Vec<usize>,
    },
    /// A file of tiles that cannot be used.
    #[error("{}: found {found}; expected the tiles of this prediction. hint: remove the file and make the part again", path.display())]
    TileFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        found: String,
    },
    /// The disk is full.
    #[error("{}: {source}; expected space for {} MiB more. hint: free some, then go on with --resume", path.display(), left.div_ceil(1 << 20))]
    Full {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
        /// Bytes that were still to be written.
        left: u64,
    },
    /// A fragment that the models cannot read.
    #[error("{}: found {found} layers; expected layers {first} to {end}, which the model reads. hint: give the whole fragment, or a model that was trained on fewer layers", path.display())]
    Shallow {
        /// The fragment.
        path: PathBuf,
        /// Its layers.
        found: usize,
        /// The first that is read.
        first: usize,
        /// Where they end.
        end: usize,
    },
    /// Not even one tile fits.
    #[error(
        "the device's memory: found too little for one tile; expected room for one. hint: predict with fewer models at once, or on another --device"
    )]
    Memory,
    /// A thread that works for prediction failed where no failure was foreseen.
    #[error(
        "{what}: found a fault of this program: {panic}. hint: report it, with the command and this message"
    )]
    Fault {
        /// What was being made.
        what: String,
        /// What it said.
        panic: inkling_fragment::Panic,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Fragment(#[from] inkling_fragment::Error),
    /// A tile could not be prepared.
    #[error(transparent)]
    Augment(#[from] inkling_augment::Error),
}

impl Error {
    /// Whether images of these sizes (height, width) lie on `image`.
    ///
    /// # Errors
    /// [`Error::Size`] for the first that does not.
    pub(crate) fn check_sizes(
        image: &Array2<u8>,
        others: &[(&'static str, (usize, usize))],
    ) -> Result<(), Self> {
        let expected = image.dim();
        match others.iter().find(|(_, size)| *size != expected) {
            None => Ok(()),
            Some(&(what, found)) => Err(Self::Size {
                what,
                found: found.into(),
                expected: expected.into(),
            }),
        }
    }

    /// Whether the hint lies in the settings.
    pub fn is_settings(&self) -> bool {
        matches!(self, Self::Setting { .. } | Self::Shard { .. })
    }
}
