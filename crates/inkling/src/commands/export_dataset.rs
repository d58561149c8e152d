//! Writes datasets for other programs.

use inkling_pipeline::{Context, Inputs, NnunetOptions, open_distinct, write_nnunet};
use serde_json::Value;

use crate::cli::{DatasetFormat, ExportDataset};

pub fn run(flags: &ExportDataset, context: &Context) -> anyhow::Result<Value> {
    let inputs = Inputs::of(&flags.fragments).and(flags.maps.as_ref());
    inputs.check_apart(&flags.out)?;
    let fragments = open_distinct(&flags.fragments, flags.reading.options(false))?;
    match flags.format {
        DatasetFormat::Nnunet => {
            let options = NnunetOptions {
                out: flags.out.clone(),
                layers: flags.layers,
                maps: flags.maps.clone(),
                tile: flags.tile as usize,
            };
            write_nnunet(&fragments, &options, context)
        }
    }
}
