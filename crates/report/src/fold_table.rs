use maud::{Markup, html};

use crate::data::FoldRow;
use crate::embed::gray_address;
use crate::mean_and_spread::mean_and_spread;

/// A fold's figures, as the table's columns have them.
type Column = (&'static str, fn(&FoldRow) -> f64);

const COLUMNS: [Column; 4] = [
    ("F0.5", |row| row.f05),
    ("best F0.5", |row| row.best_f05),
    ("at threshold", |row| row.best_threshold),
    ("average precision", |row| row.average_precision),
];

/// One row per fold with its prediction, and below them each figure's mean and standard deviation.
pub fn fold_table(folds: &[FoldRow]) -> Markup {
    html! {
        @if !folds.is_empty() {
            section {
                h2 { "Folds" }
                table class="folds" {
                    thead {
                        tr {
                            th scope="col" { "held out" }
                            @for (name, _) in COLUMNS { th scope="col" { (name) } }
                            th scope="col" { "epoch" }
                            th scope="col" { "predicted" }
                        }
                    }
                    tbody { @for row in folds { (fold_row(row)) } }
                    tfoot {
                        tr {
                            th scope="row" { "mean ± spread" }
                            @for (_, figure) in COLUMNS { td { (summary(folds, figure)) } }
                            td {} td {}
                        }
                    }
                }
                p class="caption" { "Each fold is validated on papyrus that its network never saw, by the epoch whose F0.5 at a threshold of 0.5 was the highest. Spread is the standard deviation between folds." }
            }
        }
    }
}

fn fold_row(row: &FoldRow) -> Markup {
    html! {
        tr {
            th scope="row" { (row.name) }
            @for (_, figure) in COLUMNS { td { (format!("{:.4}", figure(row))) } }
            td { (row.epoch) }
            td {
                @for (fragment, image) in &row.predicted {
                    a href=(format!("#fragment-{fragment}")) {
                        img src=(gray_address(image)) alt=(format!("Predicted ink of fragment {fragment}"));
                    }
                }
            }
        }
    }
}

fn summary(folds: &[FoldRow], figure: fn(&FoldRow) -> f64) -> String {
    let (mean, spread) = mean_and_spread(folds.iter().map(figure));
    format!("{mean:.4} ± {spread:.4}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_summed_up_below() {
        let row = |name: &str, f05: f64| FoldRow {
            name: name.to_owned(),
            epoch: 3,
            f05,
            best_f05: 0.5,
            best_threshold: 0.5,
            average_precision: 0.5,
            predicted: Vec::new(),
        };
        let page = fold_table(&[row("1", 0.5), row("2a", 0.7)]).into_string();
        assert!(page.contains("2a") && page.contains("0.7000"), "{page}");
        assert!(page.contains("0.6000 ± 0.1414"), "{page}");
        assert!(page.contains("0.5000 ± 0.0000"), "{page}");
        assert!(fold_table(&[]).into_string().is_empty());
    }
}
