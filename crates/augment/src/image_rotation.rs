/// Rotates about the middle of an image: OpenCV's `getRotationMatrix2D` and `warpAffine`, read
/// backwards, from a place in the rotated image to the one that it came from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ImageRotation {
    cos: f64,
    sin: f64,
    centre: [f64; 2],
}

impl ImageRotation {
    /// By `degrees` counter-clockwise, of an image of `size` (height, width).
    pub fn new(degrees: f64, size: [usize; 2]) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let centre = size.map(|size| (size as f64 - 1.0) / 2.0);
        Self { cos, sin, centre }
    }

    /// The place in the image (y, x) that a place in the rotated one shows.
    #[inline(always)]
    pub fn source(&self, y: f64, x: f64) -> [f64; 2] {
        let [centre_y, centre_x] = self.centre;
        let (y, x) = (y - centre_y, x - centre_x);
        [
            centre_y + self.sin * x + self.cos * y,
            centre_x + self.cos * x - self.sin * y,
        ]
    }
}
