use burn::tensor::Tensor;
use inkling_kernels::rearrange;

/// Which positions attend to each other in MaxViT (Tu et al., *MaxViT: multi-axis vision
/// transformer*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionKind {
    /// Neighbours within a square window.
    Block,
    /// Positions at equal strides over the whole image.
    Grid,
}

/// Cuts feature maps into groups of `size × size` positions and puts them together again.
#[derive(Clone, Copy, Debug)]
pub struct Partition {
    kind: PartitionKind,
    size: usize,
}

impl Partition {
    /// Groups of `size × size` positions; height and width must be multiples of `size`.
    pub fn new(kind: PartitionKind, size: usize) -> Self {
        Self { kind, size }
    }

    /// # Shapes
    /// - input: `[batch, height, width, channels]`
    /// - output: `[batch × groups, size × size, channels]`
    pub fn split(&self, input: Tensor<4>) -> Tensor<3> {
        let [batch, height, width, channels] = input.dims();
        let (rows, columns, size) = (height / self.size, width / self.size, self.size);
        let groups = [batch * rows * columns, size * size, channels];
        match self.kind {
            PartitionKind::Block => {
                let split = [batch * rows, size, columns, size * channels];
                rearrange(input, split, [0, 2, 1, 3], groups)
            }
            PartitionKind::Grid => {
                let split = [batch, size, rows, size, columns, channels];
                rearrange(input, split, [0, 2, 4, 1, 3, 5], groups)
            }
        }
    }

    /// The inverse of [`split`](Self::split), for feature maps of `[height, width]`.
    ///
    /// # Shapes
    /// - input: `[batch × groups, size × size, channels]`
    /// - output: `[batch, height, width, channels]`
    pub fn join(&self, input: Tensor<3>, [height, width]: [usize; 2]) -> Tensor<4> {
        let [groups, _, channels] = input.dims();
        let (rows, columns, size) = (height / self.size, width / self.size, self.size);
        let batch = groups / (rows * columns);
        let map = [batch, height, width, channels];
        match self.kind {
            PartitionKind::Block => {
                let split = [batch * rows, columns, size, size * channels];
                rearrange(input, split, [0, 2, 1, 3], map)
            }
            PartitionKind::Grid => {
                let split = [batch, rows, columns, size, size, channels];
                rearrange(input, split, [0, 3, 1, 4, 2, 5], map)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Int};

    /// Groups of the positions 0..16 of a 4 × 4 map.
    fn groups(kind: PartitionKind) -> Vec<i64> {
        let positions = Tensor::<1, Int>::arange(0..16, &Device::flex()).float();
        let split = Partition::new(kind, 2).split(positions.reshape([1, 4, 4, 1]));
        let values: Vec<f32> = split.into_data().try_to_vec().unwrap();
        values.iter().map(|&value| value as i64).collect()
    }

    #[test]
    fn a_block_is_a_neighbourhood_and_a_grid_strides_over_the_map() {
        assert_eq!(groups(PartitionKind::Block)[..8], [0, 1, 4, 5, 2, 3, 6, 7]);
        assert_eq!(groups(PartitionKind::Grid)[..8], [0, 2, 8, 10, 1, 3, 9, 11]);
    }

    #[test]
    fn join_undoes_split() {
        let map = Tensor::<1, Int>::arange(0..2 * 6 * 9 * 5, &Device::flex())
            .float()
            .reshape([2, 6, 9, 5]);
        for kind in [PartitionKind::Block, PartitionKind::Grid] {
            let partition = Partition::new(kind, 3);
            let there_and_back = partition.join(partition.split(map.clone()), [6, 9]);
            assert_eq!(there_and_back.into_data(), map.clone().into_data());
        }
    }
}
