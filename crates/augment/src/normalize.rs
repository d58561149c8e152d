/// Intensities are divided by this, then centred and scaled by ImageNet's statistics averaged
/// over the colours.
const FULL_RANGE: f32 = 65_536.0;
const MEAN: f32 = 0.449;
const STANDARD_DEVIATION: f32 = 0.226;

/// Brings a 16-bit intensity (possibly between two) to what the networks expect.
pub fn normalize(intensity: f32) -> f32 {
    (intensity / FULL_RANGE - MEAN) / STANDARD_DEVIATION
}

/// Factor and summand that bring what [`normalize`] gave back to intensities, 0 to 65,535.
pub const DENORMALIZE: [f32; 2] = [STANDARD_DEVIATION * FULL_RANGE, MEAN * FULL_RANGE];
