/// Where the pixels of one axis come from: two neighbours and the weight of the second.
///
/// Pixel centres are aligned as OpenCV's `resize` aligns them, without antialiasing: output `i` of
/// `n` lies at `(i + ½) · m / n − ½` of the input's `m`.
#[derive(Clone, Debug)]
pub(crate) struct Taps {
    pub below: Vec<usize>,
    pub weight: Vec<f32>,
}

impl Taps {
    /// `outputs` places over `inputs` pixels; beyond the ends the outermost pixel counts.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        let last = inputs - 1;
        let places =
            (0..outputs).map(|index| place(index, inputs, outputs).clamp(0.0, last as f64));
        let (below, weight) = places
            .map(|place| {
                let below = (place as usize).min(last.saturating_sub(1));
                (below, (place - below as f64) as f32)
            })
            .unzip();
        Self { below, weight }
    }

    /// The neighbour after `below`, for axes of a single pixel the same one.
    pub fn above(&self, index: usize, inputs: usize) -> usize {
        (self.below[index] + 1).min(inputs - 1)
    }
}

fn place(index: usize, inputs: usize, outputs: usize) -> f64 {
    (index as f64 + 0.5) * inputs as f64 / outputs as f64 - 0.5
}

/// The input pixel nearest to output `index`, as OpenCV's `INTER_NEAREST` takes it.
pub(crate) fn nearest(index: usize, inputs: usize, outputs: usize) -> usize {
    (index * inputs / outputs).min(inputs - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centres_are_aligned() {
        // cv2.resize of [0, 1, 2, 3] to two pixels gives [0.5, 2.5], to eight begins 0, 0.25.
        let halved = Taps::new(4, 2);
        assert_eq!((halved.below[0], halved.weight[0]), (0, 0.5));
        assert_eq!((halved.below[1], halved.weight[1]), (2, 0.5));
        let doubled = Taps::new(4, 8);
        assert_eq!((doubled.below[0], doubled.weight[0]), (0, 0.0));
        assert_eq!((doubled.below[1], doubled.weight[1]), (0, 0.25));
        assert_eq!((doubled.below[7], doubled.weight[7]), (2, 1.0));
    }
}
