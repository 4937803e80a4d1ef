//! From the first byte to a user: TLS or none, and SASL.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{
    ApiKey, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use polder_capability::Origin;
use polder_door::Auth;
use polder_door::scram::{self, Exchange};
use polder_types::{Error, ErrorKind as Kind};
use tokio::net::TcpStream;

use crate::connection::{VIA, send};
use crate::reply::{self, Reply};
use crate::requests;
use crate::server::House;
use crate::wire::{self, Frame, Input, Request, Stream};

/// From the connection to the login.
const LOGIN_TIME_MAX: Duration = Duration::from_secs(30);

/// The first byte of TLS. A frame that began with it would have 352 MiB.
const TLS_HANDSHAKE: u8 = 0x16;

/// The password is told. Only where nobody can listen.
const PLAIN: &str = "PLAIN";

/// Who has come in.
pub(crate) struct Known {
    pub stream: Box<dyn Stream>,
    pub input: Input,
    pub user: String,
}

/// How far a login has come.
enum Step {
    Nothing,
    Begun(Mechanism),
    /// The client's proof is waited for.
    Proof {
        exchange: Exchange,
        user: String,
    },
}

#[derive(Clone, Copy, PartialEq)]
enum Mechanism {
    Plain,
    Sha256,
    Sha512,
}

/// What a client's part of a login comes to.
enum Outcome {
    /// The server's part, and what comes next.
    Next(Vec<u8>, Step),
    /// The last part, and who it is.
    Done(Vec<u8>, String),
}

/// Encrypts if the client wishes it, and finds out who it is.
///
/// # Errors
/// The connection is gone, or is to end.
pub(crate) async fn come_in(
    house: &Arc<House>,
    stream: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
) -> io::Result<Known> {
    let coming = async {
        let mut first = [0u8];
        if stream.peek(&mut first).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let encrypted = first == [TLS_HANDSHAKE];
        let stream: Box<dyn Stream> =
            if encrypted { Box::new(house.tls.acceptor.accept(stream).await?) } else { Box::new(stream) };
        let input = Input::new(Arc::clone(&house.frames));
        let private = encrypted || (peer.ip().to_canonical().is_loopback() && local.ip().to_canonical().is_loopback());
        match &house.auth {
            Auth::Trust { user } => Ok(Known { stream, input, user: user.clone() }),
            Auth::Password => Newcomer { house, stream, input, peer, private }.log_in().await,
        }
    };
    tokio::time::timeout(LOGIN_TIME_MAX, coming)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(ErrorKind::TimedOut, "the login took too long")))
}

struct Newcomer<'a> {
    house: &'a Arc<House>,
    stream: Box<dyn Stream>,
    input: Input,
    peer: SocketAddr,
    /// Nobody can listen: it is encrypted, or never leaves the machine.
    private: bool,
}

fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why.into())
}

impl Newcomer<'_> {
    async fn log_in(mut self) -> io::Result<Known> {
        let mut step = Step::Nothing;
        loop {
            let frame = self.frame().await?;
            let request = match wire::parse(frame).map_err(|refused| invalid(refused.to_string()))? {
                Frame::Request(request) => request,
                Frame::TooNew { correlation_id } => {
                    self.say(requests::too_new(correlation_id)).await?;
                    continue;
                }
            };
            match request.api.key {
                ApiKey::ApiVersions => self.say(requests::versions(request.version, request.correlation_id)).await?,
                ApiKey::SaslHandshake => {
                    step = self.handshake(&request).await?;
                    if let (0, Step::Begun(mechanism)) = (request.version, &step) {
                        // What follows are bare messages of SASL, without headers.
                        return self.log_in_barely(Step::Begun(*mechanism)).await;
                    }
                }
                ApiKey::SaslAuthenticate => match self.authenticate(&request, step).await? {
                    Ok(next) => step = next,
                    Err(user) => return Ok(Known { stream: self.stream, input: self.input, user }),
                },
                _ => return Err(invalid("a client that has not logged in asks for more than a login")),
            }
        }
    }

    async fn frame(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some((frame, _)) = self.input.next().map_err(|refused| invalid(refused.to_string()))? {
                return Ok(frame);
            }
            if self.input.fill(&mut self.stream).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn say(&mut self, reply: Reply) -> io::Result<()> {
        match reply {
            Reply::Frame(pieces, _) | Reply::Records(pieces, ..) => {
                send(&mut self.stream, pieces, self.house.message_time).await
            }
            Reply::HangUp(why) => Err(invalid(why)),
        }
    }

    async fn answer<R: Encodable + HeaderVersion>(&mut self, request: &Request, response: &R) -> io::Result<()> {
        self.say(reply::encoded(request.correlation_id, request.version, response, Duration::ZERO)).await
    }

    /// What this client may log in with, the best first.
    fn mechanisms(&self) -> Vec<(&'static str, Mechanism)> {
        let mut all = vec![(scram::SHA_256, Mechanism::Sha256), (scram::SHA_512, Mechanism::Sha512)];
        if self.private {
            all.push((PLAIN, Mechanism::Plain));
        }
        all
    }

    async fn handshake(&mut self, request: &Request) -> io::Result<Step> {
        let asked: SaslHandshakeRequest = decoded(request)?;
        let all = self.mechanisms();
        let chosen = all.iter().find(|(name, _)| *name == asked.mechanism.as_str()).map(|(_, mechanism)| *mechanism);
        let response = SaslHandshakeResponse::default()
            .with_error_code(chosen.map_or(ResponseError::UnsupportedSaslMechanism.code(), |_| 0))
            .with_mechanisms(all.iter().map(|(name, _)| StrBytes::from_static_str(name)).collect());
        self.answer(request, &response).await?;
        Ok(chosen.map_or(Step::Nothing, Step::Begun))
    }

    /// `Ok`: there is more to say. `Err`: who it is.
    async fn authenticate(&mut self, request: &Request, step: Step) -> io::Result<Result<Step, String>> {
        let said: SaslAuthenticateRequest = decoded(request)?;
        match self.advance(step, &said.auth_bytes).await {
            Ok(Outcome::Next(message, next)) => {
                let response = SaslAuthenticateResponse::default().with_auth_bytes(message.into());
                self.answer(request, &response).await?;
                Ok(Ok(next))
            }
            Ok(Outcome::Done(message, user)) => {
                let response = SaslAuthenticateResponse::default().with_auth_bytes(message.into());
                self.answer(request, &response).await?;
                Ok(Err(user))
            }
            Err(error) => {
                let response = SaslAuthenticateResponse::default()
                    .with_error_code(ResponseError::SaslAuthenticationFailed.code())
                    .with_error_message(Some(StrBytes::from_string(refusal(&error))));
                self.answer(request, &response).await?;
                Err(io::Error::new(ErrorKind::PermissionDenied, refusal(&error)))
            }
        }
    }

    /// The login of clients that know SaslHandshake's version 0 alone.
    async fn log_in_barely(mut self, mut step: Step) -> io::Result<Known> {
        loop {
            let said = self.frame().await?;
            let now = std::mem::replace(&mut step, Step::Nothing);
            let (message, user) = match self.advance(now, &said).await {
                Ok(Outcome::Next(message, next)) => {
                    step = next;
                    (message, None)
                }
                Ok(Outcome::Done(message, user)) => (message, Some(user)),
                Err(error) => return Err(io::Error::new(ErrorKind::PermissionDenied, refusal(&error))),
            };
            let mut frame = BytesMut::new();
            frame.put_i32(i32::try_from(message.len()).map_err(|_| invalid("a message of SASL is too long"))?);
            frame.extend_from_slice(&message);
            self.say(Reply::Frame(vec![frame.freeze()], Duration::ZERO)).await?;
            if let Some(user) = user {
                return Ok(Known { stream: self.stream, input: self.input, user });
            }
        }
    }

    async fn advance(&self, step: Step, said: &[u8]) -> polder_types::Result<Outcome> {
        let text = std::str::from_utf8(said).map_err(|_| Error::invalid("a message of SASL is not UTF-8"))?;
        match step {
            Step::Nothing => Err(Error::invalid("there was no SaslHandshake before")),
            Step::Begun(Mechanism::Plain) => self.plain(text).await,
            Step::Begun(mechanism) => self.first(mechanism, text).await,
            Step::Proof { exchange, user } => {
                let proof = exchange.finish(text)?;
                let address = self.peer.ip().to_string();
                let origin = Origin { via: VIA, address: &address };
                self.house.contracts.logins.login_proven(&user, proof.is_some(), origin).await?;
                Ok(Outcome::Done(proof.unwrap_or_default().into_bytes(), user))
            }
        }
    }

    /// RFC 4616: who to act as, who logs in, the password.
    async fn plain(&self, text: &str) -> polder_types::Result<Outcome> {
        let parts: Vec<&str> = text.split('\0').collect();
        let &[act_as, user, password] = parts.as_slice() else {
            return Err(Error::invalid("a message of PLAIN has three parts"));
        };
        if !act_as.is_empty() && act_as != user {
            return Err(Error::new(Kind::Unauthenticated, "nobody acts as somebody else here"));
        }
        let address = self.peer.ip().to_string();
        let origin = Origin { via: VIA, address: &address };
        let user = self.house.contracts.accounts.login(user, password, origin).await?;
        Ok(Outcome::Done(Vec::new(), user))
    }

    async fn first(&self, mechanism: Mechanism, text: &str) -> polder_types::Result<Outcome> {
        let malformed = || Error::invalid("malformed SCRAM message");
        // n,a=…,n=user,r=nonce
        let (act_as, bare) = text.split_once(',').and_then(|(_, rest)| rest.split_once(',')).ok_or_else(malformed)?;
        let name = bare.split(',').find_map(|part| part.strip_prefix("n=")).ok_or_else(malformed)?;
        let user = name.replace("=2C", ",").replace("=3D", "=");
        if act_as.strip_prefix("a=").is_some_and(|act_as| act_as != name) {
            return Err(Error::new(Kind::Unauthenticated, "nobody acts as somebody else here"));
        }
        if bare.split(',').any(|part| part.eq_ignore_ascii_case("tokenauth=true")) {
            return Err(Error::new(Kind::Unauthenticated, "there are no delegation tokens here"));
        }
        let logins = &self.house.contracts.logins;
        let (called, verifier) = match mechanism {
            Mechanism::Sha512 => (scram::SHA_512, logins.scram_verifier_512(&user).await?),
            _ => (scram::SHA_256, logins.scram_verifier(&user).await?),
        };
        // Nobody binds to the certificate here: no client of Kafka knows how.
        let exchange = Exchange::begin(called, text, &verifier, None)?.of_librdkafka();
        Ok(Outcome::Next(exchange.server_first().as_bytes().to_vec(), Step::Proof { exchange, user }))
    }
}

/// What a client is told: no more than that it is wrong, unless it may come again later.
fn refusal(error: &Error) -> String {
    match error.kind() {
        Kind::Unavailable => error.to_string(),
        Kind::InvalidInput => error.to_string(),
        _ => "authentication failed: the user or the password is wrong".into(),
    }
}

fn decoded<Q: Decodable>(request: &Request) -> io::Result<Q> {
    Q::decode(&mut request.body.clone(), request.version).map_err(|error| invalid(error.to_string()))
}
