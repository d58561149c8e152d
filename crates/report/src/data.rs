use ndarray::Array2;

/// Everything that a report shows.
#[derive(Clone, Debug, Default)]
pub struct ReportData {
    /// The headline.
    pub title: String,
    /// One sentence below it.
    pub subtitle: String,
    /// The numbers that people look for first.
    pub figures: Vec<Figure>,
    /// Seconds after which a browser loads the page anew, while what it shows goes on.
    pub refresh: Option<u32>,
    /// Folds of a cross-validation.
    pub folds: Vec<FoldRow>,
    /// Mean intensity per layer of each fragment.
    pub curves: Vec<FragmentCurve>,
    /// Fitted depths.
    pub alignments: Vec<AlignmentView>,
    /// Trainings.
    pub trainings: Vec<TrainingView>,
    /// Painted fragments.
    pub predictions: Vec<PredictionView>,
    /// The settings, as TOML.
    pub settings: String,
}

/// One number with its name and what it means.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// As it is printed.
    pub value: String,
    /// What it tells.
    pub explanation: String,
}

/// The outcome of one fold.
#[derive(Clone, Debug)]
pub struct FoldRow {
    /// The held-out fragments.
    pub name: String,
    /// The epoch whose weights are kept.
    pub epoch: u32,
    /// F0.5 at a threshold of 0.5.
    pub f05: f64,
    /// The highest F0.5 over all thresholds.
    pub best_f05: f64,
    /// The threshold that gives it.
    pub best_threshold: f64,
    /// Area under the precision–recall curve.
    pub average_precision: f64,
    /// Each held-out fragment's id and its painting, (y, x).
    pub predicted: Vec<(String, Array2<u8>)>,
}

/// Curves of one fragment, one value per layer, u16 intensities.
#[derive(Clone, Debug)]
pub struct FragmentCurve {
    /// The fragment.
    pub id: String,
    /// All papyrus.
    pub all: Vec<f64>,
    /// Ink, where it is known.
    pub ink: Option<Vec<f64>>,
    /// Bare papyrus, where ink is known.
    pub background: Option<Vec<f64>>,
}

/// The fitted depth of one fragment.
#[derive(Clone, Debug)]
pub struct AlignmentView {
    /// The fragment.
    pub id: String,
    /// Shifts, (y, x), layers.
    pub z_shift: Array2<f32>,
    /// Where there is papyrus, (y, x).
    pub mask: Array2<bool>,
    /// Scale of the sheet.
    pub scale: f64,
    /// The sheet's curve before, per layer.
    pub before: Vec<f64>,
    /// The sheet's curve after, per layer of the target.
    pub after: Vec<f64>,
    /// The target's curve.
    pub target: Vec<f64>,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// One training's course.
#[derive(Clone, Debug)]
pub struct TrainingView {
    /// What was trained.
    pub name: String,
    /// Mean loss per epoch.
    pub loss: Vec<f64>,
    /// (epoch, F0.5) of validated epochs; epochs count from 1.
    pub f05: Vec<(f64, f64)>,
}

/// One painted fragment; all images (y, x) of one size.
#[derive(Clone, Debug)]
pub struct PredictionView {
    /// The fragment.
    pub id: String,
    /// How it was painted.
    pub caption: String,
    /// Probability of ink, 0 to 255.
    pub probability: Array2<u8>,
    /// Known ink.
    pub labels: Option<Array2<bool>>,
    /// The infrared photograph.
    pub infrared: Option<Array2<u8>>,
    /// One layer of the scan, 0 to 255.
    pub layer: Option<Array2<u8>>,
    /// Names and values of its scores.
    pub scores: Vec<(String, String)>,
}
