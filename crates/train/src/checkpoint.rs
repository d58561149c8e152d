use std::collections::BTreeMap;

use burn::module::{Module as _, Param};
use burn::tensor::{Device, Tensor, TensorData};
use inkling_model::weights::{NamedVisitor, visit_named};
use inkling_model::{Network, Tensors};
use serde::{Deserialize, Serialize};

use crate::adamw::Moments;
use crate::loss_scale::LossScale;
use crate::model_ema::ModelEma;
use crate::optimizer::{Optimizer, TensorState};
use crate::{Error, Ranking, Run, RunFingerprint};

const PROGRESS_KEY: &str = "inkling.progress";
const FINGERPRINT_KEY: &str = "inkling.identity";

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs that were trained to their end.
    pub epochs: u32,
    /// Optimiser steps taken, over all epochs.
    pub steps: u64,
    /// Steps skipped in a row, for their losses were NaN or infinite.
    pub skipped_in_a_row: u32,
    /// The factor on the loss in 16 bits.
    #[serde(default)]
    pub loss_scale: LossScale,
    /// The best epochs so far.
    pub ranking: Ranking,
}

/// Everything that moves while a run trains.
pub(crate) struct State {
    pub network: Network,
    pub optimizer: Optimizer,
    pub average: Option<ModelEma>,
    pub progress: Progress,
}

/// What a checkpoint says of itself.
pub(crate) struct Found {
    pub progress: Progress,
    pub fingerprint: RunFingerprint,
}

impl Run {
    /// Writes everything needed to go on as one file, so that a crash leaves either the old
    /// state or the new one.
    pub(crate) fn checkpoint(
        &self,
        state: &State,
        fingerprint: &RunFingerprint,
    ) -> Result<(), Error> {
        let mut tensors = Tensors::default();
        let text = serde_json::to_string(&state.progress).expect("progress is plain data");
        tensors.describe(PROGRESS_KEY, text);
        let text = serde_json::to_string(fingerprint).expect("a fingerprint is plain data");
        tensors.describe(FINGERPRINT_KEY, text);
        // Norms hold updates back until they are asked; the network without gradients has them.
        visit_named(&state.network.valid(), &mut Collector(&mut tensors));
        for (name, state) in state.optimizer.states() {
            match state {
                TensorState::Moments(moments) => {
                    insert_flat(&mut tensors, format!("moment_1.{name}"), &moments.first);
                    insert_flat(&mut tensors, format!("moment_2.{name}"), &moments.second);
                    let time = vec![moments.steps as f32];
                    tensors.insert(format!("time.{name}"), vec![1], time);
                }
                TensorState::Momentum(momentum) => {
                    insert_flat(&mut tensors, format!("momentum.{name}"), momentum);
                }
            }
        }
        for (name, values) in state.average.iter().flat_map(ModelEma::tensors) {
            insert_flat(&mut tensors, format!("average.{name}"), values);
        }
        Ok(tensors.write(&self.claim("resume.safetensors")?, true)?)
    }

    /// What the run's checkpoint says of itself, and its tensors; `None` when there is none yet.
    pub(crate) fn found(&self) -> Result<Option<(Found, Tensors)>, Error> {
        let path = self.resume_path();
        if !path.exists() || self.replaces_another() {
            return Ok(None);
        }
        let tensors = Tensors::read(&path)?;
        let text = |key: &str| tensors.metadata().get(key).map_or("", String::as_str);
        let parsed = (
            serde_json::from_str(text(PROGRESS_KEY)),
            serde_json::from_str(text(FINGERPRINT_KEY)),
        );
        let (Ok(progress), Ok(fingerprint)) = parsed else {
            return Err(Error::Run {
                path,
                found: "a file without a run's progress".to_owned(),
                expected: "a checkpoint that this version of `inkling train` wrote".to_owned(),
                hint: "give --out another folder for a new run".to_owned(),
            });
        };
        Ok(Some((
            Found {
                progress,
                fingerprint,
            },
            tensors,
        )))
    }

    /// Whether the run of `fingerprint` has come to its last epoch, `epochs`.
    ///
    /// # Errors
    /// A checkpoint of other settings or data; a damaged one.
    pub fn is_finished(
        &self,
        fingerprint: &RunFingerprint,
        allow_changed_data: bool,
        epochs: u32,
    ) -> Result<bool, Error> {
        let Some((found, _)) = self.found()? else {
            return Ok(false);
        };
        fingerprint.accept(&found.fingerprint, allow_changed_data, &self.resume_path())?;
        Ok(found.progress.epochs >= epochs)
    }

    /// Refuses moments and averages that are not as long as the tensors that they are of.
    fn check_moments(&self, network: &Network, tensors: &Tensors) -> Result<(), Error> {
        let mut lengths = Lengths::default();
        visit_named(network, &mut lengths);
        for name in tensors.names() {
            let kinds = ["moment_1.", "moment_2.", "momentum.", "average."];
            let Some(of) = kinds.iter().find_map(|kind| name.strip_prefix(kind)) else {
                continue;
            };
            let found = tensors.shape(name).unwrap_or_default();
            let whole = |name: String| tensors.shape(&name).is_some();
            let paired = !name.starts_with("moment_")
                || whole(format!("moment_1.{of}")) && whole(format!("moment_2.{of}"));
            if !paired || lengths.0.get(of).is_none_or(|length| found != [*length]) {
                return Err(Error::Run {
                    path: self.resume_path(),
                    found: format!("the tensor {name} of shape {found:?}"),
                    expected: "moments of the network's tensors, in pairs".to_owned(),
                    hint: "copy the run again".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Puts what [`checkpoint`](Self::checkpoint) wrote into `state`.
    pub(crate) fn restore(
        &self,
        mut state: State,
        progress: Progress,
        tensors: Tensors,
        device: &Device,
    ) -> Result<State, Error> {
        self.check_moments(&state.network, &tensors)?;
        let flat = |name: String| {
            let values = tensors.values(&name);
            let length = values.len();
            Tensor::<1>::from_data(TensorData::new(values, [length]), device)
        };
        for name in tensors.names() {
            if let Some(name) = name.strip_prefix("moment_1.") {
                let time = tensors.values(&format!("time.{name}"));
                let moments = TensorState::Moments(Box::new(Moments {
                    first: flat(format!("moment_1.{name}")),
                    second: flat(format!("moment_2.{name}")),
                    steps: time.first().map_or(0, |&steps| steps as usize),
                }));
                state.optimizer.restore(name.to_owned(), moments);
            }
            if let Some(of) = name.strip_prefix("momentum.") {
                let momentum = TensorState::Momentum(Box::new(flat(name.to_owned())));
                state.optimizer.restore(of.to_owned(), momentum);
            }
            if let (Some(name), Some(average)) = (name.strip_prefix("average."), &mut state.average)
            {
                average.restore(name.to_owned(), flat(format!("average.{name}")));
            }
        }
        let extra = ["moment_1.", "moment_2.", "time.", "momentum.", "average."];
        let is_extra = |name: &str| extra.iter().any(|prefix| name.starts_with(prefix));
        let weights = tensors.renamed(|name| (!is_extra(name)).then(|| name.to_owned()));
        let path = self.resume_path();
        state.network = inkling_model::load_weights(state.network, &path, weights)?;
        state.progress = progress;
        Ok(state)
    }
}

/// Values of each tensor, by name.
#[derive(Default)]
struct Lengths(BTreeMap<String, usize>);

impl NamedVisitor for Lengths {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        let length = param.lazy_shape().num_elements();
        self.0.insert(name.to_owned(), length);
    }
}

struct Collector<'a>(&'a mut Tensors);

impl NamedVisitor for Collector<'_> {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        let shape = param.lazy_shape().to_vec();
        let values = param.val().into_data().convert::<f32>();
        let values = values.try_into_vec().expect("converted to f32");
        self.0.insert(name.to_owned(), shape, values);
    }
}

fn insert_flat(tensors: &mut Tensors, name: String, values: &Tensor<1>) {
    let values: Vec<f32> = values.to_data().try_to_vec().expect("kept as f32");
    tensors.insert(name, vec![values.len()], values);
}
