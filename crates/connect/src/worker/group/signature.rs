//! Keys that the workers of a group share, and signatures by which they know each other's requests (KIP-507).
//!
//! The leader makes a key and writes it into the topic of settings, so that whoever may read that topic is a worker. A key
//! is replaced when it is old; a request that was signed with the one before is refused, and asked again.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::WorkerError;
use super::settings::GroupSettings;
use crate::error::ConnectError;

/// The header with the signature.
pub const SIGNATURE: &str = "X-Connect-Authorization";
/// The header with its algorithm.
pub const ALGORITHM: &str = "X-Connect-Request-Signature-Algorithm";

/// An algorithm for signatures, and for the keys that they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 3] = [Algorithm::HmacSha256, Algorithm::HmacSha384, Algorithm::HmacSha512];

    /// As a JVM names it.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::HmacSha256 => "HmacSHA256",
            Algorithm::HmacSha384 => "HmacSHA384",
            Algorithm::HmacSha512 => "HmacSHA512",
        }
    }

    /// The algorithm of a name, in whatever case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Algorithm::HmacSha256 => hmac::HMAC_SHA256,
            Algorithm::HmacSha384 => hmac::HMAC_SHA384,
            Algorithm::HmacSha512 => hmac::HMAC_SHA512,
        }
    }

    fn key_bytes(self) -> usize {
        match self {
            Algorithm::HmacSha256 => 32,
            Algorithm::HmacSha384 => 48,
            Algorithm::HmacSha512 => 64,
        }
    }
}

/// A key that a group shares.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey {
    secret: Vec<u8>,
    algorithm: String,
    /// When it was made.
    pub created_ms: i64,
}

/// Secrets are not shown.
impl std::fmt::Debug for SessionKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SessionKey").field("created_ms", &self.created_ms).finish_non_exhaustive()
    }
}

impl SessionKey {
    /// A new key.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn random(settings: &GroupSettings, now_ms: i64) -> Result<Self, ConnectError> {
        let algorithm = settings.key_algorithm;
        let bytes = settings.key_bits.map_or(algorithm.key_bytes(), |bits| bits.div_ceil(8));
        let mut secret = vec![0; bytes];
        aws_lc_rs::rand::fill(&mut secret).map_err(|_| ConnectError::failed("there is no randomness"))?;
        Ok(Self { secret, algorithm: algorithm.name().to_owned(), created_ms: now_ms })
    }

    /// From the value of its record; `None` when it is something else.
    pub fn from_record(value: &Value) -> Option<Self> {
        Some(Self {
            secret: STANDARD.decode(value.get("key")?.as_str()?).ok()?,
            algorithm: value.get("algorithm")?.as_str()?.to_owned(),
            created_ms: value.get("creation-timestamp")?.as_i64()?,
        })
    }

    /// The value of its record.
    pub fn record(&self) -> Value {
        let key = STANDARD.encode(&self.secret);
        json!({ "key": key, "algorithm": self.algorithm, "creation-timestamp": self.created_ms })
    }

    /// The headers that sign a request with this body.
    pub fn sign(&self, algorithm: Algorithm, body: &[u8]) -> Vec<(String, String)> {
        let signed = hmac::sign(&hmac::Key::new(algorithm.hmac(), &self.secret), body);
        vec![
            (SIGNATURE.to_owned(), STANDARD.encode(signed)),
            (ALGORITHM.to_owned(), algorithm.name().to_owned()),
        ]
    }
}

/// Whether a request comes from another worker.
///
/// # Errors
/// What is wrong with its signature.
pub fn verify(
    key: Option<&SessionKey>,
    accepted: &[Algorithm],
    header: impl Fn(&str) -> Option<String>,
    body: &[u8],
) -> Result<(), WorkerError> {
    let bad = |message: String| WorkerError::BadRequest(message);
    let (Some(signature), Some(named)) = (header(SIGNATURE), header(ALGORITHM)) else {
        return Err(bad("Internal request missing required signature".to_owned()));
    };
    let algorithm = Algorithm::from_name(&named);
    let Ok(signature) = STANDARD.decode(signature) else {
        return Err(bad("The signature of an internal request is not in base64".to_owned()));
    };
    let Some(algorithm) = algorithm.filter(|algorithm| accepted.contains(algorithm)) else {
        let accepted: Vec<&str> = accepted.iter().map(|algorithm| algorithm.name()).collect();
        return Err(bad(format!(
            "This worker does not support the '{named}' key signing algorithm used by other workers. This worker is \
             currently configured to use: [{}]. Check that all workers' configuration files permit the same set of \
             signature algorithms, and correct any misconfigured worker and restart it.",
            accepted.join(", ")
        )));
    };
    let starting = "This worker is still starting up and has not been able to read a session key from the config topic yet";
    let key = key.ok_or_else(|| WorkerError::Unavailable(starting.to_owned()))?;
    hmac::verify(&hmac::Key::new(algorithm.hmac(), &key.secret), body, &signature)
        .map_err(|_| WorkerError::Forbidden("Internal request contained invalid signature.".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_its_key_and_body() {
        // RFC 4231, test case 2.
        let record =
            json!({ "key": STANDARD.encode("Jefe"), "algorithm": "HmacSHA256", "creation-timestamp": 5 });
        let key = SessionKey::from_record(&record).unwrap();
        assert_eq!(key.record(), record);
        let body = b"what do ya want for nothing?";
        let headers = key.sign(Algorithm::HmacSha256, body);
        assert_eq!(headers[0].1, "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
        let header =
            |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let accepted = [Algorithm::HmacSha256];
        assert_eq!(verify(Some(&key), &accepted, header, body), Ok(()));
        let other = SessionKey { secret: b"Jeff".to_vec(), ..key.clone() };
        for (code, key, accepted, body) in [
            (403, Some(&key), &accepted[..], &b"what do you want for nothing?"[..]),
            (403, Some(&other), &accepted, body),
            (503, None, &accepted, body),
            (400, Some(&key), &[Algorithm::HmacSha512], body),
        ] {
            assert_eq!(verify(key, accepted, header, body).unwrap_err().code(), code);
        }
        assert_eq!(verify(Some(&key), &accepted, |_| None, body).unwrap_err().code(), 400);
    }
}
