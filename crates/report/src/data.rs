use ndarray::Array2;

/// Everything that a report shows.
#[derive(Clone, Debug, Default)]
pub struct ReportData {
    /// Heading of the page.
    pub title: String,
    /// One sentence below it.
    pub subtitle: String,
    /// The numbers that people look for first.
    pub figures: Vec<Figure>,
    /// Seconds after which a browser loads the page anew, while what it shows goes on.
    pub refresh: Option<u32>,
    /// One row per fold of a cross-validation; no table without.
    pub folds: Vec<FoldRow>,
    /// Mean intensity per layer of each fragment.
    pub curves: Vec<FragmentCurve>,
    /// One section per aligned fragment.
    pub alignments: Vec<AlignmentView>,
    /// One line in the charts per training.
    pub trainings: Vec<TrainingView>,
    /// One section per predicted fragment.
    pub predictions: Vec<PredictionView>,
    /// All settings, as TOML, printed at the end.
    pub settings: String,
}

/// One number with its name and what it means.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its label, such as "F0.5".
    pub name: String,
    /// The value as it is printed, with its unit.
    pub value: String,
    /// One sentence on what the value means.
    pub explanation: String,
}

/// The outcome of one fold.
#[derive(Clone, Debug)]
pub struct FoldRow {
    /// Name of the fold: its held-out fragments.
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
    /// Each held-out fragment's id and its probability map, (y, x).
    pub predicted: Vec<(String, Array2<u8>)>,
}

/// Curves of one fragment, one value per layer, u16 intensities.
#[derive(Clone, Debug)]
pub struct FragmentCurve {
    /// The fragment's name.
    pub id: String,
    /// Mean intensity per layer over all papyrus, 16-bit grey levels.
    pub all: Vec<f64>,
    /// Ink, where it is known.
    pub ink: Option<Vec<f64>>,
    /// Bare papyrus, where ink is known.
    pub background: Option<Vec<f64>>,
}

/// The fitted depth of one fragment.
#[derive(Clone, Debug)]
pub struct AlignmentView {
    /// The fragment's name.
    pub id: String,
    /// Shifts, (y, x), in layers of the target; NaN where there is none.
    pub z_shift: Array2<f32>,
    /// Where there is papyrus, (y, x).
    pub mask: Array2<bool>,
    /// Layers of the target per layer of the scan.
    pub scale: f64,
    /// The sheet's curve before, per layer.
    pub before: Vec<f64>,
    /// The sheet's curve after, per layer of the target.
    pub after: Vec<f64>,
    /// The target's curve, one value per layer.
    pub target: Vec<f64>,
    /// Reasons to doubt the fit, a sentence each.
    pub warnings: Vec<String>,
}

/// Loss and validation of one training, per epoch.
#[derive(Clone, Debug)]
pub struct TrainingView {
    /// Name of the run or fold, for the legend.
    pub name: String,
    /// Mean training loss, from epoch 1 on.
    pub loss: Vec<f64>,
    /// (epoch, F0.5) of validated epochs; epochs count from 1.
    pub f05: Vec<(f64, f64)>,
}

/// One predicted fragment; all images (y, x) of one size.
#[derive(Clone, Debug)]
pub struct PredictionView {
    /// The fragment's name.
    pub id: String,
    /// One sentence on the model and settings of the prediction.
    pub caption: String,
    /// Probability of ink, 0 to 255.
    pub probability: Array2<u8>,
    /// Where there is ink, (y, x); none where it is unknown.
    pub labels: Option<Array2<bool>>,
    /// The infrared photograph, (y, x), 0 to 255.
    pub infrared: Option<Array2<u8>>,
    /// One layer of the scan, 0 to 255.
    pub layer: Option<Array2<u8>>,
    /// Names and values of its scores.
    pub scores: Vec<(String, String)>,
}
