//! Whole frames: headers, the special rules of ApiVersions, shared payloads, and what hostile frames get.

use bytes::Bytes;

use super::{
    messages::{
        ApiVersionsRequest, ApiVersionsResponse, HeartbeatRequest, MetadataRequest, ProduceRequest,
        produce::{PartitionProduceData, TopicProduceData},
    },
    *,
};

fn produce_of(records: Bytes) -> RequestBody {
    let partition_data = vec![PartitionProduceData { index: 3, records: Some(records) }];
    let topic_data = vec![TopicProduceData { name: "t".into(), partition_data, ..Default::default() }];
    ProduceRequest { acks: -1, timeout_ms: 1000, topic_data, ..Default::default() }.into()
}

#[test]
fn a_request_frame_comes_back_and_shares_its_records() {
    let records = Bytes::from(vec![7; SHARED_BYTES_MIN]);
    let body = produce_of(records.clone());
    for version in [3, 8, 9, 12] {
        let frame = encode_request(&body, version, 42, Some("me")).unwrap();
        assert!(frame.segments().iter().any(|segment| segment.as_ptr() == records.as_ptr()), "copied");
        let whole = frame.to_bytes();
        assert_eq!(whole.len(), frame.size_in_bytes());
        assert_eq!(whole[..4], u32::try_from(whole.len() - 4).unwrap().to_be_bytes());
        let (header, decoded) = decode_request(&frame.content(), &DecodeLimits::default()).unwrap();
        let api_key = ApiKey::Produce;
        let client_id = Some("me".to_owned());
        assert_eq!(header, RequestHeader { api_key, api_version: version, correlation_id: 42, client_id });
        assert_eq!(decoded, body);
    }
}

#[test]
fn the_header_is_flexible_exactly_if_the_body_is() {
    let body = RequestBody::from(ApiVersionsRequest::default());
    let plain = encode_request(&body, 2, 1, None).unwrap().content();
    assert_eq!(plain[..], [0, 18, 0, 2, 0, 0, 0, 1, 255, 255]);
    let flexible = encode_request(&body, 3, 1, None).unwrap().content();
    // Header tags; two empty compact strings; body tags.
    assert_eq!(flexible[..], [0, 18, 0, 3, 0, 0, 0, 1, 255, 255, 0, 1, 1, 0]);
}

#[test]
fn api_versions_responses_have_header_version_0() {
    let body = ResponseBody::from(ApiVersionsResponse { error_code: 35, ..Default::default() });
    let refused = encode_response(&body, 0, 9).unwrap().content();
    assert_eq!(refused[..], [0, 0, 0, 9, 0, 35, 0, 0, 0, 0]);
    // The client asked in version 4; the refusal is in version 0 nevertheless.
    assert_eq!(decode_response(ApiKey::ApiVersions, 4, &refused, &DecodeLimits::default()), Ok((9, body)));

    let body = ResponseBody::from(ApiVersionsResponse::default());
    let frame = encode_response(&body, 3, 9).unwrap().content();
    assert_eq!(frame[..], [0, 0, 0, 9, 0, 0, 1, 0, 0, 0, 0, 0]);
    assert_eq!(decode_response(ApiKey::ApiVersions, 3, &frame, &DecodeLimits::default()), Ok((9, body)));
}

#[test]
fn unknown_apis_and_versions_keep_the_correlation_id() {
    let frame = Bytes::from_static(&[0, 18, 0, 99, 0, 0, 0, 5, 255, 255, 0]);
    let error = decode_request(&frame, &DecodeLimits::default()).unwrap_err();
    let api_key = ApiKey::ApiVersions;
    assert_eq!(error, DecodeRequestError::UnsupportedVersion { api_key, api_version: 99, correlation_id: 5 });

    let frame = Bytes::from_static(&[3, 232, 0, 1, 0, 0, 0, 6]);
    let error = decode_request(&frame, &DecodeLimits::default()).unwrap_err();
    assert_eq!(error, DecodeRequestError::UnknownApiKey { api_key: 1000, api_version: 1, correlation_id: 6 });
}

#[test]
fn a_field_the_version_lacks_is_refused_unless_ignorable() {
    let mut request = MetadataRequest { allow_auto_topic_creation: false, ..Default::default() };
    let error = encode_request(&request.clone().into(), 3, 1, None).unwrap_err();
    assert_eq!(error.field, "allow_auto_topic_creation");
    assert_eq!(error.kind, EncodeErrorKind::NotInVersion { version: 3 });

    request = MetadataRequest { topics: None, ..Default::default() };
    let error = encode_request(&request.clone().into(), 0, 1, None).unwrap_err();
    assert_eq!(error.kind, EncodeErrorKind::NullNotAllowed { version: 0 });
    encode_request(&request.into(), 1, 1, None).unwrap();
}

#[test]
fn a_decode_error_names_message_and_field() {
    let body = HeartbeatRequest { group_id: "group".into(), ..Default::default() };
    let frame = encode_request(&body.into(), 0, 1, None).unwrap().content();
    let cut = frame.slice(..frame.len() - 1);
    let DecodeRequestError::Body { header, source } = decode_request(&cut, &DecodeLimits::default()).unwrap_err()
    else {
        panic!("an error of the body");
    };
    assert_eq!(header.correlation_id, 1);
    assert_eq!(source.to_string(), "HeartbeatRequest.member_id at byte 21: 2 bytes needed, 1 left");
}

#[test]
fn bytes_behind_a_request_are_ignored() {
    // What librdkafka 2.16 asks for all topics with: version 13 ends after the tags, three more bytes follow.
    let body = RequestBody::from(MetadataRequest { topics: None, ..Default::default() });
    let mut frame = encode_request(&body, 13, 1, Some("rdkafka")).unwrap().content().to_vec();
    frame.extend([0, 0, 0]);
    let (_, decoded) = decode_request(&frame.into(), &DecodeLimits::default()).unwrap();
    assert_eq!(decoded, body);
}

#[test]
fn content_that_lies_elsewhere_is_announced_and_left_out() {
    use super::messages::{
        FetchResponse,
        fetch::{FetchableTopicResponse, PartitionData},
    };
    let long = Bytes::from(vec![7; 5000]);
    let data = |records: &Bytes| PartitionData { records: Some(records.clone()), ..Default::default() };
    let response = |first: &Bytes| {
        let partitions = vec![data(first), data(&long), data(&Bytes::new()), data(first)];
        let topic = FetchableTopicResponse { topic: "t".to_owned(), partitions, ..Default::default() };
        ResponseBody::from(FetchResponse { responses: vec![topic], ..Default::default() })
    };
    for version in [4, 11, 12, 17] {
        let whole = encode_response(&response(&long), version, 9).unwrap().to_bytes();
        let apart = vec![long.len(), 0, 0, long.len()];
        let parts = encode_response_apart(&response(&Bytes::new()), version, 9, apart).unwrap();
        let put_together: Vec<u8> = parts
            .iter()
            .flat_map(|part| match part {
                FramePart::Bytes(bytes) => bytes.to_vec(),
                FramePart::Apart(field) => {
                    assert!([0, 3].contains(field));
                    long.to_vec()
                }
            })
            .collect();
        assert_eq!(put_together, whole, "version {version}");
    }
}
