//! The HTTP servers where their addresses say `https`, asked by the client of registries.

use std::collections::HashMap;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vltava_broker::{Broker, Builder};
use vltava_connect::schema::remote::{Http, HttpSettings};

/// An authority, and a certificate that it gave to `127.0.0.1` with its key, in files.
struct Certificates {
    folder: TempDir,
}

impl Certificates {
    fn new() -> Certificates {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let own = params.signed_by(&key, &issuer).unwrap().pem() + &key.serialize_pem();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), ca).unwrap();
        std::fs::write(folder.path().join("own.pem"), own).unwrap();
        Certificates { folder }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A broker whose servers have the certificate.
    fn builder(&self) -> Builder {
        Broker::builder()
            .set("vltava.http.listeners", "https://127.0.0.1:0")
            .set("vltava.registry.listeners", "https://127.0.0.1:0,http://127.0.0.1:0")
            .set("vltava.connect.listeners", "https://127.0.0.1:0")
            .set("ssl.keystore.location", &self.file("own.pem"))
    }
}

/// The status of an answer; an error when there is none.
async fn ask(address: &str, settings: &[(&str, &str)]) -> Result<u16, String> {
    let mut given = HashMap::from([("schema.registry.url", address), ("max.retries", "0")]);
    given.extend(settings.iter().copied());
    let given = given.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let http = Http::new(HttpSettings::of_client(&given).unwrap()).unwrap();
    let answer = http.ask(hyper::Method::GET, "/", &serde_json::Value::Null).await;
    answer.map(|answer| answer.status).map_err(|error| error.why)
}

#[tokio::test]
async fn every_server_speaks_https_where_its_address_says_so() {
    let certificates = Certificates::new();
    let broker = certificates.builder().start().await.unwrap();
    let (ca, registry) = (certificates.file("ca.pem"), broker.registry_address().unwrap());
    let trusted = [("ssl.truststore.location", ca.as_str()), ("ssl.truststore.type", "PEM")];
    for address in [broker.http_address(), Some(registry), broker.connect_address()].into_iter().flatten() {
        // A worker of Connect that has not started yet says so, which is an answer.
        let status = ask(&format!("https://{address}"), &trusted).await;
        assert!(matches!(status, Ok(200 | 503)), "{address}: {status:?}");
        assert!(ask(&format!("https://{address}"), &[]).await.unwrap_err().contains("UnknownIssuer"));
        assert!(ask(&format!("http://{address}"), &[]).await.is_err(), "{address}");
    }
    // Who begins a handshake and then is silent, or speaks something else, is in nobody's way.
    let mut silent = TcpStream::connect(registry).await.unwrap();
    silent.write_all(&[22, 3, 1]).await.unwrap();
    let mut other = TcpStream::connect(registry).await.unwrap();
    other.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // It may be closed before all that was sent is read, which resets it.
    let _ = other.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert_eq!(ask(&format!("https://{registry}"), &trusted).await, Ok(200));
    broker.shutdown().await;
}

#[tokio::test]
async fn clients_show_a_certificate_where_it_is_required() {
    let certificates = Certificates::new();
    let (ca, own) = (certificates.file("ca.pem"), certificates.file("own.pem"));
    let trusted = ("ssl.truststore.location", ca.as_str());
    for (way, without) in [("required", false), ("requested", true), ("none", true)] {
        let builder = certificates.builder().set("ssl.truststore.location", &ca).set("ssl.client.auth", way);
        let broker = builder.start().await.unwrap();
        let address = format!("https://{}", broker.registry_address().unwrap());
        assert_eq!(ask(&address, &[trusted]).await.is_ok(), without, "{way}");
        assert_eq!(ask(&address, &[trusted, ("ssl.keystore.location", &own)]).await, Ok(200), "{way}");
        broker.shutdown().await;
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_refused_at_the_start() {
    let certificates = Certificates::new();
    let ca = certificates.file("ca.pem");
    for (settings, words) in [
        (vec![("ssl.keystore.location", "")], "ssl.keystore.location: https needs a certificate"),
        (vec![("ssl.keystore.location", "/nowhere.pem")], "ssl.keystore.location: /nowhere.pem: "),
        (vec![("ssl.keystore.location", &*ca)], "ssl.keystore.location: "),
        (vec![("ssl.keystore.type", "JKS")], "ssl.keystore.type: only PEM is read"),
        (vec![("ssl.client.auth", "required")], "ssl.truststore.location: is needed"),
    ] {
        let set = |builder: Builder, (key, value): &(&str, &str)| builder.set(key, value);
        let refused = settings.iter().fold(certificates.builder(), set).start().await;
        let error = refused.map(drop).unwrap_err().to_string();
        assert!(error.starts_with(words), "{settings:?}: {error}");
    }
}
