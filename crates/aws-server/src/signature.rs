//! Signature Version 4: who sent a request, and that nobody has changed it on its way.

use axum::http::request::Parts;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac as _};
use polder_capability::SigningKeys;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::error::{ApiError, ApiResult};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How far the clocks of client and server may be apart.
const SKEW: TimeDelta = TimeDelta::minutes(15);

/// How long a request that is signed in its address may be used, in seconds: a week.
const EXPIRES_SECONDS_MAX: i64 = 604_800;

const TIME: &str = "%Y%m%dT%H%M%SZ";

/// A signature as a request carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub key_id: String,
    date: String,
    pub region: String,
    pub service: String,
    signed_headers: Vec<String>,
    signature: String,
    time: String,
    /// Seconds; of one that is in the address.
    expires: Option<i64>,
}

/// The code of a request that is not what was signed.
pub const INVALID_SIGNATURE: &str = "InvalidSignatureException";

/// The code of a request that names a key that there is not.
pub const UNRECOGNIZED: &str = "UnrecognizedClientException";

fn incomplete(message: impl Into<String>) -> ApiError {
    ApiError::new("IncompleteSignatureException", message)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(INVALID_SIGNATURE, message)
}

pub fn unrecognized() -> ApiError {
    ApiError::new(UNRECOGNIZED, "The security token included in the request is invalid.")
}

fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name)?.to_str().ok()
}

/// The members of a query, not encoded any more.
fn query_members(query: &str) -> Vec<(String, String)> {
    let members = query.split('&').filter(|member| !member.is_empty());
    members
        .map(|member| {
            let (name, value) = member.split_once('=').unwrap_or((member, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

pub fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (first, digits.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

impl Signature {
    /// The signature of a request; `None`: it has none.
    ///
    /// # Errors
    /// `IncompleteSignatureException`.
    pub fn of(parts: &Parts) -> ApiResult<Option<Self>> {
        if let Some(authorization) = header(parts, "authorization") {
            return Self::of_header(parts, authorization).map(Some);
        }
        let query = query_members(parts.uri.query().unwrap_or_default());
        let member = |name: &str| query.iter().find(|(member, _)| member == name).map(|(_, value)| value.as_str());
        let Some(algorithm) = member("X-Amz-Algorithm") else { return Ok(None) };
        let needed = |name: &str| member(name).ok_or_else(|| incomplete(format!("the query has no {name}")));
        let expires: i64 = needed("X-Amz-Expires")?.parse().map_err(|_| incomplete("X-Amz-Expires is no number"))?;
        if !(1..=EXPIRES_SECONDS_MAX).contains(&expires) {
            return Err(incomplete(format!("X-Amz-Expires is from 1 to {EXPIRES_SECONDS_MAX} seconds")));
        }
        let signature = Self::from_members(
            algorithm,
            needed("X-Amz-Credential")?,
            needed("X-Amz-SignedHeaders")?,
            needed("X-Amz-Signature")?,
            needed("X-Amz-Date")?,
        )?;
        Ok(Some(Self { expires: Some(expires), ..signature }))
    }

    fn of_header(parts: &Parts, authorization: &str) -> ApiResult<Self> {
        let (algorithm, rest) = authorization.split_once(' ').unwrap_or((authorization, ""));
        let member = |name: &str| {
            let mut members = rest.split(',').filter_map(|member| member.trim().split_once('='));
            members.find(|(member, _)| *member == name).map(|(_, value)| value)
        };
        let needed = |name: &str| {
            member(name).ok_or_else(|| incomplete(format!("Authorization header requires '{name}' parameter.")))
        };
        let time = header(parts, "x-amz-date").ok_or_else(|| {
            incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
        })?;
        Self::from_members(algorithm, needed("Credential")?, needed("SignedHeaders")?, needed("Signature")?, time)
    }

    fn from_members(algorithm: &str, credential: &str, headers: &str, signature: &str, time: &str) -> ApiResult<Self> {
        if algorithm != ALGORITHM {
            return Err(incomplete(format!("requests are signed with {ALGORITHM}")));
        }
        let scope: Vec<&str> = credential.rsplitn(5, '/').collect();
        let [end, service, region, date, key_id] = scope[..] else {
            return Err(incomplete("Credential is KEY/DATE/REGION/SERVICE/aws4_request"));
        };
        if end != "aws4_request" {
            return Err(incomplete("Credential should be scoped with a valid terminator: 'aws4_request'"));
        }
        Ok(Self {
            key_id: key_id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signed_headers: headers.split(';').map(str::to_owned).collect(),
            signature: signature.to_owned(),
            time: time.to_owned(),
            expires: None,
        })
    }

    /// Checks a signature, and says whose it is.
    ///
    /// # Errors
    /// `UnrecognizedClientException`: no such key. `InvalidSignatureException`: another request, another time, another secret.
    pub async fn check(
        &self,
        parts: &Parts,
        body: &[u8],
        service: &str,
        now: DateTime<Utc>,
        keys: &dyn SigningKeys,
    ) -> ApiResult<String> {
        self.check_time(now)?;
        if self.service != service {
            return Err(invalid(format!("Credential should be scoped to correct service: '{service}'.")));
        }
        self.check_headers(parts)?;
        let known = keys.signing_key(&self.key_id).await.map_err(|error| {
            tracing::error!(%error, "an access key cannot be looked up");
            ApiError::unavailable()
        })?;
        let Some((user, secret)) = known else { return Err(unrecognized()) };
        let expected = self.expected(&secret, &self.canonical(parts, body)?);
        if bool::from(expected.as_bytes().ct_eq(self.signature.as_bytes())) {
            return Ok(user);
        }
        Err(invalid(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        ))
    }

    /// # Errors
    /// `IncompleteSignatureException`, `InvalidSignatureException`.
    pub fn check_time(&self, now: DateTime<Utc>) -> ApiResult<()> {
        let time = NaiveDateTime::parse_from_str(&self.time, TIME)
            .map_err(|_| incomplete("Date must be in ISO-8601 'basic format', as 20261128T120000Z"))?
            .and_utc();
        if !self.time.starts_with(&self.date) {
            return Err(invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date"));
        }
        let end = time + self.expires.map_or(SKEW, TimeDelta::seconds);
        if now > end {
            let (end, now) = (end.format(TIME), now.format(TIME));
            return Err(invalid(format!("Signature expired: {end} is now earlier than {now}")));
        }
        if time > now + SKEW {
            return Err(invalid(format!(
                "Signature not yet current: {} is still later than {}",
                self.time,
                now.format(TIME)
            )));
        }
        Ok(())
    }

    /// Everything that the request means is signed.
    ///
    /// # Errors
    /// `InvalidSignatureException`.
    pub fn check_headers(&self, parts: &Parts) -> ApiResult<()> {
        let is_signed = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        let unsigned = parts.headers.keys().map(axum::http::HeaderName::as_str).find(|name| {
            // Added on the way by some proxies, and of no meaning here.
            name.starts_with("x-amz-") && *name != "x-amz-cf-id" && !is_signed(name)
        });
        match unsigned {
            // Each is written down with its value: one that was named often would take more memory than there is.
            _ if !self.signed_headers.is_sorted_by(|one, next| one < next) => {
                Err(invalid("'SignedHeaders' are in the order of their names, each of them once"))
            }
            _ if !is_signed("host") => {
                Err(invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."))
            }
            Some(name) => Err(invalid(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization."))),
            None => Ok(()),
        }
    }

    /// The request in the one form that both sides sign.
    ///
    /// # Errors
    /// `InvalidSignatureException`.
    pub fn canonical(&self, parts: &Parts, body: &[u8]) -> ApiResult<String> {
        let mut members = query_members(parts.uri.query().unwrap_or_default());
        members.retain(|(name, _)| self.expires.is_none() || name != "X-Amz-Signature");
        let mut members: Vec<_> = members.iter().map(|(name, value)| (encoded(name), encoded(value))).collect();
        members.sort();
        let query: Vec<String> = members.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = String::new();
        for name in &self.signed_headers {
            let values: Vec<String> =
                parts.headers.get_all(name).iter().map(|value| trimmed(value.as_bytes())).collect();
            let value = match (values.is_empty(), parts.uri.authority()) {
                (false, _) => values.join(","),
                // HTTP/2 has it there.
                (true, Some(authority)) if name == "host" => authority.to_string(),
                (true, _) => return Err(invalid(format!("the signed header '{name}' is not there"))),
            };
            headers.push_str(&format!("{name}:{value}\n"));
        }
        let hash = hex(&Sha256::digest(body));
        if header(parts, "x-amz-content-sha256").is_some_and(|told| told != hash) {
            return Err(invalid("the body has another hash than x-amz-content-sha256 says"));
        }
        let path: Vec<String> = parts.uri.path().split('/').map(encoded).collect();
        let signed = self.signed_headers.join(";");
        Ok([parts.method.as_str(), &path.join("/"), &query.join("&"), &headers, &signed, &hash].join("\n"))
    }

    fn expected(&self, secret: &str, canonical: &str) -> String {
        let Self { date, region, service, time, .. } = self;
        let hash = hex(&Sha256::digest(canonical.as_bytes()));
        let text = format!("{ALGORITHM}\n{time}\n{date}/{region}/{service}/aws4_request\n{hash}");
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [date.as_str(), region, service, "aws4_request"] {
            key = signed(&key, part);
        }
        hex(&signed(&key, &text))
    }
}

fn signed(key: &[u8], text: &str) -> Vec<u8> {
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A header's value with one space where there are several.
fn trimmed(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Signs a request, as clients do.
#[cfg(test)]
pub fn sign(parts: &mut Parts, body: &[u8], key: (&str, &str), service: &str, now: DateTime<Utc>) {
    let time = now.format(TIME).to_string();
    parts.headers.insert("x-amz-date", time.parse().unwrap());
    let mut names: Vec<String> = parts.headers.keys().map(ToString::to_string).collect();
    names.sort();
    let credential = format!("{}/{}/us-east-1/{service}/aws4_request", key.0, &time[..8]);
    let unsigned = Signature::from_members(ALGORITHM, &credential, &names.join(";"), "", &time).unwrap();
    let signature = unsigned.expected(key.1, &unsigned.canonical(parts, body).unwrap());
    let signed =
        format!("{ALGORITHM} Credential={credential}, SignedHeaders={}, Signature={signature}", names.join(";"));
    parts.headers.insert("authorization", signed.parse().unwrap());
}

#[cfg(test)]
mod tests;
