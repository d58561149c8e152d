//! The backward pass.

use rayon::prelude::*;

use super::softmax::softmax_gradient;
use super::{Inputs, Scratch, Sizes, View};
use crate::matrix::{MatrixLayout, Threading, multiply};

/// Gradients of an attention's inputs.
pub struct Gradients {
    /// `[heads, groups, positions, width]`.
    pub query: Vec<f32>,
    /// `[heads, groups, positions, width]`.
    pub key: Vec<f32>,
    /// `[heads, groups, positions, width]`.
    pub value: Vec<f32>,
    /// `[heads, biases, positions, positions]`.
    pub bias: Vec<f32>,
}

/// Most tasks of a head; fixed, so that sums do not depend on the number of threads.
const TASKS: usize = 16;

/// The gradients of the inputs, given that of the output `[groups, heads, positions, width]`.
/// Probabilities are computed again instead of kept.
pub fn backward(sizes: Sizes, inputs: Inputs, gradient: View) -> Gradients {
    let mut gradients = Gradients {
        query: vec![0.0; sizes.len()],
        key: vec![0.0; sizes.len()],
        value: vec![0.0; sizes.len()],
        bias: Vec::new(),
    };
    let share = Share::of(sizes);
    let tasks = tasks(sizes, share, &mut gradients).into_par_iter();
    let biases: Vec<Vec<f32>> = tasks
        .map(|task| task.run(sizes, inputs, gradient))
        .collect();
    gradients.bias = match sizes.biases {
        // All tasks of a head have summed the same bias.
        1 => biases.chunks(share.tasks).flat_map(sum_of).collect(),
        _ => biases.concat(),
    };
    gradients
}

/// How a head's groups are shared out: tasks that add to the gradient of one bias have sums of their own, those
/// of different biases have some of them each.
#[derive(Clone, Copy)]
struct Share {
    /// Tasks of a head.
    tasks: usize,
    /// Groups of a task, or biases, if there are several.
    size: usize,
}

impl Share {
    fn of(sizes: Sizes) -> Self {
        let all = if sizes.biases > 1 {
            sizes.biases
        } else {
            sizes.groups
        };
        let size = all.div_ceil(TASKS).max(1);
        Self {
            tasks: all.div_ceil(size),
            size,
        }
    }

    fn task(self, sizes: Sizes, group: usize) -> usize {
        let place = if sizes.biases > 1 {
            group % sizes.biases
        } else {
            group
        };
        place / self.size
    }
}

/// Some groups of a head.
struct Task<'a> {
    head: usize,
    /// The first of its biases, and their number.
    biases: [usize; 2],
    groups: Vec<GroupGradients<'a>>,
}

/// One group's part of a head's gradients, `[positions, width]` each.
struct GroupGradients<'a> {
    group: usize,
    query: &'a mut [f32],
    key: &'a mut [f32],
    value: &'a mut [f32],
}

/// The tasks of all heads, head by head.
fn tasks(sizes: Sizes, share: Share, gradients: &mut Gradients) -> Vec<Task<'_>> {
    let task = |index: usize| {
        let (head, place) = (index / share.tasks, index % share.tasks);
        let first = if sizes.biases > 1 {
            place * share.size
        } else {
            0
        };
        Task {
            head,
            biases: [first, share.size.min(sizes.biases - first)],
            groups: Vec::new(),
        }
    };
    let mut tasks: Vec<_> = (0..sizes.heads * share.tasks).map(task).collect();
    let part = (sizes.positions * sizes.width).max(1);
    let parts = gradients
        .query
        .chunks_mut(part)
        .zip(gradients.key.chunks_mut(part))
        .zip(gradients.value.chunks_mut(part));
    for (index, ((query, key), value)) in parts.enumerate() {
        let (head, group) = (index / sizes.groups, index % sizes.groups);
        let task = &mut tasks[head * share.tasks + share.task(sizes, group)];
        task.groups.push(GroupGradients {
            group,
            query,
            key,
            value,
        });
    }
    tasks
}

impl Task<'_> {
    /// Fills its groups' gradients, and returns those of its biases.
    fn run(self, sizes: Sizes, inputs: Inputs, gradient: View) -> Vec<f32> {
        let [first, count] = self.biases;
        let mut biases = vec![0.0; count * sizes.area()];
        let mut scratch = Scratch::new(sizes.positions, sizes.positions);
        let mut scores = vec![0.0; sizes.area()];
        for mut group in self.groups {
            let place = [group.group, self.head];
            group.of_value(sizes, inputs, gradient, place, &mut scratch, &mut scores);
            if let Some(bias) = group.group.checked_rem(sizes.biases) {
                add(&mut biases[(bias - first) * sizes.area()..], &scores);
            }
            group.of_query_and_key(sizes, inputs, place, &mut scores);
        }
        biases
    }
}

fn add(sums: &mut [f32], terms: &[f32]) {
    for (sum, term) in sums.iter_mut().zip(terms) {
        *sum += term;
    }
}

/// The sum of all tasks' biases.
fn sum_of(biases: &[Vec<f32>]) -> Vec<f32> {
    let mut sums = biases[0].clone();
    biases[1..].iter().for_each(|biases| add(&mut sums, biases));
    sums
}

impl GroupGradients<'_> {
    /// Fills the values' gradient, and `scores` with that of the scores.
    fn of_value(
        &mut self,
        sizes: Sizes,
        inputs: Inputs,
        gradient: View,
        [group, head]: [usize; 2],
        Scratch {
            scores: probabilities,
            inverses,
        }: &mut Scratch,
        scores: &mut [f32],
    ) {
        let Sizes {
            positions, width, ..
        } = sizes;
        let packed = inputs.packed(sizes, group, head);
        inputs.exponentials(
            sizes,
            [group, head, 0],
            &packed.keys,
            probabilities,
            inverses,
        );
        for (row, inverse) in probabilities.chunks_exact_mut(positions).zip(inverses) {
            row.iter_mut().for_each(|weight| *weight *= *inverse);
        }
        let (precision, caller) = (inputs.precision, Threading::Caller);
        let outer = gradient.head(group, head);
        let turned = (&**probabilities, MatrixLayout::rows(positions).transposed());
        let size = [positions, positions, width];
        multiply(
            precision,
            size,
            turned,
            outer,
            (self.value, width),
            false,
            caller,
        );
        let (value, place) = inputs.value.head(group, head);
        let value = (value, place.transposed());
        let size = [positions, width, positions];
        multiply(
            precision,
            size,
            outer,
            value,
            (scores, positions),
            false,
            caller,
        );
        softmax_gradient(probabilities, scores, positions);
    }

    /// Fills the queries' and the keys' gradients, given that of the scores, which it scales.
    fn of_query_and_key(
        &mut self,
        sizes: Sizes,
        inputs: Inputs,
        [group, head]: [usize; 2],
        scores: &mut [f32],
    ) {
        let Sizes {
            positions, width, ..
        } = sizes;
        for score in scores.iter_mut() {
            *score *= inputs.scale;
        }
        let (precision, caller) = (inputs.precision, Threading::Caller);
        let (size, square) = ([positions, positions, width], MatrixLayout::rows(positions));
        let (query, key) = (inputs.query.head(group, head), inputs.key.head(group, head));
        let rows = (&*scores, square);
        multiply(
            precision,
            size,
            rows,
            key,
            (self.query, width),
            false,
            caller,
        );
        let rows = (&*scores, square.transposed());
        multiply(
            precision,
            size,
            rows,
            query,
            (self.key, width),
            false,
            caller,
        );
    }
}
