use burn::tensor::Tensor;

/// Splits what projections to `N` times as many heads gave, one projection after another as timm keeps queries,
/// keys and values: views, of which nothing is copied.
///
/// # Shapes
/// - projected: `[groups, positions, N × heads × width]`
/// - outputs: `[groups, heads, positions, width]`
pub fn split_heads<const N: usize>(projected: Tensor<3>, heads: usize) -> [Tensor<4>; N] {
    let [groups, positions, features] = projected.dims();
    let all = projected
        .reshape([groups, positions, N * heads, features / (N * heads)])
        .swap_dims(1, 2);
    std::array::from_fn(|part| all.clone().narrow(1, part * heads, heads))
}
