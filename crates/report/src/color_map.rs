/// Viridis (van der Walt and Smith), every 16th of its 256 colours; perceptually even and legible
/// to the colour-blind.
const STOPS: [[u8; 3]; 17] = [
    [68, 1, 84],
    [72, 24, 106],
    [71, 45, 123],
    [66, 64, 134],
    [59, 82, 139],
    [51, 99, 141],
    [44, 114, 142],
    [38, 130, 142],
    [33, 145, 140],
    [31, 160, 136],
    [40, 174, 128],
    [63, 188, 115],
    [94, 201, 98],
    [132, 212, 75],
    [173, 220, 48],
    [216, 226, 25],
    [253, 231, 37],
];

/// The colour of `share` (0 to 1).
pub fn viridis(share: f32) -> [u8; 3] {
    let place = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let below = (place as usize).min(STOPS.len() - 2);
    let part = place - below as f32;
    std::array::from_fn(|channel| {
        let (a, b) = (STOPS[below][channel], STOPS[below + 1][channel]);
        (f32::from(a) + (f32::from(b) - f32::from(a)) * part).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_from_violet_to_yellow() {
        assert_eq!(viridis(-1.0), [68, 1, 84]);
        assert_eq!(viridis(0.5), [33, 145, 140]);
        assert_eq!(viridis(f32::INFINITY), [253, 231, 37]);
    }
}
