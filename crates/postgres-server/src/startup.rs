//! From the first byte to a session: TLS or none, the start-up message, the login.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use pgwire::messages::Message as _;
use pgwire::messages::startup::Authentication;
use polder_capability::{Caller, DriverSession, Encryption, Origin};
use polder_door::scram::{self, Exchange};
use polder_door::{Auth, Place};
use polder_types::{Error, ErrorKind, Result};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::encryption;
use crate::registry::Registered;
use crate::server::House;
use crate::session::Client;
use crate::settings::Settings;
use crate::wire::backend::{self, Severity};
use crate::wire::frontend::{Fields, Message, broken, utf8};
use crate::wire::{EARLY_BYTES_MAX, Gone, Stream, Wire};

/// From the connection to the login.
const STARTUP_TIME_MAX: Duration = Duration::from_secs(30);

/// For the last words to a client that is not let in.
const PARTING_TIME_MAX: Duration = Duration::from_secs(1);

const SSL_REQUEST: i32 = 80_877_103;
const GSS_REQUEST: i32 = 80_877_104;
const CANCEL_REQUEST: i32 = 80_877_102;

/// The first byte of TLS: a client of PostgreSQL 17 may begin with it at once.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a client asks for that begins with TLS at once (PostgreSQL's documentation, "ALPN").
pub(crate) const TLS_PROTOCOL: &[u8] = b"postgresql";

/// How the statements of these sessions are marked in the record of queries.
const VIA: &str = "postgres";

/// Start-up parameters that are no settings.
const NO_SETTINGS: &[&str] = &["user", "database", "options", "replication"];

/// A connection until it has logged in.
struct Newcomer {
    house: Arc<House>,
    wire: Wire,
    peer: SocketAddr,
    encrypted: Option<Encryption>,
}

/// Who has come in.
struct Started {
    settings: Settings,
    session: Arc<dyn DriverSession>,
    registered: Registered,
    permit: OwnedSemaphorePermit,
}

/// The end of a start-up that is none.
enum Refusal {
    Gone(Gone),
    /// To be told to the client.
    Error(Error),
    /// There is nothing more to do.
    Done,
}

impl From<Gone> for Refusal {
    fn from(gone: Gone) -> Self {
        Self::Gone(gone)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve(house: Arc<House>, stream: TcpStream, peer: SocketAddr, place: Place) -> Result<(), Gone> {
    let shutdown = house.shutdown.clone();
    let mut newcomer = Newcomer { house, wire: Wire::new(Box::new(stream)), peer, encrypted: None };
    let started = tokio::select! {
        () = shutdown.wait() => return Ok(()),
        () = place.taken() => {
            // A flood is not worth waiting for: it is told what can be told at once.
            let error = Error::new(ErrorKind::Exhausted, "sorry, too many clients are logging in").with_code("53300");
            let _ = tokio::time::timeout(Duration::ZERO, newcomer.refuse(&error)).await;
            return Ok(());
        }
        started = tokio::time::timeout(STARTUP_TIME_MAX, newcomer.start()) => started,
    };
    let refusal = match started {
        Ok(Ok(Started { settings, session, registered, permit })) => {
            drop(place);
            let client = Client::new(newcomer.wire, Arc::clone(&newcomer.house), session, settings, registered);
            let ended = client.serve().await;
            drop(permit);
            return ended;
        }
        Ok(Err(refusal)) => refusal,
        Err(_) => Refusal::Error(Error::new(ErrorKind::Unavailable, "the login took too long").with_code("57014")),
    };
    match refusal {
        Refusal::Gone(gone) => Err(gone),
        Refusal::Done => Ok(()),
        Refusal::Error(error) => {
            tokio::time::timeout(PARTING_TIME_MAX, newcomer.refuse(&error)).await.unwrap_or(Ok(()))
        }
    }
}

impl Newcomer {
    async fn start(&mut self) -> Result<Started, Refusal> {
        let parameters = self.startup_message().await?;
        let user = self.login(&parameters).await?;
        // Only who has proven who they are takes a session. Whom the limit leaves out is told so, and not kept waiting.
        let permit = Arc::clone(&self.house.sessions)
            .try_acquire_owned()
            .map_err(|_| Error::new(ErrorKind::Exhausted, "sorry, too many clients already").with_code("53300"))?;
        self.check_database(&parameters)?;
        let registered = self.house.registry.enter();
        let caller = Caller::new(user.as_str(), VIA).of_process(registered.process);
        let session = self.house.sql.open_driver_session(caller, self.encrypted);
        let mut settings = Settings::new(self.house.version);
        for (name, value) in wanted(&parameters)? {
            set(&mut settings, session.as_ref(), &name, &value).await?;
        }
        settings.begin();
        session.begin().await;
        Ok(Started { settings, session, registered, permit })
    }

    /// Says why nobody is let in, and hangs up.
    async fn refuse(&mut self, error: &Error) -> Result<(), Gone> {
        backend::error(&mut self.wire.output, error, Severity::Fatal, None);
        self.wire.flush().await?;
        self.wire.close().await;
        Ok(())
    }

    fn check_database(&self, parameters: &BTreeMap<String, String>) -> Result<()> {
        match parameters.get("database") {
            Some(name) if !name.is_empty() && name != self.house.database => {
                Err(Error::not_found(format!("database \"{name}\" does not exist"))
                    .with_code("3D000")
                    .with_hint(format!("there is one database, {}", self.house.database)))
            }
            _ => Ok(()),
        }
    }

    /// Answers requests for encryption until the start-up message comes.
    async fn startup_message(&mut self) -> Result<BTreeMap<String, String>, Refusal> {
        if self.wire.first_byte().await? == TLS_HANDSHAKE {
            self.encrypt(true).await?;
        }
        // One request of each kind, and then the message itself.
        for _ in 0..3 {
            let Some(body) = self.wire.early().await? else {
                return Err(broken("invalid length of startup packet").into());
            };
            let mut fields = Fields(body);
            match fields.i32()? {
                SSL_REQUEST if self.encrypted.is_none() => {
                    self.wire.output.extend_from_slice(b"S");
                    self.wire.flush().await?;
                    self.encrypt(false).await?;
                }
                SSL_REQUEST | GSS_REQUEST => {
                    self.wire.output.extend_from_slice(b"N");
                    self.wire.flush().await?;
                }
                CANCEL_REQUEST => {
                    let (process, secret) = (fields.i32()?, fields.i32()?);
                    if let Some(id) = self.house.registry.cancel(process, secret) {
                        // One that is only on its way to the engine is cancelled by its connection: a client asks once.
                        self.house.sql.cancel(id);
                    }
                    self.wire.close().await;
                    return Err(Refusal::Done);
                }
                version => return Ok(read_parameters(&mut self.wire.output, version, fields)?),
            }
        }
        Err(broken("the start-up message does not come").into())
    }

    /// `at_once`: without having asked, and so the client must name the protocol.
    async fn encrypt(&mut self, at_once: bool) -> Result<(), Refusal> {
        let wire = std::mem::replace(&mut self.wire, Wire::new(Box::new(tokio::io::empty())));
        let stream: Box<dyn Stream> = if at_once {
            wire.into_replayed()
        } else {
            // What came before the answer was sent in the clear, by somebody who had no reason to.
            wire.into_stream().ok_or_else(|| broken("received unencrypted data after SSL request"))?
        };
        let stream = self.house.tls.acceptor.accept(stream).await.map_err(Gone)?;
        if at_once && stream.get_ref().1.alpn_protocol() != Some(TLS_PROTOCOL) {
            return Err(Refusal::Done);
        }
        self.encrypted = Some(encryption::of(stream.get_ref().1));
        self.wire = Wire::new(Box::new(stream));
        Ok(())
    }

    /// The user, once they have proven who they are.
    async fn login(&mut self, parameters: &BTreeMap<String, String>) -> Result<String, Refusal> {
        let user = parameters
            .get("user")
            .filter(|user| !user.is_empty())
            .ok_or_else(|| Error::invalid("no PostgreSQL user name specified in startup packet").with_code("28000"))?;
        match &self.house.auth {
            Auth::Trust { user } => {
                let user = user.clone();
                self.say(&Authentication::Ok)?;
                Ok(user)
            }
            Auth::Password => {
                self.prove(user).await?;
                Ok(user.clone())
            }
        }
    }

    fn say(&mut self, message: &Authentication) -> Result<()> {
        message.encode(&mut self.wire.output).map_err(|error| Error::internal(error.to_string()))
    }

    /// What the client answers to a request for a proof. A password in the clear is never asked for.
    async fn answer(&mut self) -> Result<Bytes, Refusal> {
        self.wire.flush().await?;
        match self.wire.message(Some(EARLY_BYTES_MAX)).await?? {
            Message::Password(body) => Ok(body),
            Message::Terminate => Err(Refusal::Done),
            _ => Err(broken("expected SASL response").into()),
        }
    }

    async fn prove(&mut self, user: &str) -> Result<(), Refusal> {
        let certificate = self.house.tls.certificate_hash.clone().filter(|_| self.encrypted.is_some());
        let mut mechanisms = vec![scram::SHA_256.to_owned()];
        if certificate.is_some() {
            mechanisms.insert(0, scram::SHA_256_PLUS.to_owned());
        }
        self.say(&Authentication::SASL(mechanisms))?;
        let mut first = Fields(self.answer().await?);
        let mechanism = first.text()?;
        if mechanism != scram::SHA_256 && !(mechanism == scram::SHA_256_PLUS && certificate.is_some()) {
            return Err(broken("client selected an invalid SASL authentication mechanism").into());
        }
        let client_first = first.value()?.ok_or_else(|| broken("SASL without a first message"))?;
        let verifier = self.house.logins.scram_verifier(user).await?;
        let exchange = Exchange::begin(&mechanism, utf8(&client_first)?, &verifier, certificate.as_deref())?;
        self.say(&Authentication::SASLContinue(exchange.server_first().as_bytes().to_vec().into()))?;
        let client_final = self.answer().await?;
        let proof = exchange.finish(utf8(&client_final)?)?;
        let address = self.peer.ip().to_string();
        let origin = Origin { via: VIA, address: &address };
        let settled = self.house.logins.login_proven(user, proof.is_some(), origin).await;
        settled.map_err(|error| match error.kind() {
            // Whoever has the password is told why it is of no use.
            ErrorKind::Unauthenticated if proof.is_none() || error.code() != "28000" => {
                Error::new(ErrorKind::Unauthenticated, format!("password authentication failed for user \"{user}\""))
            }
            _ => error,
        })?;
        if let Some(proof) = proof {
            self.say(&Authentication::SASLFinal(proof.into_bytes().into()))?;
        }
        self.say(&Authentication::Ok)?;
        Ok(())
    }
}

/// What a start-up message asks for; what of it this server does not know goes into `output`, to be told.
///
/// # Errors
/// `InvalidInput` (08P01) for what is no such message, `Unsupported` for another protocol, and for replication.
pub(crate) fn read_parameters(
    output: &mut BytesMut,
    version: i32,
    mut fields: Fields,
) -> Result<BTreeMap<String, String>> {
    let (major, minor) = (version >> 16, version & 0xffff);
    if major != 3 {
        return Err(Error::unsupported(format!("unsupported frontend protocol {major}.{minor}: server supports 3.0")));
    }
    let mut parameters = BTreeMap::new();
    let mut unknown = Vec::new();
    loop {
        let name = fields.text()?;
        if name.is_empty() {
            break;
        }
        let value = fields.text()?;
        if name.starts_with("_pq_.") {
            unknown.push(name);
        } else {
            parameters.insert(name, value);
        }
    }
    if fields.0.has_remaining() {
        return Err(broken("invalid startup packet layout: expected terminator as last byte"));
    }
    if minor > 0 || !unknown.is_empty() {
        backend::negotiate(output, unknown);
    }
    match parameters.get("replication").map(String::as_str) {
        None | Some("false" | "off" | "no" | "0") => Ok(parameters),
        Some(_) => Err(Error::unsupported("replication is not supported")),
    }
}

/// The settings that the start-up message asks for, those of its options first.
pub(crate) fn wanted(parameters: &BTreeMap<String, String>) -> Result<Vec<(String, String)>> {
    let mut wanted = match parameters.get("options") {
        Some(options) => parse_options(options)?,
        None => Vec::new(),
    };
    let own = parameters.iter().filter(|(name, _)| !NO_SETTINGS.contains(&name.as_str()));
    wanted.extend(own.map(|(name, value)| (name.to_lowercase(), value.clone())));
    Ok(wanted)
}

/// `-c name=value --name=value`; a backslash takes what follows as it is.
fn parse_options(options: &str) -> Result<Vec<(String, String)>> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut any) = (String::new(), false);
    let mut letters = options.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                word.extend(letters.next());
                any = true;
            }
            blank if blank.is_whitespace() => {
                if std::mem::take(&mut any) {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => {
                word.push(other);
                any = true;
            }
        }
    }
    if any {
        words.push(word);
    }
    let wrong = |word: &str| {
        Error::invalid(format!("invalid command-line argument for server process: {word}")).with_code("42601")
    };
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next().ok_or_else(|| wrong(&word))?,
            Some(rest) => rest.to_owned(),
            None => return Err(wrong(&word)),
        };
        let (name, value) = setting.split_once('=').ok_or_else(|| wrong(&setting))?;
        settings.push((name.trim().to_lowercase().replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

/// Sets a setting, ours or the engine's.
async fn set(settings: &mut Settings, session: &dyn DriverSession, name: &str, value: &str) -> Result<()> {
    let values = vec![value.to_owned()];
    if let Some(done) = settings.set(name, &values) {
        return done;
    }
    let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.'));
    if !is_name || name.is_empty() {
        return Err(Error::not_found(format!("unrecognized configuration parameter \"{name}\"")).with_code("42704"));
    }
    // A path is a list of names, each by itself.
    let parts: Vec<String> = match name {
        "search_path" => value.split(',').map(|part| part.trim().trim_matches('"').to_owned()).collect(),
        _ => values,
    };
    let quoted: Vec<String> = parts.iter().map(|part| format!("'{}'", part.replace('\'', "''"))).collect();
    let sql = format!("SET {name} = {}", quoted.join(", "));
    let query_id = polder_types::QueryId::new();
    session.run(polder_capability::StatementRequest { sql, query_id, row_limit: None, sent: None }).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let read = |text: &str| parse_options(text).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read("-c search_path=a,b"), [pair("search_path", "a,b")]);
        assert_eq!(
            read("-csearch_path=a\\ b --statement-timeout=5"),
            [pair("search_path", "a b"), pair("statement_timeout", "5")]
        );
        assert!(read("").is_empty());
        assert!(parse_options("-d 5").is_err());
        assert!(parse_options("-c").is_err());
    }
}
