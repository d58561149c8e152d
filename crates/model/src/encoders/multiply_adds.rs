//! How many multiplications an encoder does for one image: convolutions and matrix products, each
//! with its addition; norms and activations are left out, as is usual.

/// A convolution (or, with a kernel of 1, a linear layer) that gives a map of `side × side`.
pub fn conv(side: usize, [inputs, outputs]: [usize; 2], kernel: usize) -> u64 {
    area(side) * (inputs * outputs * kernel * kernel) as u64
}

/// A convolution of each channel by itself.
pub fn depthwise(side: usize, channels: usize, kernel: usize) -> u64 {
    area(side) * (channels * kernel * kernel) as u64
}

/// A linear layer on single vectors, `rows` of them.
pub fn linear(rows: usize, [inputs, outputs]: [usize; 2]) -> u64 {
    (rows * inputs * outputs) as u64
}

/// Projections to queries, keys and values and back, and products of `groups` groups of
/// `positions` with themselves, over `channels` channels.
pub fn attention(groups: usize, positions: usize, channels: usize) -> u64 {
    let vectors = groups * positions;
    linear(vectors, [channels, 4 * channels]) + 2 * linear(vectors, [positions, channels])
}

/// Two linear layers with four times as many features between, on every pixel of a map.
pub fn mlp(side: usize, channels: usize) -> u64 {
    2 * conv(side, [channels, 4 * channels], 1)
}

fn area(side: usize) -> u64 {
    (side * side) as u64
}
