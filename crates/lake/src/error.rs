//! How the errors of the libraries below become the one error that crosses the boundary.

use datafusion::error::DataFusionError;
use datafusion_ducklake::DuckLakeError;
use polder_types::{Error, ErrorKind};

/// An error of the DuckLake reader.
pub(crate) fn from_ducklake(error: DuckLakeError) -> Error {
    let kind = match &error {
        DuckLakeError::TableNotFound(_) | DuckLakeError::SchemaNotFound(_) | DuckLakeError::InvalidSnapshot(_) => {
            ErrorKind::NotFound
        }
        DuckLakeError::Unsupported(_) | DuckLakeError::UnsupportedType(_) => ErrorKind::Unsupported,
        DuckLakeError::Conflict(_) => ErrorKind::Conflict,
        DuckLakeError::InvalidConfig(_) => ErrorKind::Corrupt,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, error.to_string()).with_source(error)
}

/// Our error inside DataFusion's, for code that runs within a plan.
pub(crate) fn into_datafusion(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Our error, from DataFusion's that it has come through.
pub(crate) fn own(error: &DataFusionError) -> Option<Error> {
    match error.find_root() {
        DataFusionError::External(source) => source.downcast_ref::<Error>().map(Error::copy),
        _ => None,
    }
}

/// An input or output error, with the file that it happened to.
pub(crate) fn from_io(what: &str, path: &str, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
        std::io::ErrorKind::NotFound => ErrorKind::Corrupt,
        _ => ErrorKind::Unavailable,
    };
    let full = kind == ErrorKind::Exhausted;
    let mapped = Error::new(kind, format!("cannot {what} {path}: {error}")).with_source(error);
    if full {
        mapped.with_code("53100").with_hint("free some disk space and try again; nothing was changed")
    } else {
        mapped
    }
}

/// An error of the object store, with the object that it happened to.
pub(crate) fn from_store(what: &str, error: object_store::Error) -> Error {
    let kind = match &error {
        object_store::Error::NotFound { .. } => ErrorKind::Corrupt,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            ErrorKind::Forbidden
        }
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("cannot {what}: {error}")).with_source(error)
}

/// An error of the Parquet encoder. Ours, wrapped on its way through, comes out as it went in.
pub(crate) fn from_parquet(path: &str, error: parquet::errors::ParquetError) -> Error {
    if let parquet::errors::ParquetError::External(source) = error {
        return match source.downcast::<std::io::Error>() {
            Ok(io) => from_io("write", path, *io),
            Err(other) => Error::internal(format!("cannot write {path}: {other}")),
        };
    }
    Error::internal(format!("cannot write {path}: {error}")).with_source(error)
}

/// An error of reading a file, whichever one it was.
pub(crate) fn is_of_file(error: &DataFusionError) -> bool {
    use datafusion::arrow::error::ArrowError;
    match error.find_root() {
        DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => true,
        DataFusionError::ArrowError(arrow, _) => {
            matches!(**arrow, ArrowError::ParquetError(_) | ArrowError::IoError(..) | ArrowError::ExternalError(_))
        }
        DataFusionError::External(source) => {
            source.is::<parquet::errors::ParquetError>()
                || source.is::<object_store::Error>()
                || source.is::<std::io::Error>()
        }
        // The library's own words about a delete file.
        DataFusionError::Execution(text) => text.contains(".parquet"),
        _ => false,
    }
}

/// The error of a scan as one about a table's file, if it is one that says which: missing, truncated or corrupt.
///
/// A scan of [`crate::LakeTable`] gives such errors by itself; this also knows what the object store says.
#[must_use]
pub fn explain_file_error(error: &DataFusionError) -> Option<Error> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = source {
        if let Some(ours) = current.downcast_ref::<Error>() {
            return (ours.kind() == ErrorKind::Corrupt).then(|| copy(ours));
        }
        if let Some(object_store::Error::NotFound { path, .. }) = current.downcast_ref::<object_store::Error>() {
            let name = path.rsplit('/').next().unwrap_or(path);
            let of_table = ["polder-", "ducklake-"].iter().any(|prefix| name.starts_with(prefix));
            return of_table.then(|| missing_file(path));
        }
        source = match current.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(boxed)) => Some(boxed.as_ref()),
            Some(DataFusionError::Shared(shared)) => Some(shared.as_ref()),
            Some(DataFusionError::Context(_, inner)) => Some(inner.as_ref()),
            _ => current.source(),
        };
    }
    None
}

/// A file of a table that is not there.
pub(crate) fn missing_file(path: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("cannot read {path}: it is missing")).with_hint(RESTORE)
}

/// What to do about a broken file.
pub(crate) const RESTORE: &str = "restore this file from a backup; `polder check` looks at all files";

/// The parts of an error that a caller sees, as a new error.
pub(crate) fn copy(error: &Error) -> Error {
    error.copy()
}
