//! A live connection takes any bytes: sessions of random chunks, and the seeds of the fuzz target with random damage.

#[path = "common/session.rs"]
mod session;

use proptest::prelude::*;

/// Seeds of the fuzz target, as files.
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/live_connection");

#[test]
fn the_seeds_are_sessions() {
    for (name, bytes) in session::seeds() {
        let answers = session::run(&bytes);
        match name {
            "plain_metadata" => assert_eq!(answers, 3),
            "plain_many_apis" | "rules_many_apis" => assert!(answers >= 14, "{name}: {answers}"),
            "sasl_login" => assert_eq!(answers, 4),
            "sasl_too_early" | "plain_not_kafka" => assert_eq!(answers, 0),
            _ => {}
        }
        let path = format!("{SEEDS}/{name}");
        if std::env::var_os("RIVERRUN_WRITE_SEEDS").is_some() {
            std::fs::create_dir_all(SEEDS).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        assert_eq!(std::fs::read(&path).ok(), Some(bytes), "{path}: written anew with RIVERRUN_WRITE_SEEDS=1");
    }
}

fn chunk() -> impl Strategy<Value = Vec<u8>> {
    (0..4u8, prop::collection::vec(any::<u8>(), 0..60)).prop_map(|(kind, content)| {
        let length = u16::try_from(content.len()).unwrap_or(0).to_be_bytes();
        [&[kind][..], &length, &content].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_chunks_are_a_session(mode in 0..3u8, chunks in prop::collection::vec(chunk(), 0..12)) {
        session::run(&[vec![mode], chunks.concat()].concat());
    }

    #[test]
    fn a_damaged_seed_is_a_session(
        seed in prop::sample::select(session::seeds()),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = seed.1;
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        session::run(&bytes);
    }
}
