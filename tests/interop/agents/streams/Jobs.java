// Kafka Streams jobs for the interop suite: one process is one job, told by its arguments.
//
//   Jobs BOOTSTRAP JOB APPLICATION-ID STATE-DIR OUTPUT-TOPIC INPUT-TOPIC... [NAME=VALUE]...
//
// Prints "running" once the job runs, ends in order when its standard input ends, and with code 1 on an uncaught exception.

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;

public class Jobs {
    public static void main(String[] args) throws Exception {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, args[2]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, args[3]);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        // Every update is written, so that the output says how often each record was counted.
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, "0");
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, "100");
        settings.put("consumer.auto.offset.reset", "earliest");
        List<String> inputs = new ArrayList<>();
        for (String arg : Arrays.copyOfRange(args, 5, args.length)) {
            String[] setting = arg.split("=", 2);
            if (setting.length == 2) settings.put(setting[0], setting[1]);
            else inputs.add(arg);
        }

        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, String> first = builder.stream(inputs.get(0));
        switch (args[1]) {
            case "words" -> first
                .flatMapValues(line -> Arrays.asList(line.split(" ")))
                .groupBy((key, word) -> word)
                .count()
                .toStream()
                .mapValues(count -> Long.toString(count))
                .to(args[4]);
            case "join" -> first
                .join(builder.<String, String>stream(inputs.get(1)), (left, right) -> left + "+" + right,
                    JoinWindows.ofTimeDifferenceWithNoGrace(Duration.ofSeconds(10)))
                .to(args[4]);
            default -> throw new IllegalArgumentException("no job " + args[1]);
        }

        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.setUncaughtExceptionHandler(error -> {
            System.err.println("uncaught: " + error);
            System.out.println("failed: " + error);
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.RUNNING) System.out.println("running");
        });
        streams.start();
        while (System.in.read() >= 0) { }
        streams.close(Duration.ofSeconds(30));
        System.out.println("closed");
        System.exit(0);
    }
}
