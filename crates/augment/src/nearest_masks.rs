use ndarray::Array2;

use crate::geometry::Places;

/// Masks of one size, and the crop's first row and column in them; beyond their sides nothing is
/// set.
#[derive(Clone, Copy)]
pub(crate) struct MaskCrops<'a, const MASKS: usize> {
    pub masks: [&'a Array2<bool>; MASKS],
    pub first: [i64; 2],
}

/// Indices of nearest pixels and what masks have there: memory that goes from one row to the next.
#[derive(Default)]
pub(crate) struct Nearest {
    pixels: Vec<u32>,
    set: Vec<u8>,
}

impl<const MASKS: usize> MaskCrops<'_, MASKS> {
    /// For each place and mask, 1 where the nearest pixel is set, else 0, into the mask's own line.
    #[inline(always)]
    pub fn read(&self, places: &Places, nearest: &mut Nearest, lines: [&mut [f32]; MASKS]) {
        let Nearest { pixels, set } = nearest;
        self.nearest(places, pixels);
        set.resize(pixels.len(), 0);
        for (mask, line) in self.masks.iter().zip(lines) {
            let flat = mask.as_slice().expect("masks lie in one piece");
            for (set, &pixel) in set.iter_mut().zip(&*pixels) {
                *set = u8::from(flat.get(pixel as usize).is_some_and(|&set| set));
            }
            for (value, &set) in line.iter_mut().zip(&*set) {
                *value = f32::from(set);
            }
        }
    }

    /// Indices of the nearest pixels in a mask's memory; `u32::MAX` beyond its sides.
    #[inline(always)]
    fn nearest(&self, places: &Places, pixels: &mut Vec<u32>) {
        let (height, width) = self.masks[0].dim();
        let [top, left] = self.first.map(|first| first as i32);
        pixels.resize(places.y.len(), 0);
        let beyond = places.beyond_y.iter().zip(&places.beyond_x);
        let places = places.y.iter().zip(&places.x).zip(beyond);
        for (pixel, ((&row, &across), (&y, &x))) in pixels.iter_mut().zip(places) {
            let row = (top + row + i32::from(y >= 0.5)) as u32;
            let across = (left + across + i32::from(x >= 0.5)) as u32;
            let inside = row < height as u32 && across < width as u32;
            *pixel = match inside {
                true => row.wrapping_mul(width as u32).wrapping_add(across),
                false => u32::MAX,
            };
        }
    }
}
