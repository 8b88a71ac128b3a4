//! Listeners with TLS, SASL and access rules, from outside: a raw TLS client that says what it likes.

#![expect(clippy::unwrap_used, reason = "a scenario that cannot go on fails")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Buf, BytesMut};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use riverrun_broker::Broker;
use riverrun_core::protocol::{
    Request, RequestBody, decode_response, encode_request,
    messages::{
        ApiVersionsRequest, CreateTopicsRequest, DescribeConfigsRequest, MetadataRequest, MetadataResponse,
        SaslAuthenticateRequest, SaslHandshakeRequest, create_topics::CreatableTopic,
        describe_configs::DescribeConfigsResource, metadata::MetadataRequestTopic,
    },
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{PrivateKeyDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// An authority with the certificates it has given out.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn give(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn client(&self, certificate: Option<&str>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let config = match certificate {
            Some(name) => {
                let (certificate, key) = self.give(name);
                let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
                builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        TlsConnector::from(Arc::new(config))
    }
}

/// A broker with a SASL_SSL listener and one for certificates.
async fn start(authority: &Authority) -> Broker {
    let (certificate, key) = authority.give("localhost");
    let settings = [
        ("listeners", "SASL_SSL://127.0.0.1:0,CERTS://127.0.0.1:0"),
        ("listener.security.protocol.map", "SASL_SSL:SASL_SSL,CERTS:SSL"),
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.key", &key.serialize_pem()),
        ("ssl.keystore.certificate.chain", &certificate.pem()),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.certificates", &authority.certificate.pem()),
        ("listener.name.certs.ssl.client.auth", "required"),
        ("ssl.principal.mapping.rules", "RULE:.*CN=([a-z]+).*/$1/"),
        ("sasl.enabled.mechanisms", "PLAIN"),
        ("sasl.server.max.receive.size", "1000"),
        ("connection.failed.authentication.delay.ms", "1"),
        (
            "listener.name.sasl_ssl.plain.sasl.jaas.config",
            "org.apache.kafka.common.security.plain.PlainLoginModule required user_admin=\"a\" user_bob=\"b\";",
        ),
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
        ("super.users", "User:admin"),
    ];
    let mut builder = Broker::builder().in_memory();
    for (name, value) in settings {
        builder = builder.set(name, value).unwrap();
    }
    builder.start().await.unwrap()
}

/// A client that says what it likes.
struct Peer {
    stream: TlsStream<TcpStream>,
    received: BytesMut,
}

impl Peer {
    async fn connect(connector: &TlsConnector, address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
        Ok(Self { stream, received: BytesMut::new() })
    }

    /// The answer; none if the broker closed the connection instead.
    async fn ask<R: Request>(&mut self, version: i16, request: R) -> Option<R::Response> {
        let body: RequestBody = request.into();
        let frame = encode_request(&body, version, 7, Some("test")).unwrap();
        if self.stream.write_all(&frame.to_bytes()).await.is_err() {
            return None;
        }
        let frame = tokio::time::timeout(PATIENCE, self.frame()).await.expect("an answer or an end in time")?;
        let (_, body) = decode_response(R::KEY, version, &frame, &Default::default()).unwrap();
        Some(body.try_into().unwrap())
    }

    async fn frame(&mut self) -> Option<bytes::Bytes> {
        loop {
            if let Some(prefix) = self.received.first_chunk::<4>() {
                let size = usize::try_from(i32::from_be_bytes(*prefix)).unwrap();
                if self.received.len() >= 4 + size {
                    self.received.advance(4);
                    return Some(self.received.split_to(size).freeze());
                }
            }
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    async fn login(&mut self, user: &str, password: &str) -> i16 {
        let shaken = self.ask(1, SaslHandshakeRequest { mechanism: "PLAIN".to_owned() }).await.unwrap();
        assert_eq!((shaken.error_code, shaken.mechanisms), (0, vec!["PLAIN".to_owned()]));
        let auth_bytes = format!("\0{user}\0{password}").into_bytes().into();
        self.ask(2, SaslAuthenticateRequest { auth_bytes }).await.unwrap().error_code
    }

    async fn metadata(&mut self, name: Option<&str>) -> MetadataResponse {
        let topic = |name: &str| MetadataRequestTopic { name: Some(name.to_owned()), ..Default::default() };
        let topics = name.map(|name| vec![topic(name)]);
        self.ask(9, MetadataRequest { topics, ..Default::default() }).await.unwrap()
    }
}

#[tokio::test]
async fn a_client_authenticates_before_anything_else() {
    let authority = Authority::new();
    let broker = start(&authority).await;
    let address = broker.addresses()[0];
    let connector = authority.client(None);

    let mut early = Peer::connect(&connector, address).await.unwrap();
    assert!(
        early
            .ask(4, ApiVersionsRequest { client_software_name: "t".into(), client_software_version: "1".into() })
            .await
            .is_some()
    );
    assert!(early.ask(9, MetadataRequest::default()).await.is_none(), "closed");

    let mut large = Peer::connect(&connector, address).await.unwrap();
    assert!(large.ask(1, SaslHandshakeRequest { mechanism: "x".repeat(2_000) }).await.is_none(), "closed");

    let mut wrong = Peer::connect(&connector, address).await.unwrap();
    assert_eq!(wrong.login("admin", "wrong").await, 58);
    assert!(wrong.ask(9, MetadataRequest::default()).await.is_none(), "closed");

    let mut admin = Peer::connect(&connector, address).await.unwrap();
    assert_eq!(admin.login("admin", "a").await, 0);
    let metadata = admin.metadata(None).await;
    assert_eq!(metadata.brokers[0].port, i32::from(address.port()), "the address of this listener");
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn rules_hold_for_each_principal() {
    let authority = Authority::new();
    let broker = start(&authority).await;
    let connector = authority.client(None);
    let mut admin = Peer::connect(&connector, broker.addresses()[0]).await.unwrap();
    admin.login("admin", "a").await;
    let topic = CreatableTopic { name: "t".into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let created =
        admin.ask(7, CreateTopicsRequest { topics: vec![topic.clone()], ..Default::default() }).await.unwrap();
    assert_eq!(created.topics[0].error_code, 0, "{created:?}");

    let mut bob = Peer::connect(&connector, broker.addresses()[0]).await.unwrap();
    bob.login("bob", "b").await;
    assert!(bob.metadata(None).await.topics.is_empty());
    let refusals = [bob.metadata(Some("t")).await, bob.metadata(Some("missing")).await].map(|r| r.topics[0].error_code);
    assert_eq!(refusals, [29, 29], "the same, whether it exists or not");
    let denied = bob.ask(7, CreateTopicsRequest { topics: vec![topic], ..Default::default() }).await.unwrap();
    assert_eq!(denied.topics[0].error_code, 29);

    // Secrets are not shown, not even to who may see all else.
    let resources =
        vec![DescribeConfigsResource { resource_type: 4, resource_name: "1".into(), configuration_keys: None }];
    let described = admin.ask(4, DescribeConfigsRequest { resources, ..Default::default() }).await.unwrap();
    let key = described.results[0].configs.iter().find(|config| config.name == "ssl.keystore.key").unwrap();
    assert!(key.is_sensitive && key.value.is_none());
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_certificate_says_who_its_holder_is() {
    let authority = Authority::new();
    let broker = start(&authority).await;
    let address = broker.addresses()[1];
    let mut admin = Peer::connect(&authority.client(Some("admin")), address).await.unwrap();
    let topic = CreatableTopic { name: "t".into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let created = admin.ask(7, CreateTopicsRequest { topics: vec![topic], ..Default::default() }).await.unwrap();
    assert_eq!(created.topics[0].error_code, 0, "a super user by certificate");
    let mut bob = Peer::connect(&authority.client(Some("bob")), address).await.unwrap();
    assert!(bob.metadata(None).await.topics.is_empty());

    // Of TLS 1.3 a client learns that its certificate is missing, or another authority's, when it reads.
    for connector in [authority.client(None), Authority::new().client(Some("admin"))] {
        if let Ok(mut peer) = Peer::connect(&connector, address).await {
            assert!(peer.ask(9, MetadataRequest::default()).await.is_none());
        }
    }
    // One of no name that the rules know.
    let mut nobody = Peer::connect(&authority.client(Some("12345")), address).await.unwrap();
    assert!(nobody.ask(9, MetadataRequest::default()).await.is_none());
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_secure_does_not_start() {
    let refused = |settings: &'static [(&'static str, &'static str)]| async move {
        let mut builder = Broker::builder().in_memory();
        for (name, value) in settings {
            builder = builder.set(name, value).unwrap();
        }
        builder.start().await.unwrap_err().to_string()
    };
    let reason = refused(&[("listeners", "SSL://127.0.0.1:0")]).await;
    assert!(reason.contains("ssl.keystore.type=JKS") && reason.contains("keytool"), "{reason}");
    let reason = refused(&[("listeners", "SASL_PLAINTEXT://127.0.0.1:0")]).await;
    assert!(reason.contains("GSSAPI is not served"), "{reason}");
    let plain = &[("listeners", "SASL_PLAINTEXT://127.0.0.1:0"), ("sasl.enabled.mechanisms", "PLAIN")];
    let reason = refused(plain).await;
    assert!(reason.contains("riverrun.sasl.plain.allow.plaintext"), "{reason}");
    let oauth = &[("listeners", "SASL_PLAINTEXT://127.0.0.1:0"), ("sasl.enabled.mechanisms", "OAUTHBEARER")];
    let reason = refused(oauth).await;
    assert!(reason.contains("jwks"), "{reason}");
    let reason = refused(&[("listeners", "OUTSIDE://127.0.0.1:0")]).await;
    assert!(reason.contains("listener.security.protocol.map"), "{reason}");
    let reason = refused(&[("listeners", "PLAINTEXT://127.0.0.1:0"), ("advertised.listeners", "X://h:1")]).await;
    assert!(reason.contains("advertised.listeners names X"), "{reason}");
}
