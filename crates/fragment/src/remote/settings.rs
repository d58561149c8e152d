use std::path::PathBuf;

/// How fragments on servers are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSettings {
    /// The folder in which chunks are kept; `None` keeps none on disk.
    pub cache: Option<PathBuf>,
    /// Most bytes of that folder. What was not used for longest goes first.
    pub cache_bytes: u64,
    /// How often a request is sent before it counts as failed. The pause before the second is a tenth
    /// of a second, and doubles.
    pub attempts: u32,
    /// The server of `s3://` addresses, as `http://localhost:9000`; Amazon's where there is none.
    pub s3_endpoint: Option<String>,
}

/// 20 GiB.
const CACHE_BYTES: u64 = 20 << 30;
/// The pauses add up to 25 s.
const ATTEMPTS: u32 = 9;

impl RemoteSettings {
    /// What the environment says: `INKLING_CACHE` (a folder; empty for none), or `inkling` in
    /// `XDG_CACHE_HOME` or `~/.cache`; `INKLING_CACHE_GIB`; `INKLING_ATTEMPTS`; `AWS_ENDPOINT_URL_S3` or
    /// `AWS_ENDPOINT_URL`.
    pub fn from_env() -> Self {
        let variable = |name: &str| std::env::var_os(name);
        let number = |name: &str| variable(name)?.to_str()?.trim().parse::<f64>().ok();
        let cache = match variable("INKLING_CACHE") {
            Some(folder) => (!folder.is_empty()).then(|| PathBuf::from(folder)),
            None => {
                let caches = variable("XDG_CACHE_HOME").filter(|folder| !folder.is_empty());
                let own = || Some(std::env::home_dir()?.join(".cache"));
                let caches = caches.map(PathBuf::from).or_else(own);
                caches.map(|caches| caches.join("inkling"))
            }
        };
        let gib = number("INKLING_CACHE_GIB").filter(|gib| gib.is_finite() && *gib >= 0.0);
        let attempts = number("INKLING_ATTEMPTS").filter(|attempts| *attempts >= 1.0);
        Self {
            cache,
            cache_bytes: gib.map_or(CACHE_BYTES, |gib| (gib * (1_u64 << 30) as f64) as u64),
            s3_endpoint: ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
                .into_iter()
                .filter_map(|name| std::env::var(name).ok())
                .find(|endpoint| !endpoint.is_empty()),
            attempts: attempts.map_or(ATTEMPTS, |attempts| attempts.min(20.0) as u32),
        }
    }
}
