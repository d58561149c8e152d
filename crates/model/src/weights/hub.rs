//! Pretrained weights from the Hugging Face Hub, kept in its own cache, which Python shares.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::sha256;
use super::hub_client::{About, Client, Trouble};
use crate::{Error, KnownCheckpoint};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};

/// The organisation whose repositories are meant.
const PREFIX: &str = "timm/";
/// The file that holds a repository's weights.
const FILE: &str = "model.safetensors";
/// The branch that is fetched.
const BRANCH: &str = "main";
/// What is found where the hub has no such file.
const NO_SUCH_FILE: &str = "the answer 404";
/// How often a broken transfer is taken up again before giving up.
const RETRIES: u32 = 2;
/// The pause before the first retry; later ones wait longer.
const PAUSE: Duration = Duration::from_millis(500);

/// Where weights are fetched from and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub {
    /// The cache's folder.
    pub cache: PathBuf,
    /// The server, without a slash at the end.
    pub endpoint: String,
    /// Shown to the server, for repositories that are not public. It is shown to no other server
    /// that the hub redirects to, and never sent over plain http (but to this machine itself).
    pub token: Option<String>,
    /// Takes only what the cache holds.
    pub offline: bool,
}

impl Hub {
    /// The hub as the environment says: `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN` (or
    /// the token that `hf auth login` kept) and `HF_HUB_OFFLINE`, read as Python's
    /// huggingface_hub reads them.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let folder = |name| variable(name).map(PathBuf::from);
        let home = folder("HF_HOME").unwrap_or_else(|| {
            let caches = folder("XDG_CACHE_HOME");
            let user = || std::env::home_dir().unwrap_or_default().join(".cache");
            caches.unwrap_or_else(user).join("huggingface")
        });
        let kept = || std::fs::read_to_string(home.join("token")).ok();
        let token = variable("HF_TOKEN").or_else(kept);
        let endpoint = variable("HF_ENDPOINT");
        let endpoint = endpoint.unwrap_or_else(|| "https://huggingface.co".to_owned());
        let yes = |text: String| ["1", "true", "yes", "on"].contains(&&*text.to_lowercase());
        Self {
            cache: folder("HF_HUB_CACHE").unwrap_or_else(|| home.join("hub")),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: token
                .map(|token| token.trim().to_owned())
                .filter(|token| !token.is_empty()),
            offline: variable("HF_HUB_OFFLINE").is_some_and(yes),
        }
    }

    /// The file behind `pretrained = "…"`: `timm/<name>` is taken from the cache or fetched, a
    /// broken download being taken up where it ended; anything else is a path. `progress` is told
    /// the bytes that are there and the bytes in all.
    ///
    /// # Errors
    /// [`Error::Hub`] when the name, the network or the hub is at fault.
    pub fn find(&self, source: &str, progress: impl FnMut(u64, u64)) -> Result<PathBuf, Error> {
        match source.strip_prefix(PREFIX) {
            Some(name) if !Path::new(source).exists() => self.fetch(name, progress),
            _ => Ok(PathBuf::from(source)),
        }
    }

    fn fetch(&self, name: &str, progress: impl FnMut(u64, u64)) -> Result<PathBuf, Error> {
        let file = HubFile {
            repository: format!("{PREFIX}{name}"),
            file: FILE.to_owned(),
            revision: BRANCH.to_owned(),
            asked: format!("model.pretrained = \"{PREFIX}{name}\""),
        };
        if !is_plain(name) {
            let found = "a name with odd characters".to_owned();
            return Err(self.error(
                &file,
                found,
                "use a name that https://huggingface.co/timm lists",
            ));
        }
        self.get(&file, progress)
    }

    /// A file of any repository, from the cache or fetched, as [`find`](Self::find) does.
    ///
    /// # Errors
    /// [`Error::Hub`] when the names, the network or the hub is at fault.
    pub fn get(&self, name: &HubFile, progress: impl FnMut(u64, u64)) -> Result<PathBuf, Error> {
        if !name.is_plain() {
            let found = "a name with odd characters".to_owned();
            let hint = "write it as hf:OWNER/NAME, hf:OWNER/NAME/FILE or either with @REVISION";
            return Err(self.error(name, found, hint));
        }
        let (repo, cache) = self.cache_of(name);
        if let Some(path) = cache.get(&name.file) {
            return Ok(path);
        }
        if self.offline {
            let found = format!("nothing in the cache {}", self.cache.display());
            let hint = "unset HF_HUB_OFFLINE, or give the path of a file";
            return Err(self.error(name, found, hint));
        }
        let Some(client) = Client::new(&self.endpoint, self.token.as_deref()) else {
            let found = "no address of a server".to_owned();
            return Err(self.error(name, found, "set HF_ENDPOINT to https://…, or unset it"));
        };
        if client.would_show_token() {
            let found = "plain http, which would show the token to everyone between".to_owned();
            let hint = "set HF_ENDPOINT to an https address, or go without a token (unset HF_TOKEN \
                        and remove the one that `hf auth login` kept)";
            return Err(self.error(name, found, hint));
        }
        let mut download = Download {
            hub: self,
            name,
            client,
            blobs: self.cache.join(repo.folder_name()).join("blobs"),
            cache,
            progress,
        };
        download.run()
    }

    /// As [`get`](Self::get); with a file that is fetched comes the `config.json` that lies beside it, where the
    /// repository has one: some checkpoints' sizes stand nowhere else.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn get_with_config(
        &self,
        name: &HubFile,
        progress: impl FnMut(u64, u64),
    ) -> Result<PathBuf, Error> {
        let is_new = name.is_plain() && self.cache_of(name).1.get(&name.file).is_none();
        if is_new && !self.offline {
            let beside = Path::new(&name.file).with_file_name("config.json");
            let config = HubFile {
                file: beside.to_string_lossy().into_owned(),
                ..name.clone()
            };
            // Before the weights, so that a call that was killed asks for it again.
            match self.get(&config, |_, _| ()) {
                Err(Error::Hub { found, .. }) if found == NO_SUCH_FILE => {}
                other => drop(other?),
            }
        }
        self.get(name, progress)
    }

    /// The repository of a file, and its part of the cache.
    fn cache_of(&self, name: &HubFile) -> (Repo, CacheRepo) {
        let (repository, revision) = (name.repository.clone(), name.revision.clone());
        let repo = Repo::with_revision(repository, RepoType::Model, revision);
        let cache = Cache::new(self.cache.clone()).repo(repo.clone());
        (repo, cache)
    }

    fn error(&self, name: &HubFile, found: String, hint: &str) -> Error {
        Error::Hub {
            asked: name.asked.clone(),
            file: name.file.clone(),
            endpoint: self.endpoint.clone(),
            found,
            hint: hint.to_owned(),
        }
    }

    /// What trouble with the hub means, and what helps.
    fn explain(&self, name: &HubFile, trouble: &Trouble) -> Error {
        let found = match trouble {
            Trouble::Status(code) => format!("the answer {code}"),
            Trouble::Connection(error) => format!("a failing connection ({error})"),
            Trouble::Answer(found) => found.clone(),
        };
        let of_timm = name.repository.starts_with(PREFIX);
        let hint = match trouble {
            Trouble::Status(401 | 403) if !of_timm => {
                "check the repository's name; where it is not public, accept its terms on the hub and \
                 set HF_TOKEN"
            }
            Trouble::Status(404) if !of_timm => {
                "check the names of the repository, the file and the revision; \
                 hf:OWNER/NAME/FILE names another file"
            }
            Trouble::Status(401 | 403) => {
                "check the name (names end in the training's tag, such as \
                 maxvit_rmlp_base_rw_384.sw_in12k_ft_in1k); for a repository that is not public, \
                 set HF_TOKEN"
            }
            Trouble::Status(404) => {
                "check the name; names end in the training's tag, such as \
                 maxvit_rmlp_base_rw_384.sw_in12k_ft_in1k, and https://huggingface.co/timm lists them"
            }
            Trouble::Status(_) => "try again later, or set HF_ENDPOINT to a mirror",
            Trouble::Connection(_) => {
                "check the network and HF_ENDPOINT and start again, what is there is kept; or \
                 give the path of a file"
            }
            Trouble::Answer(_) => "check HF_ENDPOINT; or give the path of a file",
        };
        self.error(name, found, hint)
    }
}

/// The revision (commit) of a file that lies in a hub's cache, `snapshots/<commit>/<file>`; `None`
/// for any other file.
pub fn revision_of(path: &Path) -> Option<String> {
    let mut folders = path.ancestors().skip(1);
    let folder = folders.find(|folder| {
        let above = folder.parent().and_then(Path::file_name);
        above.is_some_and(|name| name == "snapshots")
    })?;
    Some(folder.file_name()?.to_string_lossy().into_owned())
}

/// A file on the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFile {
    /// `owner/name`.
    pub repository: String,
    /// The file's path in the repository.
    pub file: String,
    /// A branch, a tag or a commit.
    pub revision: String,
    /// How it was asked for, for messages.
    pub asked: String,
}

/// What begins the name of a file on the hub.
const SCHEME: &str = "hf:";

impl HubFile {
    /// That of `hf:OWNER/NAME[/FILE][@REVISION]`, asked for with `flag`; without a file the one that a
    /// known repository is published for, or `model.safetensors`. None for other text.
    pub fn parse(flag: &str, text: &str) -> Option<Self> {
        let rest = text.strip_prefix(SCHEME)?;
        let (path, revision) = rest.rsplit_once('@').unwrap_or((rest, BRANCH));
        let mut parts = path.splitn(3, '/');
        let (owner, name) = (parts.next()?, parts.next().unwrap_or_default());
        let repository = format!("{owner}/{name}");
        let known = KnownCheckpoint::of_repository(&repository);
        let usual = known.map_or(FILE, |known| known.file);
        Some(Self {
            file: parts.next().unwrap_or(usual).to_owned(),
            revision: revision.to_owned(),
            asked: format!("{flag} {text}"),
            repository,
        })
    }

    /// Whether its names can stand in paths and addresses as they are.
    fn is_plain(&self) -> bool {
        let parts = self.repository.split('/').chain(self.file.split('/'));
        self.repository.split('/').count() == 2
            && parts.clone().all(is_plain)
            && is_plain(&self.revision)
    }
}

/// One file on its way into the cache.
struct Download<'a, P> {
    hub: &'a Hub,
    name: &'a HubFile,
    client: Client,
    cache: CacheRepo,
    blobs: PathBuf,
    progress: P,
}

impl<P: FnMut(u64, u64)> Download<'_, P> {
    fn run(&mut self) -> Result<PathBuf, Error> {
        let (endpoint, name) = (&self.hub.endpoint, self.name);
        let HubFile {
            repository,
            file,
            revision,
            ..
        } = name;
        let address = format!("{endpoint}/{repository}/resolve/{revision}/{file}");
        let about = self.client.about(&address);
        let about = about.map_err(|trouble| self.hub.explain(name, &trouble))?;
        if !is_plain(&about.etag) || !is_plain(&about.commit) {
            let found = "an answer with odd characters in its headers".to_owned();
            return Err(self.hub.error(self.name, found, "check HF_ENDPOINT"));
        }
        let blob = self.blobs.join(&about.etag);
        if let Some(folder) = blob.parent() {
            std::fs::create_dir_all(folder).map_err(io(folder))?;
        }
        let _alone = self.lock(&blob.with_extension("lock"))?;
        let part = blob.with_extension("part");
        let mut result = self.transfer(&address, &part, about.size);
        for retry in 1..=RETRIES {
            match &result {
                Err(trouble) if trouble.is_passing() => std::thread::sleep(PAUSE * retry),
                _ => break,
            }
            result = self.transfer(&address, &part, about.size);
        }
        result.map_err(|trouble| self.hub.explain(self.name, &trouble))?;
        self.verify(&part, &about).inspect_err(|_| {
            let _ = std::fs::remove_file(&part);
        })?;
        std::fs::rename(&part, &blob).map_err(io(&blob))?;
        self.publish(&blob, &about)
    }

    /// Two processes must not write to one file.
    fn lock(&self, path: &Path) -> Result<File, Error> {
        let file = File::create(path).map_err(io(path))?;
        match file.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => {
                let found = "another process that fetches it".to_owned();
                Err(self.hub.error(self.name, found, "wait for it"))
            }
            // Some network file systems know no locks.
            _ => Ok(file),
        }
    }

    /// Fetches what `part` lacks of the file's `size` bytes.
    fn transfer(&mut self, address: &str, part: &Path, size: u64) -> Result<(), Trouble> {
        let mut options = File::options();
        let file = options.create(true).truncate(false).write(true).open(part);
        let mut file = file.map_err(Trouble::connection)?;
        let mut done = file.seek(SeekFrom::End(0)).map_err(Trouble::connection)?;
        if done >= size {
            // What was kept is of something else.
            file.set_len(0).map_err(Trouble::connection)?;
            done = file.seek(SeekFrom::Start(0)).map_err(Trouble::connection)?;
        }
        let body = self.client.rest(address, done)?;
        let mut body = body.into_with_config().limit(u64::MAX).reader();
        let mut bytes = vec![0; 1 << 16];
        while done < size {
            let count = body.read(&mut bytes).map_err(Trouble::connection)?;
            if count == 0 {
                let found = format!("{done} bytes of {size}");
                return Err(Trouble::Connection(found));
            }
            // What comes beyond the announced size is not taken.
            let count = count.min(usize::try_from(size - done).unwrap_or(count));
            file.write_all(&bytes[..count])
                .map_err(Trouble::connection)?;
            done += count as u64;
            (self.progress)(done, size);
        }
        file.sync_all().map_err(Trouble::connection)
    }

    /// Whether the file is as long as the hub said, and its own checksum.
    fn verify(&self, path: &Path, about: &About) -> Result<(), Error> {
        let length = std::fs::metadata(path).map_or(0, |file| file.len());
        let again = "start again; the damaged file is removed";
        if length != about.size {
            let found = format!("{length} bytes instead of {}", about.size);
            return Err(self.hub.error(self.name, found, again));
        }
        // Large files are named by their SHA-256, small ones by git's hash.
        let is_sha256 = about.etag.len() == 64;
        if is_sha256 && sha256(path)? != about.etag {
            let found = "a file with another checksum than announced".to_owned();
            return Err(self.hub.error(self.name, found, again));
        }
        Ok(())
    }

    /// Puts the file where Python looks for it.
    fn publish(&self, blob: &Path, about: &About) -> Result<PathBuf, Error> {
        let path = self.cache.pointer_path(&about.commit).join(&self.name.file);
        let folder = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(folder).map_err(io(folder))?;
        if std::fs::symlink_metadata(&path).is_ok() {
            std::fs::remove_file(&path).map_err(io(&path))?;
        }
        let depth = 2 + self.name.file.matches('/').count();
        link(blob, &about.etag, depth, &path).map_err(io(&path))?;
        self.cache.create_ref(&about.commit).map_err(io(&path))?;
        Ok(path)
    }
}

/// `snapshots/<commit>/<file>` becomes a name of `blobs/<etag>`.
#[cfg(unix)]
fn link(_blob: &Path, etag: &str, depth: usize, path: &Path) -> std::io::Result<()> {
    let up: PathBuf = std::iter::repeat_n("..", depth).collect();
    std::os::unix::fs::symlink(up.join("blobs").join(etag), path)
}

/// Links may be forbidden here: then the file itself moves.
#[cfg(not(unix))]
fn link(blob: &Path, _etag: &str, _depth: usize, path: &Path) -> std::io::Result<()> {
    std::fs::hard_link(blob, path).or_else(|_| std::fs::rename(blob, path))
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    |source| Error::Io { path, source }
}

/// Whether `text` can stand in a path or an address as it is.
fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !text.is_empty() && !text.starts_with('.') && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn hub(variables: &[(&str, &str)]) -> Hub {
        let variables: HashMap<&str, &str> = variables.iter().copied().collect();
        Hub::from_variables(|name| variables.get(name).map(|&value| value.to_owned()))
    }

    #[test]
    fn the_environment_is_read_as_python_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("token"), "kept\n").unwrap();
        let plain = hub(&[("HF_HOME", home)]);
        assert_eq!(plain.cache, folder.path().join("hub"));
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert_eq!(plain.token.as_deref(), Some("kept"));
        assert!(!plain.offline);
        let set = hub(&[
            ("HF_HOME", home),
            ("HF_HUB_CACHE", "/elsewhere"),
            ("HF_ENDPOINT", "http://mirror/"),
            ("HF_TOKEN", "given"),
            ("HF_HUB_OFFLINE", "True"),
        ]);
        assert_eq!(set.cache, Path::new("/elsewhere"));
        assert_eq!(set.endpoint, "http://mirror");
        assert_eq!(set.token.as_deref(), Some("given"));
        assert!(set.offline);
        assert_eq!(
            hub(&[("XDG_CACHE_HOME", "/x")]).cache,
            Path::new("/x/huggingface/hub")
        );
    }

    #[test]
    fn what_is_no_name_of_timm_is_a_path() {
        let hub = hub(&[("HF_HOME", "/nowhere")]);
        let path = hub.find("weights/a.pth", |_, _| ()).unwrap();
        assert_eq!(path, Path::new("weights/a.pth"));
    }

    #[test]
    fn a_name_cannot_leave_the_cache() {
        let hub = hub(&[("HF_HOME", "/nowhere")]);
        for name in ["timm/../x", "timm/", "timm/a/b", "timm/a?b"] {
            let error = hub.find(name, |_, _| ()).unwrap_err();
            assert!(error.to_string().contains("odd characters"), "{error}");
        }
    }
}
