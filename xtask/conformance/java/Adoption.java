import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A cluster of Apache Kafka, taken over with its folder and its server.properties, and given back. Everything is asked of
 * Kafka first, then of the server under test, then of Kafka again: they must say the same.
 */
public final class Adoption {
    private static final Map<String, Integer> TOPICS = new TreeMap<>(Map.of("plain", 3, "small-segments", 1, "compacted", 1, "transfers", 2, "grown", 4, "trimmed", 1));
    private static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    private static final List<String> GROUPS = List.of("classic", "next", "static", "transactional");
    private static final List<String> IDS = List.of("finished", "open");
    /** Of the records with times of their own: not so long ago that Kafka forgets their producers when it ends. */
    private static final long FIRST_TIME = System.currentTimeMillis() - 3_600_000;
    private static Admin admin;
    /** Producers that are not closed before the takeover, as they would be when the machine is. */
    private static final List<Producer<String, String>> LEFT = new ArrayList<>();

    private Adoption() { }

    /** What can be asked of a cluster and must not change. */
    private record Seen(Map<String, Uuid> ids, Map<String, Integer> partitions, Map<String, SortedMap<Long, String>> records, Map<String, SortedMap<Long, String>> committed,
        Map<String, List<Long>> bounds, Map<String, Map<TopicPartition, OffsetAndMetadata>> offsets, Map<String, String> groups, Map<String, String> configs,
        Map<String, String> producers, Map<String, List<Long>> found) { }

    public static void main(String[] arguments) throws Exception {
        Tools.exits();
        admin = connect();
        Report.check("Kafka gets topics and records", Adoption::fill);
        Report.check("Kafka gets transactions", Adoption::transact);
        Report.check("Kafka gets groups", Adoption::group);
        Report.check("Kafka gets settings", Adoption::configure);
        Seen before = see();
        Map<String, TransactionDescription> transactions = admin.describeTransactions(IDS).all().get();
        admin.close();
        Report.check("its folder is taken over", () -> Report.equal("answer", "ok", Report.server("adopt")));
        admin = connect();
        Report.check("topics keep their ids and partitions, all led", () -> led(before));
        Seen after = see();
        compare("records are served", before.records(), after.records());
        compare("committed records are served", before.committed(), after.committed());
        compare("logs begin and end where they did", before.bounds(), after.bounds());
        compare("offsets are found by time", before.found(), after.found());
        compare("groups keep their offsets", before.offsets(), after.offsets());
        compare("groups keep their types and members", before.groups(), after.groups());
        compare("settings stay", before.configs(), after.configs());
        compare("producers keep their state", before.producers(), after.producers());
        Report.check("transactional ids are known", () -> {
            Map<String, TransactionDescription> now = admin.describeTransactions(IDS).all().get();
            for (String id : IDS) {
                Report.equal("producer of " + id, transactions.get(id).producerId(), now.get(id).producerId());
                Report.equal("epoch of " + id, transactions.get(id).producerEpoch(), now.get(id).producerEpoch());
                Report.equal("state of " + id, transactions.get(id).state(), now.get(id).state());
                Report.equal("partitions of " + id, transactions.get(id).topicPartitions(), now.get(id).topicPartitions());
            }
        });
        Report.check("the next producer of an id fences the last", () -> fence(transactions));
        Report.check("groups go on where they were", Adoption::goOn);
        Report.check("topics are written, grown and made", Adoption::write);
        if (!Report.DATA.isEmpty()) {
            Report.check("Kafka's formatters read the internal topics", Adoption::format);
            Report.check("kafka-dump-log reads the internal topics", Adoption::dump);
        }
        Report.check("all of it stays over a restart", () -> {
            SortedMap<Long, String> records = read("plain", 0, "read_committed");
            Report.equal("answer", "ok", Report.server("restart"));
            Report.equal("records", records, read("plain", 0, "read_committed"));
            Report.equal("offsets", TOPICS.get("plain"), admin.listConsumerGroupOffsets("classic").partitionsToOffsetAndMetadata().get().size());
        });
        Seen last = see();
        Report.check("Kafka takes the folder back", () -> Report.equal("answer", "ok", Report.server("adopt")));
        Seen back = see();
        compare("Kafka serves the records", last.records(), back.records());
        compare("Kafka serves the committed records", last.committed(), back.committed());
        compare("Kafka knows the offsets of groups", last.offsets(), back.offsets());
        compare("Kafka knows the settings", last.configs(), back.configs());
        Report.done();
    }

    private static Admin connect() {
        return Admin.create(Map.<String, Object>of("bootstrap.servers", Report.BOOTSTRAP, "default.api.timeout.ms", "20000", "request.timeout.ms", "15000"));
    }

    private static void compare(String what, Map<String, ?> before, Map<String, ?> after) {
        Report.check(what, () -> {
            Report.holds("there is something to compare", !before.isEmpty());
            for (String key : before.keySet()) {
                Report.equal(key, before.get(key), after.get(key));
            }
            Report.equal("what there is", before.keySet(), after.keySet());
        });
    }

    // What Kafka gets.

    private static void fill() throws Exception {
        Map<String, Map<String, String>> configs = Map.of("small-segments", Map.of("segment.bytes", "1048576"),
            "compacted", Map.of("cleanup.policy", "compact"), "plain", Map.of("retention.ms", "864000000", "message.timestamp.type", "LogAppendTime"));
        List<NewTopic> topics = TOPICS.entrySet().stream().map(topic -> new NewTopic(topic.getKey(), topic.getKey().equals("grown") ? 1 : topic.getValue(), (short) 1)
            .configs(configs.getOrDefault(topic.getKey(), Map.of()))).toList();
        admin.createTopics(topics).all().get();
        admin.createTopics(List.of(new NewTopic("deleted", 2, (short) 1))).all().get();
        admin.deleteTopics(List.of("deleted")).all().get();
        admin.createPartitions(Map.of("grown", NewPartitions.increaseTo(4))).all().get();
        for (String codec : CODECS) {
            try (Producer<String, String> producer = producer(null, "compression.type", codec)) {
                for (int number = 0; number < 300; number++) {
                    producer.send(new ProducerRecord<>("plain", number % 3, "key " + number, codec + " " + number));
                    producer.send(new ProducerRecord<>("compacted", 0, "key " + number % 10, codec + " " + number));
                    producer.send(new ProducerRecord<>("small-segments", 0, FIRST_TIME + number, "key", codec + " " + number + " " + "x".repeat(3000)));
                    producer.send(new ProducerRecord<>("grown", number % 4, "key " + number, codec + " " + number));
                    producer.send(new ProducerRecord<>("trimmed", 0, "key " + number, codec + " " + number));
                }
            }
        }
        admin.deleteRecords(Map.of(new TopicPartition("trimmed", 0), RecordsToDelete.beforeOffset(700))).all().get();
    }

    private static void transact() throws Exception {
        try (Producer<String, String> producer = producer("finished")) {
            for (String end : List.of("committed", "aborted", "committed", "aborted")) {
                producer.beginTransaction();
                for (int number = 0; number < 40; number++) {
                    producer.send(new ProducerRecord<>("transfers", number % 2, "key", end + " " + number));
                }
                if (end.equals("committed")) {
                    try (Consumer<String, String> consumer = consumer("transactional", "read_committed")) {
                        producer.sendOffsetsToTransaction(Map.of(new TopicPartition("plain", 0), new OffsetAndMetadata(17, "of a transaction")), consumer.groupMetadata());
                    }
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
        }
        Producer<String, String> open = producer("open");
        open.beginTransaction();
        open.send(new ProducerRecord<>("transfers", 0, "key", "never committed"));
        try (Consumer<String, String> consumer = consumer("transactional", "read_committed")) {
            open.sendOffsetsToTransaction(Map.of(new TopicPartition("plain", 1), new OffsetAndMetadata(99)), consumer.groupMetadata());
        }
        open.flush();
        LEFT.add(open);
    }

    private static void group() throws Exception {
        for (String group : List.of("classic", "next")) {
            try (Consumer<String, String> consumer = consumer(group, "read_committed", "group.protocol", group.equals("next") ? "consumer" : "classic")) {
                consumer.subscribe(List.of("plain"));
                int[] count = {0};
                Report.eventually("records", 30, () -> {
                    count[0] += consumer.poll(Duration.ofMillis(200)).count();
                    return count[0] == 300 * CODECS.size();
                });
                consumer.commitSync();
                Map<TopicPartition, OffsetAndMetadata> back = new HashMap<>();
                consumer.assignment().forEach(partition -> back.put(partition, new OffsetAndMetadata(consumer.position(partition) - 50, java.util.Optional.of(0), group + " " + partition)));
                consumer.commitSync(back);
            }
        }
        // A static member that leaves stays in its group.
        try (Consumer<String, String> consumer = consumer("static", "read_committed", "group.instance.id", "one", "session.timeout.ms", "600000", "group.protocol", "classic")) {
            consumer.subscribe(List.of("grown"));
            Report.eventually("an assignment", 30, () -> {
                consumer.poll(Duration.ofMillis(200));
                return consumer.assignment().size() == 4;
            });
            consumer.commitSync();
        }
        try (KafkaShareConsumer<String, String> consumer = new KafkaShareConsumer<>(Map.of("bootstrap.servers", Report.BOOTSTRAP, "group.id", "shared"), new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of("plain"));
            consumer.poll(Duration.ofMillis(500));
        }
    }

    private static void configure() throws Exception {
        set(ConfigResource.Type.TOPIC, "grown", "retention.bytes", "123456789");
        set(ConfigResource.Type.BROKER, "", "log.retention.ms", "7200000000");
        set(ConfigResource.Type.BROKER, "1", "log.cleaner.backoff.ms", "20000");
        set(ConfigResource.Type.GROUP, "next", "consumer.session.timeout.ms", "50000");
        set(ConfigResource.Type.CLIENT_METRICS, "watched", "interval.ms", "60000");
        ClientQuotaEntity entity = new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID, "slow"));
        admin.alterClientQuotas(List.of(new ClientQuotaAlteration(entity, List.of(new ClientQuotaAlteration.Op("producer_byte_rate", 1e6))))).all().get();
        admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion("alice", new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), "secret"))).all().get();
    }

    private static void set(ConfigResource.Type type, String name, String key, String value) throws Exception {
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(type, name), List.of(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET)))).all().get();
    }

    // What is asked of both.

    private static Seen see() throws Exception {
        Seen seen = new Seen(new TreeMap<>(), new TreeMap<>(), new TreeMap<>(), new TreeMap<>(), new TreeMap<>(), new TreeMap<>(), new TreeMap<>(), new TreeMap<>(), new TreeMap<>(), new TreeMap<>());
        for (TopicDescription topic : admin.describeTopics(admin.listTopics().names().get()).allTopicNames().get().values()) {
            seen.ids().put(topic.name(), topic.topicId());
            seen.partitions().put(topic.name(), topic.partitions().size());
        }
        List<TopicPartition> partitions = new ArrayList<>();
        TOPICS.forEach((topic, count) -> {
            for (int index = 0; index < count; index++) {
                partitions.add(new TopicPartition(topic, index));
            }
        });
        for (TopicPartition partition : partitions) {
            seen.records().put(partition.toString(), read(partition.topic(), partition.partition(), "read_uncommitted"));
            seen.committed().put(partition.toString(), read(partition.topic(), partition.partition(), "read_committed"));
        }
        look("bounds", partitions, seen.bounds(), OffsetSpec.earliest(), OffsetSpec.latest());
        look("times", partitions, seen.found(), OffsetSpec.maxTimestamp(), OffsetSpec.forTimestamp(FIRST_TIME + 100));
        for (String group : GROUPS) {
            seen.offsets().put(group, admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get());
        }
        for (ConsumerGroupDescription group : admin.describeConsumerGroups(GROUPS).all().get().values()) {
            String members = group.members().stream().map(member -> member.groupInstanceId().orElse(member.consumerId()) + " " + new TreeSet<>(member.assignment().topicPartitions().stream().map(Object::toString).toList())).sorted().toList().toString();
            seen.groups().put(group.groupId(), group.type() + " " + group.groupState() + " " + group.groupEpoch().orElse(0) + " " + members);
        }
        List<ConfigResource> resources = new ArrayList<>(List.of(new ConfigResource(ConfigResource.Type.BROKER, ""), new ConfigResource(ConfigResource.Type.BROKER, "1"), new ConfigResource(ConfigResource.Type.GROUP, "next")));
        TOPICS.keySet().forEach(topic -> resources.add(new ConfigResource(ConfigResource.Type.TOPIC, topic)));
        admin.describeConfigs(resources).all().get().forEach((resource, config) -> config.entries().stream()
            .filter(entry -> resource.type() == ConfigResource.Type.TOPIC || entry.source().name().startsWith("DYNAMIC"))
            .filter(entry -> !entry.name().startsWith("vltava."))
            .forEach(entry -> seen.configs().put(resource + " " + entry.name(), entry.value() + " " + entry.source())));
        admin.describeProducers(partitions).all().get().forEach((partition, state) -> seen.producers().put(partition.toString(), state.activeProducers().stream()
            .map(producer -> producer.producerId() + " " + producer.producerEpoch() + " " + producer.lastSequence() + " " + producer.currentTransactionStartOffset()).sorted().toList().toString()));
        return seen;
    }

    private static void look(String what, Collection<TopicPartition> partitions, Map<String, List<Long>> into, OffsetSpec... specs) throws Exception {
        for (OffsetSpec spec : specs) {
            Map<TopicPartition, OffsetSpec> asked = partitions.stream().collect(Collectors.toMap(partition -> partition, partition -> spec));
            admin.listOffsets(asked).all().get().forEach((partition, found) -> into.computeIfAbsent(what + " " + partition, key -> new ArrayList<>()).addAll(List.of(found.offset(), found.timestamp())));
        }
    }

    /** The records that a reader sees, by offset. */
    private static SortedMap<Long, String> read(String topic, int index, String isolation) {
        TopicPartition partition = new TopicPartition(topic, index);
        SortedMap<Long, String> records = new TreeMap<>();
        try (Consumer<String, String> consumer = consumer(null, isolation)) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            while (consumer.position(partition) < end) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    records.put(record.offset(), record.timestamp() + " " + record.key() + " " + record.value());
                }
            }
        }
        return records;
    }

    // What must hold afterwards.

    private static void led(Seen before) throws Exception {
        Map<String, TopicDescription> topics = admin.describeTopics(before.ids().keySet()).allTopicNames().get();
        for (TopicDescription topic : topics.values()) {
            Report.equal("id of " + topic.name(), before.ids().get(topic.name()), topic.topicId());
            Report.equal("partitions of " + topic.name(), before.partitions().get(topic.name()), topic.partitions().size());
            topic.partitions().forEach(partition -> {
                Report.holds(topic.name() + " is led: " + partition, partition.leader() != null && partition.leader().id() == 1);
                Report.equal("in sync: " + partition, 1, partition.isr().size());
            });
        }
        Report.equal("topics", before.ids().keySet(), admin.listTopics(new org.apache.kafka.clients.admin.ListTopicsOptions().listInternal(true)).names().get().stream().filter(before.ids()::containsKey).collect(Collectors.toSet()));
    }

    private static void fence(Map<String, TransactionDescription> before) throws Exception {
        SortedMap<Long, String> committed = read("transfers", 0, "read_committed");
        for (String id : IDS) {
            try (Producer<String, String> producer = producer(id)) {
                TransactionDescription now = admin.describeTransactions(List.of(id)).all().get().get(id);
                Report.equal("producer of " + id, before.get(id).producerId(), now.producerId());
                Report.holds("a later epoch of " + id + " than " + before.get(id).producerEpoch() + ": " + now.producerEpoch(), now.producerEpoch() > before.get(id).producerEpoch());
                Report.equal("state of " + id, TransactionState.EMPTY, now.state());
                producer.beginTransaction();
                producer.send(new ProducerRecord<>("transfers", 0, "key", "later by " + id));
                producer.commitTransaction();
            }
        }
        Report.fails("the old producer", ProducerFencedException.class, () -> {
            LEFT.get(0).commitTransaction();
            return "committed";
        });
        SortedMap<Long, String> now = read("transfers", 0, "read_committed");
        Report.equal("further records", committed.size() + 2, now.size());
        Report.holds("what was open is gone", now.values().stream().noneMatch(value -> value.contains("never committed")));
        Report.equal("offsets", Set.of(new TopicPartition("plain", 0)), admin.listConsumerGroupOffsets("transactional").partitionsToOffsetAndMetadata().get().keySet());
    }

    private static void goOn() throws Exception {
        for (String group : List.of("classic", "next")) {
            try (Consumer<String, String> consumer = consumer(group, "read_committed", "group.protocol", group.equals("next") ? "consumer" : "classic")) {
                consumer.subscribe(List.of("plain"));
                int[] count = {0};
                Report.eventually("the records that " + group + " had not committed", 30, () -> {
                    count[0] += consumer.poll(Duration.ofMillis(200)).count();
                    return count[0] >= 150;
                });
                Report.equal("records", 150, count[0]);
                consumer.commitSync();
            }
        }
        try (Consumer<String, String> consumer = consumer("static", "read_committed", "group.instance.id", "one", "session.timeout.ms", "600000", "group.protocol", "classic")) {
            consumer.subscribe(List.of("grown"));
            Report.eventually("the static member's partitions", 30, () -> {
                consumer.poll(Duration.ofMillis(200));
                return consumer.assignment().size() == 4;
            });
        }
    }

    private static void write() throws Exception {
        for (String topic : List.of("plain", "trimmed", "small-segments")) {
            SortedMap<Long, String> before = read(topic, 0, "read_committed");
            try (Producer<String, String> producer = producer(null)) {
                producer.send(new ProducerRecord<>(topic, 0, "key", "written later")).get();
            }
            SortedMap<Long, String> now = read(topic, 0, "read_committed");
            Report.equal("records of " + topic, before, now.headMap(before.lastKey() + 1));
            Report.equal("next offset of " + topic, before.lastKey() + 1, now.lastKey());
        }
        admin.createPartitions(Map.of("grown", NewPartitions.increaseTo(6))).all().get();
        admin.createTopics(List.of(new NewTopic("made-later", 2, (short) 1))).all().get();
        admin.deleteTopics(List.of("made-later")).all().get();
        set(ConfigResource.Type.TOPIC, "grown", "retention.bytes", "987654321");
        Report.equal("partitions", 6, admin.describeTopics(List.of("grown")).allTopicNames().get().get("grown").partitions().size());
    }

    private static final String FORMATTERS = "org.apache.kafka.tools.consumer.";

    /** What the console consumer prints of an internal topic. */
    private static String printed(String topic, String formatter) throws Exception {
        return Tools.tool("consumer.ConsoleConsumer", "--bootstrap-server", Report.BOOTSTRAP, "--topic", topic, "--from-beginning", "--timeout-ms", "1500",
            "--formatter", FORMATTERS + formatter).text();
    }

    private static void format() throws Exception {
        String offsets = printed("__consumer_offsets", "OffsetsMessageFormatter");
        for (String group : GROUPS) {
            Report.contains(offsets, "\"group\":\"" + group + "\"");
        }
        Report.contains(offsets, "\"topic\":\"plain\",\"partition\":0.*\"offset\":\\d+.*\"metadata\":\"classic plain-0\"");
        Report.contains(printed("__consumer_offsets", "GroupMetadataMessageFormatter"), "\"group\":\"static\".*\"groupInstanceId\":\"one\"");
        String transactions = printed("__transaction_state", "TransactionLogMessageFormatter");
        for (String id : IDS) {
            Report.contains(transactions, "\"transactionalId\":\"" + id + "\".*\"transactionStatus\":4");
        }
    }

    private static void dump() throws Exception {
        String offsets = dumped("__consumer_offsets", "--offsets-decoder");
        Report.contains(offsets, "offset_commit.*\"group\":\"classic\",\"topic\":\"plain\"|\"group\":\"classic\".*\"topic\":\"plain\"");
        Report.contains(offsets, "next");
        String transactions = dumped("__transaction_state", "--transaction-log-decoder");
        Report.contains(transactions, "open");
        Report.contains(transactions, "finished");
        String metadata = dumped("__cluster_metadata", "--cluster-metadata-decoder");
        Report.contains(metadata, "made-later");
        Report.contains(metadata, "eligible\\.leader\\.replicas\\.version");
    }

    private static String dumped(String topic, String decoder) throws Exception {
        StringBuilder text = new StringBuilder();
        for (int partition = 0; partition < 8 && java.nio.file.Files.exists(java.nio.file.Path.of(Report.DATA, topic + "-" + partition)); partition++) {
            text.append(Tools.tool("DumpLogSegments", decoder, "--files", Tools.files(topic + "-" + partition, ".log")).ok());
        }
        for (String bad : List.of("isvalid: false", "Could not decode", "corrupt", "Exception")) {
            Report.holds(topic + " has no " + bad, !text.toString().contains(bad));
        }
        return text.toString();
    }

    private static Producer<String, String> producer(String id, String... pairs) {
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", Report.BOOTSTRAP, "acks", "all", "linger.ms", "5", "max.block.ms", "20000"));
        if (id != null) {
            settings.put("transactional.id", id);
        }
        put(settings, pairs);
        Producer<String, String> made = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
        if (id != null) {
            made.initTransactions();
        }
        return made;
    }

    private static Consumer<String, String> consumer(String group, String isolation, String... pairs) {
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", Report.BOOTSTRAP, "isolation.level", isolation, "enable.auto.commit", "false",
            "auto.offset.reset", "earliest", "fetch.max.wait.ms", "50"));
        if (group != null) {
            settings.put("group.id", group);
        }
        put(settings, pairs);
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    private static void put(Map<String, Object> settings, String... pairs) {
        for (int pair = 0; pair < pairs.length; pair += 2) {
            settings.put(pairs[pair], pairs[pair + 1]);
        }
    }
}
