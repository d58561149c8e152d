//! How strongly coloured pixels are drawn.

/// The brightest channel of each pixel (red, green, blue, alpha), as far as it is opaque.
pub(crate) fn strengths<T: Copy + Ord + Into<u64>>(pixels: &[T], opaque: T) -> Vec<u16> {
    let (pixels, _) = pixels.as_chunks::<4>();
    let strength = |&[red, green, blue, alpha]: &[T; 4]| {
        let brightest: u64 = red.max(green).max(blue).into();
        (brightest * alpha.into() / opaque.into()) as u16
    };
    pixels.iter().map(strength).collect()
}
