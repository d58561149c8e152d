//! Cyclic shifts of maps.

use crate::computed::computed;

/// Moves maps down by `rows` and right by `columns`, cyclically.
///
/// # Shapes
/// - maps and output: `[batch, height, width, channels]`
pub fn roll(
    maps: &[f32],
    [height, width]: [usize; 2],
    channels: usize,
    [rows, columns]: [usize; 2],
) -> Vec<f32> {
    let line = width * channels;
    computed(maps.len(), line, |index, target| {
        let (map, y) = (index / height, index % height);
        let from = map * height + (y + height - rows % height) % height;
        let source = &maps[from * line..][..line];
        let (kept, over) = source.split_at((width - columns % width) * channels);
        target[..over.len()].copy_from_slice(over);
        target[over.len()..].copy_from_slice(kept);
    })
}
