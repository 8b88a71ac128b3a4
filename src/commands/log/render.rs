//! Bytes, times and batches as text and as JSON. The words of the text are those of Apache Kafka's own dump tool, so that
//! who knows one can read the other.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use riverrun::core::{
    log::inspect::ScannedBatch,
    record::{BatchHeader, ControlRecord, ControlRecordType, EndTransactionMarker, RecordRef, TimestampType},
};
use serde_json::{Value, json};

/// Bytes as they can be read: text in quotes, all else as hexadecimal digits.
pub(super) fn bytes_text(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) => {
                format!("{text:?}")
            }
            _ => format!("0x{}", hex(bytes)),
        },
    }
}

/// The same for JSON: a string, or an object with hexadecimal digits where it is no text.
pub(super) fn bytes_json(bytes: Option<&[u8]>) -> Value {
    match bytes {
        None => Value::Null,
        Some(bytes) => std::str::from_utf8(bytes).map_or_else(|_| json!({ "hex": hex(bytes) }), Value::from),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Milliseconds since the Unix epoch, and as a date where it is one.
pub(super) fn time_text(timestamp: i64) -> String {
    match DateTime::<Utc>::from_timestamp_millis(timestamp).filter(|_| timestamp >= 0) {
        Some(time) => format!("{timestamp} ({})", time.to_rfc3339_opts(SecondsFormat::Millis, true)),
        None => timestamp.to_string(),
    }
}

fn time_name(header: &BatchHeader) -> &'static str {
    match header.attributes.timestamp_type() {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

fn delete_horizon(header: &BatchHeader) -> Option<i64> {
    header.attributes.has_delete_horizon().then_some(header.base_timestamp)
}

/// A batch in one line.
pub(super) fn batch_text(found: &ScannedBatch) -> String {
    let header = found.batch.header();
    let attributes = header.attributes;
    let mut line = format!(
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} producerEpoch: {} \
         partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {} position: {} {}: {} size: {} \
         magic: {} compresscodec: {} crc: {} isvalid: {}",
        header.base_offset,
        header.last_offset(),
        header.record_count,
        header.base_sequence,
        header.last_sequence(),
        header.producer_id,
        header.producer_epoch,
        header.partition_leader_epoch,
        attributes.is_transactional(),
        attributes.is_control(),
        delete_horizon(header).map_or_else(|| "none".to_owned(), time_text),
        found.position,
        time_name(header),
        time_text(header.max_timestamp),
        header.size_in_bytes(),
        header.magic,
        attributes.compression(),
        header.crc,
        found.damage.is_none(),
    );
    if let Some(damage) = &found.damage {
        let _ = write!(line, " ({damage})");
    }
    line
}

/// A batch as one object.
pub(super) fn batch_json(file: &str, found: &ScannedBatch) -> Value {
    let header = found.batch.header();
    let attributes = header.attributes;
    json!({
        "type": "batch",
        "file": file,
        "position": found.position,
        "size": header.size_in_bytes(),
        "base_offset": header.base_offset,
        "last_offset": header.last_offset(),
        "count": header.record_count,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence,
        "last_sequence": header.last_sequence(),
        "partition_leader_epoch": header.partition_leader_epoch,
        "compression": attributes.compression().to_string(),
        "timestamp_type": time_name(header),
        "base_timestamp": header.base_timestamp,
        "max_timestamp": header.max_timestamp,
        "is_transactional": attributes.is_transactional(),
        "is_control": attributes.is_control(),
        "delete_horizon_ms": delete_horizon(header),
        "magic": header.magic,
        "crc": header.crc,
        "valid": found.damage.is_none(),
        "damage": found.damage.as_ref().map(ToString::to_string),
    })
}

/// What a control record means.
pub(super) fn control(record: &RecordRef<'_>) -> Value {
    let parsed = match ControlRecord::parse(record.key) {
        Ok(parsed) => parsed,
        Err(error) => return json!({ "error": error.to_string() }),
    };
    let name = match parsed.control_type {
        ControlRecordType::Abort => "ABORT",
        ControlRecordType::Commit => "COMMIT",
        ControlRecordType::LeaderChange => "LEADER_CHANGE",
        ControlRecordType::SnapshotHeader => "SNAPSHOT_HEADER",
        ControlRecordType::SnapshotFooter => "SNAPSHOT_FOOTER",
        ControlRecordType::KraftVersion => "KRAFT_VERSION",
        ControlRecordType::KraftVoters => "KRAFT_VOTERS",
        ControlRecordType::Unknown(id) => return json!({ "type": format!("UNKNOWN {id}") }),
    };
    match (parsed.control_type, EndTransactionMarker::parse(record.value)) {
        (ControlRecordType::Abort | ControlRecordType::Commit, Ok(marker)) => {
            json!({ "type": name, "coordinator_epoch": marker.coordinator_epoch })
        }
        (ControlRecordType::Abort | ControlRecordType::Commit, Err(error)) => {
            json!({ "type": name, "error": error.to_string() })
        }
        _ => json!({ "type": name }),
    }
}

/// What a record is known to mean, beyond its bytes.
#[derive(Debug)]
pub(super) enum Meaning {
    None,
    Control(Value),
    Decoded(Value),
}

/// A record in one line, indented below its batch.
pub(super) fn record_text(header: &BatchHeader, record: &RecordRef<'_>, meaning: &Meaning) -> String {
    let mut line = format!("| offset: {} {}: {}", record.offset, time_name(header), time_text(record.timestamp));
    match meaning {
        Meaning::Control(control) => {
            let name = control.get("type").and_then(Value::as_str).unwrap_or("malformed");
            let _ = write!(line, " control: {name}");
            if let Some(epoch) = control.get("coordinator_epoch") {
                let _ = write!(line, " coordinatorEpoch: {epoch}");
            }
            return line;
        }
        Meaning::Decoded(decoded) => {
            let _ = write!(line, " {decoded}");
            return line;
        }
        Meaning::None => {}
    }
    let _ = write!(line, " key: {} value: {}", bytes_text(record.key), bytes_text(record.value));
    if !record.headers.is_empty() {
        let headers: Vec<String> = record
            .headers
            .iter()
            .map(|each| format!("{}={}", String::from_utf8_lossy(each.key_bytes), bytes_text(each.value)))
            .collect();
        let _ = write!(line, " headers: [{}]", headers.join(", "));
    }
    line
}

/// A record as one object.
pub(super) fn record_json(file: &str, record: &RecordRef<'_>, meaning: &Meaning) -> Value {
    let headers: Vec<Value> = record
        .headers
        .iter()
        .map(|each| json!({ "key": String::from_utf8_lossy(each.key_bytes), "value": bytes_json(each.value) }))
        .collect();
    let mut object = json!({ "type": "record", "file": file, "offset": record.offset, "timestamp": record.timestamp });
    let mut set = |name: &str, value: Value| {
        if let Some(fields) = object.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
    };
    match meaning {
        Meaning::Decoded(decoded) => set("decoded", decoded.clone()),
        Meaning::Control(_) | Meaning::None => {
            set("key", bytes_json(record.key));
            set("value", bytes_json(record.value));
        }
    }
    if let Meaning::Control(control) = meaning {
        set("control", control.clone());
    }
    set("headers", Value::from(headers));
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_or_digits() {
        assert_eq!(bytes_text(Some(b"a\"b")), r#""a\"b""#);
        assert_eq!(bytes_text(Some(&[0, 0xff])), "0x00ff");
        assert_eq!(bytes_text(None), "null");
        assert_eq!(bytes_json(Some(&[0xff])), json!({ "hex": "ff" }));
        assert_eq!(bytes_json(Some(b"a")), json!("a"));
    }

    #[test]
    fn times_are_numbers_with_a_date() {
        assert_eq!(time_text(-1), "-1");
        assert_eq!(time_text(1_700_000_000_123), "1700000000123 (2023-11-14T22:13:20.123Z)");
        assert_eq!(time_text(i64::MAX), i64::MAX.to_string());
    }
}
