// Apache Kafka's own Java clients as an interop client: one JSON request per line in, one JSON answer per line out. See
// ../../agents.py for the operations; they mean the same in every agent.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import javax.security.auth.callback.Callback;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerTokenCallback;
import org.apache.kafka.common.security.oauthbearer.internals.secured.BasicOAuthBearerToken;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

public class Agent {
    static final ObjectMapper JSON = new ObjectMapper();
    static final Duration TIMEOUT = Duration.ofSeconds(30);

    interface Act {
        JsonNode with(Admin admin) throws Exception;
    }

    static String text(JsonNode request, String name, String otherwise) {
        JsonNode found = request.get(name);
        return found == null || found.isNull() ? otherwise : found.asText();
    }

    static byte[] bytes(JsonNode node) throws Exception {
        return node == null || node.isNull() ? null : node.binaryValue();
    }

    static Map<String, Object> base(JsonNode request) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", request.get("bootstrap").asText());
        config.put("client.id", "interop-java");
        JsonNode how = request.get("security");
        if (how != null && !how.isNull()) {
            config.put("security.protocol", how.get("protocol").asText());
            config.put("ssl.truststore.type", "PEM");
            config.put("ssl.truststore.location", how.get("ca").asText());
            if (how.has("keystore")) {
                config.put("ssl.keystore.type", "PEM");
                config.put("ssl.keystore.location", how.get("keystore").asText());
            }
            if (how.has("mechanism")) {
                String mechanism = how.get("mechanism").asText();
                config.put("sasl.mechanism", mechanism);
                if (how.has("token")) {
                    config.put("sasl.jaas.config", "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"
                        + " token=\"" + how.get("token").asText() + "\" until=\"" + how.get("until").asLong() + "\";");
                    config.put("sasl.login.callback.handler.class", TokenHandler.class.getName());
                    return config;
                }
                config.put("sasl.jaas.config", "org.apache.kafka.common.security."
                    + (mechanism.equals("PLAIN") ? "plain.Plain" : "scram.Scram") + "LoginModule required username=\""
                    + how.get("user").asText() + "\" password=\"" + how.get("password").asText() + "\";");
            }
        }
        return config;
    }

    /** Logs in with the token that is an option of the login module. */
    public static class TokenHandler implements AuthenticateCallbackHandler {
        private Map<String, ?> options;

        @Override
        public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> entries) {
            options = entries.get(0).getOptions();
        }

        @Override
        public void handle(Callback[] callbacks) {
            for (Callback one : callbacks) {
                if (one instanceof OAuthBearerTokenCallback wanted) {
                    wanted.token(new BasicOAuthBearerToken((String) options.get("token"), Set.of("kafka"),
                        Long.parseLong((String) options.get("until")), "interop", null));
                }
            }
        }

        @Override
        public void close() { }
    }

    static JsonNode admin(JsonNode request, Act act) throws Exception {
        try (Admin admin = Admin.create(base(request))) {
            return act.with(admin);
        }
    }

    static <T> T get(Future<T> future) throws Exception {
        try {
            return future.get(TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException failed) {
            throw (Exception) failed.getCause();
        }
    }

    static Map<String, String> configs(JsonNode request) {
        Map<String, String> found = new HashMap<>();
        if (request.has("configs")) {
            request.get("configs").fields().forEachRemaining(one -> found.put(one.getKey(), one.getValue().asText()));
        }
        return found;
    }

    static ConfigResource topicResource(JsonNode request) {
        return new ConfigResource(ConfigResource.Type.TOPIC, request.get("topic").asText());
    }

    static List<ProducerRecord<byte[], byte[]>> records(JsonNode request) throws Exception {
        List<ProducerRecord<byte[], byte[]>> found = new ArrayList<>();
        for (JsonNode one : request.get("records")) {
            List<Header> headers = new ArrayList<>();
            for (JsonNode pair : one.get("headers")) {
                headers.add(new RecordHeader(pair.get(0).asText(), bytes(pair.get(1))));
            }
            Long timestamp = one.get("timestamp").asLong() == 0 ? null : (Long) one.get("timestamp").asLong();
            found.add(new ProducerRecord<>(request.get("topic").asText(), null, timestamp, bytes(one.get("key")),
                bytes(one.get("value")), headers));
        }
        return found;
    }

    static JsonNode produce(JsonNode request) throws Exception {
        Map<String, Object> config = base(request);
        config.put("compression.type", text(request, "codec", "none"));
        config.put("acks", "all");
        config.put("linger.ms", 5);
        config.put("max.request.size", 32 << 20);
        config.put("enable.idempotence", text(request, "idempotent", "false").equals("true") || request.has("transaction"));
        boolean transactional = request.has("transaction");
        if (transactional) {
            config.put("transactional.id", request.get("transactional_id").asText());
            if (request.has("transaction_timeout_ms")) {
                config.put("transaction.timeout.ms", request.get("transaction_timeout_ms").asInt());
            }
        }
        try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            if (transactional) {
                producer.initTransactions();
                producer.beginTransaction();
            }
            List<Future<?>> sent = new ArrayList<>();
            for (var record : records(request)) {
                sent.add(producer.send(record));
            }
            producer.flush();
            for (Future<?> one : sent) {
                get(one);
            }
            if (transactional) {
                switch (request.get("transaction").asText()) {
                    case "commit" -> producer.commitTransaction();
                    case "abort" -> producer.abortTransaction();
                    default -> { }
                }
                if (request.get("transaction").asText().equals("leave open")) {
                    producer.close(Duration.ZERO);
                }
            }
        }
        return null;
    }

    static KafkaConsumer<byte[], byte[]> consumer(JsonNode request, String instanceId) {
        Map<String, Object> config = base(request);
        config.put("group.id", request.get("group").asText());
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", false);
        config.put("isolation.level", text(request, "isolation", "read_uncommitted"));
        String protocol = text(request, "protocol", "classic");
        config.put("group.protocol", protocol);
        if (protocol.equals("classic")) {
            config.put("session.timeout.ms", 6000);
            config.put("heartbeat.interval.ms", 500);
            config.put("partition.assignment.strategy", switch (text(request, "strategy", "range")) {
                case "cooperative" -> "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
                case "roundrobin" -> "org.apache.kafka.clients.consumer.RoundRobinAssignor";
                default -> "org.apache.kafka.clients.consumer.RangeAssignor";
            });
        }
        if (instanceId != null) {
            config.put("group.instance.id", instanceId);
        }
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static ObjectNode json(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode one = JSON.createObjectNode();
        one.put("key", record.key()).put("value", record.value()).put("timestamp", record.timestamp());
        one.put("partition", record.partition()).put("offset", record.offset());
        ArrayNode headers = one.putArray("headers");
        record.headers().forEach(header -> headers.addArray().add(header.key()).add(header.value()));
        return one;
    }

    static Map<TopicPartition, OffsetAndMetadata> after(List<ConsumerRecord<byte[], byte[]>> records) {
        Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
        for (var record : records) {
            positions.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
        }
        return positions;
    }

    static JsonNode consume(JsonNode request) throws Exception {
        int count = request.get("count").asInt();
        long wait = request.has("wait_ms") ? request.get("wait_ms").asLong() : TIMEOUT.toMillis();
        long deadline = System.currentTimeMillis() + wait;
        ArrayNode found = JSON.createArrayNode();
        List<ConsumerRecord<byte[], byte[]>> taken = new ArrayList<>();
        try (var consumer = consumer(request, null)) {
            consumer.subscribe(List.of(request.get("topic").asText()));
            while (found.size() < count && System.currentTimeMillis() < deadline) {
                for (var record : consumer.poll(Duration.ofMillis(200))) {
                    if (found.size() < count) {
                        found.add(json(record));
                        taken.add(record);
                    }
                }
            }
            if (request.path("commit").asBoolean()) {
                consumer.commitSync(after(taken));
            }
        }
        return found;
    }

    static JsonNode twoMembers(JsonNode request) throws Exception {
        String topic = request.get("topic").asText();
        int partitions = request.get("partitions").asInt();
        long deadline = System.currentTimeMillis() + TIMEOUT.toMillis();
        List<KafkaConsumer<byte[], byte[]>> members = new ArrayList<>();
        List<Set<Integer>> owned = List.of(new TreeSet<>(), new TreeSet<>());
        try {
            for (int index = 0; index < 2; index++) {
                JsonNode ids = request.get("instance_ids");
                members.add(consumer(request, ids == null || ids.isNull() ? null : ids.get(index).asText()));
                members.get(index).subscribe(List.of(topic));
            }
            while (System.currentTimeMillis() < deadline) {
                for (int index = 0; index < 2; index++) {
                    members.get(index).poll(Duration.ofMillis(50));
                    owned.get(index).clear();
                    for (TopicPartition one : members.get(index).assignment()) {
                        owned.get(index).add(one.partition());
                    }
                }
                Set<Integer> all = new TreeSet<>(owned.get(0));
                all.addAll(owned.get(1));
                boolean apart = owned.get(0).size() + owned.get(1).size() == partitions && all.size() == partitions;
                if (apart && !owned.get(0).isEmpty() && !owned.get(1).isEmpty()) {
                    break;
                }
            }
        } finally {
            members.forEach(KafkaConsumer::close);
        }
        return JSON.valueToTree(owned);
    }

    static JsonNode transform(JsonNode request) throws Exception {
        Map<String, Object> config = base(request);
        config.put("transactional.id", request.get("transactional_id").asText());
        ((ObjectNode) request).put("isolation", "read_committed");
        int count = request.get("count").asInt();
        long deadline = System.currentTimeMillis() + TIMEOUT.toMillis();
        try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
             var consumer = consumer(request, null)) {
            producer.initTransactions();
            consumer.subscribe(List.of(request.get("source").asText()));
            int seen = 0;
            while (seen < count) {
                if (System.currentTimeMillis() > deadline) {
                    throw new IllegalStateException("only " + seen + " of " + count + " records came");
                }
                List<ConsumerRecord<byte[], byte[]>> taken = new ArrayList<>();
                consumer.poll(Duration.ofMillis(200)).forEach(taken::add);
                if (taken.isEmpty()) {
                    continue;
                }
                producer.beginTransaction();
                for (var record : taken) {
                    byte[] value = ("seen " + new String(record.value(), StandardCharsets.UTF_8)).getBytes(StandardCharsets.UTF_8);
                    producer.send(new ProducerRecord<>(request.get("sink").asText(), record.key(), value));
                }
                producer.sendOffsetsToTransaction(after(taken), consumer.groupMetadata());
                producer.commitTransaction();
                seen += taken.size();
            }
        }
        return null;
    }

    /** A second producer with the same transactional id fences the first; returns the first one's error. */
    static JsonNode fence(JsonNode request) throws Exception {
        Map<String, Object> config = base(request);
        config.put("transactional.id", request.get("transactional_id").asText());
        String topic = request.get("topic").asText();
        var first = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
        try (var second = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            first.initTransactions();
            first.beginTransaction();
            first.send(new ProducerRecord<>(topic, "from the first".getBytes(StandardCharsets.UTF_8)));
            first.flush();
            second.initTransactions();
            second.beginTransaction();
            second.send(new ProducerRecord<>(topic, "from the second".getBytes(StandardCharsets.UTF_8)));
            second.commitTransaction();
            try {
                first.commitTransaction();
                return JSON.valueToTree("none");
            } catch (Exception fenced) {
                return JSON.valueToTree(fenced.getClass().getSimpleName());
            }
        } finally {
            first.close(Duration.ZERO);
        }
    }

    /**
     * Reads as a member of a share group. Of each record the first delivery is treated as its value begins: "release" is
     * given back, "reject" is refused for good, all else accepted; returns the values with their delivery counts.
     */
    static JsonNode share(JsonNode request) throws Exception {
        Map<String, Object> config = base(request);
        config.put("group.id", request.get("group").asText());
        config.put("share.acknowledgement.mode", "explicit");
        int count = request.get("count").asInt();
        long wait = request.has("wait_ms") ? request.get("wait_ms").asLong() : TIMEOUT.toMillis();
        long deadline = System.currentTimeMillis() + wait;
        ArrayNode found = JSON.createArrayNode();
        try (var holder = new KafkaShareConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
             var consumer = new KafkaShareConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            if (request.path("hold").asBoolean()) {
                holder.subscribe(List.of(request.get("topic").asText()));
                for (int held = 0; held < count && System.currentTimeMillis() < deadline; ) {
                    held += holder.poll(Duration.ofMillis(200)).count();
                }
            }
            consumer.subscribe(List.of(request.get("topic").asText()));
            while (found.size() < count && System.currentTimeMillis() < deadline) {
                for (var record : consumer.poll(Duration.ofMillis(200))) {
                    String value = new String(record.value(), StandardCharsets.UTF_8);
                    boolean first = record.deliveryCount().orElse((short) 0) == 1;
                    found.addArray().add(value).add(record.deliveryCount().orElse((short) 0));
                    consumer.acknowledge(record, value.startsWith("reject") ? AcknowledgeType.REJECT
                        : value.startsWith("release") && first ? AcknowledgeType.RELEASE : AcknowledgeType.ACCEPT);
                }
                for (var failed : consumer.commitSync().values()) {
                    if (failed.isPresent()) {
                        throw failed.get();
                    }
                }
            }
        }
        return found;
    }

    static JsonNode handle(JsonNode request) throws Exception {
        String topic = text(request, "topic", null);
        int partition = request.path("partition").asInt();
        switch (request.get("op").asText()) {
            case "version":
                return JSON.valueToTree(AppInfoParser.getVersion());
            case "create_topic":
                return admin(request, admin -> {
                    NewTopic wanted = new NewTopic(topic, request.get("partitions").asInt(), (short) 1).configs(configs(request));
                    get(admin.createTopics(List.of(wanted)).all());
                    return null;
                });
            case "delete_topic":
                return admin(request, admin -> {
                    get(admin.deleteTopics(List.of(topic)).all());
                    return null;
                });
            case "topics":
                return admin(request, admin -> JSON.valueToTree(get(admin.listTopics().names())));
            case "topic_config":
                return admin(request, admin -> {
                    ConfigResource resource = topicResource(request);
                    ObjectNode found = JSON.createObjectNode();
                    get(admin.describeConfigs(List.of(resource)).all()).get(resource).entries()
                        .forEach(entry -> found.put(entry.name(), entry.value()));
                    return found;
                });
            case "set_topic_config":
                return admin(request, admin -> {
                    Collection<AlterConfigOp> changes = new ArrayList<>();
                    configs(request).forEach((name, value) ->
                        changes.add(new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET)));
                    get(admin.incrementalAlterConfigs(Map.of(topicResource(request), changes)).all());
                    return null;
                });
            case "offset_for_time":
                return admin(request, admin -> {
                    TopicPartition one = new TopicPartition(topic, partition);
                    OffsetSpec when = OffsetSpec.forTimestamp(request.get("timestamp").asLong());
                    return JSON.valueToTree(get(admin.listOffsets(Map.of(one, when)).partitionResult(one)).offset());
                });
            case "delete_records":
                return admin(request, admin -> {
                    RecordsToDelete before = RecordsToDelete.beforeOffset(request.get("offset").asLong());
                    get(admin.deleteRecords(Map.of(new TopicPartition(topic, partition), before)).all());
                    return null;
                });
            case "delete_group":
                return admin(request, admin -> {
                    get(admin.deleteConsumerGroups(List.of(request.get("group").asText())).all());
                    return null;
                });
            case "groups":
                return admin(request, admin -> {
                    ArrayNode found = JSON.createArrayNode();
                    get(admin.listGroups().all()).forEach(one -> found.add(one.groupId()));
                    return found;
                });
            case "produce":
                return produce(request);
            case "consume":
                return consume(request);
            case "two_members":
                return twoMembers(request);
            case "transform":
                return transform(request);
            case "share":
                return share(request);
            case "set_group_config":
                return admin(request, admin -> {
                    ConfigResource group = new ConfigResource(ConfigResource.Type.GROUP, request.get("group").asText());
                    Collection<AlterConfigOp> changes = new ArrayList<>();
                    configs(request).forEach((name, value) ->
                        changes.add(new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET)));
                    get(admin.incrementalAlterConfigs(Map.of(group, changes)).all());
                    return null;
                });
            case "fence":
                return fence(request);
            default:
                throw new UnsupportedOperationException(request.get("op").asText());
        }
    }

    public static void main(String[] arguments) throws Exception {
        // Whatever else writes to standard output, a logger for example, must not come between the answers.
        PrintStream answers = System.out;
        System.setOut(System.err);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            ObjectNode answer = JSON.createObjectNode();
            try {
                answer.set("ok", handle(JSON.readTree(line)));
            } catch (Throwable failed) {
                answer.put("error", failed.getClass().getSimpleName() + ": " + failed.getMessage());
            }
            answers.println(JSON.writeValueAsString(answer));
        }
        System.exit(0);
    }
}
