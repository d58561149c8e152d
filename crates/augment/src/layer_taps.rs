/// Which layers of a crop make each layer of a sample: two neighbours and the weight of the second.
#[derive(Clone, Debug)]
pub(crate) struct LayerTaps {
    pub below: Vec<usize>,
    pub above: Vec<usize>,
    pub weight: Vec<f32>,
}

impl LayerTaps {
    /// `outputs` layers over `inputs`: layers' centres are aligned as OpenCV's `resize` aligns
    /// pixels, without antialiasing, so that output `i` of `n` lies at `(i + ½) · m / n − ½` of the
    /// input's `m`. Beyond the ends the outermost layer counts.
    pub fn resized(inputs: usize, outputs: usize) -> Self {
        let last = inputs - 1;
        let place = |index: usize| (index as f64 + 0.5) * inputs as f64 / outputs as f64 - 0.5;
        let places = (0..outputs).map(|index| place(index).clamp(0.0, last as f64));
        let (below, weight) = places
            .map(|place| {
                let below = (place as usize).min(last.saturating_sub(1));
                (below, (place - below as f64) as f32)
            })
            .unzip();
        Self::between(below, last, weight)
    }

    /// Those layers, as they are.
    pub fn chosen(layers: &[usize]) -> Self {
        Self {
            below: layers.to_vec(),
            above: layers.to_vec(),
            weight: vec![0.0; layers.len()],
        }
    }

    fn between(below: Vec<usize>, last: usize, weight: Vec<f32>) -> Self {
        let above = below.iter().map(|&layer| (layer + 1).min(last)).collect();
        Self {
            below,
            above,
            weight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centres_are_aligned() {
        // cv2.resize of [0, 1, 2, 3] to two pixels gives [0.5, 2.5], to eight begins 0, 0.25.
        let halved = LayerTaps::resized(4, 2);
        assert_eq!((halved.below[0], halved.weight[0]), (0, 0.5));
        assert_eq!((halved.below[1], halved.weight[1]), (2, 0.5));
        let doubled = LayerTaps::resized(4, 8);
        assert_eq!((doubled.below[0], doubled.weight[0]), (0, 0.0));
        assert_eq!((doubled.below[1], doubled.weight[1]), (0, 0.25));
        assert_eq!((doubled.below[7], doubled.weight[7]), (2, 1.0));
        let single = LayerTaps::resized(1, 3);
        assert_eq!(single.above, [0, 0, 0]);
    }
}
