//! TLS: the certificate that the first start makes, or the owner's own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polder_types::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// The names that the certificate of the first start is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Where certificate and key are, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Make them if they are not there: the data directory's own.
    pub make: bool,
}

/// TLS ready to be spoken.
#[derive(Clone)]
pub struct Tls {
    pub acceptor: TlsAcceptor,
    /// The hash of the certificate that a login may be bound to; `None` if its signature names no hash.
    pub certificate_hash: Option<Arc<[u8]>>,
}

fn unusable(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{} cannot be used for TLS: {error}", path.display()))
}

impl Tls {
    /// `protocols`: the names that a client may ask for (ALPN).
    ///
    /// # Errors
    /// `Unavailable` for files that cannot be read, made or used.
    pub fn load(files: &TlsFiles, protocols: &[&[u8]]) -> Result<Self> {
        if files.make && !(files.certificate.exists() && files.key.exists()) {
            make(files)?;
        }
        let chain = CertificateDer::pem_file_iter(&files.certificate)
            .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
            .map_err(|error| unusable(&files.certificate, error))?;
        let first = chain.first().ok_or_else(|| unusable(&files.certificate, "it has no certificate"))?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| match error {
            pem::Error::NoItemsFound => unusable(&files.key, "it has no key"),
            error => unusable(&files.key, error),
        })?;
        let certificate_hash = hash(first.as_ref()).map(Into::into);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&files.certificate, error))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    unusable(&files.certificate, format!("{} is the key of another one", files.key.display()))
                }
                error => unusable(&files.certificate, error),
            })?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate_hash })
    }
}

/// Makes a key and a certificate of it. The key comes first: a certificate without one is made anew.
fn make(files: &TlsFiles) -> Result<()> {
    let made = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned).to_vec())
        .map_err(|error| unusable(&files.certificate, error))?;
    write(&files.key, &made.signing_key.serialize_pem(), 0o600).map_err(|error| unusable(&files.key, error))?;
    write(&files.certificate, &made.cert.pem(), 0o644).map_err(|error| unusable(&files.certificate, error))
}

/// Puts a file there whole or not at all.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

/// The hash of a certificate by the algorithm that it is signed with (RFC 5929, section 4.1).
fn hash(certificate: &[u8]) -> Option<Vec<u8>> {
    // Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OBJECT IDENTIFIER … }, … }
    let (outer, _) = element(certificate)?;
    let (_, after) = element(outer)?;
    let (algorithm, _) = element(after)?;
    let (object_id, _) = element(algorithm)?;
    match object_id {
        // sha256WithRSAEncryption, ecdsa-with-SHA256
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2] => {
            Some(Sha256::digest(certificate).to_vec())
        }
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3] => {
            Some(Sha384::digest(certificate).to_vec())
        }
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4] => {
            Some(Sha512::digest(certificate).to_vec())
        }
        _ => None,
    }
}

/// The content of the first element of DER, and what follows it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(*first & 0x7f).min(4))?;
        (digits.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)), rest)
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_can_be_bound_to() {
        let place = std::env::temp_dir().join(format!("polder-tls-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let files = TlsFiles { certificate: place.join("tls.crt"), key: place.join("tls.key"), make: true };
        let first = Tls::load(&files, &[]).unwrap();
        let again = Tls::load(&files, &[]).unwrap();
        assert_eq!(first.certificate_hash.as_ref().map(|hash| hash.len()), Some(32));
        assert_eq!(first.certificate_hash, again.certificate_hash);
        fs::remove_dir_all(place).unwrap();
    }
}
