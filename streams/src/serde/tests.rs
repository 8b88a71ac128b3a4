//! Every serde: its format, its nulls, and bytes it did not write.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::window::{Window, Windowed};

fn encoded<T, S: Serde<T>>(serde: &S, value: &T) -> Option<Bytes> {
    to_bytes(serde, value, &mut BytesMut::new()).unwrap()
}

fn round_trip<T, S: Serde<T>>(serde: &S, value: &T) -> Option<T> {
    from_bytes(serde, encoded(serde, value).as_ref()).unwrap()
}

#[test]
fn numbers_are_javas() {
    assert_eq!(encoded(&I64, &258).unwrap(), [0, 0, 0, 0, 0, 0, 1, 2].as_slice());
    assert_eq!(encoded(&I32, &-1).unwrap(), [0xff; 4].as_slice());
    assert_eq!(encoded(&F64, &1.0).unwrap(), [0x3f, 0xf0, 0, 0, 0, 0, 0, 0].as_slice());
    assert!(matches!(I64.decode(&Bytes::from_static(&[1])), Err(SerdeError::Length { expected: 8, actual: 1 })));
}

#[test]
fn null_is_none_only_for_nullable_serdes() {
    assert_eq!(encoded(&I64.nullable(), &None), None);
    assert_eq!(from_bytes::<Option<i64>, _>(&I64.nullable(), None).unwrap(), Some(None));
    assert_eq!(from_bytes::<i64, _>(&I64, None).unwrap(), None);
    assert_eq!(from_bytes(&Raw, None).unwrap(), Some(None));
    assert_eq!(encoded(&Raw, &Some(Bytes::new())), Some(Bytes::new()), "empty is not null");
}

#[test]
fn text_must_be_utf8() {
    assert!(matches!(Utf8.decode(&Bytes::from_static(&[0xff])), Err(SerdeError::Utf8(_))));
}

/// E3 and R5: start only, after the key, and the key alone chooses the partition.
#[test]
fn windowed_key_is_key_then_start() {
    let serde = Utf8.windowed(Duration::from_millis(10));
    let key = Windowed { key: "ab".to_owned(), window: Window { start: 20, end: 30 } };
    let bytes = encoded(&serde, &key).unwrap();
    assert_eq!(bytes, [b'a', b'b', 0, 0, 0, 0, 0, 0, 0, 20].as_slice());
    assert_eq!(serde.partition_prefix(&bytes), 2);
    assert_eq!(serde.decode(&bytes).unwrap(), key);
    assert!(matches!(serde.decode(&Bytes::from_static(b"short")), Err(SerdeError::WindowedKey { actual: 5 })));
}

proptest! {
    #[test]
    fn every_serde_reads_what_it_wrote(text: String, long: i64, int: i32, double in -1e9f64..1e9, raw: Option<Vec<u8>>) {
        prop_assert_eq!(round_trip(&Utf8, &text), Some(text.clone()));
        prop_assert_eq!(round_trip(&I64, &long), Some(long));
        prop_assert_eq!(round_trip(&I32, &int), Some(int));
        prop_assert_eq!(round_trip(&F64, &double), Some(double));
        let raw = raw.map(Bytes::from);
        prop_assert_eq!(round_trip(&Raw, &raw), Some(raw.clone()));
        prop_assert_eq!(round_trip(&Json, &(text.clone(), long)), Some((text, long)));
        let optional = raw.as_ref().map(|_| long);
        prop_assert_eq!(round_trip(&Json.nullable(), &optional), Some(optional));
    }

    #[test]
    fn decoders_survive_any_bytes(bytes: Vec<u8>) {
        let bytes = Bytes::from(bytes);
        let _ = Utf8.decode(&bytes);
        let _ = I64.decode(&bytes);
        let _: Result<Windowed<String>, _> = Utf8.windowed(Duration::from_millis(1)).decode(&bytes);
        let _: Result<serde_json::Value, _> = Json.decode(&bytes);
    }
}
