//! Where the Parquet files are: a local directory, or an object store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion_ducklake::path_resolver::resolve_path;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt};
use polder_types::{Error, ErrorKind, Result};

use crate::directories::{make_directories, sync_directory};
use crate::error::{from_ducklake, from_io, from_store};
use crate::model::{Snapshot, TableState};

/// Says which lake the files are of: two lakes in one place would take each other's files for orphans.
const OWNER: &str = ".polder-lake";

/// The place that `--tables` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TablesLocation {
    Directory(PathBuf),
    /// `s3://bucket/prefix`, `gs://…`, `az://…`. Keys and endpoint come from the usual environment variables.
    Url(url::Url),
}

impl TablesLocation {
    /// # Errors
    /// `InvalidInput` for a URL that is none.
    pub fn parse(text: &str) -> Result<Self> {
        if !text.contains("://") {
            return Ok(Self::Directory(PathBuf::from(text)));
        }
        let url = url::Url::parse(text).map_err(|error| {
            Error::invalid(format!("{text:?} is no address of an object store: {error}"))
                .with_hint("write s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or a directory")
        })?;
        match url.scheme() {
            "file" => url
                .to_file_path()
                .map(Self::Directory)
                .map_err(|()| Error::invalid(format!("{text:?} names no directory"))),
            "s3" | "s3a" | "gs" | "az" | "abfs" | "abfss" => Ok(Self::Url(url)),
            other => Err(Error::invalid(format!("tables cannot be kept at {other}://"))
                .with_hint("write s3://…, gs://…, az://…, or a directory")),
        }
    }

    /// The path as kept in the catalog; ends with a slash.
    #[must_use]
    pub fn data_path(&self) -> String {
        let path = match self {
            Self::Directory(directory) => directory.to_string_lossy().into_owned(),
            Self::Url(url) => url.to_string(),
        };
        if path.ends_with('/') { path } else { format!("{path}/") }
    }
}

/// The tables' store, as the reader and the writer use it.
#[derive(Debug, Clone)]
pub struct TableStore {
    /// Where DataFusion finds it.
    pub url: Arc<ObjectStoreUrl>,
    pub store: Arc<dyn ObjectStore>,
    /// Path below `url`, with slashes at both ends.
    pub base: String,
    /// For local stores: files are then written directly, and synced.
    local: Option<PathBuf>,
}

/// A file, as it is read and as it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub local: Option<PathBuf>,
    pub object: object_store::path::Path,
    pub shown: String,
}

impl TableStore {
    /// # Errors
    /// `Unavailable` when the place cannot be reached or made.
    pub async fn open(location: &TablesLocation) -> Result<Self> {
        match location {
            TablesLocation::Directory(directory) => Self::open_local(directory),
            TablesLocation::Url(url) => Self::open_remote(url).await,
        }
    }

    fn open_local(directory: &Path) -> Result<Self> {
        let shown = directory.to_string_lossy();
        let is_new = !directory.is_dir();
        make_directories(directory)?;
        let absolute = directory.canonicalize().map_err(|error| from_io("find the directory", &shown, error))?;
        // Its name must be on disk before a commit counts on it. One that was there may be in a place that cannot be read.
        match absolute.parent().map_or(Ok(()), sync_directory) {
            Err(error) if is_new => return Err(error),
            _ => {}
        }
        let mut base = absolute.to_string_lossy().into_owned();
        if !base.ends_with('/') {
            base.push('/');
        }
        Ok(Self {
            url: Arc::new(ObjectStoreUrl::local_filesystem()),
            store: Arc::new(LocalFileSystem::new()),
            base,
            local: Some(absolute),
        })
    }

    async fn open_remote(url: &url::Url) -> Result<Self> {
        let bucket = url.host_str().unwrap_or_default();
        let built: object_store::Result<Arc<dyn ObjectStore>> = match url.scheme() {
            "s3" | "s3a" => {
                let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
                // A test or a private store on this machine is often plain http.
                if std::env::var("AWS_ENDPOINT_URL").is_ok_and(|endpoint| endpoint.starts_with("http://")) {
                    builder = builder.with_allow_http(true);
                }
                builder.build().map(|store| Arc::new(store) as _)
            }
            "gs" => {
                GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).build().map(|store| Arc::new(store) as _)
            }
            _ => MicrosoftAzureBuilder::from_env().with_url(url.as_str()).build().map(|store| Arc::new(store) as _),
        };
        let store = built.map_err(|error| from_store(&format!("open {url}"), error))?;
        let root = format!("{}://{bucket}/", url.scheme());
        let object_url = ObjectStoreUrl::parse(&root)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, format!("{url} is no object store: {error}")))?;
        let path = url.path().trim_matches('/');
        let base = if path.is_empty() { "/".to_owned() } else { format!("/{path}/") };
        // A wrong bucket or key is better found now than at the first insert.
        match store.head(&object_store::path::Path::from(format!("{base}{OWNER}"))).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(from_store(&format!("reach {url}"), error)),
        }
        Ok(Self { url: Arc::new(object_url), store, base, local: None })
    }

    /// Marks the place as this lake's, if it is nobody's yet. False if it is another one's.
    pub(crate) async fn claim(&self, lake: &str) -> Result<bool> {
        let path = self.object_path(OWNER);
        let owner = match self.store.get(&path).await {
            Ok(found) => found.bytes().await,
            Err(object_store::Error::NotFound { .. }) => {
                let mark = self.store.put(&path, lake.as_bytes().to_vec().into()).await;
                return mark
                    .map(|_| true)
                    .map_err(|error| from_store(&format!("write {}", self.display(OWNER)), error));
            }
            Err(error) => Err(error),
        };
        let owner = owner.map_err(|error| from_store(&format!("read {}", self.display(OWNER)), error))?;
        Ok(owner == lake.as_bytes())
    }

    /// The local file of a path below `base`, if the store is local.
    pub(crate) fn local_file(&self, relative: &str) -> Option<PathBuf> {
        self.local.as_ref().map(|root| root.join(relative))
    }

    pub(crate) fn object_path(&self, relative: &str) -> object_store::path::Path {
        object_store::path::Path::from(format!("{}{relative}", self.base))
    }

    /// Where a file of a table is.
    pub(crate) fn locate(
        &self,
        snapshot: &Snapshot,
        table: &TableState,
        path: &str,
        relative: bool,
    ) -> Result<Located> {
        let corrupt = || Error::new(ErrorKind::Corrupt, format!("table {} is in no schema", table.name));
        let schema = snapshot.schemas.get(&table.schema_id).ok_or_else(corrupt)?;
        let full = resolve_path(&self.base, &schema.path, schema.path_is_relative)
            .and_then(|full| resolve_path(&full, &table.path, table.path_is_relative))
            .and_then(|full| resolve_path(&full, path, relative))
            .map_err(from_ducklake)?;
        Ok(self.located(full))
    }

    /// Where a file is that is named by its path below the tables' root, or by its whole path.
    pub(crate) fn locate_below_root(&self, path: &str, relative: bool) -> Result<Located> {
        Ok(self.located(resolve_path(&self.base, path, relative).map_err(from_ducklake)?))
    }

    fn located(&self, full: String) -> Located {
        if self.local.is_some() {
            return Located { local: Some(PathBuf::from(&full)), object: full.as_str().into(), shown: full };
        }
        let key = full.strip_prefix(self.url.as_str()).unwrap_or(&full).trim_start_matches('/');
        Located { local: None, object: key.into(), shown: format!("{}{key}", self.url.as_str()) }
    }

    /// The full name of an object, for messages.
    pub(crate) fn shown(&self, object: &object_store::path::Path) -> String {
        if self.local.is_some() { format!("/{object}") } else { format!("{}{object}", self.url.as_str()) }
    }

    /// The full name of a file, for messages.
    #[must_use]
    pub fn display(&self, relative: &str) -> String {
        if self.local.is_some() {
            format!("{}{relative}", self.base)
        } else {
            format!("{}{}{relative}", self.url.as_str(), self.base.trim_start_matches('/'))
        }
    }
}
