use serde::Serialize;

use crate::distortion::Distortion;
use crate::level_counts::LevelCounts;
use crate::score::f_beta;

/// How a prediction agrees with labels, over papyrus pixels. What cannot be said of these
/// pixels, as the area under a curve without ink, is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// F0.5, 0 to 1; none without labelled ink.
    pub f05: Option<f64>,
    /// Area under the receiver operating characteristic, 0 to 1; half is chance.
    pub auc: Option<f64>,
    /// Area under the precision–recall curve: the sum of precision times the rise of recall.
    pub average_precision: Option<f64>,
    /// Mean of the shares of ink and of bare papyrus that are called so, 0 to 1; half is chance.
    pub balanced_accuracy: Option<f64>,
    /// Dice coefficient, which is F1, 0 to 1; none without ink, labelled or called.
    pub dice: Option<f64>,
    /// Pseudo F-measure, 0 to 1: F1 whose recall is over the skeleton of the ink (H-DIBCO 2010;
    /// Ntirogiannis, Gatos and Pratikakis 2008), so that a stroke's width hardly counts.
    pub pseudo_f_measure: Option<f64>,
    /// Distance reciprocal distortion (Lu, Kot and Shi 2004): 0 is perfect, without upper bound.
    pub drd: Option<f64>,
    /// Share of the papyrus that is called ink, 0 to 1; needs no labels.
    pub ink_share: Option<f64>,
}

impl Metrics {
    /// Of pixels per level and those that are called ink, pixels of the ink's skeleton that are found and all
    /// of them, and a distortion.
    pub(crate) fn new(
        counts: &LevelCounts,
        [found, skeleton]: [u64; 2],
        distortion: Distortion,
    ) -> Self {
        let [bare, ink] = &counts.levels;
        let all = |levels: &[u64; 256]| levels.iter().sum::<u64>() as f64;
        let [wrong, right] = counts.called.map(|count| count as f64);
        let (positives, negatives) = (all(ink), all(bare));
        let both = positives > 0.0 && negatives > 0.0;
        let called = right + wrong;
        let pseudo_recall = (skeleton > 0).then(|| found as f64 / skeleton as f64);
        let precision = if called > 0.0 { right / called } else { 0.0 };
        let recall = (positives > 0.0).then(|| right / positives);
        Self {
            f05: recall.map(|recall| f_beta(precision, recall)),
            auc: both.then(|| auc(bare, ink) / (positives * negatives)),
            average_precision: (positives > 0.0).then(|| average_precision(bare, ink)),
            balanced_accuracy: both
                .then(|| (right / positives + (negatives - wrong) / negatives) / 2.0),
            dice: (called + positives > 0.0).then(|| 2.0 * right / (called + positives)),
            pseudo_f_measure: pseudo_recall.map(|recall| f1(precision, recall)),
            drd: distortion.value(),
            ink_share: (positives + negatives > 0.0).then(|| called / (positives + negatives)),
        }
    }

    /// All of them with their names, in the order of the fields.
    pub fn named(&self) -> [(&'static str, Option<f64>); 8] {
        [
            ("f05", self.f05),
            ("auc", self.auc),
            ("average_precision", self.average_precision),
            ("balanced_accuracy", self.balanced_accuracy),
            ("dice", self.dice),
            ("pseudo_f_measure", self.pseudo_f_measure),
            ("drd", self.drd),
            ("ink_share", self.ink_share),
        ]
    }
}

fn f1(precision: f64, recall: f64) -> f64 {
    match precision + recall > 0.0 {
        true => 2.0 * precision * recall / (precision + recall),
        false => 0.0,
    }
}

/// Pairs of a pixel of ink and a bare one of which the former has the higher level; half of those of
/// one level.
fn auc(bare: &[u64; 256], ink: &[u64; 256]) -> f64 {
    let mut below = 0.0;
    let mut pairs = 0.0;
    for (&bare, &ink) in bare.iter().zip(ink) {
        let (bare, ink) = (bare as f64, ink as f64);
        pairs += ink * (below + bare / 2.0);
        below += bare;
    }
    pairs
}

fn average_precision(bare: &[u64; 256], ink: &[u64; 256]) -> f64 {
    let positives = ink.iter().sum::<u64>() as f64;
    let (mut found, mut called, mut sum) = (0.0, 0.0, 0.0);
    for (&bare, &ink) in bare.iter().zip(ink).rev() {
        found += ink as f64;
        called += (ink + bare) as f64;
        if ink > 0 {
            sum += found / called * ink as f64 / positives;
        }
    }
    sum
}
