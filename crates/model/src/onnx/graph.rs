//! A graph in the making: nodes, and the constants that they use.

use std::collections::{HashMap, HashSet};

use burn::tensor::DType;
use burn_ir::{TensorId, TensorIr};

use super::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// Nodes and constants. Tensors are named by their number, but for those that [`Graph::rename`] names.
#[derive(Default)]
pub struct Graph {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    renamed: HashMap<TensorId, &'static str>,
    /// How many names were made for what no tensor of the network is.
    made: usize,
}

impl Graph {
    /// Calls a tensor `name`.
    pub fn rename(&mut self, tensor: TensorId, name: &'static str) {
        self.renamed.insert(tensor, name);
    }

    /// A tensor's name.
    pub fn name(&self, tensor: &TensorIr) -> String {
        match self.renamed.get(&tensor.id) {
            Some(name) => (*name).to_owned(),
            None => format!("t{}", tensor.id.value()),
        }
    }

    /// A name that nothing has.
    fn new_name(&mut self) -> String {
        self.made += 1;
        format!("c{}", self.made)
    }

    /// Keeps a constant under the name of `tensor`.
    pub fn tensor(&mut self, tensor: &TensorIr, data_type: i32, raw_data: Vec<u8>) {
        self.constants.push(TensorProto {
            dims: whole(&tensor.shape),
            data_type,
            name: self.name(tensor),
            raw_data,
        });
    }

    /// A constant of floats.
    ///
    /// # Shapes
    /// - values: as many as `shape` has, row by row
    pub fn floats(&mut self, shape: &[usize], values: &[f32]) -> String {
        self.constant(shape, TensorProto::FLOAT, float_bytes(values))
    }

    /// A constant of whole numbers, `[values.len()]`.
    pub fn ints(&mut self, values: &[i64]) -> String {
        self.constant(&[values.len()], TensorProto::INT64, int_bytes(values))
    }

    /// A constant of truths: those of the indices along its only long axis.
    pub fn bools(&mut self, shape: &[usize], holds: impl Fn(usize) -> bool) -> String {
        let count = shape.iter().product();
        let bytes = (0..count).map(|index| u8::from(holds(index)));
        self.constant(shape, TensorProto::BOOL, bytes.collect())
    }

    /// A constant scalar of `like`'s type.
    pub fn scalar(&mut self, value: f64, like: &TensorIr) -> String {
        let (data_type, bytes) = match like.dtype {
            DType::Bool(_) => (TensorProto::BOOL, vec![u8::from(value != 0.0)]),
            dtype if dtype.is_float() => {
                (TensorProto::FLOAT, (value as f32).to_le_bytes().to_vec())
            }
            _ => (TensorProto::INT64, (value as i64).to_le_bytes().to_vec()),
        };
        self.constant(&[], data_type, bytes)
    }

    fn constant(&mut self, shape: &[usize], data_type: i32, raw_data: Vec<u8>) -> String {
        let name = self.new_name();
        self.constants.push(TensorProto {
            dims: whole(shape),
            data_type,
            name: name.clone(),
            raw_data,
        });
        name
    }

    /// Adds a node that gives `out`.
    pub fn node(
        &mut self,
        operator: &str,
        input: impl IntoIterator<Item = String>,
        out: &TensorIr,
        attributes: impl IntoIterator<Item = AttributeProto>,
    ) {
        let out = self.name(out);
        self.push(operator, input, out, attributes);
    }

    /// Adds a node whose output is no tensor of the network, and gives its name.
    pub fn inner(
        &mut self,
        operator: &str,
        input: impl IntoIterator<Item = String>,
        attributes: impl IntoIterator<Item = AttributeProto>,
    ) -> String {
        let out = self.new_name();
        self.push(operator, input, out.clone(), attributes);
        out
    }

    fn push(
        &mut self,
        operator: &str,
        input: impl IntoIterator<Item = String>,
        out: String,
        attributes: impl IntoIterator<Item = AttributeProto>,
    ) {
        self.nodes.push(NodeProto {
            input: input.into_iter().collect(),
            output: vec![out],
            op_type: operator.to_owned(),
            attribute: attributes.into_iter().collect(),
        });
    }

    /// The graph of what `output` needs and nothing besides; its boundary is still open.
    pub fn finish(self, output: &str) -> GraphProto {
        let mut needed = HashSet::from([output.to_owned()]);
        let mut node = Vec::new();
        for candidate in self.nodes.into_iter().rev() {
            if candidate.output.iter().any(|out| needed.contains(out)) {
                needed.extend(candidate.input.iter().cloned());
                node.push(candidate);
            }
        }
        node.reverse();
        let constants = self.constants.into_iter();
        GraphProto {
            node,
            name: "inkling".to_owned(),
            initializer: constants
                .filter(|constant| needed.contains(&constant.name))
                .collect(),
            input: Vec::new(),
            output: Vec::new(),
        }
    }
}

/// Floats as ONNX keeps them.
pub fn float_bytes(values: &[f32]) -> Vec<u8> {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    bytes.collect()
}

/// Whole numbers as ONNX keeps them.
pub fn int_bytes(values: &[i64]) -> Vec<u8> {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    bytes.collect()
}

/// Sizes as ONNX has them.
pub fn whole(sizes: &[usize]) -> Vec<i64> {
    sizes.iter().map(|&size| size as i64).collect()
}

/// A whole number as an attribute.
pub fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        i: Some(value as i64),
        r#type: AttributeProto::INT,
        ..AttributeProto::default()
    }
}

/// Whole numbers as an attribute.
pub fn ints(name: &str, values: impl IntoIterator<Item = usize>) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        ints: values.into_iter().map(|value| value as i64).collect(),
        r#type: AttributeProto::INTS,
        ..AttributeProto::default()
    }
}

/// A number as an attribute.
pub fn float(name: &str, value: f64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        f: Some(value as f32),
        r#type: AttributeProto::FLOAT,
        ..AttributeProto::default()
    }
}

/// A text as an attribute.
pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        s: Some(value.as_bytes().to_vec()),
        r#type: AttributeProto::STRING,
        ..AttributeProto::default()
    }
}
