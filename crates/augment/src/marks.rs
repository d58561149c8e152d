use ndarray::Array2;

use crate::geometry::Places;

/// A mask, and the crop's first row and column in it; beyond its sides nothing is set.
#[derive(Clone, Copy)]
pub(crate) struct MaskCrop<'a> {
    pub mask: &'a Array2<bool>,
    pub first: [i64; 2],
}

/// Writes 1 into `line` where the pixel of the mask that is nearest to a place is set, otherwise 0.
/// `nearest` is memory to work in.
#[inline(always)]
pub(crate) fn mark(crop: &MaskCrop, places: &Places, nearest: &mut Vec<u32>, line: &mut [f32]) {
    let (height, width) = crop.mask.dim();
    let [top, left] = crop.first.map(|first| first as i32);
    let flat = crop.mask.as_slice().expect("masks lie in one piece");
    nearest.resize(line.len(), 0);
    let beyond = places.beyond_y.iter().zip(&places.beyond_x);
    let places = places.y.iter().zip(&places.x).zip(beyond);
    for (nearest, ((&row, &across), (&y, &x))) in nearest.iter_mut().zip(places) {
        let row = (top + row + i32::from(y >= 0.5)) as u32;
        let across = (left + across + i32::from(x >= 0.5)) as u32;
        let inside = row < height as u32 && across < width as u32;
        *nearest = match inside {
            true => row.wrapping_mul(width as u32).wrapping_add(across),
            false => u32::MAX,
        };
    }
    for (value, &place) in line.iter_mut().zip(&*nearest) {
        let set = flat.get(place as usize).copied().unwrap_or(false);
        *value = f32::from(u8::from(set));
    }
}
