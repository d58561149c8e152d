//! The reading that `controls` and `limit` ask questions of.

use std::path::PathBuf;

use inkling_fragment::{Fragment, ResultFolder, ResultKind};
use inkling_pipeline::{Context, Ensemble, Inputs, Maps, maps_to_read, parse_threshold};
use inkling_predict::{PredictSettings, Threshold};

use super::predict::tta;
use crate::cli::AuditFlags;

/// A fragment, the networks that read it, and how.
pub struct AuditedReading {
    pub fragment: Fragment,
    pub ensemble: Ensemble,
    /// The folder of the depth maps that the fragment is read through.
    pub maps: Option<PathBuf>,
    pub predict: PredictSettings,
    /// From which probability on a pixel is ink.
    pub threshold: Threshold,
    /// Where results go.
    pub results: ResultFolder,
    /// Their names.
    pub files: [String; 2],
}

impl AuditedReading {
    /// Opens what `flags` name, for results whose names are made of the fragment's.
    ///
    /// # Errors
    /// For what cannot be read, and results that are there already and are not to be replaced: before anything is
    /// computed.
    pub fn open(
        flags: &AuditFlags,
        files: impl Fn(&str) -> [String; 2],
        context: &Context,
    ) -> anyhow::Result<Self> {
        let maps = Maps::of_flags(flags.maps.as_deref(), flags.flip);
        maps.check_order(flags.flip)?;
        let paths = [&flags.fragment].into_iter().chain(&flags.models);
        Inputs::of(paths)
            .and(maps.folder())
            .check_apart(&flags.out)?;
        let tta = tta(&flags.tta)?;
        let threshold = parse_threshold(&flags.threshold)?;
        // Maps are fitted to the layers in the files' order.
        let flip = flags.flip && flags.maps.is_none();
        let fragment = Fragment::open_named(&flags.fragment, flags.reading.options(flip))?;
        let results = ResultFolder::shared(&flags.out, ResultKind::Audit);
        let files = files(fragment.id());
        for name in &files {
            results.check(name, context.force)?;
        }
        let mut ensemble = Ensemble::load(&flags.models, &[], &[], context)?;
        maps.warn_of_unaligned(&ensemble);
        ensemble.centre_layers(fragment.depth());
        Ok(Self {
            maps: maps_to_read(&maps, &flags.out, false, &fragment, &ensemble, context)?,
            predict: PredictSettings {
                tta,
                ..ensemble.metadata().predict.clone()
            },
            threshold,
            fragment,
            ensemble,
            results,
            files,
        })
    }
}
