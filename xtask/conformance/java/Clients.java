import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.NoOffsetForPartitionException;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTimestampException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetMetadataTooLarge;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The Java client: producer, consumer and admin client, each as an application uses them. */
public final class Clients {
    private static Admin admin;

    private Clients() { }

    public static void main(String[] arguments) {
        admin = Admin.create(Map.<String, Object>of("bootstrap.servers", Report.BOOTSTRAP, "default.api.timeout.ms", "20000", "request.timeout.ms", "15000"));
        producerChecks();
        topicChecks();
        configChecks();
        adminChecks();
        consumerChecks();
        groupChecks();
        Report.done();
    }

    private static Properties settings(String... pairs) {
        Properties made = new Properties();
        made.put("bootstrap.servers", Report.BOOTSTRAP);
        for (int at = 0; at < pairs.length; at += 2) {
            made.put(pairs[at], pairs[at + 1]);
        }
        return made;
    }

    private static Producer<String, String> producer(String... pairs) {
        return new KafkaProducer<>(settings(pairs), new StringSerializer(), new StringSerializer());
    }

    static Consumer<String, String> consumer(String group, String... pairs) {
        Properties all = settings("auto.offset.reset", "earliest", "heartbeat.interval.ms", "300", "session.timeout.ms", "6000", "fetch.max.wait.ms", "200");
        all.putAll(settings(pairs));
        if (group != null) {
            all.put("group.id", group);
        }
        return new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer());
    }

    private static TopicPartition part(String topic, int partition) {
        return new TopicPartition(topic, partition);
    }

    private static Uuid create(String topic, int partitions, String... configs) throws Exception {
        Map<String, String> map = new HashMap<>();
        for (int at = 0; at < configs.length; at += 2) {
            map.put(configs[at], configs[at + 1]);
        }
        return admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(map))).topicId(topic).get();
    }

    private static void produce(String topic, int count) throws Exception {
        try (Producer<String, String> producer = producer()) {
            for (int number = 0; number < count; number++) {
                producer.send(new ProducerRecord<>(topic, "key-" + number % 10, "" + number));
            }
        }
    }

    private static List<ConsumerRecord<String, String>> take(Consumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> taken = new ArrayList<>();
        long end = System.nanoTime() + 30_000_000_000L;
        while (taken.size() < count) {
            Report.holds(count + " records, of which came " + taken.size(), System.nanoTime() < end);
            consumer.poll(Duration.ofMillis(200)).forEach(taken::add);
        }
        return taken;
    }

    private static List<ConsumerRecord<String, String>> read(String topic, int count) {
        try (Consumer<String, String> consumer = consumer(null)) {
            consumer.assign(List.of(part(topic, 0)));
            consumer.seekToBeginning(List.of(part(topic, 0)));
            return take(consumer, count);
        }
    }

    private static void producerChecks() {
        Report.check("the idempotent producer keeps order with five requests in flight", () -> {
            create("java-idempotent", 1);
            try (Producer<String, String> producer = producer("batch.size", "200", "linger.ms", "0", "max.in.flight.requests.per.connection", "5")) {
                List<java.util.concurrent.Future<RecordMetadata>> sent = new ArrayList<>();
                for (int number = 0; number < 5000; number++) {
                    sent.add(producer.send(new ProducerRecord<>("java-idempotent", "" + number)));
                }
                for (int number = 0; number < 5000; number++) {
                    Report.equal("offset", (long) number, sent.get(number).get().offset());
                }
            }
            List<ConsumerRecord<String, String>> read = read("java-idempotent", 5000);
            for (int number = 0; number < 5000; number++) {
                Report.equal("value", "" + number, read.get(number).value());
            }
        });
        Report.check("every codec round trips", () -> {
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                create("java-" + codec, 1);
                try (Producer<String, String> producer = producer("compression.type", codec, "linger.ms", "20")) {
                    for (int number = 0; number < 1000; number++) {
                        producer.send(new ProducerRecord<>("java-" + codec, "key", (codec + number).repeat(20)));
                    }
                }
                List<ConsumerRecord<String, String>> read = read("java-" + codec, 1000);
                Report.equal("last", (codec + 999).repeat(20), read.get(999).value());
                Report.equal("offset", 999L, read.get(999).offset());
            }
        });
        Report.check("a topic that asks for a codec gets it whatever was sent", () -> {
            create("java-convert", 1, "compression.type", "zstd");
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                try (Producer<String, String> producer = producer("compression.type", codec)) {
                    producer.send(new ProducerRecord<>("java-convert", 0, 1_234_567L, codec, "value".repeat(100), List.of(new RecordHeader("h", new byte[] {1})))).get();
                }
            }
            List<ConsumerRecord<String, String>> read = read("java-convert", 5);
            Report.equal("keys", List.of("none", "gzip", "snappy", "lz4", "zstd"), read.stream().map(ConsumerRecord::key).collect(Collectors.toList()));
            Report.equal("timestamp", 1_234_567L, read.get(2).timestamp());
            Report.equal("header", "h", read.get(2).headers().iterator().next().key());
        });
        Report.check("acks zero and one are accepted", () -> {
            create("java-acks", 1);
            for (String acks : List.of("0", "1")) {
                try (Producer<String, String> producer = producer("acks", acks, "enable.idempotence", "false")) {
                    RecordMetadata sent = producer.send(new ProducerRecord<>("java-acks", acks)).get();
                    Report.equal("an offset for acks " + acks, acks.equals("1"), sent.hasOffset());
                }
            }
            Report.equal("records", 2, read("java-acks", 2).size());
        });
        Report.check("null keys null values headers and timestamps survive", () -> {
            create("java-parts", 1);
            try (Producer<String, String> producer = producer()) {
                producer.send(new ProducerRecord<>("java-parts", 0, 42L, null, null, List.of(new RecordHeader("null", (byte[]) null), new RecordHeader("", new byte[0])))).get();
            }
            ConsumerRecord<String, String> record = read("java-parts", 1).get(0);
            Report.equal("key", null, record.key());
            Report.equal("value", null, record.value());
            Report.equal("timestamp", 42L, record.timestamp());
            Report.equal("timestamp type", TimestampType.CREATE_TIME, record.timestampType());
            Report.equal("headers", 2, record.headers().toArray().length);
            Report.equal("null header", null, record.headers().lastHeader("null").value());
            Report.equal("leader epoch", Optional.of(0), record.leaderEpoch());
        });
        Report.check("a topic with log append time stamps records itself", () -> {
            create("java-append-time", 1, "message.timestamp.type", "LogAppendTime");
            long before = System.currentTimeMillis();
            try (Producer<String, String> producer = producer()) {
                long stamp = producer.send(new ProducerRecord<>("java-append-time", 0, 5L, null, "x")).get().timestamp();
                Report.holds("the broker's time is answered", stamp >= before);
            }
            ConsumerRecord<String, String> record = read("java-append-time", 1).get(0);
            Report.equal("timestamp type", TimestampType.LOG_APPEND_TIME, record.timestampType());
            Report.holds("the broker's time is stored", record.timestamp() >= before);
        });
        Report.check("records the broker must refuse come back with their errors", () -> {
            create("java-refuse", 1, "max.message.bytes", "1000", "message.timestamp.before.max.ms", "1000000");
            create("java-compacted", 1, "cleanup.policy", "compact");
            try (Producer<String, String> producer = producer("max.block.ms", "5000")) {
                Report.fails("too large for the topic", RecordTooLargeException.class, () -> producer.send(new ProducerRecord<>("java-refuse", "x".repeat(3000))).get());
                Report.fails("too large for the client", RecordTooLargeException.class, () -> producer.send(new ProducerRecord<>("java-refuse", "x".repeat(3_000_000))).get());
                Report.fails("too old", InvalidTimestampException.class, () -> producer.send(new ProducerRecord<>("java-refuse", 0, 1L, null, "x")).get());
                Report.fails("without a key", org.apache.kafka.common.InvalidRecordException.class, () -> producer.send(new ProducerRecord<>("java-compacted", "x")).get());
                Report.fails("a bad name", InvalidTopicException.class, () -> producer.send(new ProducerRecord<>("java bad", "x")).get());
                Report.fails("a partition that is not there", TimeoutException.class, () -> producer.send(new ProducerRecord<>("java-refuse", 9, "k", "x")).get());
                Report.equal("the next one is accepted", 0L, producer.send(new ProducerRecord<>("java-refuse", "x")).get().offset());
            }
        });
        Report.check("large records pass when the topic allows them", () -> {
            create("java-large", 1, "max.message.bytes", "12000000");
            byte[] value = new byte[10_000_000];
            new java.util.Random(7).nextBytes(value);
            try (Producer<byte[], byte[]> producer = new KafkaProducer<>(settings("max.request.size", "12000000"), new ByteArraySerializer(), new ByteArraySerializer())) {
                producer.send(new ProducerRecord<>("java-large", value)).get();
            }
            try (Consumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings("fetch.max.bytes", "1000"), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
                consumer.assign(List.of(part("java-large", 0)));
                consumer.seekToBeginning(List.of());
                Report.eventually("the record, above the fetch limit", 20, () -> {
                    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                        Report.holds("equal bytes", java.util.Arrays.equals(value, record.value()));
                        return true;
                    }
                    return false;
                });
            }
        });
        Report.check("a topic of that name is created when a producer asks", () -> {
            try (Producer<String, String> producer = producer()) {
                Report.equal("partitions", 1, producer.partitionsFor("java-by-itself").size());
                Report.equal("offset", 0L, producer.send(new ProducerRecord<>("java-by-itself", "x")).get().offset());
            }
        });
    }

    private static void topicChecks() {
        Report.check("creating a topic answers with its id size and configs", () -> {
            var result = admin.createTopics(List.of(new NewTopic("java-create", Optional.of(3), Optional.empty()).configs(Map.of("retention.ms", "4242"))));
            Report.equal("partitions", 3, result.numPartitions("java-create").get());
            Report.equal("replicas", 1, result.replicationFactor("java-create").get());
            Config config = result.config("java-create").get();
            Report.equal("retention.ms", "4242", config.get("retention.ms").value());
            Report.equal("its source", ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, config.get("retention.ms").source());
            Report.equal("segment.bytes", ConfigEntry.ConfigSource.DEFAULT_CONFIG, config.get("segment.bytes").source());
            Report.holds("a topic id", !result.topicId("java-create").get().equals(Uuid.ZERO_UUID));
        });
        Report.check("validating a topic creates nothing", () -> {
            admin.createTopics(List.of(new NewTopic("java-validate", 1, (short) 1)), new CreateTopicsOptions().validateOnly(true)).all().get();
            Report.holds("it is not there", !admin.listTopics().names().get().contains("java-validate"));
        });
        Report.check("topics that cannot be are refused each with its error", () -> {
            create("java-there", 1);
            Report.fails("twice", TopicExistsException.class, () -> create("java-there", 1));
            for (String name : List.of("java bad", ".", "..", "a".repeat(250), "ja/va")) {
                Report.fails(name, InvalidTopicException.class, () -> create(name, 1));
            }
            Report.fails("an empty name", InvalidTopicException.class, () -> create("", 1));
            create("java.collide", 1);
            Report.fails("a colliding name", InvalidTopicException.class, () -> create("java_collide", 1));
            Report.fails("no partitions", InvalidPartitionsException.class, () -> create("java-zero", 0));
            Report.fails("too many replicas", InvalidReplicationFactorException.class, () -> admin.createTopics(List.of(new NewTopic("java-many", 1, (short) 2))).all().get());
            Report.fails("an unknown key", InvalidConfigurationException.class, () -> create("java-key", 1, "no.such.key", "1"));
            Report.fails("a bad value", InvalidConfigurationException.class, () -> create("java-value", 1, "segment.bytes", "-5"));
            Report.fails("a bad policy", InvalidConfigurationException.class, () -> create("java-value", 1, "cleanup.policy", "shred"));
        });
        Report.check("a topic that is made again has a new id and no records", () -> {
            Uuid first = create("java-again", 1);
            produce("java-again", 10);
            TopicDescription byId = admin.describeTopics(TopicCollection.ofTopicIds(List.of(first))).allTopicIds().get().get(first);
            Report.equal("name", "java-again", byId.name());
            admin.deleteTopics(List.of("java-again")).all().get();
            Report.fails("the old id", org.apache.kafka.common.errors.UnknownTopicIdException.class,
                () -> admin.describeTopics(TopicCollection.ofTopicIds(List.of(first))).allTopicIds().get());
            Uuid second = create("java-again", 1);
            Report.holds("another id", !first.equals(second));
            produce("java-again", 3);
            Report.equal("records", 3, read("java-again", 3).size());
            admin.deleteTopics(TopicCollection.ofTopicIds(List.of(second))).all().get();
            Report.fails("it is gone", UnknownTopicOrPartitionException.class, () -> admin.describeTopics(List.of("java-again")).allTopicNames().get());
        });
        Report.check("a producer and a consumer survive that their topic is made again", () -> {
            create("java-reborn", 1);
            try (Producer<String, String> producer = producer("delivery.timeout.ms", "20000", "request.timeout.ms", "5000"); Consumer<String, String> consumer = consumer("java-reborn")) {
                producer.send(new ProducerRecord<>("java-reborn", "before")).get();
                consumer.subscribe(List.of("java-reborn"));
                take(consumer, 1);
                admin.deleteTopics(List.of("java-reborn")).all().get();
                create("java-reborn", 1);
                Report.eventually("a record is accepted", 20, () -> {
                    try {
                        producer.send(new ProducerRecord<>("java-reborn", "after")).get();
                        return true;
                    } catch (ExecutionException refused) {
                        return false;
                    }
                });
            }
            Report.equal("the record", "after", read("java-reborn", 1).get(0).value());
        });
        Report.check("partitions are added and a group sees them", () -> {
            create("java-grow", 1);
            try (Consumer<String, String> consumer = consumer("java-grow", "metadata.max.age.ms", "500")) {
                consumer.subscribe(List.of("java-grow"));
                Report.eventually("one partition", 20, () -> !consumer.poll(Duration.ofMillis(100)).isEmpty() || consumer.assignment().size() == 1);
                admin.createPartitions(Map.of("java-grow", NewPartitions.increaseTo(3))).all().get();
                Report.eventually("three partitions", 20, () -> !consumer.poll(Duration.ofMillis(100)).isEmpty() || consumer.assignment().size() == 3);
            }
            Report.fails("fewer", InvalidPartitionsException.class, () -> admin.createPartitions(Map.of("java-grow", NewPartitions.increaseTo(2))).all().get());
            Report.fails("of nothing", UnknownTopicOrPartitionException.class, () -> admin.createPartitions(Map.of("java-nothing", NewPartitions.increaseTo(2))).all().get());
        });
    }

    private static ConfigResource topicResource(String topic) {
        return new ConfigResource(ConfigResource.Type.TOPIC, topic);
    }

    private static void alter(ConfigResource resource, AlterConfigOp.OpType op, String key, String value) throws Exception {
        admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry(key, value), op)))).all().get();
    }

    private static Config describe(ConfigResource resource) throws Exception {
        DescribeConfigsOptions all = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        return admin.describeConfigs(List.of(resource), all).all().get().get(resource);
    }

    private static void configChecks() {
        Report.check("a topic describes every key with type synonyms and documentation", () -> {
            create("java-config", 1, "cleanup.policy", "compact,delete");
            Config config = describe(topicResource("java-config"));
            Report.holds("30 keys or more, of " + config.entries().size(), config.entries().size() >= 30);
            for (ConfigEntry entry : config.entries()) {
                Report.holds("a type of " + entry.name(), entry.type() != ConfigEntry.ConfigType.UNKNOWN);
                Report.holds("documentation of " + entry.name(), entry.documentation() != null && !entry.documentation().isEmpty());
                Report.holds("not secret: " + entry.name(), !entry.isSensitive() && !entry.isReadOnly());
            }
            Report.equal("type of a list", ConfigEntry.ConfigType.LIST, config.get("cleanup.policy").type());
            Report.equal("synonyms", "log.cleanup.policy", config.get("cleanup.policy").synonyms().get(1).name());
            Report.equal("default", "604800000", config.get("retention.ms").value());
        });
        Report.check("topic keys are set appended subtracted and deleted", () -> {
            ConfigResource topic = topicResource("java-config");
            alter(topic, AlterConfigOp.OpType.SET, "max.message.bytes", "2222222");
            alter(topic, AlterConfigOp.OpType.SUBTRACT, "cleanup.policy", "compact");
            Report.equal("set", "2222222", describe(topic).get("max.message.bytes").value());
            Report.equal("subtracted", "delete", describe(topic).get("cleanup.policy").value());
            alter(topic, AlterConfigOp.OpType.APPEND, "cleanup.policy", "compact");
            Report.equal("appended", "delete,compact", describe(topic).get("cleanup.policy").value());
            alter(topic, AlterConfigOp.OpType.DELETE, "max.message.bytes", null);
            Report.equal("deleted", "1048588", describe(topic).get("max.message.bytes").value());
            Report.fails("an unknown key", InvalidConfigurationException.class, () -> {
                alter(topic, AlterConfigOp.OpType.SET, "no.such.key", "1");
                return null;
            });
            Report.fails("a bad value", InvalidConfigurationException.class, () -> {
                alter(topic, AlterConfigOp.OpType.SET, "retention.ms", "soon");
                return null;
            });
            Report.fails("an unknown topic", UnknownTopicOrPartitionException.class, () -> {
                alter(topicResource("java-nothing"), AlterConfigOp.OpType.SET, "retention.ms", "1");
                return null;
            });
        });
        Report.check("a broker describes its keys and takes dynamic ones", () -> {
            ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
            Config config = describe(broker);
            Report.holds("200 keys or more, of " + config.entries().size(), config.entries().size() >= 200);
            Report.equal("node.id", "1", config.get("node.id").value());
            Report.equal("read only", true, config.get("node.id").isReadOnly());
            Report.equal("source", ConfigEntry.ConfigSource.STATIC_BROKER_CONFIG, config.get("log.dirs").source());
            alter(broker, AlterConfigOp.OpType.SET, "log.retention.ms", "7777777");
            Report.eventually("the broker's key is a topic's default", 10, () -> describe(topicResource("java-config")).get("retention.ms").value().equals("7777777"));
            Report.equal("source", ConfigEntry.ConfigSource.DYNAMIC_BROKER_CONFIG, describe(topicResource("java-config")).get("retention.ms").source());
            alter(broker, AlterConfigOp.OpType.DELETE, "log.retention.ms", null);
            Report.eventually("it is deleted", 10, () -> describe(topicResource("java-config")).get("retention.ms").value().equals("604800000"));
        });
        Report.check("changed limits hold for the next record", () -> {
            create("java-limit", 1);
            alter(topicResource("java-limit"), AlterConfigOp.OpType.SET, "max.message.bytes", "500");
            try (Producer<String, String> producer = producer()) {
                Report.fails("above the new limit", RecordTooLargeException.class, () -> producer.send(new ProducerRecord<>("java-limit", "x".repeat(1000))).get());
            }
        });
        Report.check("resources with configs are listed", () -> {
            Set<String> names = admin.listConfigResources(Set.of(ConfigResource.Type.TOPIC), new org.apache.kafka.clients.admin.ListConfigResourcesOptions())
                .all().get().stream().map(ConfigResource::name).collect(Collectors.toSet());
            Report.holds("java-config is listed", names.contains("java-config"));
        });
    }

    private static void adminChecks() {
        Report.check("the cluster its features and its quorum are described", () -> {
            var cluster = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
            Report.equal("id length", 22, cluster.clusterId().get().length());
            Report.equal("nodes", 1, cluster.nodes().get().size());
            Report.equal("controller", 1, cluster.controller().get().id());
            Report.holds("operations", !cluster.authorizedOperations().get().isEmpty());
            var features = admin.describeFeatures().featureMetadata().get();
            Report.holds("metadata.version", features.finalizedFeatures().containsKey("metadata.version"));
            Report.holds("an epoch", features.finalizedFeaturesEpoch().isPresent());
            var quorum = admin.describeMetadataQuorum().quorumInfo().get();
            Report.equal("leader", 1, quorum.leaderId());
            Report.holds("high watermark", quorum.highWatermark() > 0);
        });
        Report.check("log directories are described", () -> {
            create("java-dirs", 1);
            produce("java-dirs", 100);
            var dirs = admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1);
            Report.equal("directories", 1, dirs.size());
            var dir = dirs.values().iterator().next();
            Report.equal("error", null, dir.error());
            Report.holds("size of the replica", dir.replicaInfos().get(part("java-dirs", 0)).size() > 0);
            Report.equal("lag", 0L, dir.replicaInfos().get(part("java-dirs", 0)).offsetLag());
            Report.holds("disk size", dir.totalBytes().getAsLong() > dir.usableBytes().getAsLong());
        });
        Report.check("active producers are described", () -> {
            create("java-producers", 1);
            try (Producer<String, String> producer = producer()) {
                for (int number = 0; number < 3; number++) {
                    producer.send(new ProducerRecord<>("java-producers", "x")).get();
                }
                var states = admin.describeProducers(List.of(part("java-producers", 0))).partitionResult(part("java-producers", 0)).get().activeProducers();
                Report.equal("producers", 1, states.size());
                Report.equal("last sequence", 2, states.get(0).lastSequence());
                Report.equal("epoch", 0, states.get(0).producerEpoch());
            }
        });
        Report.check("offsets are listed in every way", () -> {
            create("java-offsets", 1);
            try (Producer<String, String> producer = producer()) {
                for (int number = 0; number < 10; number++) {
                    producer.send(new ProducerRecord<>("java-offsets", 0, 1000L + (number == 4 ? 900 : number * 10), "k", "v")).get();
                }
            }
            Map<OffsetSpec, Long> expected = Map.of(OffsetSpec.earliest(), 0L, OffsetSpec.latest(), 10L, OffsetSpec.maxTimestamp(), 4L,
                OffsetSpec.forTimestamp(1025), 3L, OffsetSpec.forTimestamp(5000), -1L, OffsetSpec.earliestLocal(), 0L);
            for (var row : expected.entrySet()) {
                ListOffsetsResult.ListOffsetsResultInfo info = admin.listOffsets(Map.of(part("java-offsets", 0), row.getKey())).partitionResult(part("java-offsets", 0)).get();
                Report.equal(row.getKey().getClass().getSimpleName(), row.getValue(), info.offset());
            }
        });
        Report.check("records are deleted up to an offset", () -> {
            create("java-delete", 1);
            produce("java-delete", 20);
            TopicPartition partition = part("java-delete", 0);
            Report.equal("low watermark", 5L, admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(5))).lowWatermarks().get(partition).get().lowWatermark());
            Report.equal("everything", 20L, admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(-1))).lowWatermarks().get(partition).get().lowWatermark());
            Report.fails("beyond the end", org.apache.kafka.common.errors.OffsetOutOfRangeException.class,
                () -> admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(21))).all().get());
            produce("java-delete", 1);
            try (Consumer<String, String> consumer = consumer(null)) {
                consumer.assign(List.of(partition));
                Report.equal("beginning", 20L, consumer.beginningOffsets(List.of(partition)).get(partition));
            }
        });
    }

    private static void consumerChecks() {
        Report.check("seek position and offsets agree", () -> {
            create("java-seek", 1);
            try (Producer<String, String> producer = producer()) {
                for (int number = 0; number < 100; number++) {
                    producer.send(new ProducerRecord<>("java-seek", 0, 10_000L + number * 10, null, "" + number));
                }
            }
            TopicPartition partition = part("java-seek", 0);
            try (Consumer<String, String> consumer = consumer(null, "max.poll.records", "7")) {
                consumer.assign(List.of(partition));
                Report.equal("first", "0", take(consumer, 1).get(0).value());
                Report.equal("position after one poll", 7L, consumer.position(partition));
                consumer.seek(partition, 42);
                Report.equal("after a seek", "42", take(consumer, 1).get(0).value());
                consumer.seekToEnd(List.of(partition));
                Report.equal("end", 100L, consumer.position(partition));
                Report.equal("beginning", Map.of(partition, 0L), consumer.beginningOffsets(List.of(partition)));
                Report.equal("end", Map.of(partition, 100L), consumer.endOffsets(List.of(partition)));
                var found = consumer.offsetsForTimes(Map.of(partition, 10_555L)).get(partition);
                Report.equal("offset by time", 56L, found.offset());
                Report.equal("its timestamp", 10_560L, found.timestamp());
                Report.equal("too late", null, consumer.offsetsForTimes(Map.of(partition, 99_999L)).get(partition));
                consumer.pause(List.of(partition));
                consumer.seekToBeginning(List.of(partition));
                Report.equal("while paused", 0, consumer.poll(Duration.ofMillis(300)).count());
                consumer.resume(List.of(partition));
                Report.equal("resumed", "0", take(consumer, 1).get(0).value());
                Report.equal("lag", 93L, consumer.currentLag(partition).getAsLong());
            }
        });
        Report.check("without a reset policy a missing offset is an error", () -> {
            TopicPartition partition = part("java-seek", 0);
            try (Consumer<String, String> consumer = consumer("java-none", "auto.offset.reset", "none")) {
                consumer.assign(List.of(partition));
                Report.fails("no commit", NoOffsetForPartitionException.class, () -> consumer.poll(Duration.ofSeconds(10)));
                consumer.seek(partition, 5000);
                Report.fails("beyond the end", OffsetOutOfRangeException.class, () -> {
                    for (int round = 0; round < 20; round++) {
                        consumer.poll(Duration.ofMillis(500));
                    }
                    return "nothing";
                });
            }
        });
        Report.check("unknown topics and bad names are told to the consumer", () -> {
            try (Consumer<String, String> consumer = consumer(null, "allow.auto.create.topics", "false", "default.api.timeout.ms", "3000")) {
                Report.equal("partitions of nothing", true, consumer.partitionsFor("java-nothing") == null || consumer.partitionsFor("java-nothing").isEmpty());
                Report.fails("a bad name", InvalidTopicException.class, () -> consumer.partitionsFor("java bad"));
            }
        });
        Report.check("a long poll ends with the record and wakeup ends it without", () -> {
            create("java-poll", 1);
            try (Consumer<String, String> consumer = consumer(null, "fetch.max.wait.ms", "6000")) {
                consumer.assign(List.of(part("java-poll", 0)));
                consumer.seekToBeginning(List.of());
                consumer.poll(Duration.ofMillis(500));
                Thread late = new Thread(() -> {
                    try {
                        Thread.sleep(700);
                        produce("java-poll", 1);
                    } catch (Exception failure) {
                        failure.printStackTrace();
                    }
                });
                late.start();
                long begun = System.nanoTime();
                take(consumer, 1);
                Report.holds("well before the limit of the fetch", System.nanoTime() - begun < 4_000_000_000L);
                late.join();
                new Thread(consumer::wakeup).start();
                Report.fails("wakeup", WakeupException.class, () -> consumer.poll(Duration.ofSeconds(20)));
            }
        });
        Report.check("fetch sessions follow partitions that come and go", () -> {
            create("java-session", 8);
            for (int number = 0; number < 8; number++) {
                try (Producer<String, String> producer = producer()) {
                    producer.send(new ProducerRecord<>("java-session", number, "k", "a" + number)).get();
                }
            }
            List<TopicPartition> all = IntStream.range(0, 8).mapToObj(number -> part("java-session", number)).collect(Collectors.toList());
            try (Consumer<String, String> consumer = consumer(null); Producer<String, String> producer = producer()) {
                consumer.assign(all);
                Set<String> seen = new TreeSet<>();
                take(consumer, 8).forEach(record -> seen.add(record.value()));
                Report.equal("first round", 8, seen.size());
                consumer.assign(all.subList(0, 4));
                for (int number = 0; number < 8; number++) {
                    producer.send(new ProducerRecord<>("java-session", number, "k", "b" + number)).get();
                }
                Set<String> half = take(consumer, 4).stream().map(ConsumerRecord::value).collect(Collectors.toSet());
                Report.equal("half of them", Set.of("b0", "b1", "b2", "b3"), half);
                consumer.assign(all);
                consumer.seekToBeginning(all);
                Report.equal("all of them", 16, take(consumer, 16).size());
            }
        });
        Report.check("read committed sees what is not transactional", () -> {
            try (Consumer<String, String> consumer = consumer(null, "isolation.level", "read_committed")) {
                consumer.assign(List.of(part("java-seek", 0)));
                consumer.seekToBeginning(List.of());
                Report.equal("records", 100, take(consumer, 100).size());
                Report.equal("end", 100L, consumer.endOffsets(List.of(part("java-seek", 0))).get(part("java-seek", 0)));
            }
        });
    }

    /** A member of a group on a thread of its own. */
    private static final class Member implements AutoCloseable {
        final Consumer<String, String> consumer;
        final Set<TopicPartition> owned = new HashSet<>();
        final List<String> values = new ArrayList<>();
        final Thread thread;
        volatile boolean stopped;
        volatile Throwable failure;
        int rounds;

        Member(String group, String topic, String... pairs) {
            consumer = Clients.consumer(group, pairs);
            thread = new Thread(() -> run(topic), "member");
            thread.start();
        }

        private void run(String topic) {
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    synchronized (Member.this) {
                        owned.addAll(partitions);
                        rounds++;
                    }
                }

                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    synchronized (Member.this) {
                        owned.removeAll(partitions);
                    }
                }
            });
            try {
                while (!stopped) {
                    for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(50))) {
                        synchronized (this) {
                            values.add(record.value());
                        }
                    }
                }
            } catch (Throwable thrown) {
                failure = thrown;
            } finally {
                consumer.close();
            }
        }

        synchronized int size() {
            return owned.size();
        }

        synchronized int count() {
            return values.size();
        }

        synchronized int rounds() {
            return rounds;
        }

        @Override
        public void close() throws InterruptedException {
            stopped = true;
            thread.join(20_000);
        }
    }

    private static void groupChecks() {
        Report.check("every assignor shares all partitions and hands them over", () -> {
            create("java-share", 6);
            for (String assignor : List.of("RangeAssignor", "RoundRobinAssignor", "StickyAssignor", "CooperativeStickyAssignor")) {
                String[] use = {"partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor};
                try (Member one = new Member("java-" + assignor, "java-share", use); Member two = new Member("java-" + assignor, "java-share", use)) {
                    try (Member three = new Member("java-" + assignor, "java-share", use)) {
                        Report.eventually(assignor + " gives two each", 30, () -> one.size() == 2 && two.size() == 2 && three.size() == 2);
                    }
                    Report.eventually(assignor + " gives three each", 30, () -> one.size() == 3 && two.size() == 3);
                }
            }
        });
        Report.check("a group upgrades its assignor when all members know it", () -> {
            create("java-upgrade", 2);
            String range = "org.apache.kafka.clients.consumer.RangeAssignor";
            String both = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor," + range;
            try (Member one = new Member("java-upgrade", "java-upgrade", "partition.assignment.strategy", range)) {
                Report.eventually("alone", 20, () -> one.size() == 2);
                try (Member two = new Member("java-upgrade", "java-upgrade", "partition.assignment.strategy", both)) {
                    Report.eventually("one each", 20, () -> one.size() == 1 && two.size() == 1);
                    var described = admin.describeConsumerGroups(List.of("java-upgrade")).all().get().get("java-upgrade");
                    Report.equal("assignor", "range", described.partitionAssignor());
                }
            }
        });
        Report.check("a static member restarts without a rebalance and its double is fenced", () -> {
            create("java-static", 2);
            String[] first = {"group.instance.id", "first", "session.timeout.ms", "15000"};
            try (Member other = new Member("java-static", "java-static", "group.instance.id", "other", "session.timeout.ms", "15000")) {
                try (Member one = new Member("java-static", "java-static", first)) {
                    Report.eventually("one each", 20, () -> one.size() == 1 && other.size() == 1);
                }
                int rounds = other.rounds();
                try (Member again = new Member("java-static", "java-static", first)) {
                    Report.eventually("it is back", 20, () -> again.size() == 1);
                    Report.equal("rounds of the other", rounds, other.rounds());
                    try (Member twin = new Member("java-static", "java-static", first)) {
                        Report.eventually("the double is fenced", 20, () -> again.failure instanceof FencedInstanceIdException);
                    }
                }
                var options = new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("first")));
                admin.removeMembersFromConsumerGroup("java-static", options).all().get();
                Report.eventually("the other has both", 20, () -> other.size() == 2);
            }
        });
        Report.check("a member that dies is replaced after its session", () -> {
            create("java-dead", 2);
            Consumer<String, String> dying = consumer("java-dead", "session.timeout.ms", "2000", "max.poll.interval.ms", "1500");
            dying.subscribe(List.of("java-dead"));
            Report.eventually("it has both", 20, () -> !dying.poll(Duration.ofMillis(100)).isEmpty() || dying.assignment().size() == 2);
            try (Member other = new Member("java-dead", "java-dead", "session.timeout.ms", "2000")) {
                Report.eventually("the other takes over", 30, () -> other.size() == 2);
                Report.fails("a commit of the old generation", CommitFailedException.class, () -> {
                    dying.commitSync(Map.of(part("java-dead", 0), new OffsetAndMetadata(1)), Duration.ofSeconds(10));
                    return "committed";
                });
            }
            dying.close();
        });
        Report.check("commits in every way are read back", () -> {
            create("java-commit", 2);
            produce("java-commit", 50);
            TopicPartition zero = part("java-commit", 0);
            try (Consumer<String, String> consumer = consumer("java-commit", "enable.auto.commit", "false")) {
                consumer.subscribe(List.of("java-commit"));
                take(consumer, 50);
                consumer.commitSync();
                Map<TopicPartition, OffsetAndMetadata> all = consumer.committed(Set.of(zero, part("java-commit", 1)));
                Report.equal("sum", 50L, all.values().stream().mapToLong(OffsetAndMetadata::offset).sum());
                var done = new java.util.concurrent.CompletableFuture<Void>();
                consumer.commitAsync(Map.of(zero, new OffsetAndMetadata(3, Optional.of(0), "half")), (offsets, failure) -> {
                    if (failure == null) {
                        done.complete(null);
                    } else {
                        done.completeExceptionally(failure);
                    }
                });
                Report.eventually("the commit", 20, () -> {
                    consumer.poll(Duration.ofMillis(100));
                    return done.isDone();
                });
                done.get();
                OffsetAndMetadata got = consumer.committed(Set.of(zero)).get(zero);
                Report.equal("offset metadata and epoch", new OffsetAndMetadata(3, Optional.of(0), "half"), got);
                Report.fails("too much metadata", OffsetMetadataTooLarge.class, () -> {
                    consumer.commitSync(Map.of(zero, new OffsetAndMetadata(3, "x".repeat(5000))));
                    return null;
                });
            }
            try (Consumer<String, String> consumer = consumer("java-commit")) {
                consumer.assign(List.of(zero));
                Report.equal("goes on", 3L, consumer.position(zero));
            }
        });
        Report.check("auto commit and close leave nothing to read twice", () -> {
            create("java-auto", 1);
            produce("java-auto", 30);
            try (Consumer<String, String> consumer = consumer("java-auto", "auto.commit.interval.ms", "100")) {
                consumer.subscribe(List.of("java-auto"));
                take(consumer, 30);
            }
            produce("java-auto", 1);
            try (Consumer<String, String> consumer = consumer("java-auto")) {
                consumer.subscribe(List.of("java-auto"));
                Report.equal("next", 30L, take(consumer, 1).get(0).offset());
            }
        });
        Report.check("a pattern follows topics as they come", () -> {
            create("java-pattern-a", 1);
            try (Consumer<String, String> consumer = consumer("java-pattern", "metadata.max.age.ms", "500")) {
                consumer.subscribe(Pattern.compile("java-pattern-.*"));
                Report.eventually("one", 20, () -> !consumer.poll(Duration.ofMillis(100)).isEmpty() || consumer.assignment().size() == 1);
                create("java-pattern-b", 1);
                Report.eventually("two", 20, () -> !consumer.poll(Duration.ofMillis(100)).isEmpty() || consumer.assignment().size() == 2);
            }
        });
        Report.check("a group is listed described altered and deleted", () -> {
            create("java-admin", 2);
            produce("java-admin", 10);
            TopicPartition zero = part("java-admin", 0);
            try (Member member = new Member("java-admin", "java-admin", "client.id", "java-member")) {
                Report.eventually("records", 20, () -> member.count() == 10);
                var group = admin.describeConsumerGroups(List.of("java-admin")).all().get().get("java-admin");
                Report.equal("state", GroupState.STABLE, group.groupState());
                Report.equal("members", "java-member", group.members().iterator().next().clientId());
                Report.equal("host", "/127.0.0.1", group.members().iterator().next().host());
                Report.equal("partitions", 2, group.members().iterator().next().assignment().topicPartitions().size());
                Report.equal("coordinator", 1, group.coordinator().id());
                var classic = admin.describeClassicGroups(List.of("java-admin")).all().get().get("java-admin");
                Report.equal("protocol", "consumer", classic.protocol());
                Report.holds("listed", admin.listGroups().all().get().stream().anyMatch(row -> row.groupId().equals("java-admin")));
                Report.fails("deletion", GroupNotEmptyException.class, () -> admin.deleteConsumerGroups(List.of("java-admin")).all().get());
                Report.fails("deletion of an offset", GroupSubscribedToTopicException.class, () -> admin.deleteConsumerGroupOffsets("java-admin", Set.of(zero)).all().get());
                Report.fails("alteration", org.apache.kafka.common.errors.UnknownMemberIdException.class,
                    () -> admin.alterConsumerGroupOffsets("java-admin", Map.of(zero, new OffsetAndMetadata(1))).all().get());
            }
            admin.alterConsumerGroupOffsets("java-admin", Map.of(zero, new OffsetAndMetadata(1))).all().get();
            Report.equal("altered", 1L, admin.listConsumerGroupOffsets("java-admin").partitionsToOffsetAndMetadata().get().get(zero).offset());
            admin.deleteConsumerGroupOffsets("java-admin", Set.of(zero)).all().get();
            Report.equal("deleted", null, admin.listConsumerGroupOffsets("java-admin").partitionsToOffsetAndMetadata().get().get(zero));
            admin.deleteConsumerGroups(List.of("java-admin")).all().get();
            Report.fails("describing", GroupIdNotFoundException.class, () -> admin.describeConsumerGroups(List.of("java-admin")).all().get());
            Report.fails("deleting", GroupIdNotFoundException.class, () -> admin.deleteConsumerGroups(List.of("java-admin")).all().get());
        });
    }
}
