//! The layers that a kernel sees as it moves along depth.

use std::ops::Range;

use burn::tensor::Tensor;

/// Layers of one volume that are made as a kernel moves along depth, and kept while it sees them.
#[derive(Debug, Default)]
pub struct LayerWindow {
    first: usize,
    /// `[1, layers, channels, height, width]`.
    layers: Option<Tensor<5>>,
}

impl LayerWindow {
    /// The layers `range`, `[1, layers, channels, height, width]`, of which `make` gives those that are new.
    /// Ranges begin and end no earlier than those before them.
    pub fn slide(
        &mut self,
        range: Range<usize>,
        make: impl FnOnce(Range<usize>) -> Tensor<4>,
    ) -> Tensor<5> {
        let made = |range| make(range).unsqueeze_dim::<5>(0);
        let layers = match self.layers.take() {
            None => made(range.clone()),
            Some(layers) => {
                let end = self.first + layers.dims()[1];
                let kept = (range.start < end)
                    .then(|| layers.narrow(1, range.start - self.first, end - range.start));
                let new = range.start.max(end)..range.end;
                let new = (!new.is_empty()).then(|| made(new));
                match (kept, new) {
                    (Some(kept), Some(new)) => Tensor::cat(vec![kept, new], 1),
                    (Some(layers), None) | (None, Some(layers)) => layers,
                    (None, None) => unreachable!("a range is not empty"),
                }
            }
        };
        self.first = range.start;
        self.layers = Some(layers.clone());
        layers
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn each_layer_is_made_once() {
        let mut window = LayerWindow::default();
        let mut made = Vec::new();
        for range in [0..2, 0..3, 1..4, 3..6, 3..6, 8..9] {
            let layers = window.slide(range.clone(), |range| {
                made.extend(range.clone());
                let range = range.start as i64..range.end as i64;
                let layers = Tensor::<1, burn::tensor::Int>::arange(range, &Device::flex());
                let count = layers.dims()[0];
                layers.float().reshape([count, 1, 1, 1])
            });
            let found: Vec<f32> = layers.into_data().try_into_vec().unwrap();
            let expected: Vec<f32> = range.map(|layer| layer as f32).collect();
            assert_eq!(found, expected);
        }
        assert_eq!(made, [0, 1, 2, 3, 4, 5, 8]);
    }
}
