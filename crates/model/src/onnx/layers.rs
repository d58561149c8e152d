//! Convolutions, pools, norms and resizing in ONNX.

use burn_ir::{InterpolateModeIr, InterpolateOpIr, ModuleOperationIr, TensorIr};

use super::graph::{Graph, float, int, ints, text, whole};
use super::operations::{Unknown, name_of, number};

/// Adds the nodes of a layer.
///
/// # Errors
/// [`Unknown`] for a layer that networks do not use in prediction.
pub fn add_layer(graph: &mut Graph, layer: &ModuleOperationIr) -> Result<(), Unknown> {
    match layer {
        ModuleOperationIr::Linear(op) => {
            let inputs = [&op.x, &op.weight].map(|tensor| graph.name(tensor));
            match &op.bias {
                None => graph.node("MatMul", inputs, &op.out, []),
                Some(bias) => {
                    let product = graph.inner("MatMul", inputs, []);
                    let bias = graph.name(bias);
                    graph.node("Add", [product, bias], &op.out, []);
                }
            }
        }
        ModuleOperationIr::Embedding(op) => {
            let inputs = [&op.weights, &op.indices].map(|tensor| graph.name(tensor));
            graph.node("Gather", inputs, &op.out, [int("axis", 0)]);
        }
        ModuleOperationIr::LayerNorm(op) => {
            let mut inputs = vec![graph.name(&op.input), graph.name(&op.gamma)];
            inputs.extend(op.beta.as_ref().map(|beta| graph.name(beta)));
            let epsilon = float("epsilon", number(op.epsilon));
            graph.node("LayerNormalization", inputs, &op.out, [epsilon]);
        }
        ModuleOperationIr::BatchNorm(op) => {
            let inputs = [&op.x, &op.gamma, &op.beta, &op.mean, &op.variance];
            let inputs = inputs.map(|tensor| graph.name(tensor));
            let epsilon = float("epsilon", number(op.epsilon));
            graph.node("BatchNormalization", inputs, &op.out, [epsilon]);
        }
        ModuleOperationIr::Interpolate(op) => return resize(graph, op),
        ModuleOperationIr::Conv1d(_)
        | ModuleOperationIr::Conv2d(_)
        | ModuleOperationIr::Conv3d(_)
        | ModuleOperationIr::ConvTranspose1d(_)
        | ModuleOperationIr::ConvTranspose2d(_)
        | ModuleOperationIr::ConvTranspose3d(_) => return convolution(graph, layer),
        other => return pool(graph, other),
    }
    Ok(())
}

fn convolution(graph: &mut Graph, layer: &ModuleOperationIr) -> Result<(), Unknown> {
    let mut node = |operator: &str,
                    inputs: (&TensorIr, &TensorIr, &Option<TensorIr>),
                    out,
                    attributes: Vec<_>| {
        let (x, weight, bias) = inputs;
        let tensors = [Some(x), Some(weight), bias.as_ref()];
        let inputs: Vec<_> = tensors
            .into_iter()
            .flatten()
            .map(|tensor| graph.name(tensor))
            .collect();
        graph.node(operator, inputs, out, attributes);
    };
    macro_rules! attributes {
        ($options:expr, $pads:expr) => {
            vec![
                ints("strides", $options.stride),
                ints("pads", $pads),
                ints("dilations", $options.dilation),
                int("group", $options.groups),
            ]
        };
    }
    macro_rules! transposed {
        ($op:expr) => {{
            let mut attributes = attributes!($op.options, $op.options.padding.repeat(2));
            attributes.push(ints("output_padding", $op.options.padding_out));
            node(
                "ConvTranspose",
                (&$op.x, &$op.weight, &$op.bias),
                &$op.out,
                attributes,
            );
        }};
    }
    match layer {
        ModuleOperationIr::Conv1d(op) => {
            let attributes = attributes!(op.options, both(&op.options.padding));
            node("Conv", (&op.x, &op.weight, &op.bias), &op.out, attributes);
        }
        ModuleOperationIr::Conv2d(op) => {
            let attributes = attributes!(op.options, both(&op.options.padding));
            node("Conv", (&op.x, &op.weight, &op.bias), &op.out, attributes);
        }
        ModuleOperationIr::Conv3d(op) => {
            let attributes = attributes!(op.options, op.options.padding.repeat(2));
            node("Conv", (&op.x, &op.weight, &op.bias), &op.out, attributes);
        }
        ModuleOperationIr::ConvTranspose1d(op) => transposed!(op),
        ModuleOperationIr::ConvTranspose2d(op) => transposed!(op),
        ModuleOperationIr::ConvTranspose3d(op) => transposed!(op),
        other => return Err(name_of(other)),
    }
    Ok(())
}

/// What lies before each axis, then what lies behind each.
fn both(padding: &[(usize, usize)]) -> Vec<usize> {
    let before = padding.iter().map(|&(before, _)| before);
    before
        .chain(padding.iter().map(|&(_, behind)| behind))
        .collect()
}

fn pool(graph: &mut Graph, layer: &ModuleOperationIr) -> Result<(), Unknown> {
    match layer {
        ModuleOperationIr::AvgPool2d(op) => {
            let attributes = [
                ints("kernel_shape", op.kernel_size),
                ints("strides", op.stride),
                ints("pads", op.padding.repeat(2)),
                int("ceil_mode", op.ceil_mode.into()),
                int("count_include_pad", op.count_include_pad.into()),
            ];
            let input = graph.name(&op.x);
            graph.node("AveragePool", [input], &op.out, attributes);
        }
        ModuleOperationIr::MaxPool2d(op) => {
            let attributes = [
                ints("kernel_shape", op.kernel_size),
                ints("strides", op.stride),
                ints("pads", op.padding.repeat(2)),
                ints("dilations", op.dilation),
                int("ceil_mode", op.ceil_mode.into()),
            ];
            let input = graph.name(&op.x);
            graph.node("MaxPool", [input], &op.out, attributes);
        }
        ModuleOperationIr::AdaptiveAvgPool2d(op) => {
            let [rows, columns] = op.output_size;
            let above = shares(rows, op.x.shape[2]);
            let above = graph.floats(&[rows, op.x.shape[2]], &above);
            let beside = transposed(&shares(columns, op.x.shape[3]), columns);
            let beside = graph.floats(&[op.x.shape[3], columns], &beside);
            let x = graph.name(&op.x);
            let fewer_rows = graph.inner("MatMul", [above, x], []);
            graph.node("MatMul", [fewer_rows, beside], &op.out, []);
        }
        other => return Err(name_of(other)),
    }
    Ok(())
}

/// How much each of `inputs` values counts in each of `outputs` means, `[outputs, inputs]`: output `i`
/// is the mean from `⌊i · inputs / outputs⌋` to `⌈(i + 1) · inputs / outputs⌉`. ONNX has no operator for it.
fn shares(outputs: usize, inputs: usize) -> Vec<f32> {
    let mut shares = vec![0.0; outputs * inputs];
    for (output, row) in shares.chunks_exact_mut(inputs).enumerate() {
        let range = output * inputs / outputs..((output + 1) * inputs).div_ceil(outputs);
        let share = 1.0 / range.len() as f32;
        row[range].fill(share);
    }
    shares
}

/// `[rows, columns]` to `[columns, rows]`.
fn transposed(matrix: &[f32], rows: usize) -> Vec<f32> {
    let columns = matrix.len() / rows;
    let values = (0..columns).flat_map(|column| matrix.iter().skip(column).step_by(columns));
    values.copied().collect()
}

fn resize(graph: &mut Graph, op: &InterpolateOpIr) -> Result<(), Unknown> {
    let options = &op.options;
    let mode = match &options.mode {
        InterpolateModeIr::Nearest => "nearest",
        InterpolateModeIr::Bilinear => "linear",
        InterpolateModeIr::Bicubic => "cubic",
        _ => return Err(name_of(&options.mode)),
    };
    let coordinates = match (&options.mode, options.align_corners) {
        (InterpolateModeIr::Nearest, _) => "asymmetric",
        (_, true) => "align_corners",
        (_, false) => "half_pixel",
    };
    let attributes = [
        text("mode", mode),
        text("coordinate_transformation_mode", coordinates),
        text("nearest_mode", "floor"),
        float("cubic_coeff_a", -0.75),
    ];
    let sizes = graph.ints(&whole(&op.out.shape));
    let none = String::new;
    let inputs = [graph.name(&op.x), none(), none(), sizes];
    graph.node("Resize", inputs, &op.out, attributes);
    Ok(())
}
