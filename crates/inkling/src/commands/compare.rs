//! Compares two probability maps of one sheet.

use inkling_fragment::{read_drawn, read_labels, read_probability};
use inkling_pipeline::{Context, parse_threshold};
use inkling_predict::{Comparison, FEWEST_BLOCKS, Intervals};
use serde_json::Value;

use crate::cli::Compare;

pub fn run(flags: &Compare, context: &Context) -> anyhow::Result<Value> {
    let first = read_probability(&flags.first)?;
    let second = read_probability(&flags.second)?;
    let labels = flags.labels.as_ref();
    let labels = labels.map(|path| read_labels(path, &[], flags.reading.options()));
    let labels = labels.transpose()?;
    let mask = match &flags.mask {
        Some(path) => read_drawn(path)?,
        None => {
            context.say("without --mask, all pixels count that are above 0 in the first map");
            first.mapv(|level| level > 0)
        }
    };
    let found = Comparison::of(
        [&first, &second],
        &mask,
        labels.as_ref(),
        parse_threshold(&flags.threshold)?,
        flags.block as usize,
    )?;
    say_blocks(found.blocks, found.block, context);
    say_figures("the first and the second map", &found.agreement, context);
    if let Some(known) = &found.labels {
        say_figures("the first map and the labels", &known.first, context);
        say_figures("the second map and the labels", &known.second, context);
        say_figures("the first less the second", &known.difference, context);
    }
    Ok(serde_json::to_value(&found)?)
}

/// Says which blocks intervals come from, or that there are too few for any.
pub fn say_blocks(blocks: usize, side: usize, context: &Context) {
    context.say(match blocks < FEWEST_BLOCKS {
        true => format!(
            "blocks of {side} px that hold papyrus: {blocks}, too few for intervals, which take \
             {FEWEST_BLOCKS}. hint: give a smaller --block, but no smaller than what a network sees at \
             once"
        ),
        false => format!("95 % intervals by drawing {blocks} blocks of {side} px"),
    });
}

/// A line of words per figure.
pub fn say_figures(what: &str, figures: &Intervals, context: &Context) {
    context.say(format!("{what}:"));
    for figure in figures.iter() {
        context.say(format!("  {:<26} {figure}", figure.title()));
    }
}
