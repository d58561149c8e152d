use serde::{Deserialize, Serialize};

/// What a phantom is like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhantomSettings {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Layers of the scan.
    pub depth: usize,
    /// Everything random follows from it.
    pub seed: u64,
    /// Layers of the target curve per layer of the scan; 0.6 is a thick sheet.
    pub scale: f32,
    /// Mean shift of the mid-depth layer, in layers of the target.
    pub shift: f32,
    /// Standard deviation of the shift over the sheet, in layers.
    pub shift_spread: f32,
    /// Change of the shift from the left edge to the right one, in layers.
    pub tilt: f32,
    /// How much ink differs from bare papyrus; 1 is faint, 0 is none.
    pub contrast: f32,
    /// Height of the letters in pixels.
    pub letter_height: usize,
}

impl Default for PhantomSettings {
    fn default() -> Self {
        Self {
            height: 768,
            width: 640,
            depth: 65,
            seed: 1,
            scale: 1.0,
            shift: 0.0,
            shift_spread: 2.0,
            tilt: 2.0,
            contrast: 1.0,
            letter_height: 88,
        }
    }
}
