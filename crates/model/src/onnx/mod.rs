//! Networks as ONNX files, which ONNX Runtime, OpenVINO, TensorRT and browsers run.
//!
//! A network's pass over a patch is recorded instead of computed, by burn's capture device; each
//! recorded operation becomes one or a few nodes of ONNX's opset 17. Shapes are those of the pass that
//! was recorded: one number of patches, one size.

mod graph;
mod layers;
mod operations;
mod proto;

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_capture::{CaptureBackend, CapturedGraph};
use burn_ir::{OperationIr, TensorId};
use inkling_fragment::write_bytes;
use prost::Message;
use serde::Serialize;

use crate::weights::SETTINGS_KEY;
use crate::{Checkpoint, Error};
use graph::{Graph, float_bytes, int_bytes, whole};
use proto::{
    DimensionProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// The version of ONNX's operators.
const OPSET: i64 = 17;
/// The version of the file format that came with them.
const IR_VERSION: i64 = 8;
/// Protocol buffers end before two gibibytes.
const LARGEST: usize = (1 << 31) - 1;
const INPUT: &str = "volume";
const OUTPUT: &str = "logits";

/// What an ONNX file that was written takes and gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OnnxReport {
    /// The version of ONNX's operators.
    pub opset: i64,
    /// How often each operator occurs.
    pub operators: BTreeMap<String, usize>,
    /// `volume`: `[batch, depth, height, width]`, normalised intensities.
    pub input: [usize; 4],
    /// `logits`: `[batch, height, width]`, of ink.
    pub output: [usize; 3],
}

impl Checkpoint {
    /// Writes the network, weights included, as one ONNX file of opset 17, whose input `volume`
    /// `[batch, depth, height, width]` holds normalised intensities and whose output `logits`
    /// `[batch, height, width]` is what [`Network::forward`](crate::Network::forward) gives in f32. The
    /// settings are in the file's metadata, under `inkling.model`.
    ///
    /// # Errors
    /// [`Error::Onnx`] for a network whose weights take two gibibytes or more, and for operations that
    /// have no counterpart; [`Error::Write`].
    pub fn export_onnx(&self, path: &Path, batch: usize, force: bool) -> Result<OnnxReport, Error> {
        let size = self.settings.image_size;
        let input = [batch, self.settings.depth, size, size];
        let (captured, output) = self.record(input);
        let graph = drawn(captured, input, output)?;
        let mut operators = BTreeMap::new();
        for node in &graph.node {
            *operators.entry(node.op_type.clone()).or_default() += 1;
        }
        let settings = serde_json::to_string(&self.settings).expect("settings are plain data");
        let mut about = self.metadata.clone();
        about.insert(SETTINGS_KEY.to_owned(), settings);
        about.insert("inkling.sha256".to_owned(), self.sha256.clone());
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "inkling".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            doc_string: format!(
                "finds ink in {} layers of a scan, {size} x {size} px",
                self.settings.depth
            ),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: OPSET,
            }],
            metadata_props: about
                .into_iter()
                .map(|(key, value)| StringStringEntryProto { key, value })
                .collect(),
        };
        let bytes = model.encoded_len();
        if bytes > LARGEST {
            return Err(Error::Onnx {
                found: format!("a network of {} MiB", bytes >> 20),
                expected: "one of less than 2048 MiB, the most that ONNX's files hold",
            });
        }
        write_bytes(path, model.encode_to_vec(), force)?;
        Ok(OnnxReport {
            opset: OPSET,
            operators,
            input,
            output,
        })
    }

    /// Records a pass over `[batch, depth, height, width]`, and gives the size of its output.
    fn record(&self, input: [usize; 4]) -> (CapturedGraph, [usize; 3]) {
        let device = Device::capture();
        let mut size = [0; 3];
        let captured = device.capture_scope(|scope| {
            let network = self.network.clone().to_device(&device);
            let volume = Tensor::<4>::zeros(input, &Device::flex()).to_device(&device);
            let logits = network.forward(volume.clone());
            size = logits.dims();
            scope.complete([id(&volume)], [id(&logits)])
        });
        (captured.expect("a pass has one input and one output"), size)
    }
}

fn id<const D: usize>(tensor: &Tensor<D>) -> TensorId {
    let tensor = tensor.clone().try_into_primitive::<CaptureBackend>();
    tensor.expect("it lies on the capture device").id()
}

/// The recorded pass as ONNX's graph.
fn drawn(
    captured: CapturedGraph,
    input: [usize; 4],
    output: [usize; 3],
) -> Result<proto::GraphProto, Error> {
    let recorded = captured.graph;
    let mut graph = Graph::default();
    graph.rename(recorded.inputs[0], INPUT);
    graph.rename(recorded.outputs[0], OUTPUT);
    for operation in &recorded.operations {
        let OperationIr::Init(init) = operation else {
            continue;
        };
        if let Some(data) = captured.values.get(&init.out.id)
            && init.out.id != recorded.inputs[0]
        {
            let (kind, bytes) = values(data);
            graph.tensor(&init.out, kind, bytes);
        }
    }
    for operation in &recorded.operations {
        operations::add(&mut graph, operation).map_err(|operation| Error::Onnx {
            found: format!("a network with the operation {operation}"),
            expected: "one whose operations have counterparts in ONNX's opset 17",
        })?;
    }
    let mut graph = graph.finish(OUTPUT);
    graph.input = vec![described(INPUT, &input, "normalised intensities")];
    graph.output = vec![described(OUTPUT, &output, "logits of ink")];
    Ok(graph)
}

/// A constant's type and bytes.
fn values(data: &TensorData) -> (i32, Vec<u8>) {
    match data.dtype() {
        DType::Bool(_) => {
            let values = data.clone().convert::<bool>();
            let values = values.try_into_vec::<bool>().expect("converted");
            (
                TensorProto::BOOL,
                values.into_iter().map(u8::from).collect(),
            )
        }
        dtype if dtype.is_float() => {
            let values = data.clone().convert::<f32>();
            let values = values.try_into_vec::<f32>().expect("converted");
            (TensorProto::FLOAT, float_bytes(&values))
        }
        _ => {
            let values = data.clone().convert::<i64>();
            let values = values.try_into_vec::<i64>().expect("converted");
            (TensorProto::INT64, int_bytes(&values))
        }
    }
}

fn described(name: &str, shape: &[usize], about: &str) -> ValueInfoProto {
    let dim = |size| DimensionProto {
        dim_value: Some(size),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: TensorProto::FLOAT,
                shape: Some(TensorShapeProto {
                    dim: whole(shape).into_iter().map(dim).collect(),
                }),
            }),
        }),
        doc_string: about.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::{Approach, Architecture, MaxVitShape, ModelSettings, weights::parameter_count};

    use super::*;

    fn networks() -> Vec<ModelSettings> {
        let small = ModelSettings {
            image_size: 32,
            depth: 6,
            decoder: vec![16, 8, 8],
            ..ModelSettings::default()
        };
        vec![
            ModelSettings {
                maxvit: Some(MaxVitShape::narrow()),
                ..small.clone()
            },
            ModelSettings {
                encoder: "convnextv2_atto".to_owned(),
                architecture: Architecture::UperNet,
                decoder: vec![8],
                ..small.clone()
            },
            ModelSettings {
                approach: Approach::Volume,
                encoder: "resnet18".to_owned(),
                ..small
            },
        ]
    }

    fn checkpoint(settings: ModelSettings) -> Checkpoint {
        Checkpoint {
            network: settings.init(&Device::flex(), 1).unwrap(),
            settings,
            published: None,
            metadata: BTreeMap::from([("inkling.input".to_owned(), "{}".to_owned())]),
            sha256: "0".repeat(64),
        }
    }

    /// That ONNX Runtime computes the same is what `crates/python/tests/test_onnx.py` and
    /// `oracles/check_onnx.py` show.
    #[test]
    fn every_value_is_there_before_it_is_used() {
        let folder = tempfile::tempdir().unwrap();
        for settings in networks() {
            let checkpoint = checkpoint(settings);
            let path = folder.path().join("network.onnx");
            let report = checkpoint.export_onnx(&path, 2, true).unwrap();
            let size = checkpoint.settings.image_size;
            assert_eq!(report.input, [2, 6, size, size]);
            assert_eq!(report.output, [2, size, size]);
            let bytes = std::fs::read(&path).unwrap();
            let model = ModelProto::decode(bytes.as_slice()).unwrap();
            assert_eq!(model.opset_import[0].version, OPSET);
            let about = &model.metadata_props;
            assert!(about.iter().any(|entry| entry.key == "inkling.input"));
            let graph = model.graph.unwrap();
            let constants = graph.initializer.iter();
            let mut known: HashSet<&str> = constants.map(|constant| &*constant.name).collect();
            assert_eq!(known.len(), graph.initializer.len(), "names are given once");
            known.insert(&graph.input[0].name);
            for node in &graph.node {
                for input in node.input.iter().filter(|name| !name.is_empty()) {
                    assert!(known.contains(&**input), "{} of {}", input, node.op_type);
                }
                for output in &node.output {
                    assert!(known.insert(output), "{output} is computed twice");
                }
            }
            assert!(known.contains(OUTPUT));
            let floats = graph
                .initializer
                .iter()
                .filter(|c| c.data_type == TensorProto::FLOAT);
            let values: usize = floats.map(|constant| constant.raw_data.len() / 4).sum();
            assert!(values >= parameter_count(&checkpoint.network));
        }
    }

    #[test]
    fn a_file_that_is_there_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network.onnx");
        std::fs::write(&path, "mine").unwrap();
        let checkpoint = checkpoint(networks().swap_remove(0));
        let error = checkpoint.export_onnx(&path, 1, false).unwrap_err();
        assert!(error.to_string().contains("--force"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }
}
