//! A session told in bytes, fed to a live connection in memory: with and without SASL, with and without access rules.
//! Shared by the property test and the fuzz target, so that what one finds the other can replay.
//!
//! ```text
//! [mode] ([kind][length, 2 bytes][content])*
//! ```
//! | kind | content |
//! |---|---|
//! | 0 | bytes as they are |
//! | 1 | a frame: its length is set right |
//! | 2 | API, version, body: header and length are set right |
//! | 3 | nothing: the client logs in, where there is SASL; else it asks for metadata |
//!
//! Whatever the bytes, the connection lives on or ends, and each answer is one that its request can have, in the order of the
//! requests; before the client has logged in nothing but the versions and SASL is answered; and the broker serves the
//! next client.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use riverrun_broker::Broker;
use riverrun_core::protocol::{
    ApiKey, Request, RequestBody, ResponseBody, decode_request, decode_response, encode_request, is_flexible,
    messages::{
        AddPartitionsToTxnRequest, AlterClientQuotasRequest, ApiVersionsRequest, ConsumerGroupHeartbeatRequest,
        CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest, FetchRequest, FindCoordinatorRequest,
        InitProducerIdRequest, JoinGroupRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest,
        ProduceRequest, SaslAuthenticateRequest, SaslHandshakeRequest, ShareGroupHeartbeatRequest,
    },
    supported_versions,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long a client waits for answers, and how long a session may take, on a clock that goes on when nothing else does.
const ANSWERS_MAX: Duration = Duration::from_secs(5);
const SESSION_MAX: Duration = Duration::from_secs(60);
const USER: &str = "alice";
const PASSWORD: &str = "a";

/// What the broker asks of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Plain,
    Sasl,
    SaslAndRules,
}

impl Mode {
    fn of(byte: u8) -> Self {
        match byte % 3 {
            0 => Self::Plain,
            1 => Self::Sasl,
            _ => Self::SaslAndRules,
        }
    }

    fn settings(self) -> String {
        // Small, so that no session makes much of anything.
        let mut settings = "listeners=A://127.0.0.1:0\nriverrun.partitions.max=64\noffsets.topic.num.partitions=2\n\
            transaction.state.log.num.partitions=2\nshare.coordinator.state.topic.num.partitions=2\n\
            socket.request.max.bytes=1000000\nqueued.max.request.bytes=1000000\n\
            riverrun.request.max.decoded.bytes=1000000\n"
            .to_owned();
        let protocol = if self == Self::Plain { "PLAINTEXT" } else { "SASL_PLAINTEXT" };
        settings += &format!("listener.security.protocol.map=A:{protocol}\n");
        if self != Self::Plain {
            settings += "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256\nriverrun.sasl.plain.allow.plaintext=true\n";
            settings += "listener.name.a.plain.sasl.jaas.config=\
                org.apache.kafka.common.security.plain.PlainLoginModule required user_alice=\"a\";\n";
        }
        if self == Self::SaslAndRules {
            settings += "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n";
        }
        settings
    }
}

/// Runs a session on a runtime of its own, and says how many answers there were. Panics if something is wrong with them.
pub(crate) fn run(data: &[u8]) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(session(data))
}

async fn session(data: &[u8]) -> usize {
    let [mode, story @ ..] = data else { return 0 };
    let mode = Mode::of(*mode);
    let builder = Broker::builder().in_memory().properties(&mode.settings()).expect("known settings");
    let broker = builder.start().await.expect("it starts");
    let sent = bytes_of(mode, story);
    let (client, server) = tokio::io::duplex(1 << 16);
    let (mut reader, mut writer) = tokio::io::split(client);
    let serving = broker.serve_stream(server, ([127, 0, 0, 1], 9).into(), 0);
    let writing = async {
        // The connection may have ended before.
        let _ = writer.write_all(&sent).await;
        // The clock goes on once nothing else does, so this is for what takes its time and costs none.
        tokio::time::sleep(ANSWERS_MAX).await;
        let _ = writer.shutdown().await;
    };
    let mut received = Vec::new();
    let talk = async { tokio::join!(serving, writing, reader.read_to_end(&mut received)) };
    // A client that has as many long fetches under way as it may is not read from, so its end is not seen.
    let _ = tokio::time::timeout(SESSION_MAX, talk).await;
    let answers = check(mode, sent, &received);
    // The next client is served.
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let hello =
        encode(ApiVersionsRequest { client_software_name: "x".into(), client_software_version: "1".into() }, 3, 7);
    let serving = broker.serve_stream(server, ([127, 0, 0, 1], 9).into(), 0);
    let asking = async {
        client.write_all(&hello).await.expect("memory");
        let mut prefix = [0; 8];
        client.read_exact(&mut prefix).await.expect("an answer");
        drop(client);
        assert_eq!(prefix[4..], [0, 0, 0, 7]);
    };
    tokio::time::timeout(SESSION_MAX, async { tokio::join!(serving, asking) }).await.expect("the next is served");
    broker.shutdown().await.expect("it stops");
    answers
}

fn encode(body: impl Into<RequestBody>, version: i16, correlation_id: i32) -> Bytes {
    encode_request(&body.into(), version, correlation_id, Some("s")).expect("it can be written").to_bytes()
}

/// What the client sends.
fn bytes_of(mode: Mode, mut story: &[u8]) -> Bytes {
    let mut sent = BytesMut::new();
    let mut correlation_id = 0;
    while let [kind, high, low, rest @ ..] = story {
        let (content, next) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])).min(rest.len()));
        story = next;
        match (kind % 4, content) {
            (0, content) => sent.put_slice(content),
            (1, content) => frame(&mut sent, &[content]),
            (2, [api, version, body @ ..]) => {
                correlation_id += 1;
                let api = ApiKey::ALL[usize::from(*api) % ApiKey::ALL.len()];
                let versions = supported_versions(api);
                let version = versions.start() + i16::from(*version) % (versions.end() - versions.start() + 1);
                let mut header = BytesMut::new();
                header.put_i16(api.code());
                header.put_i16(version);
                header.put_i32(correlation_id);
                header.put_i16(-1);
                if is_flexible(api, version) {
                    header.put_u8(0);
                }
                frame(&mut sent, &[&header, body]);
            }
            (2, _) => {}
            (_, _) if mode == Mode::Plain => {
                correlation_id += 1;
                sent.put_slice(&encode(MetadataRequest::default(), 9, correlation_id));
            }
            (_, _) => {
                sent.put_slice(&encode(SaslHandshakeRequest { mechanism: "PLAIN".into() }, 1, correlation_id + 1));
                let auth_bytes = format!("\0{USER}\0{PASSWORD}").into_bytes().into();
                sent.put_slice(&encode(SaslAuthenticateRequest { auth_bytes }, 2, correlation_id + 2));
                correlation_id += 2;
            }
        }
    }
    sent.freeze()
}

fn frame(sent: &mut BytesMut, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    sent.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    parts.iter().for_each(|part| sent.put_slice(part));
}

fn next_frame(bytes: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(i32::from_be_bytes(*bytes.first_chunk::<4>()?)).ok()?;
    if bytes.len() - 4 < length {
        return None;
    }
    let mut frame = bytes.split_to(4 + length);
    Some(frame.split_off(4))
}

/// Holds what came back against what was sent; gives the number of answers.
fn check(mode: Mode, mut sent: Bytes, received: &[u8]) -> usize {
    let mut answers = 0;
    let mut received = Bytes::copy_from_slice(received);
    let mut is_open = mode == Mode::Plain;
    while let Some(request) = next_frame(&mut sent) {
        if received.is_empty() {
            return answers;
        }
        let Some((api, version, correlation_id)) = asked(&request) else { return answers };
        let Some(told) = received.get(4..8).map(|id| i32::from_be_bytes([id[0], id[1], id[2], id[3]])) else {
            panic!("the broker's answer breaks off: {received:?}");
        };
        let is_silent =
            matches!(decode_request(&request, &Default::default()), Ok((_, RequestBody::Produce(p))) if p.acks == 0);
        if is_silent {
            continue;
        }
        assert_eq!(told, correlation_id, "{api} {version} is not what was answered");
        let answer = next_frame(&mut received).expect("a whole answer");
        let (_, body) = decode_response(api, version, &answer, &Default::default()).expect("an answer to the request");
        answers += 1;
        let is_first = [ApiKey::ApiVersions, ApiKey::SaslHandshake, ApiKey::SaslAuthenticate].contains(&api);
        assert!(is_open || is_first, "{api} was answered before the client has logged in");
        match body {
            // What comes now has no headers.
            ResponseBody::SaslHandshake(shaken) if version == 0 && shaken.error_code == 0 && mode != Mode::Plain => {
                return answers;
            }
            ResponseBody::SaslHandshake(shaken) if shaken.error_code == 0 && mode != Mode::Plain => is_open = false,
            ResponseBody::SaslAuthenticate(done) if done.error_code == 0 && done.auth_bytes.is_empty() => {
                is_open = true
            }
            _ => {}
        }
    }
    assert!(received.is_empty(), "more answers than requests: {received:?}");
    answers
}

/// Which API a frame asks, in the version of the answer.
fn asked(frame: &Bytes) -> Option<(ApiKey, i16, i32)> {
    let [a, b, c, d, e, f, g, h] = *frame.first_chunk::<8>()?;
    let (api, version) = (ApiKey::try_from(i16::from_be_bytes([a, b])).ok()?, i16::from_be_bytes([c, d]));
    let version = match api {
        ApiKey::ApiVersions if !supported_versions(api).contains(&version) => 0,
        _ => version,
    };
    supported_versions(api).contains(&version).then_some((api, version, i32::from_be_bytes([e, f, g, h])))
}

/// Sessions to begin with: a name and its bytes.
pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    fn chunk(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&[kind][..], &length, content].concat()
    }
    fn request<R: Request + Into<RequestBody>>(version: i16, body: R) -> Vec<u8> {
        chunk(0, &encode(body, version, 100))
    }
    let versions =
        || request(3, ApiVersionsRequest { client_software_name: "x".into(), client_software_version: "1".into() });
    let handshake = |mechanism: &str, version| request(version, SaslHandshakeRequest { mechanism: mechanism.into() });
    let token = |text: &str| request(2, SaslAuthenticateRequest { auth_bytes: text.as_bytes().to_vec().into() });
    fn newest<R: Request + Into<RequestBody> + Default>() -> Vec<u8> {
        chunk(0, &encode(R::default(), *supported_versions(R::KEY).end(), 100))
    }
    let many = [
        newest::<MetadataRequest>(),
        newest::<CreateTopicsRequest>(),
        newest::<FindCoordinatorRequest>(),
        newest::<JoinGroupRequest>(),
        newest::<ConsumerGroupHeartbeatRequest>(),
        newest::<ShareGroupHeartbeatRequest>(),
        newest::<InitProducerIdRequest>(),
        newest::<AddPartitionsToTxnRequest>(),
        newest::<OffsetCommitRequest>(),
        newest::<ListOffsetsRequest>(),
        newest::<FetchRequest>(),
        newest::<DescribeConfigsRequest>(),
        newest::<AlterClientQuotasRequest>(),
        newest::<DeleteTopicsRequest>(),
        newest::<ProduceRequest>(),
    ]
    .concat();
    vec![
        ("plain_metadata", [vec![0], versions(), chunk(3, &[]), chunk(3, &[])].concat()),
        ("plain_many_apis", [vec![0], many.clone()].concat()),
        ("plain_half_a_frame", [vec![0], chunk(3, &[]), chunk(0, &[0, 0, 1, 0, 0, 3])].concat()),
        ("plain_not_kafka", [vec![0], chunk(0, b"GET / HTTP/1.1\r\n\r\n")].concat()),
        ("sasl_login", [vec![1], versions(), chunk(3, &[]), request(9, MetadataRequest::default())].concat()),
        (
            "sasl_scram_begins",
            [vec![1], handshake("SCRAM-SHA-256", 1), token("n,,n=alice,r=abc"), token("c=biws")].concat(),
        ),
        ("sasl_bare_tokens", [vec![1], handshake("PLAIN", 0), chunk(1, b"\0alice\0a"), chunk(3, &[])].concat()),
        ("sasl_wrong", [vec![1], handshake("PLAIN", 1), token("\0alice\0b"), chunk(3, &[])].concat()),
        ("sasl_too_early", [vec![1], request(9, MetadataRequest::default())].concat()),
        ("rules_many_apis", [vec![2], chunk(3, &[]), many].concat()),
    ]
}
