//! What `merge` reads: plan.json, the mask, and files of tiles, with a header that fits the plan or
//! without.
#![no_main]

use std::path::Path;

use inkling_fragment::write_gray;
use inkling_fuzz::{put, scratch};
use inkling_predict::{Shard, TileStore};
use ndarray::Array2;

const PLAN: &[u8] = include_bytes!("../corpus/plan/whole.json");
const TILES: &str = "part-1-of-1.tiles";

/// Reads all that lies there; what is joined is not kept.
fn merge(folder: &Path) {
    let Ok(store) = TileStore::open(folder) else {
        return;
    };
    let _ = store.parts();
    if store.plan().size.iter().product::<usize>() > 1 << 20 {
        return;
    }
    if let Ok(sheet) = store.sheet() {
        let _ = store.blend(&sheet, &mut |_| Ok(()));
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let folder = scratch();
    if !folder.join("mask.png").exists() {
        let mask = Array2::from_elem((32, 32), 255);
        write_gray(folder.join("mask.png"), mask.view(), true).expect("a small image");
    }
    match kind % 3 {
        0 => {
            put("plan.json", data);
            put(TILES, b"");
        }
        1 => {
            put("plan.json", PLAN);
            put(TILES, data);
        }
        _ => {
            put("plan.json", PLAN);
            let _ = std::fs::remove_file(folder.join(TILES));
            let store = TileStore::open(folder).expect("the plan of the corpus is whole");
            let _ = store
                .part(Shard::WHOLE, false, true)
                .expect("a part can be begun");
            let partial = folder.join("part-1-of-1.partial");
            let mut file = std::fs::read(&partial).expect("it was just written");
            file.extend(data);
            put(TILES, &file);
            let _ = std::fs::remove_file(partial);
        }
    }
    merge(folder);
});
