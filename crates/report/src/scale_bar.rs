use ndarray::{Array2, s};

/// `image` (y, x) with a white bar of so many pixels on a black strip below it; shorter images have as much of
/// the bar as fits, with both ends only where all of it does.
pub fn with_scale_bar(image: &Array2<u8>, length: f64) -> Array2<u8> {
    let (height, width) = image.dim();
    let thick = (height.max(width) / 150).max(2);
    let mut whole = Array2::zeros((height + 5 * thick, width));
    whole.slice_mut(s![..height, ..]).assign(image);
    let first = thick.min(width);
    let end = (first + length.max(1.0).round() as usize).min(width);
    let rows = height + 2 * thick;
    whole
        .slice_mut(s![rows..rows + thick, first..end])
        .fill(255);
    // Ends that stand up, as those of a ruler.
    let mut stand = |columns: std::ops::Range<usize>| {
        let mut end = whole.slice_mut(s![height + thick..height + 4 * thick, columns]);
        end.fill(255);
    };
    stand(first..(first + thick).min(width));
    if first + length.round() as usize <= width {
        stand(end.saturating_sub(thick)..end);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_long_as_it_is_said() {
        let image = Array2::from_elem((300, 200), 7_u8);
        let with = with_scale_bar(&image, 120.0);
        assert_eq!(with.slice(s![..300, ..]), image);
        let lit = |row: usize| with.row(row).iter().filter(|&&level| level == 255).count();
        assert_eq!((lit(304), lit(302), lit(309)), (120, 4, 0));
        // Longer than the image.
        let cut = with_scale_bar(&image, 1e9);
        assert_eq!(
            cut.row(304).iter().filter(|&&level| level == 255).count(),
            198
        );
        assert_eq!(
            cut.row(302).iter().filter(|&&level| level == 255).count(),
            2
        );
    }
}
