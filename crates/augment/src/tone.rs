use crate::normalize::normalize;

/// What happens to intensities, voxel by voxel: contrast and brightness (albumentations'
/// `RandomBrightnessContrast`, relative to the full range), kept within 16 bits, then
/// normalisation where wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tone {
    contrast: f32,
    offset: f32,
    gain: f32,
    bias: f32,
}

impl Tone {
    /// A factor, and an offset as a share of the full range.
    pub fn new(contrast_brightness: Option<[f32; 2]>) -> Self {
        let [contrast, brightness] = contrast_brightness.unwrap_or([1.0, 0.0]);
        Self {
            contrast,
            offset: brightness * f32::from(u16::MAX),
            gain: 1.0,
            bias: 0.0,
        }
    }

    /// The same, then normalised.
    pub fn normalized(self) -> Self {
        let bias = normalize(0.0);
        let range = f32::from(u16::MAX);
        Self {
            gain: (normalize(range) - bias) / range,
            bias,
            ..self
        }
    }

    /// Brightened, normalised: both in one step.
    #[inline(always)]
    pub fn apply(&self, intensity: f32) -> f32 {
        let value = intensity * (self.contrast * self.gain) + self.scaled(self.offset);
        value.clamp(self.bias, self.scaled(f32::from(u16::MAX)))
    }

    /// Brightened.
    #[inline(always)]
    pub fn exposed(&self, intensity: f32) -> f32 {
        let intensity = intensity * self.contrast + self.offset;
        intensity.clamp(0.0, f32::from(u16::MAX))
    }

    /// Normalised where wanted.
    #[inline(always)]
    pub fn scaled(&self, intensity: f32) -> f32 {
        intensity * self.gain + self.bias
    }
}
