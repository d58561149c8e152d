//! Training through the binary: what goes wrong, what is kept.

use crate::scrap::{Scrap, figures, inkling, word};

/// The first step throws the weights out of all numbers; the next ones are skipped and counted.
#[test]
fn losses_that_are_no_numbers_end_training_with_a_clear_word() {
    let scrap = Scrap::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let run = scrap.path("run");
    let output = inkling(&[
        "train",
        "--config",
        word(&recipe),
        "--out",
        word(&run),
        "--set",
        "train.optimizer.learning_rate=1e38",
        "--set",
        "train.samples_per_epoch=40",
    ]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("no numbers"), "{words}");
    assert!(words.contains("Mend: lower"), "{words}");
}

#[test]
fn several_fragments_are_held_out_together() {
    let scrap = Scrap::new();
    scrap.phantom("2", 2);
    scrap.phantom("3", 3);
    let recipe = scrap.recipe("[train.loss]\nfocal = 0.5\ndice = 0.5\nlabel_smoothing = 0.1\n");
    let text = std::fs::read_to_string(&recipe).unwrap();
    let text = text.replace(
        "fragments = [\"1\", \"2\"]",
        "fragments = [\"1\", \"2\", \"3\"]\nfolds = [[\"1\"], [\"2\", \"3\"]]",
    );
    std::fs::write(&recipe, text).unwrap();
    let run = scrap.path("run");
    let train = |fold: &str| {
        figures(&[
            "train",
            "--force",
            "--config",
            word(&recipe),
            "--out",
            word(&run),
            "--fold",
            fold,
        ])
    };
    assert_eq!(train("2+3")["held_out"], "2+3");
    assert_eq!(train("0")["held_out"], "1");
}
