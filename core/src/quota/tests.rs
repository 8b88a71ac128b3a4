//! Rates and buckets against Kafka's own, and what holds for any sequence of uses.

use std::{collections::BTreeMap, net::IpAddr};

use proptest::prelude::*;

use super::{
    COUNTERS_MAX, ClientQuotas, ConnectionLimits, ConnectionRates, ConnectionVerdict, QuotaKind, QuotaWindows,
    SampledRate, Subject, TokenBucket, Windows,
};
use crate::metadata::{QuotaEntity, QuotaValue, Quotas};

type Name<'a> = Option<Option<&'a str>>;

fn entity(user: Name<'_>, client_id: Name<'_>) -> QuotaEntity {
    let owned = |name: Name<'_>| name.map(|name| name.map(str::to_owned));
    QuotaEntity { user: owned(user), client_id: owned(client_id), ip: None }
}

fn quotas(all: &[(QuotaEntity, &str, f64)]) -> BTreeMap<QuotaEntity, Quotas> {
    let mut quotas: BTreeMap<QuotaEntity, Quotas> = BTreeMap::new();
    for (entity, key, value) in all {
        quotas.entry(entity.clone()).or_default().insert((*key).to_owned(), QuotaValue(*value));
    }
    quotas
}

fn bounded(all: &[(QuotaEntity, &str, f64)]) -> ClientQuotas {
    let mut machine = ClientQuotas::new(QuotaWindows::default());
    machine.set_limits(&quotas(all));
    machine
}

const ALICE: Subject<'_> = Subject { user: "alice", client_id: "app" };

/// Written by Kafka 4.3's `Rate` and `TokenBucket`: a case is the number and the milliseconds of windows and a bound, a
/// line a time, a value, what Kafka lets wait for the rate and, with four times the value, for the bucket, and the rate.
#[test]
fn rates_and_buckets_are_kafkas() {
    let mut windows = Windows::default();
    let (mut bound, mut rate, mut bucket) = (1.0, SampledRate::default(), TokenBucket::default());
    let mut lines = 0;
    for line in include_str!("../../tests/fixtures/quota/kafka_rates.txt").lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        if fields[0] == "case" {
            windows = Windows { count: fields[1].parse().unwrap(), window_ms: fields[2].parse().unwrap() };
            bound = fields[3].parse().unwrap();
            (rate, bucket) = (SampledRate::default(), TokenBucket::default());
            continue;
        }
        let (now, value): (i64, f64) = (fields[0].parse().unwrap(), fields[1].parse().unwrap());
        rate.record(&windows, value, now);
        assert_eq!(rate.throttle_ms(&windows, bound, now), fields[2].parse::<i64>().unwrap(), "{line}");
        let kafkas: f64 = fields[4].parse().unwrap();
        assert!((rate.measure(&windows, now) - kafkas).abs() < 1e-6, "{line}");
        bucket.take(&windows, bound, value * 4.0, now);
        assert_eq!(bucket.throttle_ms(&windows, bound, now), fields[3].parse::<i64>().unwrap(), "{line}");
        lines += 1;
    }
    assert_eq!(lines, 360);
}

#[test]
fn the_most_particular_bound_holds() {
    let key = "producer_byte_rate";
    let steps = [
        (entity(None, Some(None)), 1.0),
        (entity(None, Some(Some("app"))), 2.0),
        (entity(Some(None), None), 3.0),
        (entity(Some(None), Some(None)), 4.0),
        (entity(Some(None), Some(Some("app"))), 5.0),
        (entity(Some(Some("alice")), None), 6.0),
        (entity(Some(Some("alice")), Some(None)), 7.0),
        (entity(Some(Some("alice")), Some(Some("app"))), 8.0),
    ];
    let mut set = Vec::new();
    for (entity, bound) in steps {
        set.push((entity.clone(), key, bound));
        // One for another kind hides nothing.
        set.push((entity, "consumer_byte_rate", 1000.0 + bound));
        set.push((
            QuotaEntity { user: Some(Some("alice".into())), client_id: Some(Some("app".into())), ip: None },
            "request_percentage",
            1.0,
        ));
        let machine = bounded(&set);
        assert_eq!(machine.burst_max(QuotaKind::Produce, ALICE), Some(bound * 10.0));
    }
    let machine = bounded(&set);
    let found =
        |user, client_id| machine.burst_max(QuotaKind::Produce, Subject { user, client_id }).map(|max| max / 10.0);
    assert_eq!(found("alice", "other"), Some(7.0));
    assert_eq!(found("bob", "app"), Some(5.0));
    assert_eq!(found("bob", "other"), Some(4.0));
    assert_eq!(bounded(&[]).burst_max(QuotaKind::Produce, ALICE), None);
}

#[test]
fn what_is_counted_together_is_what_the_bound_is_set_for() {
    let other_app = Subject { client_id: "other", ..ALICE };
    let bob = Subject { user: "bob", ..ALICE };
    let key = "producer_byte_rate";
    for (set_for, with_other_app, with_bob) in [
        (entity(Some(None), Some(None)), false, false),
        (entity(Some(Some("alice")), None), true, false),
        (entity(Some(None), None), true, false),
        (entity(None, Some(None)), false, true),
    ] {
        let mut machine = bounded(&[(set_for.clone(), key, 100.0)]);
        assert!(machine.record(QuotaKind::Produce, ALICE, 1e6, 0) > 0);
        assert_eq!(machine.record(QuotaKind::Produce, other_app, 0.0, 0) > 0, with_other_app, "{set_for:?}");
        assert_eq!(machine.record(QuotaKind::Produce, bob, 0.0, 0) > 0, with_bob, "{set_for:?}");
        assert_eq!(machine.record(QuotaKind::Fetch, ALICE, 1e9, 0), 0, "another kind");
    }
}

#[test]
fn request_time_waits_no_longer_than_a_window() {
    let mut machine = bounded(&[(entity(Some(None), None), "request_percentage", 1.0)]);
    assert_eq!(machine.record(QuotaKind::Request, ALICE, 1e9, 5), 1_000);
}

#[test]
fn mutations_are_refused_to_those_who_understand() {
    let mut machine = bounded(&[(entity(Some(None), None), "controller_mutation_rate", 1.0)]);
    // The whole burst of 11, and 4 more: whoever is not below zero may go below it.
    assert_eq!(machine.mutate(ALICE, 15.0, true, 0), Ok(0));
    let refused = machine.mutate(ALICE, 1.0, true, 0).unwrap_err();
    assert_eq!(refused.throttle_ms, 4_000);
    assert_eq!(machine.mutate(ALICE, 1.0, false, 0), Ok(5_000), "counted, and no error");
    assert_eq!(machine.mutate(ALICE, 1.0, true, 5_000), Ok(0));
}

#[test]
fn counters_are_bounded_and_idle_ones_forgotten() {
    let mut machine = bounded(&[(entity(None, Some(None)), "producer_byte_rate", 100.0)]);
    for number in 0..COUNTERS_MAX + 10 {
        machine.record(QuotaKind::Produce, Subject { user: "u", client_id: &number.to_string() }, 60.0, 0);
    }
    assert!(machine.counter_count() <= COUNTERS_MAX + 1);
    let late = Subject { user: "u", client_id: "late" };
    assert!((0..100).any(|_| machine.record(QuotaKind::Produce, late, 1e6, 0) > 0), "those beyond are bounded too");
    machine.record(QuotaKind::Produce, Subject { user: "u", client_id: "later" }, 1.0, 60_000);
    assert!(machine.counter_count() < 10, "{}", machine.counter_count());
}

#[test]
fn connections_of_one_address_do_not_hurt_others() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let mut rates = ConnectionRates::new(Windows::default(), ConnectionLimits::default());
    assert!(rates.is_empty());
    let of_ip = |ip: Option<&str>| QuotaEntity { ip: Some(ip.map(str::to_owned)), ..QuotaEntity::default() };
    let key = "connection_creation_rate";
    rates.set_quotas(&quotas(&[(of_ip(Some("10.0.0.1")), key, 1.0), (of_ip(None), key, 100.0)]));
    let verdicts: Vec<_> = (0..12).map(|_| rates.admit(ip("10.0.0.1"), 0, 0)).collect();
    assert!(verdicts[..10].iter().all(|verdict| *verdict == ConnectionVerdict::Accept { wait_ms: 0 }));
    assert_eq!(verdicts[10], ConnectionVerdict::Refuse { throttle_ms: 1_000 });
    assert_eq!(verdicts[11], verdicts[10], "a refused one is not counted");
    assert_eq!(rates.admit(ip("10.0.0.2"), 0, 0), ConnectionVerdict::Accept { wait_ms: 0 });
    let limits = ConnectionLimits { all: Some(1.0), listeners: vec![None, Some(0.5)] };
    let mut rates = ConnectionRates::new(Windows::default(), limits);
    let waits: Vec<_> = (0..6).map(|_| rates.admit(ip("10.0.0.1"), 1, 0)).collect();
    assert_eq!(waits[4], ConnectionVerdict::Accept { wait_ms: 0 });
    assert_eq!(waits[5], ConnectionVerdict::Accept { wait_ms: 1_000 }, "the listener's own bound");
    assert_eq!(rates.admit(ip("10.0.0.1"), 0, 0), ConnectionVerdict::Accept { wait_ms: 0 });
}

proptest! {
    /// Who waits as it is told is bounded: over any time it uses no more than the quota, but for one burst, and another
    /// after each silence that is longer than what is remembered.
    #[test]
    fn a_client_that_waits_keeps_its_quota(
        bound in 1.0..10_000.0f64,
        uses in prop::collection::vec((0.0..20_000.0f64, 0..3_000i64), 1..200),
    ) {
        let mut machine = bounded(&[(entity(Some(None), None), "producer_byte_rate", bound)]);
        let (mut now, mut sum, mut largest, mut bursts) = (0i64, 0.0, 0.0f64, 1.0);
        for (value, pause) in uses {
            sum += value;
            largest = largest.max(value);
            let silence = machine.record(QuotaKind::Produce, ALICE, value, now) + pause;
            bursts += f64::from(u8::from(silence >= 10_000));
            now += silence;
        }
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let seconds = now as f64 / 1_000.0;
        prop_assert!(sum <= bound * (seconds + 11.0 * bursts) + largest + 1.0, "{sum} in {seconds} s of {bound}");
    }

    /// Who is within the bound from second to second never waits; what is taken back is as if it had not been.
    #[test]
    fn a_client_within_its_quota_never_waits(
        bound in 10.0..10_000.0f64,
        shares in prop::collection::vec(0.0..1.0f64, 1..100),
        taken_back in 0.0..100_000.0f64,
    ) {
        let mut machine = bounded(&[(entity(Some(None), None), "consumer_byte_rate", bound)]);
        let mut now = 0;
        for share in shares {
            machine.record(QuotaKind::Fetch, ALICE, taken_back, now);
            machine.unrecord(QuotaKind::Fetch, ALICE, taken_back, now);
            prop_assert_eq!(machine.record(QuotaKind::Fetch, ALICE, bound * share * 0.99, now), 0);
            now += 1_000;
        }
    }

    /// Whatever the times and values, a wait is no less than nothing and a bucket never holds more than its burst.
    #[test]
    fn nothing_overflows(
        bound in prop::num::f64::POSITIVE,
        uses in prop::collection::vec((prop::num::f64::NORMAL, 0..i64::from(i32::MAX)), 1..50),
    ) {
        let set = [
            (entity(Some(None), None), "producer_byte_rate", bound),
            (entity(Some(None), None), "controller_mutation_rate", bound),
        ];
        let mut machine = bounded(&set);
        let mut now = 0;
        for (value, pause) in uses {
            prop_assert!(machine.record(QuotaKind::Produce, ALICE, value, now) >= 0);
            match machine.mutate(ALICE, value.abs(), true, now) {
                Ok(waits) => prop_assert_eq!(waits, 0),
                Err(refused) => prop_assert!(refused.throttle_ms > 0),
            }
            now += pause;
        }
    }
}
