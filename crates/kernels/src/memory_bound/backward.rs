//! The backward passes of operations bound by memory.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use super::ops::{MemoryBoundOps, last_dim, rotated};
use crate::batch_norm::BatchNormStats;
use crate::compute::backward::differentiable;
use crate::flex_tensors::{contiguous, dims, from_values, into_owned, values};
use crate::glu::GateHalf;
use crate::{
    Activation, batch_norm, channels_first, channels_last, glu, grn, l2_normalize, position_bias,
    upsample,
};

impl<C: CheckpointStrategy> MemoryBoundOps for Autodiff<Flex, C> {
    fn rearrange(
        x: FloatTensor<Self>,
        split: Vec<usize>,
        order: Vec<usize>,
        shape: Vec<usize>,
    ) -> FloatTensor<Self> {
        let inverse = InverseOrder::new(x.primitive().layout(), &split, &order);
        differentiable!(
            Rearrange,
            [x],
            inverse,
            Flex::rearrange(x, split, order, shape)
        )
    }

    fn add(left: FloatTensor<Self>, right: FloatTensor<Self>) -> FloatTensor<Self> {
        differentiable!(Add, [left, right], (), Flex::add(left, right))
    }

    fn add_scaled(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        scale: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        differentiable!(
            AddScaled,
            [x, y, scale],
            (y.clone(), scale.clone()),
            Flex::add_scaled(x, y, scale)
        )
    }

    fn rope(
        x: FloatTensor<Self>,
        sines: FloatTensor<Self>,
        cosines: FloatTensor<Self>,
        rotary: usize,
    ) -> FloatTensor<Self> {
        let (sines, cosines) = (sines.into_primitive(), cosines.into_primitive());
        differentiable!(
            Rope,
            [x],
            (sines.clone(), cosines.clone(), rotary),
            Flex::rope(x, sines, cosines, rotary)
        )
    }

    fn glu(x: FloatTensor<Self>, activation: Activation, gate: GateHalf) -> FloatTensor<Self> {
        differentiable!(
            Glu,
            [x],
            (x.clone(), activation, gate),
            Flex::glu(x, activation, gate)
        )
    }

    fn grn(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        differentiable!(
            Grn,
            [x, weight, bias],
            (x.clone(), weight.clone()),
            Flex::grn(x, weight, bias)
        )
    }

    fn star_relu(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        differentiable!(
            StarRelu,
            [x, scale, bias],
            (x.clone(), scale.clone()),
            Flex::star_relu(x, scale, bias)
        )
    }

    fn upsample2x_concat(x: FloatTensor<Self>, skip: FloatTensor<Self>) -> FloatTensor<Self> {
        differentiable!(
            Upsample2xConcat,
            [x, skip],
            dims::<4>(&x),
            Flex::upsample2x_concat(x, skip)
        )
    }

    fn roll(x: FloatTensor<Self>, by: [usize; 2]) -> FloatTensor<Self> {
        differentiable!(Roll, [x], by, Flex::roll(x, by))
    }

    fn expand_position_bias(table: FloatTensor<Self>, size: usize) -> FloatTensor<Self> {
        differentiable!(
            ExpandPositionBias,
            [table],
            size,
            Flex::expand_position_bias(table, size)
        )
    }

    fn l2_normalize(
        x: FloatTensor<Self>,
        lengths: FloatTensor<Self>,
        width: usize,
    ) -> FloatTensor<Self> {
        differentiable!(
            L2Normalize,
            [x, lengths],
            (x.clone(), lengths.clone(), width),
            Flex::l2_normalize(x, lengths, width)
        )
    }

    fn global_avg_pool(x: FloatTensor<Self>) -> FloatTensor<Self> {
        differentiable!(GlobalAvgPool, [x], dims::<4>(&x), Flex::global_avg_pool(x))
    }

    fn scale_channels(x: FloatTensor<Self>, factors: FloatTensor<Self>) -> FloatTensor<Self> {
        differentiable!(
            ScaleChannels,
            [x, factors],
            (x.clone(), factors.clone()),
            Flex::scale_channels(x, factors)
        )
    }

    fn norm_channels(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stats: BatchNormStats,
    ) -> FloatTensor<Self> {
        differentiable!(
            BatchNorm,
            [x, weight, bias],
            (x.clone(), weight.clone(), stats.clone()),
            Flex::norm_channels(x, weight, bias, stats)
        )
    }
}

/// Registers a parent's gradient, if the parent is tracked.
macro_rules! register {
    ($grads:ident, $parent:expr, $gradient:expr) => {
        if let Some(parent) = &$parent {
            $grads.register::<Flex>(parent.id, $gradient);
        }
    };
}

/// Declares a backward pass: a unit struct, its number of parents, its state, and its body.
macro_rules! backward_op {
    ($name:ident, $parents:literal, $state:ty, |$ops:ident, $grads:ident, $gradient:ident| $body:block) => {
        #[derive(Debug)]
        struct $name;

        impl Backward<Flex, $parents> for $name {
            type State = $state;

            fn backward(
                self,
                $ops: Ops<Self::State, $parents>,
                $grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let $gradient = $grads.consume::<Flex>(&$ops.node);
                $body
            }
        }
    };
}

/// The inverse of a [`crate::rearrange`].
#[derive(Clone, Debug)]
struct InverseOrder {
    /// Sizes of the permuted axes.
    sizes: Vec<usize>,
    /// The inverse permutation.
    permutation: Vec<usize>,
    /// The input's shape.
    shape: Vec<usize>,
}

impl InverseOrder {
    fn new(layout: &Layout, split: &[usize], order: &[usize]) -> Self {
        let mut back = vec![0; order.len()];
        for (place, &axis) in order.iter().enumerate() {
            back[axis] = place;
        }
        Self {
            sizes: order.iter().map(|&axis| split[axis]).collect(),
            permutation: back,
            shape: (0..layout.num_dims())
                .map(|axis| layout.shape()[axis])
                .collect(),
        }
    }
}

backward_op!(Rearrange, 1, InverseOrder, |ops, grads, gradient| {
    let InverseOrder {
        sizes,
        permutation,
        shape,
    } = ops.state;
    let gradient = Flex::rearrange(gradient, sizes, permutation, shape);
    register!(grads, ops.parents[0], gradient);
});

backward_op!(Add, 2, (), |ops, grads, gradient| {
    register!(grads, ops.parents[0], gradient.clone());
    register!(grads, ops.parents[1], gradient);
});

backward_op!(
    AddScaled,
    3,
    (FlexTensor, FlexTensor),
    |ops, grads, gradient| {
        let gradient = contiguous(gradient);
        let (y, scale) = (contiguous(ops.state.0), contiguous(ops.state.1));
        let size = values(&scale).len();
        if let Some(parent) = &ops.parents[2] {
            let grad = channels_last::sum_products(values(&gradient), values(&y), size);
            grads.register::<Flex>(parent.id, from_values(grad, [size]));
        }
        register!(grads, ops.parents[0], gradient.clone());
        if let Some(parent) = &ops.parents[1] {
            let mut grad = into_owned(gradient);
            let zeros = vec![0.0; size];
            channels_last::scale_and_shift(grad.storage_mut(), values(&scale), &zeros);
            grads.register::<Flex>(parent.id, grad);
        }
    }
);

backward_op!(
    Rope,
    1,
    (FlexTensor, FlexTensor, usize),
    |ops, grads, gradient| {
        let (sines, cosines, rotary) = ops.state;
        let (sines, cosines) = (contiguous(sines), contiguous(cosines));
        let gradient = rotated(gradient, &sines, &cosines, rotary, true);
        register!(grads, ops.parents[0], gradient);
    }
);

backward_op!(
    Glu,
    1,
    (FlexTensor, Activation, GateHalf),
    |ops, grads, gradient| {
        let (x, activation, gate) = ops.state;
        let (x, gradient) = (contiguous(x), contiguous(gradient));
        let hidden = last_dim(&gradient);
        let grad = glu::backward(values(&x), values(&gradient), hidden, (activation, gate));
        let shape = x.layout().shape().clone();
        register!(grads, ops.parents[0], from_values(grad, shape));
    }
);

backward_op!(Grn, 3, (FlexTensor, FlexTensor), |ops, grads, gradient| {
    let mut gradient = into_owned(gradient);
    let (x, weight) = (contiguous(ops.state.0), contiguous(ops.state.1));
    let [_, height, width, features] = dims(&x);
    let weight_grads = grn::backward(
        values(&x),
        height * width,
        values(&weight),
        gradient.storage_mut(),
    );
    register!(grads, ops.parents[0], gradient);
    register!(
        grads,
        ops.parents[1],
        from_values(weight_grads.weight, [features])
    );
    register!(
        grads,
        ops.parents[2],
        from_values(weight_grads.bias, [features])
    );
});

backward_op!(
    StarRelu,
    3,
    (FlexTensor, FlexTensor),
    |ops, grads, gradient| {
        let mut gradient = into_owned(gradient);
        let (x, scale) = (contiguous(ops.state.0), contiguous(ops.state.1));
        let scale = values(&scale)[0];
        let [by_scale, by_bias] =
            crate::star_relu::backward(values(&x), gradient.storage_mut(), scale);
        register!(grads, ops.parents[0], gradient);
        register!(grads, ops.parents[1], from_values(vec![by_scale], [1]));
        register!(grads, ops.parents[2], from_values(vec![by_bias], [1]));
    }
);

backward_op!(Upsample2xConcat, 2, [usize; 4], |ops, grads, gradient| {
    let [batch, channels, height, width] = ops.state;
    let [_, all, _, _]: [usize; 4] = dims(&gradient);
    let part = |start, count| {
        let layout = gradient.layout().narrow(1, start, count);
        gradient.clone().with_layout(layout)
    };
    if let Some(parent) = &ops.parents[0] {
        let upsampled = contiguous(part(0, channels));
        let mut grad = vec![0.0; batch * channels * height * width];
        upsample::backward(values(&upsampled), [height, width], &mut grad);
        grads.register::<Flex>(parent.id, from_values(grad, ops.state));
    }
    register!(grads, ops.parents[1], part(channels, all - channels));
});

backward_op!(Roll, 1, [usize; 2], |ops, grads, gradient| {
    let [_, height, width, _]: [usize; 4] = dims(&gradient);
    let [rows, columns] = ops.state;
    let back = [height - rows % height, width - columns % width];
    register!(grads, ops.parents[0], Flex::roll(gradient, back));
});

backward_op!(ExpandPositionBias, 1, usize, |ops, grads, gradient| {
    let gradient = contiguous(gradient);
    let [heads, ..]: [usize; 3] = dims(&gradient);
    let table = position_bias::backward(values(&gradient), ops.state, heads);
    let shape = [table.len() / heads, heads];
    register!(grads, ops.parents[0], from_values(table, shape));
});

backward_op!(
    L2Normalize,
    2,
    (FlexTensor, FlexTensor, usize),
    |ops, grads, gradient| {
        let (x, wanted, width) = ops.state;
        let (x, wanted) = (contiguous(x), contiguous(wanted));
        let mut gradient = into_owned(gradient);
        let grad = l2_normalize::backward(
            values(&x),
            gradient.storage_mut(),
            last_dim(&x),
            width,
            values(&wanted),
        );
        let vectors = grad.len();
        register!(grads, ops.parents[0], gradient);
        register!(grads, ops.parents[1], from_values(grad, [vectors]));
    }
);

backward_op!(GlobalAvgPool, 1, [usize; 4], |ops, grads, gradient| {
    let [_, _, height, width] = ops.state;
    let (gradient, area) = (contiguous(gradient), height * width);
    let share = |g: &f32| g / area as f32;
    let probabilities: Vec<f32> = values(&gradient).iter().map(share).collect();
    let grad = from_values(channels_first::filled(&probabilities, area), ops.state);
    register!(grads, ops.parents[0], grad);
});

backward_op!(
    ScaleChannels,
    2,
    (FlexTensor, FlexTensor),
    |ops, grads, gradient| {
        let mut gradient = into_owned(gradient);
        let (x, factors) = (contiguous(ops.state.0), contiguous(ops.state.1));
        let [batch, channels, height, width] = dims(&x);
        if let Some(parent) = &ops.parents[1] {
            let grad = channels_first::sum_products(values(&gradient), values(&x), height * width);
            grads.register::<Flex>(parent.id, from_values(grad, [batch, channels, 1, 1]));
        }
        channels_first::scale(gradient.storage_mut(), height * width, values(&factors));
        register!(grads, ops.parents[0], gradient);
    }
);

backward_op!(
    BatchNorm,
    3,
    (FlexTensor, FlexTensor, BatchNormStats),
    |ops, grads, gradient| {
        let (x, weight, stats) = ops.state;
        let (x, weight) = (contiguous(x), contiguous(weight));
        let mut gradient = into_owned(gradient);
        let [_, channels, height, width] = dims(&x);
        let weight_grads = batch_norm::backward(
            values(&x),
            gradient.storage_mut(),
            height * width,
            &stats,
            values(&weight),
        );
        register!(grads, ops.parents[0], gradient);
        register!(
            grads,
            ops.parents[1],
            from_values(weight_grads.weight, [channels])
        );
        register!(
            grads,
            ops.parents[2],
            from_values(weight_grads.bias, [channels])
        );
    }
);
