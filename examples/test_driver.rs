//! Learn to test a topology without a broker, a runtime or a clock: `TestDriver` runs it as fast as it can be called.
//!
//! In a project of yours this would be a `#[test]`. Run it with `cargo run --example test_driver`.

use std::error::Error;

use riverrun::streams::{Topology, TopologyError, prelude::*};

/// The highest bid of each item so far; bids that are no number are skipped.
fn auction() -> Result<Topology, TopologyError> {
    let b = StreamsBuilder::new("auction");
    b.stream("bids", (Utf8, I64))
        .on_error(OnError::Skip)
        .group_by_key("by-item", (Utf8, I64))
        .reduce("highest", |so_far, bid| *so_far.max(bid))
        .to_stream()
        .to("highest-bids", (Utf8, I64.nullable()));
    b.build()
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut t = TestDriver::new(&auction()?)?;
    let bids = t.input("bids", (Utf8, I64));
    let mut highest = t.output("highest-bids", (Utf8, I64));

    // A record is processed before `send` returns. Its time is whatever the test says.
    bids.at(1_000).send("lamp".into(), 30)?;
    bids.at(2_000).send("lamp".into(), 50)?;
    bids.at(1_500).send("lamp".into(), 40)?;
    let seen: Vec<_> = highest.drain()?.into_iter().map(|record| (record.value, record.timestamp)).collect();
    assert_eq!(seen, [(30, 1_000), (50, 2_000), (50, 2_000)], "a late bid neither wins nor turns time back");

    // Inputs may be written with any serde, so bad input is easily made.
    t.input("bids", (Utf8, Utf8)).at(3_000).send("lamp".into(), "sixty".into())?;
    assert_eq!(t.dropped("deserialization"), 1);
    assert!(highest.drain()?.is_empty());

    // Everything but the topics is thrown away; the store comes back from its changelog.
    t.restart()?;
    bids.at(4_000).send("lamp".into(), 45)?;
    assert_eq!(t.store("highest", (Utf8, I64)).get(&"lamp".into())?, Some(50));

    println!("the lamp goes for {}", highest.drain()?[0].value);
    Ok(())
}
