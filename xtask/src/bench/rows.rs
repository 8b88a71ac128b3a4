//! The rows of the bench: every workload, how it is driven, and its targets. A group's rows share one start of a broker.

use super::metric::{
    Against::{self, Itself, Peer, Row as OwnRow},
    Metric::{self, *},
    Target,
};

/// Rows that are run one after the other on the same broker, which is then thrown away.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) peers: Peers,
    pub(crate) rows: Vec<Row>,
}

/// Which brokers a group is run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peers {
    /// Riverrun with `riverrun.durability=os`, and the peer.
    OsAndPeer,
    /// These, and Riverrun with `fsync` beside them.
    OsAndPeerAndFsync,
    /// Riverrun with `fsync`, and the peer, which does not sync.
    FsyncAndPeer,
}

/// One workload.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) run: Run,
    pub(crate) metrics: &'static [Metric],
    pub(crate) targets: Vec<Target>,
    pub(crate) volume: Volume,
}

/// How a row is driven. The words are a generator's subcommand and flags.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Run {
    /// The raw generator.
    Raw(&'static str),
    /// The raw generator and the broker, both on the first CPU.
    RawOnOneCpu(&'static str),
    /// The raw generator at half the rate the peer reaches in the closed loop of these words.
    HalfOfPeak(&'static str),
    /// librdkafka.
    Librdkafka(&'static str),
    /// What the raw generator does on the disk of the brokers' data without a broker: the system's part of other rows.
    Bare(&'static str),
    /// Nothing: the broker idles.
    Idle,
    /// From exec to the first ApiVersions answer, on a directory with a topic of so many partitions.
    Start { partitions: i32 },
    /// From exec to all partitions served, after kill -9 with so many GB of log.
    Recovery { gb: u64 },
}

impl Run {
    /// Whether the row brings its own brokers.
    pub(crate) fn starts_brokers(self) -> bool {
        matches!(self, Self::Start { .. } | Self::Recovery { .. })
    }
}

/// How much a run may move, warm-up not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Volume {
    /// Hundreds of MB: memory is touched first, and the run ends after 700 MB at the latest.
    Large,
    /// A few MB: a run lasts its seconds.
    Small,
}

const THROUGHPUT: &[Metric] = &[RecordsPerSecond, MbPerSecond, RecordsPerCpuSecond, CpuSecondsPerGb, PeakMib];
const REQUESTS: &[Metric] = &[RequestsPerSecond, CpuMicrosPerRequest, P50, P99];
const LATENCY: &[Metric] = &[P50, P99, P999, Max, CpuMicrosPerRequest];

fn row(id: &'static str, run: Run, metrics: &'static [Metric], volume: Volume) -> Row {
    Row { id, run, metrics, targets: Vec::new(), volume }
}

fn large(id: &'static str, run: Run) -> Row {
    row(id, run, THROUGHPUT, Volume::Large)
}

fn latency(id: &'static str, run: Run) -> Row {
    row(id, run, LATENCY, Volume::Small)
}

impl Row {
    /// Rows whose numbers this one's targets refer to.
    pub(crate) fn baselines(&self) -> impl Iterator<Item = &'static str> {
        self.targets.iter().filter_map(|target| match target.against {
            OwnRow(id) => Some(id),
            Peer | Itself => None,
        })
    }

    fn target(self, metric: Metric, against: Against, at_least: f64, aim: f64) -> Self {
        self.judged(Target { metric, against, at_least: Some(at_least), aim: Some(aim) })
    }

    fn at_least(self, metric: Metric, against: Against, bound: f64) -> Self {
        self.judged(Target { metric, against, at_least: Some(bound), aim: None })
    }

    fn aim(self, metric: Metric, against: Against, bound: f64) -> Self {
        self.judged(Target { metric, against, at_least: None, aim: Some(bound) })
    }

    fn judged(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }
}

/// All groups, cheap ones first within what belongs together.
pub(crate) fn groups() -> Vec<Group> {
    use Peers::*;
    let group = |name, peers, rows| Group { name, peers, rows };
    vec![
        group("produce", OsAndPeer, produce()),
        group("consume", OsAndPeer, consume()),
        group("replay", OsAndPeer, replay()),
        group("replay-all", OsAndPeerAndFsync, replay_all()),
        group("small", OsAndPeer, small()),
        group("latency", OsAndPeer, latencies()),
        group("fetch", OsAndPeer, fetches()),
        group("tail", OsAndPeer, tail()),
        group("open", OsAndPeer, open_loop()),
        group("fsync", FsyncAndPeer, fsync()),
        group("partitions", OsAndPeer, partitions()),
        group("start", OsAndPeer, start()),
        group("idle", OsAndPeer, idle()),
        group("recovery", OsAndPeer, recovery()),
    ]
}

/// Through librdkafka with its defaults (linger 5 ms, batches of 1 MB).
fn produce() -> Vec<Row> {
    let plain = |id, words| large(id, Run::Librdkafka(words));
    let judged = |id, words| plain(id, words).target(RecordsPerCpuSecond, Peer, 2.5, 4.0);
    vec![
        judged("produce-100b", "produce --record-bytes 100").target(PeakMib, Itself, 80.0, 40.0),
        judged("produce-1k", "produce --record-bytes 1024"),
        plain("produce-100k", "produce --record-bytes 102400"),
        judged("produce-100b-all", "produce --record-bytes 100 --acks all"),
        judged("produce-1k-all", "produce --record-bytes 1024 --acks all"),
        plain("produce-100b-24p", "produce --record-bytes 100 --partitions 24"),
        plain("produce-1k-24p", "produce --record-bytes 1024 --partitions 24"),
        plain("produce-100b-8c", "produce --record-bytes 100 --clients 8"),
        plain("produce-100b-lz4", "produce --record-bytes 100 --compression lz4"),
        plain("produce-1k-lz4", "produce --record-bytes 1024 --compression lz4"),
    ]
}

/// Through librdkafka, from a log in the page cache.
fn consume() -> Vec<Row> {
    let judged = |id, words| {
        large(id, Run::Librdkafka(words)).target(RecordsPerSecond, Peer, 1.0, 1.1).target(
            CpuSecondsPerGb,
            Peer,
            0.8,
            0.5,
        )
    };
    vec![
        judged("consume-100b", "consume --record-bytes 100"),
        judged("consume-1k", "consume --record-bytes 1024"),
        judged("consume-100b-8c", "consume --record-bytes 100 --partitions 8 --clients 8"),
        judged("consume-1k-8c", "consume --record-bytes 1024 --partitions 8 --clients 8"),
        large("consume-100k", Run::Librdkafka("consume --record-bytes 102400")),
        large("consume-100b-24p", Run::Librdkafka("consume --record-bytes 100 --partitions 24")),
        large(
            "consume-100b-pauses",
            Run::Librdkafka("consume --record-bytes 100 --queue-backoff-ms 1000 --queue-records 100000"),
        ),
        large("consume-100b-lz4", Run::Librdkafka("consume --record-bytes 100 --compression lz4")),
    ]
}

/// Pre-encoded batches of 110 KB, five in flight.
fn replay() -> Vec<Row> {
    let judged = |row: Row| {
        // GB per CPU-second, four (seven) times the peer's, is CPU-seconds per GB the other way round.
        row.target(CpuSecondsPerGb, Peer, 1.0 / 4.0, 1.0 / 7.0).aim(CpuSecondsPerGb, Itself, 0.5)
    };
    vec![
        judged(large("replay-100b", Run::Raw("produce --record-bytes 100 --batch-records 1024"))),
        judged(large("replay-1k", Run::Raw("produce --record-bytes 1024 --batch-records 107"))),
        large("replay-100k", Run::Raw("produce --record-bytes 102400 --batch-records 1")),
        large("replay-100b-24p", Run::Raw("produce --record-bytes 100 --batch-records 1024 --partitions 24")),
        large("replay-1k-24p", Run::Raw("produce --record-bytes 1024 --batch-records 107 --partitions 24")),
        large("replay-100b-16c", Run::Raw("produce --batch-records 1024 --connections 16 --in-flight 1")),
        large("replay-100b-lz4", Run::Raw("produce --record-bytes 100 --batch-records 2600 --compression lz4")),
        large("replay-1k-lz4", Run::Raw("produce --record-bytes 1024 --batch-records 270 --compression lz4")),
    ]
}

fn replay_all() -> Vec<Row> {
    vec![
        large("replay-100b-all", Run::Raw("produce --record-bytes 100 --batch-records 1024 --acks all")),
        large("replay-1k-all", Run::Raw("produce --record-bytes 1024 --batch-records 107 --acks all")),
        large("replay-100b-all-24p", Run::Raw("produce --batch-records 1024 --acks all --partitions 24")),
    ]
}

/// One record of 100 B per request.
fn small() -> Vec<Row> {
    let judged =
        |id, words| {
            row(id, Run::Raw(words), REQUESTS, Volume::Small)
                .target(CpuMicrosPerRequest, Peer, 1.0 / 6.0, 1.0 / 10.0)
                .aim(CpuMicrosPerRequest, Itself, 5.0)
        };
    vec![
        judged("small-1c", "produce --batch-records 1 --in-flight 64"),
        judged("small-64c", "produce --batch-records 1 --in-flight 1 --connections 64"),
        row("small-64c-bare", Run::Bare("bare"), REQUESTS, Volume::Small),
    ]
}

/// One request at a time.
fn latencies() -> Vec<Row> {
    let words = "produce --batch-records 1 --in-flight 1";
    vec![
        latency("latency-librdkafka", Run::Librdkafka("latency"))
            .at_least(P50, Peer, 0.7)
            .at_least(P99, Peer, 0.6)
            .at_least(P999, Peer, 0.7),
        latency("latency-raw", Run::Raw(words))
            .at_least(P50, Peer, 0.6)
            .at_least(P99, Peer, 0.6)
            .at_least(P999, Peer, 0.6),
        latency("latency-raw-1cpu", Run::RawOnOneCpu(words)).aim(P50, Itself, 20.0).aim(P99, Itself, 35.0),
    ]
}

/// A log in the page cache.
fn fetches() -> Vec<Row> {
    let judged = |id, words| large(id, Run::Raw(words)).target(CpuSecondsPerGb, Peer, 0.8, 0.5);
    vec![
        judged("fetch-100b-1m", "fetch --record-bytes 100 --max-bytes 1048576"),
        judged("fetch-1k-4m", "fetch --record-bytes 1024 --max-bytes 4194304"),
        large("fetch-100k-4m", Run::Raw("fetch --record-bytes 102400 --max-bytes 4194304")),
        large("fetch-100b-1m-lz4", Run::Raw("fetch --record-bytes 100 --max-bytes 1048576 --compression lz4")),
    ]
}

/// From produce request to the waiting consumer's wake.
fn tail() -> Vec<Row> {
    vec![latency("tail", Run::Raw("tail")).target(P50, Peer, 0.6, 0.35).target(P99, Peer, 0.6, 0.35)]
}

/// 64 producers, each at its fixed rate.
fn open_loop() -> Vec<Row> {
    let run = Run::HalfOfPeak("produce --batch-records 1 --connections 64");
    vec![latency("open-64", run).target(P99, Peer, 0.5, 0.2).target(P999, Peer, 0.5, 0.2).target(Max, Peer, 0.5, 0.2)]
}

/// acks=all after an fdatasync.
fn fsync() -> Vec<Row> {
    let producers = |id, words| row(id, Run::Raw(words), REQUESTS, Volume::Small);
    vec![
        row("fsync-disk", Run::Bare("disk"), &[P50, P99, P999], Volume::Small),
        producers("fsync-1", "produce --batch-records 1 --acks all --in-flight 1").target(
            P50,
            OwnRow("fsync-disk"),
            1.5,
            1.2,
        ),
        producers("fsync-16", "produce --batch-records 1 --acks all --in-flight 1 --connections 16"),
        producers("fsync-64", "produce --batch-records 1 --acks all --in-flight 1 --connections 64").target(
            RequestsPerSecond,
            OwnRow("fsync-1"),
            15.0,
            40.0,
        ),
    ]
}

/// Requests of one 16 KB batch each, to the partitions in turns.
fn partitions() -> Vec<Row> {
    let words = "produce --record-bytes 100 --batch-records 150";
    let many = |id, words| {
        large(id, Run::Raw(words)).target(RecordsPerCpuSecond, OwnRow("partitions-1"), 0.4, 0.7).target(
            RecordsPerCpuSecond,
            Peer,
            2.0,
            4.0,
        )
    };
    vec![
        large("partitions-1", Run::Raw(words)),
        many("partitions-1000", "produce --record-bytes 100 --batch-records 150 --partitions 1000"),
        many("partitions-10000", "produce --record-bytes 100 --batch-records 150 --partitions 10000"),
    ]
}

/// From exec to the first answer.
fn start() -> Vec<Row> {
    let judged = |id, partitions, at_least, aim| {
        row(id, Run::Start { partitions }, &[StartMs], Volume::Small).target(StartMs, Itself, at_least, aim)
    };
    vec![judged("start-empty", 0, 25.0, 7.0), judged("start-1000p", 1000, 150.0, 40.0)]
}

fn idle() -> Vec<Row> {
    let metrics = &[IdleMib, IdleCpuPercent];
    vec![row("idle", Run::Idle, metrics, Volume::Small).target(IdleMib, Itself, 20.0, 10.0).target(
        IdleCpuPercent,
        Itself,
        0.1,
        0.0,
    )]
}

fn recovery() -> Vec<Row> {
    vec![row("recovery-5gb", Run::Recovery { gb: 5 }, &[RecoverySeconds], Volume::Small)]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_have_names_of_their_own_and_refer_to_rows_that_exist() {
        let groups = groups();
        let rows: Vec<_> = groups.iter().flat_map(|group| &group.rows).collect();
        let ids: BTreeSet<_> = rows.iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), rows.len());
        for target in rows.iter().flat_map(|row| &row.targets) {
            if let OwnRow(other) = target.against {
                assert!(ids.contains(other), "{other}");
            }
        }
    }

    #[test]
    fn every_target_is_about_something_measured() {
        for row in groups().iter().flat_map(|group| &group.rows) {
            for target in &row.targets {
                assert!(row.metrics.contains(&target.metric), "{}: {:?}", row.id, target.metric);
            }
        }
    }
}
