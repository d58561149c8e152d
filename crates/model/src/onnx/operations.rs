//! What each recorded operation is in ONNX, by the operators of opset 17.

use std::ops::Range;

use burn::tensor::{DType, Slice};
use burn_ir::{
    ActivationOperationIr, BaseOperationIr, BinaryOpIr, BoolOperationIr, FloatOperationIr,
    IntOperationIr, NumericOperationIr, OperationIr, PadModeIr, ReduceDimOpIr, ScalarIr,
    ScalarOpIr, ShapeOpIr, SliceAssignOpIr, SliceOpIr, TensorIr, UnaryOpIr,
};

use super::graph::{Graph, float, int, ints, text, whole};
use super::layers::add_layer;
use super::proto::TensorProto;

/// What an operation is called that has no counterpart here.
pub type Unknown = String;

/// Adds the nodes of an operation.
///
/// # Errors
/// [`Unknown`] for an operation that networks do not use in prediction.
pub fn add(graph: &mut Graph, operation: &OperationIr) -> Result<(), Unknown> {
    match operation {
        // Its values are among the constants.
        OperationIr::Init(_) | OperationIr::Drop(_) => {}
        OperationIr::BaseFloat(base) | OperationIr::BaseInt(base) | OperationIr::BaseBool(base) => {
            return add_base(graph, base);
        }
        OperationIr::NumericFloat(_, numeric) | OperationIr::NumericInt(_, numeric) => {
            return add_numeric(graph, numeric);
        }
        OperationIr::Bool(operation) => match operation {
            BoolOperationIr::IntoFloat(op) | BoolOperationIr::IntoInt(op) => {
                cast(graph, &op.input, &op.out);
            }
            BoolOperationIr::Not(op) => unary(graph, "Not", op),
            BoolOperationIr::And(op) => binary(graph, "And", op),
            BoolOperationIr::Or(op) => binary(graph, "Or", op),
            BoolOperationIr::Xor(op) => binary(graph, "Xor", op),
        },
        OperationIr::Int(IntOperationIr::IntoFloat(op)) => cast(graph, &op.input, &op.out),
        OperationIr::Float(_, float) => return add_float(graph, float),
        OperationIr::Module(layer) => return add_layer(graph, layer),
        OperationIr::Activation(activation) => return add_activation(graph, activation),
        other => return Err(name_of(other)),
    }
    Ok(())
}

/// The operation's name, the first words of how it is printed.
pub fn name_of(operation: &impl std::fmt::Debug) -> Unknown {
    let printed = format!("{operation:?}");
    let end = printed.find(['(', ' ']).unwrap_or(printed.len());
    printed[..end].to_owned()
}

fn add_base(graph: &mut Graph, operation: &BaseOperationIr) -> Result<(), Unknown> {
    match operation {
        BaseOperationIr::Reshape(op) => shaped(graph, "Reshape", op),
        BaseOperationIr::Expand(op) => shaped(graph, "Expand", op),
        BaseOperationIr::SwapDims(op) => {
            let mut axes: Vec<usize> = (0..op.input.shape.num_dims()).collect();
            axes.swap(op.dim1, op.dim2);
            let input = graph.name(&op.input);
            graph.node("Transpose", [input], &op.out, [ints("perm", axes)]);
        }
        BaseOperationIr::Permute(op) => {
            let input = graph.name(&op.input);
            let axes = op.axes.iter().copied();
            graph.node("Transpose", [input], &op.out, [ints("perm", axes)]);
        }
        BaseOperationIr::Flip(op) => {
            let axes = &op.axes;
            let inputs = [
                graph.name(&op.input),
                graph.ints(&vec![-1; axes.len()]),
                graph.ints(&vec![i64::MIN; axes.len()]),
                graph.ints(&whole(axes)),
                graph.ints(&vec![-1; axes.len()]),
            ];
            graph.node("Slice", inputs, &op.out, []);
        }
        BaseOperationIr::Slice(op) => slice(graph, op),
        BaseOperationIr::SliceAssign(op) => return slice_assign(graph, op),
        BaseOperationIr::Select(op) => {
            let inputs = [graph.name(&op.tensor), graph.name(&op.indices)];
            graph.node("Gather", inputs, &op.out, [int("axis", op.dim)]);
        }
        BaseOperationIr::Gather(op) => {
            let inputs = [graph.name(&op.tensor), graph.name(&op.indices)];
            graph.node("GatherElements", inputs, &op.out, [int("axis", op.dim)]);
        }
        BaseOperationIr::MaskWhere(op) => {
            let inputs = [&op.mask, &op.value, &op.tensor].map(|tensor| graph.name(tensor));
            graph.node("Where", inputs, &op.out, []);
        }
        BaseOperationIr::MaskFill(op) => {
            let value = graph.scalar(number(op.value), &op.tensor);
            let inputs = [graph.name(&op.mask), value, graph.name(&op.tensor)];
            graph.node("Where", inputs, &op.out, []);
        }
        BaseOperationIr::Equal(op) => binary(graph, "Equal", op),
        BaseOperationIr::EqualElem(op) => with_scalar(graph, "Equal", op),
        BaseOperationIr::RepeatDim(op) => {
            let mut times = vec![1; op.tensor.shape.num_dims()];
            times[op.dim] = op.times as i64;
            let inputs = [graph.name(&op.tensor), graph.ints(&times)];
            graph.node("Tile", inputs, &op.out, []);
        }
        BaseOperationIr::Cat(op) => {
            let inputs: Vec<_> = op.tensors.iter().map(|tensor| graph.name(tensor)).collect();
            graph.node("Concat", inputs, &op.out, [int("axis", op.dim)]);
        }
        BaseOperationIr::Cast(op) => cast(graph, &op.input, &op.out),
        BaseOperationIr::Ones(op) => fill(graph, 1.0, &op.out),
        BaseOperationIr::Zeros(op) | BaseOperationIr::Empty(op) => fill(graph, 0.0, &op.out),
        other => return Err(name_of(other)),
    }
    Ok(())
}

fn add_numeric(graph: &mut Graph, operation: &NumericOperationIr) -> Result<(), Unknown> {
    match operation {
        NumericOperationIr::Add(op) => binary(graph, "Add", op),
        NumericOperationIr::AddScalar(op) => with_scalar(graph, "Add", op),
        NumericOperationIr::Sub(op) => binary(graph, "Sub", op),
        NumericOperationIr::SubScalar(op) => with_scalar(graph, "Sub", op),
        NumericOperationIr::Mul(op) => binary(graph, "Mul", op),
        NumericOperationIr::MulScalar(op) => with_scalar(graph, "Mul", op),
        NumericOperationIr::Div(op) => binary(graph, "Div", op),
        NumericOperationIr::DivScalar(op) => with_scalar(graph, "Div", op),
        NumericOperationIr::Powi(op) => binary(graph, "Pow", op),
        NumericOperationIr::PowiScalar(op) => with_scalar(graph, "Pow", op),
        NumericOperationIr::Abs(op) => unary(graph, "Abs", op),
        NumericOperationIr::Neg(op) => unary(graph, "Neg", op),
        NumericOperationIr::Sign(op) => unary(graph, "Sign", op),
        NumericOperationIr::Full(op) => fill(graph, number(op.value), &op.out),
        NumericOperationIr::MeanDim(op) => reduce(graph, "ReduceMean", op),
        NumericOperationIr::MaxDim(op) => reduce(graph, "ReduceMax", op),
        NumericOperationIr::MinDim(op) => reduce(graph, "ReduceMin", op),
        // Since opset 13 its axes are an input, as the others' are from 18 on.
        NumericOperationIr::SumDim(op) => {
            let inputs = [graph.name(&op.input), graph.ints(&[op.axis as i64])];
            graph.node("ReduceSum", inputs, &op.out, [int("keepdims", 1)]);
        }
        NumericOperationIr::MaxDimWithIndices(op) => {
            let input = graph.name(&op.tensor);
            let attributes = [ints("axes", [op.dim]), int("keepdims", 1)];
            graph.node("ReduceMax", [input.clone()], &op.out, attributes);
            let attributes = [int("axis", op.dim), int("keepdims", 1)];
            graph.node("ArgMax", [input], &op.out_indices, attributes);
        }
        NumericOperationIr::Greater(op) => binary(graph, "Greater", op),
        NumericOperationIr::GreaterElem(op) => with_scalar(graph, "Greater", op),
        NumericOperationIr::GreaterEqual(op) => binary(graph, "GreaterOrEqual", op),
        NumericOperationIr::GreaterEqualElem(op) => with_scalar(graph, "GreaterOrEqual", op),
        NumericOperationIr::Lower(op) => binary(graph, "Less", op),
        NumericOperationIr::LowerElem(op) => with_scalar(graph, "Less", op),
        NumericOperationIr::LowerEqual(op) => binary(graph, "LessOrEqual", op),
        NumericOperationIr::LowerEqualElem(op) => with_scalar(graph, "LessOrEqual", op),
        NumericOperationIr::Clamp(op) => {
            let low = graph.scalar(number(op.min), &op.tensor);
            let high = graph.scalar(number(op.max), &op.tensor);
            let input = graph.name(&op.tensor);
            graph.node("Clip", [input, low, high], &op.out, []);
        }
        NumericOperationIr::ClampMin(op) => with_scalar(graph, "Max", op),
        NumericOperationIr::ClampMax(op) => with_scalar(graph, "Min", op),
        NumericOperationIr::Pad(op) => {
            let before = op.padding.iter().map(|&(before, _)| before as i64);
            let after = op.padding.iter().map(|&(_, after)| after as i64);
            let pads: Vec<i64> = before.chain(after).collect();
            let mut inputs = vec![graph.name(&op.input), graph.ints(&pads)];
            let mode = match op.mode {
                PadModeIr::Constant(value) => {
                    inputs.push(graph.scalar(number(value), &op.input));
                    "constant"
                }
                PadModeIr::Reflect => "reflect",
                PadModeIr::Edge => "edge",
            };
            graph.node("Pad", inputs, &op.out, [text("mode", mode)]);
        }
        other => return Err(name_of(other)),
    }
    Ok(())
}

fn add_float(graph: &mut Graph, operation: &FloatOperationIr) -> Result<(), Unknown> {
    match operation {
        FloatOperationIr::Exp(op) => unary(graph, "Exp", op),
        FloatOperationIr::Log(op) => unary(graph, "Log", op),
        FloatOperationIr::Erf(op) => unary(graph, "Erf", op),
        FloatOperationIr::Sqrt(op) => unary(graph, "Sqrt", op),
        FloatOperationIr::Cos(op) => unary(graph, "Cos", op),
        FloatOperationIr::Sin(op) => unary(graph, "Sin", op),
        FloatOperationIr::Tanh(op) => unary(graph, "Tanh", op),
        FloatOperationIr::Recip(op) => unary(graph, "Reciprocal", op),
        FloatOperationIr::Floor(op) => unary(graph, "Floor", op),
        FloatOperationIr::Ceil(op) => unary(graph, "Ceil", op),
        FloatOperationIr::Round(op) => unary(graph, "Round", op),
        FloatOperationIr::PowfScalar(op) => with_scalar(graph, "Pow", op),
        FloatOperationIr::Powf(op) => binary(graph, "Pow", op),
        FloatOperationIr::IntoInt(op) => cast(graph, &op.input, &op.out),
        FloatOperationIr::Matmul(op) => {
            let inputs = [&op.lhs, &op.rhs].map(|tensor| graph.name(tensor));
            graph.node("MatMul", inputs, &op.out, []);
        }
        other => return Err(name_of(other)),
    }
    Ok(())
}

fn add_activation(graph: &mut Graph, operation: &ActivationOperationIr) -> Result<(), Unknown> {
    match operation {
        ActivationOperationIr::Relu(op) => unary(graph, "Relu", op),
        ActivationOperationIr::Sigmoid(op) => unary(graph, "Sigmoid", op),
        ActivationOperationIr::LeakyRelu(op) => {
            let input = graph.name(&op.lhs);
            let slope = float("alpha", number(op.rhs));
            graph.node("LeakyRelu", [input], &op.out, [slope]);
        }
        ActivationOperationIr::Softmax(op) => {
            let input = graph.name(&op.input);
            graph.node("Softmax", [input], &op.out, [int("axis", op.axis)]);
        }
        // `x / 2 · (1 + erf(x / √2))`, which is an operator of its own from opset 20 on; this is what
        // ONNX Runtime joins to one.
        ActivationOperationIr::Gelu(op) => {
            let x = graph.name(&op.input);
            let root = graph.scalar(std::f64::consts::SQRT_2, &op.input);
            let scaled = graph.inner("Div", [x.clone(), root], []);
            let erf = graph.inner("Erf", [scaled], []);
            let one = graph.scalar(1.0, &op.input);
            let sum = graph.inner("Add", [erf, one], []);
            let product = graph.inner("Mul", [x, sum], []);
            let half = graph.scalar(0.5, &op.input);
            graph.node("Mul", [product, half], &op.out, []);
        }
        other => return Err(name_of(other)),
    }
    Ok(())
}

fn shaped(graph: &mut Graph, operator: &str, op: &ShapeOpIr) {
    let shape = graph.ints(&whole(&op.out.shape));
    let input = graph.name(&op.input);
    graph.node(operator, [input, shape], &op.out, []);
}

fn unary(graph: &mut Graph, operator: &str, op: &UnaryOpIr) {
    let input = graph.name(&op.input);
    graph.node(operator, [input], &op.out, []);
}

fn binary(graph: &mut Graph, operator: &str, op: &BinaryOpIr) {
    let inputs = [&op.lhs, &op.rhs].map(|tensor| graph.name(tensor));
    graph.node(operator, inputs, &op.out, []);
}

fn with_scalar(graph: &mut Graph, operator: &str, op: &ScalarOpIr) {
    let scalar = graph.scalar(number(op.rhs), &op.lhs);
    let input = graph.name(&op.lhs);
    graph.node(operator, [input, scalar], &op.out, []);
}

fn reduce(graph: &mut Graph, operator: &str, op: &ReduceDimOpIr) {
    let input = graph.name(&op.input);
    let attributes = [ints("axes", [op.axis]), int("keepdims", 1)];
    graph.node(operator, [input], &op.out, attributes);
}

fn cast(graph: &mut Graph, input: &TensorIr, out: &TensorIr) {
    let to = match out.dtype {
        DType::Bool(_) => TensorProto::BOOL,
        dtype if dtype.is_float() => TensorProto::FLOAT,
        _ => TensorProto::INT64,
    };
    let input = graph.name(input);
    graph.node("Cast", [input], out, [int("to", to as usize)]);
}

fn fill(graph: &mut Graph, value: f64, out: &TensorIr) {
    let value = graph.scalar(value, out);
    let shape = graph.ints(&whole(&out.shape));
    graph.node("Expand", [value, shape], out, []);
}

/// Steps backwards begin at the range's end.
fn slice(graph: &mut Graph, op: &SliceOpIr) {
    let (mut starts, mut ends, mut axes, mut steps) = (vec![], vec![], vec![], vec![]);
    for (axis, range) in op.ranges.iter().enumerate() {
        let Range { start, end } = inside(range, op.tensor.shape[axis]);
        let step = range.step as i64;
        let (first, last) = match step {
            1.. => (start, end),
            // Before the first value is no index: a negative one counts from the end.
            _ => (end - 1, if start == 0 { i64::MIN } else { start - 1 }),
        };
        starts.push(first);
        ends.push(last);
        axes.push(axis as i64);
        steps.push(step);
    }
    let mut inputs = vec![graph.name(&op.tensor)];
    inputs.extend([starts, ends, axes, steps].map(|values| graph.ints(&values)));
    graph.node("Slice", inputs, &op.out, []);
}

/// The new values among zeros, where a mask has them, and the old ones elsewhere.
fn slice_assign(graph: &mut Graph, op: &SliceAssignOpIr) -> Result<(), Unknown> {
    let sizes = &op.tensor.shape;
    let rank = sizes.num_dims();
    let (mut before, mut behind, mut mask) = (vec![0; rank], vec![0; rank], None);
    for (axis, range) in op.ranges.iter().enumerate() {
        let inside = inside(range, sizes[axis]);
        if range.step != 1 {
            return Err(name_of(&BaseOperationIr::SliceAssign(op.clone())));
        }
        before[axis] = inside.start;
        behind[axis] = sizes[axis] as i64 - inside.end;
        if inside != (0..sizes[axis] as i64) {
            let mut shape = vec![1; rank];
            shape[axis] = sizes[axis];
            let here = graph.bools(&shape, |index| inside.contains(&(index as i64)));
            mask = Some(match mask {
                None => here,
                Some(other) => graph.inner("And", [other, here], []),
            });
        }
    }
    let value = graph.name(&op.value);
    let Some(mask) = mask else {
        graph.node("Identity", [value], &op.out, []);
        return Ok(());
    };
    before.extend(behind);
    let (pads, zero) = (graph.ints(&before), graph.scalar(0.0, &op.value));
    let padded = graph.inner("Pad", [value, pads, zero], []);
    let old = graph.name(&op.tensor);
    graph.node("Where", [mask, padded, old], &op.out, []);
    Ok(())
}

/// The indices of a range of an axis of `size` values.
fn inside(range: &Slice, size: usize) -> Range<i64> {
    let size = size as i64;
    let from = |index: isize| match index {
        ..0 => size + index as i64,
        0.. => index as i64,
    };
    from(range.start)..range.end.map_or(size, from).min(size)
}

/// A recorded scalar's value.
pub fn number(scalar: ScalarIr) -> f64 {
    match scalar {
        ScalarIr::Float(value) => value,
        ScalarIr::Int(value) => value as f64,
        ScalarIr::UInt(value) => value as f64,
        ScalarIr::Bool(value) => f64::from(u8::from(value)),
    }
}
