//! Labels that are like the true ones and lie elsewhere.

use ndarray::Array2;

/// Decoys are moved by so many steps each way.
const STEPS: usize = 4;

/// Decoys of `labels` (y, x): turned by half a turn and moved round by quarters of the sheet each way.
pub fn decoys(labels: &Array2<bool>) -> impl Iterator<Item = Array2<bool>> + '_ {
    let (height, width) = labels.dim();
    let steps = (0..STEPS).flat_map(|y| (0..STEPS).map(move |x| (y, x)));
    steps.map(move |(down, right)| {
        let (down, right) = (down * height / STEPS, right * width / STEPS);
        Array2::from_shape_fn((height, width), |(y, x)| {
            let source =
                |at: usize, moved: usize, size: usize| size - 1 - (at + size - moved) % size;
            labels[(source(y, down, height), source(x, right, width))]
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoys_hold_as_much_ink_elsewhere() {
        let labels = Array2::from_shape_fn((8, 12), |(y, x)| y == 1 && x < 5);
        let all: Vec<_> = decoys(&labels).collect();
        assert_eq!(all.len(), 16);
        assert!(all[0][(6, 11)] && all[0][(6, 7)] && !all[0][(6, 6)]);
        assert!(all[5][(0, 2)] && all[5][(0, 10)] && all[5][(0, 11)]);
        for decoy in &all {
            assert_eq!(decoy.iter().filter(|&&ink| ink).count(), 5);
            assert_ne!(decoy, labels);
        }
    }
}
