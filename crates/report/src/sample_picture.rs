use image::{Rgb, RgbImage};
use ndarray::{Array2, ArrayView3};

/// A training sample to be drawn.
#[derive(Clone, Copy, Debug)]
pub struct SampleView<'a> {
    /// Normalised intensities, (z, y, x).
    pub volume: ArrayView3<'a, f32>,
    /// Ink, 0 to 1, (y, x).
    pub labels: &'a Array2<f32>,
    /// 1 on papyrus, 0 elsewhere, (y, x).
    pub validity: &'a Array2<f32>,
    /// The intensities that are drawn black and white.
    pub levels: [f32; 2],
}

const INK: [f32; 3] = [255.0, 120.0, 30.0];
const GROUND: Rgb<u8> = Rgb([255, 255, 255]);
/// Least width of a picture, in pixels.
const LEAST_WIDTH: usize = 224;
/// Rows of pixels between the layer and the section.
const GAP: u32 = 3;
/// Pixels by which a layer is high in the section.
const LAYER_HEIGHT: usize = 3;

/// Draws the middle layer, with its ink in orange and what is no papyrus darkened, and under it the
/// section through its middle row, first layer on top.
pub fn sample_picture(view: SampleView) -> RgbImage {
    let (depth, height, width) = view.volume.dim();
    let zoom = LEAST_WIDTH.div_ceil(width.max(1)).max(1);
    let [wide, high] = [width * zoom, height * zoom].map(|side| side as u32);
    let section = high + GAP;
    let full = section + (depth * LAYER_HEIGHT) as u32;
    RgbImage::from_fn(wide, full, |x, y| {
        let column = x as usize / zoom;
        if y < high {
            let row = y as usize / zoom;
            let gray = view.gray(depth / 2, row, column);
            return view.marked(gray, row, column);
        }
        if y < section {
            return GROUND;
        }
        let layer = (y - section) as usize / LAYER_HEIGHT;
        let gray = view.gray(layer, height / 2, column) as u8;
        Rgb([gray; 3])
    })
}

impl SampleView<'_> {
    /// The grey level of a voxel, 0 to 255.
    fn gray(&self, z: usize, y: usize, x: usize) -> f32 {
        let [low, high] = self.levels;
        let share = (self.volume[(z, y, x)] - low) / (high - low).max(1e-6);
        (share * 255.0).clamp(0.0, 255.0)
    }

    fn marked(&self, gray: f32, y: usize, x: usize) -> Rgb<u8> {
        let ink = 0.45 * self.labels[(y, x)];
        let light = 0.35 + 0.65 * self.validity[(y, x)];
        Rgb(INK.map(|color| (light * (gray + (color - gray) * ink)) as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn ink_is_orange_what_is_no_papyrus_is_dark_and_the_section_shows_depth() {
        let volume = Array3::from_shape_fn((3, 8, 8), |(z, _, _)| z as f32 * 0.5);
        let labels = Array2::from_shape_fn((8, 8), |(_, x)| f32::from(u8::from(x < 2)));
        let validity = Array2::from_shape_fn((8, 8), |(_, x)| f32::from(u8::from(x < 6)));
        let picture = sample_picture(SampleView {
            volume: volume.view(),
            labels: &labels,
            validity: &validity,
            levels: [0.0, 1.0],
        });
        // Eight pixels of 28 each.
        assert_eq!(picture.dimensions(), (224, 224 + 3 + 9));
        let at = |x, y| picture.get_pixel(x, y).0;
        assert_eq!(at(10, 100), [184, 124, 83]);
        assert_eq!(at(100, 100), [127; 3]);
        assert_eq!(at(220, 100), [44; 3]);
        assert_eq!(
            [at(100, 227), at(100, 230), at(100, 233)],
            [[0; 3], [127; 3], [255; 3]]
        );
    }
}
