use std::collections::BTreeMap;
use std::fmt;

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use super::Tensors;

/// What to do with each float tensor of a module, by PyTorch's name of it.
pub trait NamedMapper {
    /// Gives back `param`, or another in its place.
    fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>>;

    /// Gives back a layer's switch between training and inference, or another in its place.
    fn flag(&mut self, _name: &str, flag: Param<Flag>) -> Param<Flag> {
        flag
    }
}

/// Passes every float tensor of `module`, running statistics included, through `mapper`.
pub fn map_named<M: Module>(module: M, mapper: &mut impl NamedMapper) -> M {
    struct Walk<'a, N> {
        path: Path,
        mapper: &'a mut N,
    }
    impl<N: NamedMapper> ModuleMapper for Walk<'_, N> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, container: &str) {
            self.path.exit(container);
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.mapper.map(&self.path.name(), param)
        }
        fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
            self.mapper.flag(&self.path.name(), flag)
        }
    }
    let path = Path::default();
    module.map(&mut Walk { path, mapper })
}

/// What to do with each float tensor of a module that stays as it is.
pub trait NamedVisitor {
    /// Sees `param` under PyTorch's name of it.
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>);
}

/// Shows every float tensor of `module`, running statistics included, to `visitor`.
pub fn visit_named(module: &impl Module, visitor: &mut impl NamedVisitor) {
    struct Walk<'a, N> {
        path: Path,
        visitor: &'a mut N,
    }
    impl<N: NamedVisitor> ModuleVisitor for Walk<'_, N> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, container: &str) {
            self.path.exit(container);
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.visitor.visit(&self.path.name(), param);
        }
    }
    let path = Path::default();
    module.visit(&mut Walk { path, visitor });
}

/// Walks a module and spells each tensor's path as PyTorch would.
#[derive(Default)]
struct Path {
    segments: Vec<String>,
}

impl Path {
    fn enter(&mut self, name: &str, container: &str) {
        // PyTorch has no counterpart of an enum's variant.
        if !container.starts_with("Enum:") {
            // `fn` is a word of Rust's.
            let name = if name == "fn_" { "fn" } else { name };
            self.segments.push(name.to_owned());
        }
    }

    fn exit(&mut self, container: &str) {
        if !container.starts_with("Enum:") {
            self.segments.pop();
        }
    }

    /// `encoder.stages.0.…` is flattened to `encoder.stages_0.…`, as timm's `features_only`
    /// models are.
    fn name(&self) -> String {
        let mut name = self.segments.join(".");
        for list in ["stages", "layers"] {
            if let Some(rest) = name.strip_prefix(&format!("encoder.{list}.")) {
                name = format!("encoder.{list}_{rest}");
            }
        }
        name
    }
}

/// Every float tensor of `module` under PyTorch's names, in the module's order.
pub(super) fn collect(module: &impl Module) -> Vec<(String, TensorData)> {
    struct Collector(Vec<(String, TensorData)>);
    impl NamedVisitor for Collector {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
            let data = param.val().into_data().convert::<f32>();
            self.0.push((name.to_owned(), data));
        }
    }
    let mut collector = Collector(Vec::new());
    visit_named(module, &mut collector);
    collector.0
}

/// The shape of every float tensor of `module`, by PyTorch's name of it.
pub(super) fn shapes(module: &impl Module) -> BTreeMap<String, Vec<usize>> {
    struct Shapes(BTreeMap<String, Vec<usize>>);
    impl NamedVisitor for Shapes {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
            self.0.insert(name.to_owned(), param.lazy_shape().to_vec());
        }
    }
    let mut shapes = Shapes(BTreeMap::new());
    visit_named(module, &mut shapes);
    shapes.0
}

/// The name of every float tensor of `module`, running statistics included, sorted.
pub fn tensor_names(module: &impl Module) -> Vec<String> {
    shapes(module).into_keys().collect()
}

/// The number of trainable values in `module`.
pub fn parameter_count(module: &impl Module) -> usize {
    struct Counter(usize);
    impl NamedVisitor for Counter {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
            if !name.contains("running_") {
                self.0 += param.lazy_shape().num_elements();
            }
        }
    }
    let mut counter = Counter(0);
    visit_named(module, &mut counter);
    counter.0
}

/// How the tensors of a file differ from those of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Tensors that the model has and the file lacks.
    pub missing: Vec<String>,
    /// Tensors that the file has and the model does not know.
    pub unused: Vec<String>,
    /// Tensors of another shape: name, the file's shape, the model's.
    pub reshaped: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Tensors of the file that hold NaN or infinity.
    pub not_finite: Vec<String>,
}

impl Mismatch {
    /// Whether every tensor of the model was found in its shape, of finite numbers.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.reshaped.is_empty() && self.not_finite.is_empty()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[String]| {
            let shown = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            match names.len() {
                0..=5 => shown,
                more => format!("{shown} and {} more", more - 5),
            }
        };
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            let count = self.missing.len();
            parts.push(format!(
                "lacks {count} tensors of the model ({})",
                list(&self.missing)
            ));
        }
        if !self.reshaped.is_empty() {
            let shapes: Vec<String> = self
                .reshaped
                .iter()
                .map(|(name, found, expected)| {
                    format!("{name}: found {found:?}, expected {expected:?}")
                })
                .collect();
            let count = shapes.len();
            parts.push(format!(
                "has {count} tensors of another shape ({})",
                list(&shapes)
            ));
        }
        if !self.not_finite.is_empty() {
            let count = self.not_finite.len();
            parts.push(format!(
                "has {count} tensors that hold NaN or infinity ({}), as of a training that diverged",
                list(&self.not_finite)
            ));
        }
        if !self.unused.is_empty() {
            let count = self.unused.len();
            parts.push(format!(
                "has {count} tensors unknown to the model ({})",
                list(&self.unused)
            ));
        }
        f.write_str(&parts.join("; "))
    }
}

/// Replaces a module's tensors by those of a file.
struct Replacer {
    tensors: Tensors,
    mismatch: Mismatch,
}

impl NamedMapper for Replacer {
    fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let expected = param.lazy_shape().to_vec();
        let Some((found, values)) = self.tensors.take(name) else {
            self.mismatch.missing.push(name.to_owned());
            return param;
        };
        // Linear layers and 1 × 1 convolutions hold the same values; timm's files mix them.
        if unit_axes_removed(&found) != unit_axes_removed(&expected) {
            let reshaped = (name.to_owned(), found, expected);
            self.mismatch.reshaped.push(reshaped);
            return param;
        }
        if values.iter().any(|value| !value.is_finite()) {
            self.mismatch.not_finite.push(name.to_owned());
        }
        let data = TensorData::new(values, expected);
        let device = param.lazy_device();
        let tensor = Tensor::from_data(data, &device);
        // Freezing is the trainer's business and comes after loading.
        Param::initialized(param.id, tensor).set_require_grad(true)
    }
}

pub(super) fn unit_axes_removed(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&size| size != 1).collect()
}

/// Fills `module` from `tensors` and says what did not fit. Names under `prefix` that the module
/// does not know are `unused`; PyTorch's batch counters are nobody's loss.
pub(super) fn replace<M: Module>(module: M, tensors: Tensors) -> (M, Mismatch) {
    let mut replacer = Replacer {
        tensors,
        mismatch: Mismatch::default(),
    };
    let module = map_named(module, &mut replacer);
    let mut mismatch = replacer.mismatch;
    let left = replacer.tensors.names();
    let left = left.filter(|name| !name.ends_with("num_batches_tracked"));
    mismatch.unused = left.map(str::to_owned).collect();
    (module, mismatch)
}
