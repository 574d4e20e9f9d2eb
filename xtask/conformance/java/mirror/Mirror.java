package org.apache.kafka.connect.mirror;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.MessageFormatter;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.connect.mirror.formatters.CheckpointFormatter;
import org.apache.kafka.connect.mirror.formatters.HeartbeatFormatter;
import org.apache.kafka.connect.mirror.formatters.OffsetSyncFormatter;

/**
 * What MirrorMaker's own classes say. {@code table} prints bytes of records, names of topics and translated offsets; without
 * arguments each line of the input is a question about a cluster, or work to do there with Kafka's clients.
 */
public class Mirror {
    public static void main(String[] arguments) throws Exception {
        if (arguments.length > 0 && arguments[0].equals("table")) {
            formats();
            policies();
            translations();
            return;
        }
        var input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ");
            try {
                answer(words);
            } catch (Exception error) {
                System.out.println("! " + error);
            }
            System.out.println(".");
            System.out.flush();
        }
    }

    static void answer(String[] words) throws Exception {
        Map<String, Object> cluster = Map.of("bootstrap.servers", words[1]);
        switch (words[0]) {
            case "syncs" -> read(cluster, words[2], new OffsetSyncFormatter());
            case "checkpoints" -> read(cluster, words[2], new CheckpointFormatter());
            case "heartbeats" -> read(cluster, words[2], new HeartbeatFormatter());
            case "translate" -> new TreeMap<>(RemoteClusterUtils
                .translateOffsets(cluster, words[2], words[3], Duration.ofSeconds(10)).entrySet().stream()
                .collect(Collectors.toMap(entry -> entry.getKey().toString(), entry -> entry.getValue().offset())))
                .forEach((place, offset) -> System.out.println(place + " " + offset));
            case "upstream" -> System.out.println(RemoteClusterUtils.upstreamClusters(cluster) + " "
                + RemoteClusterUtils.replicationHops(cluster, words[2]) + " "
                + RemoteClusterUtils.checkpointTopics(cluster) + " "
                + new TreeSet<>(RemoteClusterUtils.heartbeatTopics(cluster)));
            case "produce" -> produce(cluster, words[2], Integer.parseInt(words[3]), Integer.parseInt(words[4]));
            case "abort" -> abort(cluster, words[2]);
            case "dump" -> dump(cluster, words[2]);
            default -> administer(Admin.create(cluster), words);
        }
    }

    static void administer(Admin admin, String[] words) throws Exception {
        try (admin) {
            switch (words[0]) {
                case "create" -> {
                    var settings = new TreeMap<String, String>();
                    for (int at = 4; at < words.length; at++) {
                        settings.put(words[at].split("=")[0], words[at].split("=")[1]);
                    }
                    var topic = new NewTopic(words[2], Integer.parseInt(words[3]), (short) 1).configs(settings);
                    admin.createTopics(List.of(topic)).all().get();
                }
                case "grow" -> admin.createPartitions(
                    Map.of(words[2], NewPartitions.increaseTo(Integer.parseInt(words[3])))).all().get();
                case "set" -> {
                    var entry = new ConfigEntry(words[3], words[4]);
                    var topic = new ConfigResource(ConfigResource.Type.TOPIC, words[2]);
                    var change = new AlterConfigOp(entry, AlterConfigOp.OpType.SET);
                    admin.incrementalAlterConfigs(Map.of(topic, List.of(change))).all().get();
                }
                case "settings" -> {
                    var topic = new ConfigResource(ConfigResource.Type.TOPIC, words[2]);
                    admin.describeConfigs(List.of(topic)).all().get().get(topic).entries().stream()
                        .filter(entry -> entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG)
                        .map(entry -> entry.name() + "=" + entry.value()).sorted().forEach(System.out::println);
                }
                case "topics" -> admin.describeTopics(admin.listTopics().names().get()).allTopicNames().get().values()
                    .forEach(topic -> System.out.println(topic.name() + " " + topic.partitions().size()));
                case "commit" -> {
                    var place = new TopicPartition(words[3], Integer.parseInt(words[4]));
                    var offset = new OffsetAndMetadata(Long.parseLong(words[5]), words[6]);
                    admin.alterConsumerGroupOffsets(words[2], Map.of(place, offset)).all().get();
                }
                case "committed" -> admin.listConsumerGroupOffsets(words[2]).partitionsToOffsetAndMetadata().get()
                    .forEach((place, offset) -> System.out.println(place + " " + offset.offset()));
                default -> throw new IllegalArgumentException(words[0]);
            }
        }
    }

    /** Records of every shape, {@code count} of them from number {@code from} on. */
    static void produce(Map<String, Object> cluster, String topic, int from, int count) throws Exception {
        var bytes = new ByteArraySerializer();
        try (var producer = new KafkaProducer<>(cluster, bytes, bytes)) {
            int partitions = producer.partitionsFor(topic).size();
            var sent = new ArrayList<Future<RecordMetadata>>();
            long began = System.currentTimeMillis();
            for (int number = from; number < from + count; number++) {
                byte[] key = number % 3 == 0 ? null : new byte[] {0, (byte) number, (byte) 0xff};
                byte[] value = number % 7 == 6 ? null : ("record " + number).getBytes();
                var record = new ProducerRecord<>(topic, number % partitions, began + number, key, value);
                if (number % 2 == 0) {
                    record.headers().add("h", new byte[] {(byte) number, (byte) 0xfe}).add("h", null).add("", new byte[0]);
                }
                sent.add(producer.send(record));
            }
            for (var one : sent) {
                one.get();
            }
        }
    }

    /** A record in a transaction that is aborted. */
    static void abort(Map<String, Object> cluster, String topic) {
        var settings = new TreeMap<>(cluster);
        settings.put("transactional.id", "aborting");
        var bytes = new ByteArraySerializer();
        try (var producer = new KafkaProducer<>(settings, bytes, bytes)) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, 0, null, "aborted".getBytes()));
            producer.flush();
            producer.abortTransaction();
        }
    }

    /** Every committed record of a topic: where it lies, and all that it has. */
    static void dump(Map<String, Object> cluster, String topic) {
        var settings = new TreeMap<>(cluster);
        settings.put("isolation.level", "read_committed");
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<>(settings, bytes, bytes)) {
            var places = consumer.partitionsFor(topic).stream()
                .map(info -> new TopicPartition(topic, info.partition())).toList();
            consumer.assign(places);
            consumer.seekToBeginning(places);
            var ends = consumer.endOffsets(places);
            while (places.stream().anyMatch(place -> consumer.position(place) < ends.get(place))) {
                consumer.poll(Duration.ofMillis(100)).forEach(record -> {
                    var headers = Arrays.stream(record.headers().toArray())
                        .map(header -> header.key() + "=" + shown(header.value())).toList();
                    row(record.partition(), record.offset(), record.timestamp(), shown(record.key()),
                        shown(record.value()), headers);
                });
            }
        }
    }

    static String shown(byte[] bytes) {
        return bytes == null ? "null" : hex(bytes) + "h";
    }

    static void read(Map<String, Object> cluster, String topic, MessageFormatter formatter) {
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<>(cluster, bytes, bytes)) {
            var place = List.of(new TopicPartition(topic, 0));
            consumer.assign(place);
            consumer.seekToBeginning(place);
            long end = consumer.endOffsets(place).get(place.get(0));
            while (consumer.position(place.get(0)) < end) {
                consumer.poll(Duration.ofMillis(200)).forEach(record -> formatter.writeTo(record, System.out));
            }
        }
    }

    static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }

    static void row(Object... cells) {
        System.out.println(Arrays.stream(cells).map(String::valueOf).collect(Collectors.joining("\t")));
    }

    static void formats() {
        long[] numbers = {0, 1, 127, 128, 65536, 4294967296L, Long.MAX_VALUE, -1};
        String[] texts = {"", "t", "a.b", "große-Straße", "x".repeat(249)};
        var dice = new Random(1);
        for (int round = 0; round < 12; round++) {
            String topic = texts[dice.nextInt(texts.length)], group = texts[dice.nextInt(texts.length)];
            String metadata = texts[dice.nextInt(texts.length)];
            var place = new TopicPartition(topic, dice.nextInt(1000));
            long up = numbers[dice.nextInt(numbers.length)], down = numbers[dice.nextInt(numbers.length)];
            var sync = new OffsetSync(place, up, down);
            row("sync", topic, place.partition(), up, down, hex(sync.recordKey()), hex(sync.recordValue()));
            var checkpoint = new Checkpoint(group, place, up, down, metadata);
            row("checkpoint", group, topic, place.partition(), up, down, metadata, hex(checkpoint.recordKey()),
                hex(checkpoint.recordValue()));
            var heartbeat = new Heartbeat(group, topic, up);
            row("heartbeat", group, topic, up, hex(heartbeat.recordKey()), hex(heartbeat.recordValue()));
        }
    }

    static void policies() {
        String[] topics = {"t", "a.t", "b.a.t", "a.", ".a", "a..t", "..", "heartbeats", "a.heartbeats", "b.a.heartbeats",
            "a_heartbeats", "my-heartbeats", "mm2-offset-syncs.b.internal", "mm2-offset-syncs_b_internal",
            "a.checkpoints.internal", "a_checkpoints_internal", "x.internal", "x-internal", "mm2.internal", "mm2-x_internal",
            "__consumer_offsets", ".hidden", "a_t", "a__t", "a---t", "a--", "b-a--t", "source.t", "source.heartbeats"};
        for (boolean identity : new boolean[] {false, true}) {
            for (String separator : new String[] {".", "_", "--"}) {
                for (String internal : new String[] {"true", "false"}) {
                    DefaultReplicationPolicy policy = identity ? new IdentityReplicationPolicy() : new DefaultReplicationPolicy();
                    policy.configure(Map.of("replication.policy.separator", separator, "source.cluster.alias", "source",
                        "replication.policy.internal.topic.separator.enabled", internal));
                    row("names", identity, separator, internal, policy.offsetSyncsTopic("b"), policy.checkpointsTopic("b"));
                    for (String topic : topics) {
                        row("policy", identity, separator, internal, topic, policy.formatRemoteTopic("source", topic),
                            policy.topicSource(topic), policy.upstreamTopic(topic), policy.originalTopic(topic),
                            policy.isInternalTopic(topic), policy.isHeartbeatsTopic(topic));
                    }
                }
            }
        }
    }

    static class Store extends OffsetSyncStore {
        final TopicPartition place = new TopicPartition("t", 0);
        final List<long[]> before;

        Store(List<long[]> before) {
            this.before = before;
        }

        void add(long[] pair) {
            var sync = new OffsetSync(place, pair[0], pair[1]);
            handleRecord(new ConsumerRecord<>("syncs", 0, 0, sync.recordKey(), sync.recordValue()));
        }

        @Override
        void backingStoreStart() {
            before.forEach(this::add);
        }
    }

    static void translations() {
        var dice = new Random(2);
        for (int round = 0; round < 36; round++) {
            int kind = round % 6;
            long up = dice.nextInt(50), down = kind == 5 ? 1000 : up;
            var pairs = new ArrayList<long[]>();
            for (int at = 0; at < 20 + dice.nextInt(60); at++) {
                pairs.add(new long[] {up, down});
                long step = switch (kind) {
                    case 0 -> 1;
                    case 1 -> dice.nextInt(100);
                    case 2 -> 1L << dice.nextInt(40);
                    case 3 -> dice.nextInt(12) == 0 ? -dice.nextLong(up + 1) : dice.nextInt(300);
                    case 4 -> dice.nextInt(3) == 0 ? 0 : dice.nextInt(20);
                    default -> 100;
                };
                up += step;
                down += dice.nextInt(10) == 0 && down > 0 ? -1 : Math.max(step, 0) - (step > 1 ? dice.nextLong(step) / 2 : 0);
            }
            int loaded = dice.nextInt(pairs.size());
            boolean last = dice.nextBoolean();
            var store = new Store(pairs.subList(0, loaded));
            store.start(last);
            pairs.subList(loaded, pairs.size()).forEach(store::add);
            var asked = new ArrayList<String>();
            for (int question = 0; question < 40; question++) {
                long[] near = pairs.get(dice.nextInt(pairs.size()));
                long offset = Math.max(0, near[0] + dice.nextInt(7) - 3);
                var found = store.translateDownstream("g", store.place, offset);
                asked.add(offset + ":" + found.orElse(-2));
            }
            row("translation", last, loaded,
                pairs.stream().map(pair -> pair[0] + ":" + pair[1]).collect(Collectors.joining(",")), String.join(",", asked));
        }
    }
}
