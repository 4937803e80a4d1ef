//! SCRAM-SHA-256 and -512 (RFC 5802, RFC 7677), the server's side, against a verifier in PostgreSQL's form.
//!
//! This is ours although `pgwire` has it too: its exchange wants the salted password, which nobody keeps here; what is
//! kept (StoredKey and ServerKey) lets nobody log in who steals it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use polder_types::{Error, Result};
use rand::Rng;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

pub const SHA_256: &str = "SCRAM-SHA-256";
pub const SHA_512: &str = "SCRAM-SHA-512";
/// SCRAM-SHA-256, bound to the certificate of the TLS connection.
pub const SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// What a client binds to: the hash of the certificate (RFC 5929).
const BINDING: &str = "tls-server-end-point";

const NONCE_BYTES: usize = 18;

#[derive(Clone, Copy)]
enum Hash {
    Sha256,
    Sha512,
}

/// What is kept of a password.
struct Verifier {
    hash: Hash,
    iterations: u32,
    salt: String,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl Verifier {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('$');
        let hash = match parts.next()? {
            SHA_256 => Hash::Sha256,
            SHA_512 => Hash::Sha512,
            _ => return None,
        };
        let (iterations, salt) = parts.next()?.split_once(':')?;
        let (stored_key, server_key) = parts.next()?.split_once(':')?;
        Some(Self {
            hash,
            iterations: iterations.parse().ok()?,
            salt: salt.to_owned(),
            stored_key: STANDARD.decode(stored_key).ok()?,
            server_key: STANDARD.decode(server_key).ok()?,
        })
    }
}

/// The exchange after the client's first message.
pub struct Exchange {
    verifier: Verifier,
    client_first_bare: String,
    server_first: String,
    nonce: String,
    repeats_nonce: bool,
    /// What the client's final message must name, base64.
    binding: String,
}

/// An error of the protocol.
fn broken(what: &str) -> Error {
    Error::invalid(what).with_code("08P01")
}

fn refused() -> Error {
    broken("malformed SCRAM message")
}

impl Hash {
    fn of(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(text).to_vec(),
            Self::Sha512 => Sha512::digest(text).to_vec(),
        }
    }

    fn keyed(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        // HMAC takes a key of any length, so the error cannot happen; an empty answer would only fail the comparison.
        match self {
            Self::Sha256 => {
                Hmac::<Sha256>::new_from_slice(key).map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec())
            }
            Self::Sha512 => {
                Hmac::<Sha512>::new_from_slice(key).map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec())
            }
        }
        .unwrap_or_default()
    }
}

impl Exchange {
    /// `certificate`: the hash of the server's, on a connection with TLS.
    ///
    /// # Errors
    /// `InvalidInput` (08P01) for a message that is none, `Internal` for a verifier that is none.
    pub fn begin(mechanism: &str, client_first: &str, verifier: &str, certificate: Option<&[u8]>) -> Result<Self> {
        let mut nonce = [0u8; NONCE_BYTES];
        rand::rng().fill(&mut nonce[..]);
        Self::begin_with(mechanism, client_first, verifier, certificate, &STANDARD.encode(nonce))
    }

    fn begin_with(
        mechanism: &str,
        client_first: &str,
        verifier: &str,
        certificate: Option<&[u8]>,
        own_nonce: &str,
    ) -> Result<Self> {
        let verifier =
            Verifier::parse(verifier).ok_or_else(|| Error::internal("a user's SCRAM verifier is damaged"))?;
        let mut parts = client_first.splitn(3, ',');
        let (flag, _authorized_as) = (parts.next().ok_or_else(refused)?, parts.next().ok_or_else(refused)?);
        let bare = parts.next().ok_or_else(refused)?;
        let header_end = client_first.len() - bare.len();
        let mut binding = client_first.get(..header_end).ok_or_else(refused)?.as_bytes().to_vec();
        match (mechanism, flag) {
            (SHA_256_PLUS, flag) if flag.strip_prefix("p=") == Some(BINDING) => {
                binding.extend_from_slice(certificate.ok_or_else(refused)?);
            }
            (SHA_256 | SHA_512, "n") => {}
            // The client could bind and thinks that we cannot: somebody between has taken it out of the list.
            (SHA_256 | SHA_512, "y") if certificate.is_none() => {}
            _ => return Err(broken("SCRAM channel binding negotiation error").with_code("28000")),
        }
        // An extension that must be understood, and there is none that is.
        if bare.starts_with("m=") {
            return Err(refused());
        }
        let client_nonce = bare
            .split(',')
            .find_map(|part| part.strip_prefix("r="))
            .filter(|nonce| !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or_else(refused)?;
        let nonce = format!("{client_nonce}{own_nonce}");
        let server_first = format!("r={nonce},s={},i={}", verifier.salt, verifier.iterations);
        Ok(Self {
            verifier,
            client_first_bare: bare.to_owned(),
            server_first,
            nonce,
            repeats_nonce: false,
            binding: STANDARD.encode(binding),
        })
    }

    /// Takes the proof of a client that says its own part of the nonce twice, as librdkafka did up to 2.6.0 and Kafka takes it.
    /// The proof is over what it says, and our part is in that, which makes it new.
    #[must_use]
    pub fn of_librdkafka(self) -> Self {
        Self { repeats_nonce: true, ..self }
    }

    /// To be sent to the client.
    pub fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Checks the proof. `None`: it is wrong; otherwise what proves us to the client.
    ///
    /// # Errors
    /// `InvalidInput` (08P01) for a message that is none.
    pub fn finish(&self, client_final: &str) -> Result<Option<String>> {
        let (without_proof, proof) = client_final.rsplit_once(",p=").ok_or_else(refused)?;
        let mut parts = without_proof.split(',');
        let binding = parts.next().and_then(|part| part.strip_prefix("c=")).ok_or_else(refused)?;
        let nonce = parts.next().and_then(|part| part.strip_prefix("r=")).ok_or_else(refused)?;
        if nonce != self.nonce && !(self.repeats_nonce && nonce.ends_with(&self.nonce)) {
            return Err(broken("malformed SCRAM message: nonce does not match"));
        }
        if binding != self.binding {
            return Err(broken("SCRAM channel binding check failed").with_code("28000"));
        }
        let proof = STANDARD.decode(proof).map_err(|_| refused())?;
        let message = format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        let hash = self.verifier.hash;
        let signature = hash.keyed(&self.verifier.stored_key, message.as_bytes());
        if proof.len() != signature.len() {
            return Err(refused());
        }
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(proof, sign)| proof ^ sign).collect();
        if !bool::from(hash.of(&client_key).as_slice().ct_eq(&self.verifier.stored_key)) {
            return Ok(None);
        }
        let own = hash.keyed(&self.verifier.server_key, message.as_bytes());
        Ok(Some(format!("v={}", STANDARD.encode(own))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677: user "user", password "pencil".
    const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const OWN_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const CLIENT_FINAL: &str =
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    /// Made of the client's final message itself: the proof and what it proves give the client's key.
    fn verifier() -> String {
        let salted = {
            // PBKDF2 with one block.
            let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
            let mut block = Hash::Sha256.keyed(b"pencil", &[salt.as_slice(), &[0, 0, 0, 1]].concat());
            let mut sum = block.clone();
            for _ in 1..4096 {
                block = Hash::Sha256.keyed(b"pencil", &block);
                sum.iter_mut().zip(&block).for_each(|(sum, byte)| *sum ^= byte);
            }
            sum
        };
        let stored = Sha256::digest(Hash::Sha256.keyed(&salted, b"Client Key"));
        let server = Hash::Sha256.keyed(&salted, b"Server Key");
        format!("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==${}:{}", STANDARD.encode(stored), STANDARD.encode(server))
    }

    #[test]
    fn the_example_of_the_rfc_is_let_in() {
        let exchange = Exchange::begin_with(SHA_256, CLIENT_FIRST, &verifier(), None, OWN_NONCE).unwrap();
        assert_eq!(exchange.server_first(), SERVER_FIRST);
        let answer = exchange.finish(CLIENT_FINAL).unwrap();
        assert_eq!(answer.as_deref(), Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    }

    #[test]
    fn wrong_proofs_and_bindings_are_not() {
        let begin = |mechanism, first: &str, certificate| {
            Exchange::begin_with(mechanism, first, &verifier(), certificate, OWN_NONCE)
        };
        let exchange = begin(SHA_256, CLIENT_FIRST, None).unwrap();
        assert_eq!(exchange.finish(&CLIENT_FINAL.replace("p=d", "p=e")).unwrap(), None);
        assert!(exchange.finish(&CLIENT_FINAL.replace("c=biws", "c=eSws")).is_err());
        assert!(exchange.finish("c=biws").is_err());
        // The client's part twice is a nonce of librdkafka's alone, and the proof must be over it.
        let twice = CLIENT_FINAL.replace("r=rOpr", "r=rOprNGfwEbeRWgbNEkqOrOpr");
        assert!(exchange.finish(&twice).is_err());
        let exchange = begin(SHA_256, CLIENT_FIRST, None).unwrap().of_librdkafka();
        assert_eq!(exchange.finish(&twice).unwrap(), None);
        assert!(exchange.finish(&CLIENT_FINAL.replace("r=rOpr", "r=")).is_err());
        assert!(exchange.finish(CLIENT_FINAL).unwrap().is_some());
        let downgraded = CLIENT_FIRST.replacen('n', "y", 1);
        assert!(begin(SHA_256, &downgraded, None).is_ok());
        assert!(begin(SHA_256, &downgraded, Some(&b"hash"[..])).is_err());
        let bound = CLIENT_FIRST.replacen('n', "p=tls-server-end-point", 1);
        assert!(begin(SHA_256_PLUS, &bound, Some(&b"hash"[..])).is_ok());
        assert!(begin(SHA_256_PLUS, &bound, None).is_err());
    }
}
