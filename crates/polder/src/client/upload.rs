//! Bytes on their way to a server.

use std::path::{Path, PathBuf};

use tokio_util::io::ReaderStream;

use crate::failure::Failure;

/// A file, or what is piped in.
pub(super) enum Upload {
    StandardInput,
    File(PathBuf),
}

impl Upload {
    pub fn file(location: &str) -> Result<Self, Failure> {
        let path = Path::new(location);
        if path.is_file() {
            return Ok(Self::File(path.to_owned()));
        }
        Err(Failure::new(format!("{location} is no file here"))
            .with_hint("a server elsewhere is sent files one by one: name files, or let the shell expand dir/*"))
    }

    pub fn name(&self) -> String {
        match self {
            Self::StandardInput => "stdin".to_owned(),
            Self::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }

    pub async fn body(&self) -> Result<reqwest::Body, Failure> {
        match self {
            Self::StandardInput => Ok(reqwest::Body::wrap_stream(ReaderStream::new(tokio::io::stdin()))),
            Self::File(path) => {
                let file = tokio::fs::File::open(path).await;
                file.map(reqwest::Body::from)
                    .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))
            }
        }
    }
}
