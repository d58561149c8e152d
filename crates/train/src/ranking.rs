use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::Validation;

/// A figure of validation by which the best weights are chosen; more is better.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// F0.5 at a threshold of 0.5, the reference solution's choice.
    F05,
    /// The highest F0.5 over all thresholds.
    BestF05,
    /// Area under the precision–recall curve.
    AveragePrecision,
}

impl Metric {
    /// The value of this metric, 0 to 1, or NaN.
    pub fn of(self, validation: &Validation) -> f64 {
        match self {
            Self::F05 => validation.f05,
            Self::BestF05 => validation.best_f05,
            Self::AveragePrecision => validation.average_precision,
        }
    }

    /// As tables and captions spell it.
    pub fn title(self) -> &'static str {
        match self {
            Self::F05 => "F0.5",
            Self::BestF05 => "best F0.5",
            Self::AveragePrecision => "average precision",
        }
    }

    /// As settings and file names spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F05 => "f05",
            Self::BestF05 => "best_f05",
            Self::AveragePrecision => "average_precision",
        }
    }
}

/// The best epochs so far by each metric, best first; of equal ones the earlier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    by_metric: BTreeMap<Metric, Vec<(f64, u32)>>,
}

impl Ranking {
    /// Takes in `epoch`'s figures, keeping `keep` epochs for each of `metrics`. Returns the
    /// metrics by which it is the best so far.
    pub fn enter(
        &mut self,
        metrics: &[Metric],
        keep: usize,
        epoch: u32,
        validation: &Validation,
    ) -> Vec<Metric> {
        let mut first = Vec::new();
        for &metric in metrics {
            let score = metric.of(validation);
            if score.is_nan() {
                continue;
            }
            let ranks = self.by_metric.entry(metric).or_default();
            let place = ranks.partition_point(|&(other, _)| other >= score);
            ranks.insert(place, (score, epoch));
            ranks.truncate(keep.max(1));
            if place == 0 {
                first.push(metric);
            }
        }
        first
    }

    /// The best figure and its epoch.
    pub fn best(&self, metric: Metric) -> Option<(f64, u32)> {
        self.by_metric.get(&metric)?.first().copied()
    }

    /// Every epoch that is among the best by some metric.
    pub fn epochs(&self) -> BTreeSet<u32> {
        let ranked = self.by_metric.values().flatten();
        ranked.map(|&(_, epoch)| epoch).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_keeps_its_own_best() {
        let mut ranking = Ranking::default();
        let metrics = [Metric::F05, Metric::AveragePrecision];
        let scores = [(0.2, 0.5), (0.4, 0.4), (0.4, 0.1), (0.3, 0.7)];
        let first: Vec<Vec<Metric>> = (1..)
            .zip(scores)
            .map(|(epoch, (f05, average_precision))| {
                let validation = Validation {
                    f05,
                    average_precision,
                    ..Validation::default()
                };
                ranking.enter(&metrics, 2, epoch, &validation)
            })
            .collect();
        let (f05, precision) = (Metric::F05, Metric::AveragePrecision);
        assert_eq!(
            first,
            [vec![f05, precision], vec![f05], vec![], vec![precision]]
        );
        assert_eq!(ranking.best(f05), Some((0.4, 2)));
        assert_eq!(ranking.best(precision), Some((0.7, 4)));
        assert_eq!(ranking.epochs(), [1, 2, 3, 4].into());
    }
}
