use burn::tensor::{Device, Tensor, TensorData};

use crate::Ranks;
use crate::optimizer::NamedGradients;

/// Values of a bucket: 25 MiB, as PyTorch's `DistributedDataParallel` has them.
const BUCKET: usize = 25 * 1024 * 1024 / size_of::<f32>();

/// Sums `gradients` over the ranks in place, in buckets that travel together, and gives the sum of
/// their losses. Every rank has then the same gradients, to the last bit.
pub(crate) fn sum_over_ranks(ranks: &Ranks, gradients: &mut NamedGradients, loss: f64) -> f64 {
    if ranks.size() == 1 {
        return loss;
    }
    let mut buckets = in_buckets(gradients);
    let mut losses = [loss as f32];
    let mut travelling: Vec<&mut [f32]> = buckets
        .iter_mut()
        .map(|bucket| bucket.values.as_mut_slice())
        .collect();
    travelling.push(&mut losses);
    ranks.sum_buckets(&mut travelling);
    for bucket in buckets {
        bucket.restore_statistics(gradients);
    }
    f64::from(losses[0])
}

/// Some gradients, one after another.
struct Bucket {
    lengths: Vec<(String, usize)>,
    values: Vec<f32>,
    device: Device,
}

fn in_buckets(gradients: &NamedGradients) -> Vec<Bucket> {
    let mut buckets = Vec::new();
    let mut names: Vec<&String> = Vec::new();
    let mut parts: Vec<Tensor<1>> = Vec::new();
    let mut length = 0;
    for (name, gradient) in &gradients.by_name {
        names.push(name);
        parts.push(gradient.clone());
        length += gradient.dims()[0];
        if length >= BUCKET {
            buckets.push(Bucket::new(&names, std::mem::take(&mut parts)));
            names.clear();
            length = 0;
        }
    }
    if !parts.is_empty() {
        buckets.push(Bucket::new(&names, parts));
    }
    buckets
}

impl Bucket {
    fn new(names: &[&String], parts: Vec<Tensor<1>>) -> Self {
        let lengths = names.iter().zip(&parts);
        let lengths = lengths.map(|(name, part)| ((*name).clone(), part.dims()[0]));
        let lengths = lengths.collect();
        let device = parts[0].device();
        // One transfer from the device for all of them.
        let values = Tensor::cat(parts, 0).into_data().convert::<f32>();
        Self {
            lengths,
            values: values.try_into_vec().expect("made f32"),
            device,
        }
    }

    fn restore_statistics(self, gradients: &mut NamedGradients) {
        let length = self.values.len();
        let data = TensorData::new(self.values, [length]);
        let all = Tensor::<1>::from_data(data, &self.device);
        let mut first = 0;
        for (name, length) in self.lengths {
            let part = all.clone().narrow(0, first, length);
            gradients.by_name.insert(name, part);
            first += length;
        }
    }
}
