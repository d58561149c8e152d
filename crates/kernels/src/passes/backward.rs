//! The ways back of operations bound by memory.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use super::{Passes, last_of, turned_pairs};
use crate::batch_norm::Scales;
use crate::buffers::{dims, in_one_piece, taken, values, with_values};
use crate::differentiable::differentiable;
use crate::unfold::{Window, fold};
use crate::{
    Activation, batch_norm, enlarge, features, gated, lengths, planes, relative, response_norm,
};

impl<C: CheckpointStrategy> Passes for Autodiff<Flex, C> {
    fn rearrange(
        x: FloatTensor<Self>,
        split: Vec<usize>,
        order: Vec<usize>,
        shape: Vec<usize>,
    ) -> FloatTensor<Self> {
        let way = Order::new(x.primitive().layout(), &split, &order);
        differentiable!(Rearrange, [x], way, Flex::rearrange(x, split, order, shape))
    }

    fn sum_of_two(left: FloatTensor<Self>, right: FloatTensor<Self>) -> FloatTensor<Self> {
        differentiable!(SumOfTwo, [left, right], (), Flex::sum_of_two(left, right))
    }

    fn sum_with_scaled(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        scale: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        differentiable!(
            SumWithScaled,
            [x, y, scale],
            (y.clone(), scale.clone()),
            Flex::sum_with_scaled(x, y, scale)
        )
    }

    fn rope(
        x: FloatTensor<Self>,
        sines: FloatTensor<Self>,
        cosines: FloatTensor<Self>,
        turned: usize,
    ) -> FloatTensor<Self> {
        let (sines, cosines) = (sines.into_primitive(), cosines.into_primitive());
        differentiable!(
            TurnPairs,
            [x],
            (sines.clone(), cosines.clone(), turned),
            Flex::rope(x, sines, cosines, turned)
        )
    }

    fn gate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        differentiable!(
            Gate,
            [x],
            (x.clone(), activation),
            Flex::gate(x, activation)
        )
    }

    fn respond(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        differentiable!(
            Respond,
            [x, weight, bias],
            (x.clone(), weight.clone()),
            Flex::respond(x, weight, bias)
        )
    }

    fn star_relu(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        differentiable!(
            StarRectify,
            [x, scale, bias],
            (x.clone(), scale.clone()),
            Flex::star_relu(x, scale, bias)
        )
    }

    fn upsample2x_concat(x: FloatTensor<Self>, skip: FloatTensor<Self>) -> FloatTensor<Self> {
        differentiable!(
            DoubleAndJoin,
            [x, skip],
            dims::<4>(&x),
            Flex::upsample2x_concat(x, skip)
        )
    }

    fn unfold_windows(x: FloatTensor<Self>, window: Window) -> FloatTensor<Self> {
        differentiable!(UnfoldWindows, [x], window, Flex::unfold_windows(x, window))
    }

    fn roll_maps(x: FloatTensor<Self>, by: [usize; 2]) -> FloatTensor<Self> {
        differentiable!(RollMaps, [x], by, Flex::roll_maps(x, by))
    }

    fn expand_position_bias(table: FloatTensor<Self>, size: usize) -> FloatTensor<Self> {
        differentiable!(
            SpreadPositions,
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
            SetLengths,
            [x, lengths],
            (x.clone(), lengths.clone(), width),
            Flex::l2_normalize(x, lengths, width)
        )
    }

    fn mean_over_pixels(x: FloatTensor<Self>) -> FloatTensor<Self> {
        differentiable!(
            MeanOverPixels,
            [x],
            dims::<4>(&x),
            Flex::mean_over_pixels(x)
        )
    }

    fn scale_planes(x: FloatTensor<Self>, factors: FloatTensor<Self>) -> FloatTensor<Self> {
        differentiable!(
            ScalePlanes,
            [x, factors],
            (x.clone(), factors.clone()),
            Flex::scale_planes(x, factors)
        )
    }

    fn normalize_channels(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        scales: Scales,
    ) -> FloatTensor<Self> {
        differentiable!(
            NormalizeChannels,
            [x, weight, bias],
            (x.clone(), weight.clone(), scales.clone()),
            Flex::normalize_channels(x, weight, bias, scales)
        )
    }
}

/// Gives a parent its gradient, if it asks for one.
macro_rules! register {
    ($grads:ident, $parent:expr, $gradient:expr) => {
        if let Some(parent) = &$parent {
            $grads.register::<Flex>(parent.id, $gradient);
        }
    };
}

/// A struct without fields, and how it hands gradients back.
macro_rules! way_back {
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

/// How a rearranged tensor finds back.
#[derive(Clone, Debug)]
struct Order {
    /// The sizes that were put in another order, in that order.
    sizes: Vec<usize>,
    /// The order that undoes it.
    back: Vec<usize>,
    /// The tensor's own sizes.
    shape: Vec<usize>,
}

impl Order {
    fn new(layout: &Layout, split: &[usize], order: &[usize]) -> Self {
        let mut back = vec![0; order.len()];
        for (place, &axis) in order.iter().enumerate() {
            back[axis] = place;
        }
        Self {
            sizes: order.iter().map(|&axis| split[axis]).collect(),
            back,
            shape: (0..layout.num_dims())
                .map(|axis| layout.shape()[axis])
                .collect(),
        }
    }
}

way_back!(Rearrange, 1, Order, |ops, grads, gradient| {
    let Order { sizes, back, shape } = ops.state;
    let gradient = Flex::rearrange(gradient, sizes, back, shape);
    register!(grads, ops.parents[0], gradient);
});

way_back!(SumOfTwo, 2, (), |ops, grads, gradient| {
    register!(grads, ops.parents[0], gradient.clone());
    register!(grads, ops.parents[1], gradient);
});

way_back!(
    SumWithScaled,
    3,
    (FlexTensor, FlexTensor),
    |ops, grads, gradient| {
        let gradient = in_one_piece(gradient);
        let (y, scale) = (in_one_piece(ops.state.0), in_one_piece(ops.state.1));
        let size = values(&scale).len();
        if let Some(parent) = &ops.parents[2] {
            let slope = features::sum_products(values(&gradient), values(&y), size);
            grads.register::<Flex>(parent.id, with_values(slope, [size]));
        }
        register!(grads, ops.parents[0], gradient.clone());
        if let Some(parent) = &ops.parents[1] {
            let mut slope = taken(gradient);
            let zeros = vec![0.0; size];
            features::scale_and_shift(slope.storage_mut(), values(&scale), &zeros);
            grads.register::<Flex>(parent.id, slope);
        }
    }
);

way_back!(
    TurnPairs,
    1,
    (FlexTensor, FlexTensor, usize),
    |ops, grads, gradient| {
        let (sines, cosines, turned) = ops.state;
        let (sines, cosines) = (in_one_piece(sines), in_one_piece(cosines));
        let gradient = turned_pairs(gradient, &sines, &cosines, turned, true);
        register!(grads, ops.parents[0], gradient);
    }
);

way_back!(Gate, 1, (FlexTensor, Activation), |ops, grads, gradient| {
    let (x, activation) = ops.state;
    let (x, gradient) = (in_one_piece(x), in_one_piece(gradient));
    let hidden = last_of(&gradient);
    let slope = gated::backward(values(&x), values(&gradient), hidden, activation);
    let shape = x.layout().shape().clone();
    register!(grads, ops.parents[0], with_values(slope, shape));
});

way_back!(
    Respond,
    3,
    (FlexTensor, FlexTensor),
    |ops, grads, gradient| {
        let mut gradient = taken(gradient);
        let (x, weight) = (in_one_piece(ops.state.0), in_one_piece(ops.state.1));
        let [_, height, width, features] = dims(&x);
        let slopes = response_norm::backward(
            values(&x),
            height * width,
            values(&weight),
            gradient.storage_mut(),
        );
        register!(grads, ops.parents[0], gradient);
        register!(
            grads,
            ops.parents[1],
            with_values(slopes.weight, [features])
        );
        register!(grads, ops.parents[2], with_values(slopes.bias, [features]));
    }
);

way_back!(
    StarRectify,
    3,
    (FlexTensor, FlexTensor),
    |ops, grads, gradient| {
        let mut gradient = taken(gradient);
        let (x, scale) = (in_one_piece(ops.state.0), in_one_piece(ops.state.1));
        let scale = values(&scale)[0];
        let [by_scale, by_bias] =
            crate::star_relu::backward(values(&x), gradient.storage_mut(), scale);
        register!(grads, ops.parents[0], gradient);
        register!(grads, ops.parents[1], with_values(vec![by_scale], [1]));
        register!(grads, ops.parents[2], with_values(vec![by_bias], [1]));
    }
);

way_back!(DoubleAndJoin, 2, [usize; 4], |ops, grads, gradient| {
    let [batch, channels, height, width] = ops.state;
    let [_, all, _, _]: [usize; 4] = dims(&gradient);
    let part = |start, count| {
        let layout = gradient.layout().narrow(1, start, count);
        gradient.clone().with_layout(layout)
    };
    if let Some(parent) = &ops.parents[0] {
        let enlarged = in_one_piece(part(0, channels));
        let mut slope = vec![0.0; batch * channels * height * width];
        enlarge::halve(values(&enlarged), [height, width], &mut slope);
        grads.register::<Flex>(parent.id, with_values(slope, ops.state));
    }
    register!(grads, ops.parents[1], part(channels, all - channels));
});

way_back!(UnfoldWindows, 1, Window, |ops, grads, gradient| {
    let (window, gradient) = (ops.state, in_one_piece(gradient));
    let shape = [window.batch, window.height, window.width, window.channels];
    let slope = with_values(fold(window, values(&gradient)), shape);
    register!(grads, ops.parents[0], slope);
});

way_back!(RollMaps, 1, [usize; 2], |ops, grads, gradient| {
    let [_, height, width, _]: [usize; 4] = dims(&gradient);
    let [rows, columns] = ops.state;
    let back = [height - rows % height, width - columns % width];
    register!(grads, ops.parents[0], Flex::roll_maps(gradient, back));
});

way_back!(SpreadPositions, 1, usize, |ops, grads, gradient| {
    let gradient = in_one_piece(gradient);
    let [heads, ..]: [usize; 3] = dims(&gradient);
    let table = relative::gather(values(&gradient), ops.state, heads);
    let shape = [table.len() / heads, heads];
    register!(grads, ops.parents[0], with_values(table, shape));
});

way_back!(
    SetLengths,
    2,
    (FlexTensor, FlexTensor, usize),
    |ops, grads, gradient| {
        let (x, wanted, width) = ops.state;
        let (x, wanted) = (in_one_piece(x), in_one_piece(wanted));
        let mut gradient = taken(gradient);
        let slope = lengths::backward(
            values(&x),
            gradient.storage_mut(),
            last_of(&x),
            width,
            values(&wanted),
        );
        let vectors = slope.len();
        register!(grads, ops.parents[0], gradient);
        register!(grads, ops.parents[1], with_values(slope, [vectors]));
    }
);

way_back!(MeanOverPixels, 1, [usize; 4], |ops, grads, gradient| {
    let [_, _, height, width] = ops.state;
    let (gradient, area) = (in_one_piece(gradient), height * width);
    let share = |g: &f32| g / area as f32;
    let shares: Vec<f32> = values(&gradient).iter().map(share).collect();
    let slope = with_values(planes::filled(&shares, area), ops.state);
    register!(grads, ops.parents[0], slope);
});

way_back!(
    ScalePlanes,
    2,
    (FlexTensor, FlexTensor),
    |ops, grads, gradient| {
        let mut gradient = taken(gradient);
        let (x, factors) = (in_one_piece(ops.state.0), in_one_piece(ops.state.1));
        let [batch, channels, height, width] = dims(&x);
        if let Some(parent) = &ops.parents[1] {
            let slope = planes::sum_products(values(&gradient), values(&x), height * width);
            grads.register::<Flex>(parent.id, with_values(slope, [batch, channels, 1, 1]));
        }
        planes::scale(gradient.storage_mut(), height * width, values(&factors));
        register!(grads, ops.parents[0], gradient);
    }
);

way_back!(
    NormalizeChannels,
    3,
    (FlexTensor, FlexTensor, Scales),
    |ops, grads, gradient| {
        let (x, weight, scales) = ops.state;
        let (x, weight) = (in_one_piece(x), in_one_piece(weight));
        let mut gradient = taken(gradient);
        let [_, channels, height, width] = dims(&x);
        let slopes = batch_norm::backward(
            values(&x),
            gradient.storage_mut(),
            height * width,
            &scales,
            values(&weight),
        );
        register!(grads, ops.parents[0], gradient);
        register!(
            grads,
            ops.parents[1],
            with_values(slopes.weight, [channels])
        );
        register!(grads, ops.parents[2], with_values(slopes.bias, [channels]));
    }
);
