use serde::{Deserialize, Serialize};

use crate::{Dropout, GridDistortion, Spoil};

/// One sample's random draw: applied again it gives the same sample. What is `None` is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Params {
    /// First row of the crop (negative beyond a padded fragment's edge) and their number.
    pub rows: (i64, usize),
    /// First column of the crop and their number.
    pub columns: (i64, usize),
    /// First layer of the crop and their number.
    pub layers: (usize, usize),
    /// Layers of the crop that are taken as they are; otherwise all are resized.
    pub slices: Option<Vec<usize>>,
    /// Degrees about the x axis.
    pub tilt: Option<f64>,
    /// Degrees counter-clockwise.
    pub rotation: Option<f64>,
    /// Left to right.
    pub horizontal_flip: bool,
    /// Top to bottom.
    pub vertical_flip: bool,
    /// Quarter turns counter-clockwise, 0 to 3.
    pub turns: u8,
    /// Factor and offset on the intensities; the offset is a share of the full range.
    pub contrast_brightness: Option<[f32; 2]>,
    /// Noise or blur.
    pub spoil: Option<Spoil>,
    /// Stretched cells.
    pub grid_distortion: Option<GridDistortion>,
    /// A hole.
    pub dropout: Option<Dropout>,
}

impl Params {
    /// A crop that is resized and nothing else: rows, columns and layers as (first, count).
    pub fn crop(rows: (i64, usize), columns: (i64, usize), layers: (usize, usize)) -> Self {
        Self {
            rows,
            columns,
            layers,
            slices: None,
            tilt: None,
            rotation: None,
            horizontal_flip: false,
            vertical_flip: false,
            turns: 0,
            contrast_brightness: None,
            spoil: None,
            grid_distortion: None,
            dropout: None,
        }
    }
}
