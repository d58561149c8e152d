use std::fmt;

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

/// In words: what happened to the crop, in order.
impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (height, width) = (self.rows.1, self.columns.1);
        write!(
            f,
            "{height} × {width} px from ({}, {})",
            self.rows.0, self.columns.0
        )?;
        let (first, count) = self.layers;
        match &self.slices {
            None => write!(f, ", layers {first} to {}", first + count - 1)?,
            Some(slices) => {
                let layers: Vec<_> = slices.iter().map(|z| (first + z).to_string()).collect();
                write!(f, ", layers {}", layers.join(", "))?;
            }
        }
        if let Some(degrees) = self.tilt {
            write!(f, ", tilted by {degrees:.1}°")?;
        }
        if let Some(degrees) = self.rotation {
            write!(f, ", rotated by {degrees:.1}°")?;
        }
        if self.horizontal_flip {
            write!(f, ", flipped left to right")?;
        }
        if self.vertical_flip {
            write!(f, ", flipped top to bottom")?;
        }
        if self.turns > 0 {
            write!(f, ", turned by {}°", 90 * u32::from(self.turns))?;
        }
        if let Some([contrast, brightness]) = self.contrast_brightness {
            write!(f, ", contrast × {contrast:.2}, brightness {brightness:+.2}")?;
        }
        match &self.spoil {
            Some(Spoil::Noise { deviation, .. }) => {
                write!(f, ", noise of {deviation:.1} grey levels")?;
            }
            Some(Spoil::GaussianBlur { size }) => write!(f, ", blurred over {size} px")?,
            Some(Spoil::MotionBlur { size, .. }) => write!(f, ", in motion within {size} px")?,
            None => {}
        }
        if self.grid_distortion.is_some() {
            write!(f, ", stretched in cells")?;
        }
        if let Some(hole) = self.dropout {
            write!(f, ", hole of {} × {} px", hole.height, hole.width)?;
        }
        Ok(())
    }
}
