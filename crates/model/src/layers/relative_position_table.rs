use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use inkling_kernels::relative_position_index;

use super::Initializer;

/// Attention biases read from a table of relative positions, as the authors' MaxViT has them
/// (timm's `RelPosBiasTf`).
#[derive(Module, Debug)]
pub struct RelativePositionTable {
    /// `[heads, 2 size − 1, 2 size − 1]`, key minus query.
    pub relative_position_bias_table: Param<Tensor<3>>,
    size: usize,
}

impl RelativePositionTable {
    /// Biases for `heads` heads over groups of `size × size` positions.
    pub fn new(size: usize, heads: usize, device: &Device) -> Self {
        let start = Initializer::Normal { std: 0.02 };
        let reach = 2 * size - 1;
        Self {
            relative_position_bias_table: start.init([heads, reach, reach], device),
            size,
        }
    }

    /// The biases to add to attention scores.
    ///
    /// # Shapes
    /// - output: `[heads, size × size, size × size]` (query, key)
    pub fn forward(&self) -> Tensor<3> {
        let table = self.relative_position_bias_table.val();
        let [heads, reach, _] = table.dims();
        let area = self.size * self.size;
        let index = TensorData::new(relative_position_index(self.size), [area * area]);
        let index = Tensor::from_data(index, &table.device());
        // The index counts query minus key; the table is laid out the other way round.
        table
            .reshape([heads, reach * reach])
            .select(1, index)
            .reshape([heads, area, area])
            .swap_dims(1, 2)
    }
}
