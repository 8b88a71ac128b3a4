//! Records as Apache Kafka 4.3 wrote them for a group of two members: read, and written to the same bytes.

use bytes::Bytes;

use super::world::hex;
use crate::group::{
    EncodedRecord, Epoch, GroupRecord, MemberState, decode_record, encode_record, streams::StreamsRecord,
};

const RECORDS: [(&str, &str); 9] = [
    (
        "0013000464756d7000026d31",
        "00000002720670726f62650b2f3132372e302e302e31000003e80000000004706d3101026800010002057a6f6e6502610000",
    ),
    (
        "0017000464756d70",
        "0000000000000302300203696e0101020964756d702d72657001020200000101000002310101021564756d702d73746f72652d6368\
         616e67656c6f67000000000000020f636c65616e75702e706f6c69637908636f6d70616374000001020964756d702d726570000000\
         000000020f636c65616e75702e706f6c6963790764656c6574650000010000",
    ),
    ("0011000464756d70", "000000000002714001039756befa01011902156e756d2e7374616e6462792e7265706c69636173023000"),
    (
        "0011000464756d70",
        "000000000003fb76b6dada0887f602000400000000011902156e756d2e7374616e6462792e7265706c69636173023000",
    ),
    ("0016000464756d7000026d31", "000000000001000000000101010101010100"),
    ("0015000464756d7000026d31", "0000030230040000000000000001000000020002310400000000000000010000000200010100"),
    ("0014000464756d70", "000000000003010008000001a1fe6bdfb4"),
    (
        "0016000464756d7000026d31",
        "0000000000030000000302030230030000000000000001010009030000000300000003023102000000000100050200000003\
         0101030230020000000201000502000000030231030000000100000002010009030000000300000003010100",
    ),
    ("0016000464756d7000026d32", "000000000004000000000301010101010100"),
];

fn decoded((key, value): (&str, &str)) -> StreamsRecord {
    match decode_record(&hex(key), Some(&hex(value))) {
        Ok(Some(GroupRecord::Streams { record, .. })) => record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn kafkas_bytes_are_read_and_written() {
    for (key, value) in RECORDS {
        let (key, value): (Bytes, Bytes) = (hex(key), hex(value));
        let written = encode_record(&decode_record(&key, Some(&value)).unwrap().unwrap()).unwrap();
        assert_eq!(written, EncodedRecord { key, value: Some(value) });
    }
}

#[test]
fn what_they_say_is_understood() {
    let StreamsRecord::Group(Some(group)) = decoded(RECORDS[2]) else { panic!("no group") };
    assert_eq!((group.epoch, group.validated_topology), (Epoch(2), None));
    assert_eq!(group.assignment_configs["num.standby.replicas"], "0");
    let StreamsRecord::Current(_, Some(current)) = decoded(RECORDS[7]) else { panic!("no tasks") };
    assert_eq!((current.epoch, current.previous_epoch), (Epoch(3), Epoch(3)));
    assert_eq!(current.state, MemberState::UnrevokedPartitions);
    assert_eq!(current.assigned.active["0"], [(0, Epoch(3)), (1, Epoch(3))].into());
    assert_eq!(current.revoking.active["1"], [(1, Epoch(3)), (2, Epoch(3))].into());
    let StreamsRecord::Current(_, Some(current)) = decoded(RECORDS[8]) else { panic!("no tasks") };
    assert_eq!(current.state, MemberState::UnreleasedPartitions);
    let StreamsRecord::Current(_, Some(current)) = decoded(RECORDS[4]) else { panic!("no tasks") };
    assert_eq!(current.state, MemberState::Stable);
}
