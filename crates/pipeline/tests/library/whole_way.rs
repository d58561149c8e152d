//! Training, prediction in shards, merging and reports.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use inkling_fragment::{Fragment, read_gray};
use inkling_model::DeviceName;
use inkling_pipeline::{
    Batch, Context, Ensemble, Fold, ImageFiles, Maps, MemoryMeter, Observer, PredictionJob,
    PredictionOptions, Recipe, ResumeOptions, Silent, Task, choose_fold, folds, merge,
    open_fragments, train, weights_file, write_records, write_report,
};
use inkling_predict::Shard;
use inkling_train::Ranks;

use crate::phantoms::Phantoms;

/// Counts nothing: what is measured here needs no allocator.
struct Uncounted;

impl MemoryMeter for Uncounted {
    fn in_use(&self) -> usize {
        0
    }

    fn peak(&self) -> usize {
        0
    }

    fn forget_peak(&self) {}
}

/// Counts the lines that are said.
#[derive(Default)]
struct Lines(AtomicUsize);

impl Observer for Lines {
    fn say(&self, _line: &str) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn task(&self, name: &str) -> Box<dyn Task> {
        Silent.task(name)
    }

    fn subtask(&self, name: &str) -> Box<dyn Task> {
        Silent.subtask(name)
    }
}

fn within<T>(observer: &dyn Observer, work: impl FnOnce(&Context) -> T) -> T {
    let ranks = Ranks::single();
    let device: DeviceName = "flex".parse().unwrap();
    work(&Context::new(observer, &Uncounted, &ranks, device, "test"))
}

fn trained(phantoms: &Phantoms, context: &Context) -> (Recipe, Vec<Fragment>, Fold) {
    let recipe = phantoms.recipe(&["1", "2"], &[]);
    let fragments = open_fragments(&recipe).unwrap();
    let fold = choose_fold(None, &folds(&recipe, &fragments).unwrap()).unwrap();
    let run = phantoms.path("run");
    let options = ResumeOptions::default();
    let epochs = train(&recipe, &fragments, &fold, &run, options, context).unwrap();
    assert_eq!(epochs.len(), 1);
    assert!(epochs[0].validation.as_ref().unwrap().average_precision > 0.0);
    (recipe, fragments, fold)
}

fn options(out: &Path) -> PredictionOptions {
    PredictionOptions {
        out: out.to_owned(),
        maps: Maps::None,
        region: None,
        batch: Batch::Tiles(2),
        memory: 1 << 30,
        resume: false,
        uncertainty: false,
        per_model: false,
        images: ImageFiles::default(),
        pixel_size: None,
    }
}

#[test]
fn shards_that_are_merged_are_the_whole_and_both_have_reports() {
    let phantoms = Phantoms::new();
    let lines = Lines::default();
    within(&lines, |context| {
        let (recipe, fragments, _) = trained(&phantoms, context);
        let run = phantoms.path("run");
        assert!(weights_file(&run).unwrap().ends_with("best.safetensors"));
        let ensemble = Ensemble::load(std::slice::from_ref(&run), &[], &[], context).unwrap();
        assert_eq!(ensemble.input().layers, recipe.data.layers);
        let job = |options| {
            let fragment = fragments[1].clone();
            let settings = recipe.predict.clone();
            PredictionJob::prepare(fragment, settings, options, &ensemble, context).unwrap()
        };
        let (whole, parts) = (phantoms.path("whole"), phantoms.path("parts"));
        let in_whole = options(&whole);
        let merged = job(&in_whole).whole().unwrap();
        write_records(&whole, vec![merged], false).unwrap();
        let in_parts = options(&parts);
        for shard in ["1/3", "2/3", "3/3"] {
            let shard: Shard = shard.parse().unwrap();
            let job = job(&in_parts);
            job.make(&job.store().unwrap(), shard).unwrap();
        }
        merge(&parts, &ImageFiles::default(), false, context).unwrap();
        let image = |folder: &Path| read_gray(folder.join("2.png")).unwrap();
        assert_eq!(image(&whole), image(&parts));
        assert!(image(&whole).iter().any(|&level| level > 0));
        // A region's pixels are those of the whole sheet, and others stay 0.
        let folder = phantoms.path("region");
        let in_region = PredictionOptions {
            region: Some("20:52,30:70".parse().unwrap()),
            ..options(&folder)
        };
        let region = job(&in_region).whole().unwrap();
        assert_eq!(region.entry["region"], "20:52,30:70");
        let (all, some) = (image(&whole), image(&folder));
        for ((y, x), &level) in some.indexed_iter() {
            let inside = (20..52).contains(&y) && (30..70).contains(&x);
            assert_eq!(level, if inside { all[[y, x]] } else { 0 }, "{y}, {x}");
        }
        assert!(some.iter().any(|&level| level > 0));
        for folder in [&run, &whole, &parts] {
            let page = std::fs::read_to_string(write_report(folder).unwrap()).unwrap();
            assert!(page.contains("<h1"), "{}", folder.display());
        }
    });
    assert!(lines.0.load(Ordering::Relaxed) >= 3);
}

#[test]
fn a_run_that_is_there_is_neither_replaced_nor_mixed() {
    let phantoms = Phantoms::new();
    within(&Silent, |context| {
        let (recipe, fragments, fold) = trained(&phantoms, context);
        let run = phantoms.path("run");
        let before = std::fs::read(weights_file(&run).unwrap()).unwrap();
        let again = |options| train(&recipe, &fragments, &fold, &run, options, context);
        let refused = again(ResumeOptions::default()).unwrap_err().to_string();
        assert!(refused.contains("run"), "{refused}");
        let resume = ResumeOptions {
            resume: true,
            ..ResumeOptions::default()
        };
        assert_eq!(again(resume).unwrap().len(), 1);
        assert_eq!(std::fs::read(weights_file(&run).unwrap()).unwrap(), before);
    });
}
