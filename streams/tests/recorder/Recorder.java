// Records what Apache Kafka Streams does, as data for the test `kafka_streams.rs`: runs each scenario in Kafka's
// TopologyTestDriver (caching off) on seeded random input and writes one file per scenario. Every line of a file is one
// of: `describe ...` a line of the description; `in TOPIC KEY VALUE TIME`; `out TOPIC KEY VALUE TIME`; `dropped N`.
// Keys and values are hexadecimal, `-` is null.
//
//   javac -cp "$CLASSPATH" -d /tmp/recorder Recorder.java && java -cp "$CLASSPATH:/tmp/recorder" Recorder ../data
//
// where CLASSPATH holds kafka-streams and kafka-streams-test-utils with what they need. Same seed, same files.

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.TreeSet;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.*;
import org.apache.kafka.streams.test.TestRecord;

public class Recorder {
    static final Duration SIZE = Duration.ofMillis(10);
    static final Consumed<String, Long> IN = Consumed.with(Serdes.String(), Serdes.Long());
    static final Produced<String, Long> OUT = Produced.with(Serdes.String(), Serdes.Long());
    static final Produced<Windowed<String>, Long> WINDOWED =
        Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, SIZE.toMillis()), Serdes.Long());

    interface Scenario { void describe(StreamsBuilder b); }

    static Materialized<String, Long, KeyValueStore<Bytes, byte[]>> kv(String name) {
        return Materialized.<String, Long>as(Stores.inMemoryKeyValueStore(name))
            .withKeySerde(Serdes.String()).withValueSerde(Serdes.Long());
    }

    static Materialized<String, Long, WindowStore<Bytes, byte[]>> window(String name) {
        return Materialized.<String, Long, WindowStore<Bytes, byte[]>>as(name)
            .withKeySerde(Serdes.String()).withValueSerde(Serdes.Long());
    }

    // For final results: with the default retention, size plus grace, Kafka's store hides a window from the very record
    // that closes it if that record is far enough ahead, so its final result is lost. Ours never is.
    static Materialized<String, Long, WindowStore<Bytes, byte[]>> lasting(String name) {
        return window(name).withRetention(Duration.ofDays(1));
    }

    static KGroupedStream<String, Long> grouped(StreamsBuilder b) {
        return b.stream("in", IN).groupByKey(Grouped.with("by-key", Serdes.String(), Serdes.Long()));
    }

    static TimeWindows tumbling(int grace) {
        return TimeWindows.ofSizeAndGrace(SIZE, Duration.ofMillis(grace));
    }

    public static void main(String[] args) throws Exception {
        Path dir = Path.of(args[0]);
        record(dir, "count", b -> grouped(b).count(kv("store")).toStream().to("out", OUT));
        record(dir, "reduce", b -> grouped(b).reduce((x, y) -> x * 3 + y, kv("store")).toStream().to("out", OUT));
        record(dir, "aggregate", b -> grouped(b)
            .aggregate(() -> 7L, (k, v, a) -> a * 31 + v, kv("store")).toStream().to("out", OUT));
        record(dir, "table-filter", b -> grouped(b).count(kv("store"))
            .filter((k, n) -> n % 2 == 0).mapValues(n -> n * 10).toStream().to("out", OUT));
        record(dir, "repartition", b -> b.stream("in", IN)
            .filter((k, v) -> v != 0)
            .flatMapValues(v -> Arrays.asList(v, -v))
            .groupBy((k, v) -> k + (v < 0 ? "-" : "+"), Grouped.with("by-sign", Serdes.String(), Serdes.Long()))
            .count(kv("store")).toStream().to("out", OUT));
        record(dir, "merge", b -> {
            KStream<String, Long> in = b.stream("in", IN);
            in.merge(in.mapValues(v -> -v)).to("out", OUT);
        });
        record(dir, "windowed-count", b -> grouped(b).windowedBy(tumbling(5))
            .count(window("store")).toStream().to("out", WINDOWED));
        record(dir, "windowed-no-grace", b -> grouped(b).windowedBy(tumbling(0))
            .reduce((x, y) -> x * 3 + y, window("store")).toStream().to("out", WINDOWED));
        record(dir, "hopping", b -> grouped(b).windowedBy(tumbling(3).advanceBy(Duration.ofMillis(4)))
            .aggregate(() -> 7L, (k, v, a) -> a * 31 + v, window("store")).toStream().to("out", WINDOWED));
        record(dir, "emit-final", b -> grouped(b).windowedBy(tumbling(5))
            .emitStrategy(EmitStrategy.onWindowClose())
            .count(lasting("store")).toStream().to("out", WINDOWED));
        record(dir, "emit-final-hopping", b -> grouped(b).windowedBy(tumbling(0).advanceBy(Duration.ofMillis(4)))
            .emitStrategy(EmitStrategy.onWindowClose())
            .reduce((x, y) -> x * 3 + y, lasting("store")).toStream().to("out", WINDOWED));
    }

    static void record(Path dir, String name, Scenario scenario) throws Exception {
        StreamsBuilder b = new StreamsBuilder();
        scenario.describe(b);
        Topology topology = b.build();
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, "app");
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "unused:1");
        config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, "0");
        config.put(StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory("recorder").toString());
        config.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_WINDOWED_AGGREGATION, 0L);
        Random random = new Random(name.hashCode());
        ByteArraySerializer raw = new ByteArraySerializer();
        ByteArrayDeserializer bytes = new ByteArrayDeserializer();
        try (PrintWriter file = new PrintWriter(dir.resolve(name + ".txt").toFile());
             TopologyTestDriver driver = new TopologyTestDriver(topology, config)) {
            topology.describe().toString().lines().forEach(line -> file.println("describe " + line));
            TestInputTopic<byte[], byte[]> in = driver.createInputTopic("in", raw, raw);
            long base = 0;
            for (int n = 0; n < 120; n++) {
                base += random.nextInt(3);
                long time = Math.max(0, base - (random.nextInt(3) == 0 ? random.nextInt(25) : random.nextInt(4)));
                byte[] key = ("" + (char) ('a' + random.nextInt(3))).getBytes();
                byte[] value = new LongSerializer().serialize("", (long) random.nextInt(9) - 4);
                in.pipeInput(new TestRecord<>(key, value, new RecordHeaders(), time));
                file.println("in in " + hex(key) + " " + hex(value) + " " + time);
                for (String topic : new TreeSet<>(driver.producedTopicNames())) {
                    TestOutputTopic<byte[], byte[]> out = driver.createOutputTopic(topic, bytes, bytes);
                    for (TestRecord<byte[], byte[]> r : out.readRecordsToList()) {
                        file.println("out " + topic + " " + hex(r.key()) + " " + hex(r.value()) + " " + r.timestamp());
                    }
                }
            }
            double dropped = driver.metrics().entrySet().stream()
                .filter(e -> e.getKey().name().equals("dropped-records-total"))
                .mapToDouble(e -> (double) e.getValue().metricValue()).sum();
            file.println("dropped " + (long) dropped);
        }
    }

    static String hex(byte[] bytes) {
        return bytes == null ? "-" : bytes.length == 0 ? "empty" : HexFormat.of().formatHex(bytes);
    }
}
