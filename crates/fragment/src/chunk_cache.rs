use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use ndarray::ArrayD;

/// Decoded bytes that are kept, over all volumes.
const CAPACITY: u64 = 512 << 20;

/// What a chunk of a layer or a volume was decoded to.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// 8-bit voxels, as they are stored.
    Eight(ArrayD<u8>),
    /// 16-bit voxels.
    Sixteen(ArrayD<u16>),
    /// A chunk that is not stored.
    Missing,
}

impl Decoded {
    fn bytes(&self) -> u32 {
        let bytes = match self {
            Self::Eight(voxels) => voxels.len(),
            Self::Sixteen(voxels) => 2 * voxels.len(),
            Self::Missing => 0,
        };
        // What the cache itself holds per chunk.
        u32::try_from(bytes + 256).unwrap_or(u32::MAX)
    }
}

static SOURCES: AtomicU64 = AtomicU64::new(0);
static CHUNKS: LazyLock<Cache<(u64, u64), Arc<Decoded>>> = LazyLock::new(|| {
    Cache::builder()
        .max_capacity(CAPACITY)
        .eviction_policy(EvictionPolicy::lru())
        .weigher(|_, chunk: &Arc<Decoded>| chunk.bytes())
        .build()
});

/// One source's share of the cache of decoded chunks, 512 MiB for the whole process: what was
/// used last stays. Two threads that ask for one chunk decode it once.
#[derive(Debug)]
pub(crate) struct ChunkCache {
    source: u64,
}

impl ChunkCache {
    /// For a source of chunks that are told apart by a number.
    pub fn new() -> Self {
        Self {
            source: SOURCES.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The chunk `number` where it is at hand.
    pub fn peek(&self, number: u64) -> Option<Arc<Decoded>> {
        CHUNKS.get(&(self.source, number))
    }

    /// Keeps a chunk that was decoded on the way to another one.
    pub fn put(&self, number: u64, chunk: Arc<Decoded>) {
        CHUNKS.insert((self.source, number), chunk);
    }

    /// The chunk `number`, decoded by `decode` where it is not at hand. `decode` must not wait for
    /// other threads' work (no parallel loop), as they may wait for this chunk.
    ///
    /// # Errors
    /// Those of `decode`, which are not kept.
    pub fn get<E: Send + Sync + 'static>(
        &self,
        number: u64,
        decode: impl FnOnce() -> Result<Decoded, E>,
    ) -> Result<Arc<Decoded>, Arc<E>> {
        CHUNKS.try_get_with((self.source, number), || decode().map(Arc::new))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use ndarray::IxDyn;
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn a_chunk_is_decoded_once_for_all_threads_and_errors_are_not_kept() {
        let (cache, other) = (ChunkCache::new(), ChunkCache::new());
        let calls = AtomicUsize::new(0);
        let failed = cache.get(7, || Err("damaged")).unwrap_err();
        assert_eq!(*failed, "damaged");
        (0..64).into_par_iter().for_each(|_| {
            let decode = || {
                calls.fetch_add(1, Ordering::Relaxed);
                Ok::<_, String>(Decoded::Sixteen(ArrayD::zeros(IxDyn(&[2, 3]))))
            };
            assert_eq!(cache.get(7, decode).unwrap().bytes(), 12 + 256);
        });
        assert_eq!(calls.into_inner(), 1);
        let missing = other.get(7, || Ok::<_, String>(Decoded::Missing)).unwrap();
        assert!(matches!(*missing, Decoded::Missing));
    }
}
