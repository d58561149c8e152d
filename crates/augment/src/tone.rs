use crate::normalize::normalize;

/// What happens to intensities, voxel by voxel: contrast and brightness, kept within 16 bits, then
/// normalisation where wanted.
#[derive(Clone, Copy, Debug)]
pub struct Tone {
    contrast: f32,
    offset: f32,
    gain: f32,
    bias: f32,
}

/// Intensities as they are.
impl Default for Tone {
    fn default() -> Self {
        Self {
            contrast: 1.0,
            offset: 0.0,
            gain: 1.0,
            bias: 0.0,
        }
    }
}

impl Tone {
    /// Intensities times `contrast`, plus `brightness` as a share of the full range.
    pub(crate) fn expose(&mut self, contrast: f32, brightness: f32) {
        self.contrast *= contrast;
        self.offset = self.offset * contrast + brightness * f32::from(u16::MAX);
    }

    /// The same, then normalised.
    pub(crate) fn normalized(self) -> Self {
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
    pub(crate) fn apply(&self, intensity: f32) -> f32 {
        let value = intensity * (self.contrast * self.gain) + self.scaled(self.offset);
        value.clamp(self.bias, self.scaled(f32::from(u16::MAX)))
    }

    /// Brightened.
    #[inline(always)]
    pub(crate) fn exposed(&self, intensity: f32) -> f32 {
        let intensity = intensity * self.contrast + self.offset;
        intensity.clamp(0.0, f32::from(u16::MAX))
    }

    /// Normalised where wanted.
    #[inline(always)]
    pub(crate) fn scaled(&self, intensity: f32) -> f32 {
        intensity * self.gain + self.bias
    }
}
