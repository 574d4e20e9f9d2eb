import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Future;
import java.util.stream.Collectors;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Compacted topics, as the Java client reads them from the start and as kafka-dump-log sees their files. */
public final class Compaction {
    private static final int SECONDS = 90;
    private static Admin admin;

    private Compaction() { }

    public static void main(String[] arguments) throws Exception {
        admin = Admin.create(Map.<String, Object>of("bootstrap.servers", Report.BOOTSTRAP, "default.api.timeout.ms", "20000", "request.timeout.ms", "15000"));
        ConfigResource cluster = new ConfigResource(ConfigResource.Type.BROKER, "");
        set(cluster, "log.cleaner.backoff.ms", "100");
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            Report.check("of each key the last record stays, with " + codec, () -> lastOfEachKey(codec));
        }
        Report.check("tombstones go, and their keys with them", Compaction::tombstones);
        Report.check("records without key are refused", Compaction::withoutKey);
        Report.check("an idempotent producer goes on beside compaction", Compaction::idempotent);
        if (!Report.DATA.isEmpty()) {
            Report.check("kafka-dump-log reads compacted segments deeply", Compaction::dump);
            Report.check("cleaner-offset-checkpoint tells up to where", Compaction::checkpoint);
        }
        Report.done();
    }

    private static void set(ConfigResource resource, String key, String value) throws Exception {
        admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET)))).all().get();
    }

    private static void create(String topic, String... pairs) throws Exception {
        Map<String, String> configs = new HashMap<>(Map.of("cleanup.policy", "compact", "segment.bytes", "1048576", "min.cleanable.dirty.ratio", "0.01"));
        for (int pair = 0; pair < pairs.length; pair += 2) {
            configs.put(pairs[pair], pairs[pair + 1]);
        }
        admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1).configs(configs))).all().get();
    }

    private static Producer<String, String> producer(String... pairs) {
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", Report.BOOTSTRAP, "acks", "all", "linger.ms", "2",
            "key.serializer", StringSerializer.class, "value.serializer", StringSerializer.class));
        for (int pair = 0; pair < pairs.length; pair += 2) {
            settings.put(pairs[pair], pairs[pair + 1]);
        }
        return new KafkaProducer<>(settings);
    }

    /** Everything from the start to the end. */
    private static List<ConsumerRecord<String, String>> read(String topic) {
        TopicPartition partition = new TopicPartition(topic, 0);
        Map<String, Object> settings = Map.of("bootstrap.servers", Report.BOOTSTRAP, "key.deserializer", StringDeserializer.class, "value.deserializer",
            StringDeserializer.class, "isolation.level", "read_committed");
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        try (Consumer<String, String> consumer = new KafkaConsumer<>(settings)) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            while (consumer.position(partition) < end) {
                consumer.poll(Duration.ofMillis(200)).forEach(records::add);
            }
        }
        return records;
    }

    private static Map<String, String> last(List<ConsumerRecord<String, String>> records) {
        Map<String, String> last = new TreeMap<>();
        records.forEach(record -> last.put(record.key(), record.value()));
        return last;
    }

    /** Produces until several segments are full; returns each record by its offset. */
    private static Map<Long, ProducerRecord<String, String>> fill(String topic, String codec, int count, int keys) throws Exception {
        Map<Long, ProducerRecord<String, String>> sent = new TreeMap<>();
        java.util.Random random = new java.util.Random(codec.hashCode());
        try (Producer<String, String> producer = producer("compression.type", codec)) {
            List<ProducerRecord<String, String>> records = new ArrayList<>();
            List<Future<RecordMetadata>> placed = new ArrayList<>();
            for (int number = 0; number < count; number++) {
                // No codec shrinks it much.
                byte[] noise = new byte[600];
                random.nextBytes(noise);
                String value = number + " " + java.util.Base64.getEncoder().encodeToString(noise);
                var record = new ProducerRecord<>(topic, 0, 1_700_000_000_000L + number, "key " + random.nextInt(keys), value);
                record.headers().add("number", String.valueOf(number).getBytes(StandardCharsets.UTF_8));
                records.add(record);
                placed.add(producer.send(record));
            }
            for (int number = 0; number < count; number++) {
                sent.put(placed.get(number).get().offset(), records.get(number));
            }
        }
        return sent;
    }

    private static void lastOfEachKey(String codec) throws Exception {
        String topic = "compacted-" + codec;
        create(topic);
        Map<Long, ProducerRecord<String, String>> sent = fill(topic, codec, 5000, 100);
        Map<String, String> expected = new TreeMap<>();
        sent.values().forEach(record -> expected.put(record.key(), record.value()));
        Report.eventually("few records are left", SECONDS, () -> read(topic).size() < 2500);
        List<ConsumerRecord<String, String>> records = read(topic);
        Report.equal("the last values", expected, last(records));
        for (ConsumerRecord<String, String> record : records) {
            ProducerRecord<String, String> original = sent.get(record.offset());
            Report.equal("value at " + record.offset(), original.value(), record.value());
            Report.equal("time at " + record.offset(), original.timestamp(), record.timestamp());
            Report.equal("headers at " + record.offset(), original.headers(), record.headers());
        }
    }

    private static void tombstones() throws Exception {
        String topic = "compacted-tombstones";
        create(topic, "delete.retention.ms", "0");
        try (Producer<String, String> producer = producer()) {
            producer.send(new ProducerRecord<>(topic, "gone", "value")).get();
            producer.send(new ProducerRecord<>(topic, "stays", "value")).get();
            producer.send(new ProducerRecord<>(topic, "gone", null)).get();
        }
        // Each round meets new records: the first gives the tombstone its horizon, a later one finds it over.
        for (int round = 0; round < 2; round++) {
            fill(topic, "none", 2500, 10);
            int before = round;
            Report.eventually("round " + round, SECONDS, () -> {
                List<ConsumerRecord<String, String>> records = read(topic);
                boolean thin = records.size() < 2000;
                return before == 0 ? thin : thin && records.stream().noneMatch(record -> record.key().equals("gone"));
            });
        }
        Report.equal("the key beside it", "value", last(read(topic)).get("stays"));
    }

    private static void withoutKey() throws Exception {
        create("compacted-keys");
        try (Producer<String, String> producer = producer()) {
            Report.fails("a record without key", InvalidRecordException.class, () -> producer.send(new ProducerRecord<>("compacted-keys", null, "value")).get());
            producer.send(new ProducerRecord<>("compacted-keys", "key", "value")).get();
        }
    }

    private static void idempotent() throws Exception {
        String topic = "compacted-idempotent";
        create(topic);
        try (Producer<String, String> producer = producer("enable.idempotence", "true", "linger.ms", "0")) {
            producer.send(new ProducerRecord<>(topic, "own", "first")).get();
            fill(topic, "lz4", 4000, 20);
            Report.eventually("few records are left", SECONDS, () -> read(topic).size() < 2000);
            for (int number = 0; number < 20; number++) {
                producer.send(new ProducerRecord<>(topic, "own", "later " + number)).get();
            }
        }
        Report.equal("its last", "later 19", last(read(topic)).get("own"));
    }

    private static void dump() throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            String text = Tools.tool("DumpLogSegments", "--deep-iteration", "--files", Tools.files("compacted-" + codec + "-0", ".log")).ok();
            Report.contains(text, "compresscodec: " + codec + " .*isvalid: true");
            // Offsets are missing in a compacted log; nothing else may be wrong.
            for (String bad : List.of("isvalid: false", "Mismatches in", "corrupt", "Exception", "Found timestamp mismatch", "Found out of order")) {
                Report.holds(codec + ": nothing is wrong: " + bad, !text.contains(bad));
            }
            for (String extension : List.of(".index", ".timeindex")) {
                String index = Tools.tool("DumpLogSegments", "--index-sanity-check", "--files", Tools.files("compacted-" + codec + "-0", extension)).ok();
                Report.holds(codec + extension, !index.contains("Mismatches in") && !index.contains("Exception"));
            }
        }
    }

    private static void checkpoint() throws Exception {
        String text = Files.readString(Path.of(Report.DATA, "cleaner-offset-checkpoint"));
        List<String> lines = text.lines().toList();
        Report.equal("version", "0", lines.get(0));
        Report.equal("entries", Integer.parseInt(lines.get(1)), lines.size() - 2);
        Map<String, Long> offsets = lines.stream().skip(2).map(line -> line.split(" ")).collect(Collectors.toMap(line -> line[0] + "-" + line[1], line -> Long.parseLong(line[2])));
        Report.holds("the compacted topic is there: " + text, offsets.get("compacted-none-0") > 1000);
    }
}
