//! Fits a calibration to labelled maps of held-out sheets, and says what it is worth on sheets that it was
//! not fitted to.

use std::path::Path;

use inkling_fragment::read_text;
use inkling_predict::{BlockCounts, Calibration, Labelled, Reliability, Scaling, Threshold};
use inkling_report::{Article, Cell, Chart, Line, Section, Table, Tone};
use serde::{Deserialize, Serialize};

use crate::Usage;
use crate::threshold_transfer::threshold_transfer;

/// The content of a calibration file.
#[derive(Clone, Debug, Serialize)]
pub struct FittedCalibration {
    /// temperature or platt.
    pub scaling: &'static str,
    /// Fitted to all sheets.
    #[serde(flatten)]
    pub calibration: Calibration,
    /// Expected calibration error over all sheets, uncorrected.
    pub calibration_error_before: f64,
    /// Over all sheets, each corrected by what was fitted to the others; with one sheet, by its own.
    pub calibration_error_after: f64,
    /// One per sheet.
    pub sheets: Vec<CalibratedSheet>,
    #[serde(skip)]
    reliability: [Reliability; 2],
}

/// A sheet that a calibration was fitted to.
#[derive(Clone, Debug, Serialize)]
pub struct CalibratedSheet {
    /// The map.
    pub name: String,
    /// Expected calibration error, uncorrected.
    pub before: f64,
    /// Corrected by what was fitted to the other sheets; none of a single sheet.
    pub after: Option<f64>,
    /// The threshold with the best F0.5 on the other sheets, its F0.5 here, and the best F0.5 here; none of
    /// a single sheet. Thresholds are those of uncorrected maps.
    pub threshold: Option<[f64; 3]>,
}

/// Side of the blocks that levels are counted by; only their sum is used.
const BLOCK: usize = 1024;

impl FittedCalibration {
    /// Fits `sheets`, each with a name.
    ///
    /// # Errors
    /// Sheets without labelled ink or bare papyrus; images of different sizes.
    pub fn fit(sheets: &[(String, Labelled)], scaling: Scaling) -> anyhow::Result<Self> {
        let mut counts = Vec::new();
        for (_, sheet) in sheets {
            counts.push(BlockCounts::sum(&BlockCounts::levels_of_blocks(
                *sheet,
                Threshold::HALF,
                BLOCK,
            )?));
        }
        let calibration = Calibration::fit(&counts, scaling)?;
        let labelled: Vec<Labelled> = sheets.iter().map(|(_, sheet)| *sheet).collect();
        let thresholds = threshold_transfer(&labelled)?;
        let mut calibrated = Vec::new();
        let mut errors = [0.0; 2];
        for (index, (name, _)) in sheets.iter().enumerate() {
            let others = counts
                .iter()
                .enumerate()
                .filter(|&(other, _)| other != index);
            let others: Vec<&BlockCounts> = others.map(|(_, counts)| counts).collect();
            let own = match others.is_empty() {
                true => None,
                false => Some(Calibration::fit(others, scaling)?),
            };
            let error = |by: &Calibration| Reliability::of(&counts[index], by).calibration_error;
            let sheet = CalibratedSheet {
                name: name.clone(),
                before: error(&Calibration::IDENTITY),
                after: own.as_ref().map(error),
                threshold: thresholds.get(index).copied(),
            };
            let pixels = counts[index].pixels() as f64;
            errors[0] += sheet.before * pixels;
            errors[1] += sheet.after.unwrap_or_else(|| error(&calibration)) * pixels;
            calibrated.push(sheet);
        }
        let whole = BlockCounts::sum(&counts);
        let pixels = whole.pixels() as f64;
        Ok(Self {
            scaling: match scaling {
                Scaling::Temperature => "temperature",
                Scaling::Platt => "platt",
            },
            calibration,
            calibration_error_before: errors[0] / pixels,
            calibration_error_after: errors[1] / pixels,
            sheets: calibrated,
            reliability: [Calibration::IDENTITY, calibration]
                .map(|by| Reliability::of(&whole, &by)),
        })
    }

    /// As a page with a reliability diagram.
    pub fn page(&self) -> Article {
        let Calibration { slope, offset } = self.calibration;
        let line = |name: &str, reliability: &Reliability| Line {
            name: name.to_owned(),
            points: (reliability.bins.iter())
                .map(|&[probability, ink, _]| (probability, ink))
                .collect(),
            dashed: false,
        };
        let diagonal = Line {
            name: "as it should be".to_owned(),
            points: vec![(0.0, 0.0), (1.0, 1.0)],
            dashed: true,
        };
        let [before, after] = &self.reliability;
        Article {
            title: "Calibration".to_owned(),
            subtitle: format!(
                "Expected calibration error {:.4} before, {:.4} after.",
                self.calibration_error_before, self.calibration_error_after
            ),
            sections: vec![
                Section {
                    heading: "Reliability".to_owned(),
                    paragraphs: vec![format!(
                        "Of the pixels with a probability of 0.8, four in five should be ink. Logits are \
                         multiplied by {slope:.4}, and {offset:.4} is added ({} scaling).",
                        self.scaling
                    )],
                    charts: vec![Chart {
                        title: "Share of ink by probability".to_owned(),
                        x_label: "probability".to_owned(),
                        y_label: "share of ink".to_owned(),
                        lines: vec![line("before", before), line("after", after), diagonal],
                    }],
                    ..Section::default()
                },
                Section {
                    heading: "Sheet by sheet".to_owned(),
                    paragraphs: vec![
                        "Each sheet is corrected by what was fitted to the others, and cut at the threshold \
                         that is best on the others: what to expect of a sheet that is not labelled."
                            .to_owned(),
                    ],
                    table: Some(self.table()),
                    ..Section::default()
                },
            ],
        }
    }

    fn table(&self) -> Table {
        let head = [
            "sheet",
            "error before",
            "error after",
            "threshold of the others",
            "F0.5 at it",
            "best F0.5",
        ];
        let row = |sheet: &CalibratedSheet| {
            let number = |value: Option<f64>| {
                Cell::plain(value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}")))
            };
            let better = sheet.after.is_some_and(|after| after <= sheet.before);
            let mut after = number(sheet.after);
            after.tone = match (sheet.after, better) {
                (None, _) => Tone::Plain,
                (_, true) => Tone::Good,
                (_, false) => Tone::Bad,
            };
            let of = |place: usize| number(sheet.threshold.map(|figures| figures[place]));
            vec![
                Cell::plain(sheet.name.as_str()),
                number(Some(sheet.before)),
                after,
                of(0),
                of(1),
                of(2),
            ]
        };
        Table {
            head: head.map(str::to_owned).to_vec(),
            rows: self.sheets.iter().map(row).collect(),
        }
    }
}

/// What of a calibration file is read.
#[derive(Deserialize)]
struct CalibrationFile {
    slope: f64,
    offset: f64,
}

/// Most bytes of a calibration file, which lists sheets.
const LONGEST: u64 = 16 << 20;

/// Reads a file of `inkling calibrate`.
///
/// # Errors
/// [`Usage`] for another file, or numbers out of their range.
pub fn read_calibration(path: &Path) -> anyhow::Result<Calibration> {
    let text = read_text(path, LONGEST)?;
    let wrong = |found: String| {
        Usage(format!(
            "{}: found {found}; expected a slope above 0 and an offset, as `inkling calibrate` writes them. \
             hint: fit the calibration again",
            path.display()
        ))
    };
    let file: CalibrationFile =
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let CalibrationFile { slope, offset } = file;
    match slope > 0.0 && slope.is_finite() && offset.is_finite() {
        true => Ok(Calibration { slope, offset }),
        false => Err(wrong(format!("slope {slope}, offset {offset}")).into()),
    }
}
