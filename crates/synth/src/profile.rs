use std::sync::LazyLock;

use inkling_fragment::TARGET_CURVE;

/// Layers of the curve that show papyrus; the outermost ones are the scanner's blanks.
const INNER: std::ops::RangeInclusive<usize> = 1..=62;

/// The measured curve that sheets follow.
static VALUES: LazyLock<Vec<f32>> = LazyLock::new(|| {
    TARGET_CURVE
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(',')?.1.trim().parse().ok())
        .collect()
});

/// Brightness of bare papyrus at depth `u`, in layers of the target; beyond the sheet it keeps
/// its outermost value.
pub fn papyrus(u: f32) -> f32 {
    let (first, last) = (*INNER.start() as f32, *INNER.end() as f32);
    let u = u.clamp(first, last);
    let below = (u as usize).min(*INNER.end() - 1);
    let part = u - below as f32;
    VALUES[below] * (1.0 - part) + VALUES[below + 1] * part
}

/// What ink adds at depth `u`: a little more around layers 8 and 26, a little less around 36.
pub fn ink(u: f32) -> f32 {
    bump(u, 8.0, 3.0) * 0.7 + bump(u, 26.0, 2.6) - bump(u, 36.0, 3.0)
}

/// Where fibres along the writing lie (the front), and those across (the back).
pub fn fibres(u: f32) -> [f32; 2] {
    [bump(u, 23.5, 5.0), bump(u, 33.0, 5.0)]
}

fn bump(u: f32, centre: f32, width: f32) -> f32 {
    (-0.5 * ((u - centre) / width).powi(2)).exp()
}
