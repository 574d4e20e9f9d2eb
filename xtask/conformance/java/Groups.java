import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidRegularExpression;
import org.apache.kafka.common.errors.UnsupportedAssignorException;
import org.apache.kafka.common.errors.UnreleasedInstanceIdException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Groups of the consumer protocol (KIP-848), and the way there and back. */
public final class Groups {
    private static Admin admin;

    private Groups() { }

    public static void main(String[] arguments) {
        admin = Admin.create(Map.<String, Object>of("bootstrap.servers", Report.BOOTSTRAP, "default.api.timeout.ms", "20000", "request.timeout.ms", "15000"));
        Report.check("members share all partitions and take over what others leave", () -> {
            create("ng-share", 6);
            brisk("ng-share-group");
            fill("ng-share", 600);
            Set<String> seen = new ConcurrentSkipListSet<>();
            try (Member one = new Member("ng-share-group", "consumer", seen, "ng-share")) {
                one.await(6);
                try (Member two = new Member("ng-share-group", "consumer", seen, "ng-share")) {
                    two.await(3);
                    one.await(3);
                    ConsumerGroupDescription group = describe("ng-share-group", 2);
                    Report.equal("type", GroupType.CONSUMER, group.type());
                    Report.equal("state", GroupState.STABLE, group.groupState());
                    Report.equal("assignor", "uniform", group.partitionAssignor());
                    Report.holds("an epoch", group.groupEpoch().orElse(0) >= 2);
                    Report.equal("its target's", group.groupEpoch(), group.targetAssignmentEpoch());
                    int all = group.members().stream().mapToInt(member -> member.assignment().topicPartitions().size()).sum();
                    Report.equal("partitions", 6, all);
                }
                one.await(6);
            }
            Report.equal("records", 600, seen.size());
            Report.eventually("empty", 20, () -> describe("ng-share-group", 0).groupState() == GroupState.EMPTY);
            admin.deleteConsumerGroups(List.of("ng-share-group")).all().get();
        });
        Report.check("a member keeps its partitions while others come", () -> {
            create("ng-keep", 4);
            brisk("ng-keep-group");
            Set<String> seen = new ConcurrentSkipListSet<>();
            try (Member one = new Member("ng-keep-group", "consumer", seen, "ng-keep")) {
                one.await(4);
                try (Member two = new Member("ng-keep-group", "consumer", seen, "ng-keep")) {
                    two.await(2);
                    one.await(2);
                    Report.equal("revoked", 2, one.revoked);
                }
            }
        });
        Report.check("regular expressions are resolved by the broker", () -> {
            create("ng-re-a", 1);
            create("ng-re-b", 2);
            create("ng-xre", 1);
            brisk("ng-re-group");
            try (Member one = new Member("ng-re-group", "consumer", new ConcurrentSkipListSet<>(), new SubscriptionPattern("ng-re-.*"))) {
                one.await(3);
                create("ng-re-c", 1);
                one.await(4);
            }
            try (KafkaConsumer<String, String> bad = new KafkaConsumer<>(settings("ng-re-bad", "consumer"))) {
                bad.subscribe(new SubscriptionPattern("ng-(re"));
                Report.fails("a bad one", InvalidRegularExpression.class, () -> poll(bad, 10));
            }
        });
        Report.check("new partitions and topics reach the members", () -> {
            create("ng-grow", 1);
            brisk("ng-grow-group");
            try (Member one = new Member("ng-grow-group", "consumer", new ConcurrentSkipListSet<>(), "ng-grow", "ng-late")) {
                one.await(1);
                admin.createPartitions(Map.of("ng-grow", NewPartitions.increaseTo(3))).all().get();
                one.await(3);
                create("ng-late", 2);
                one.await(5);
            }
        });
        Report.check("static members come back to what they had", () -> {
            create("ng-static", 4);
            brisk("ng-static-group");
            Set<TopicPartition> had;
            try (Member other = new Member("ng-static-group", "consumer", new ConcurrentSkipListSet<>(), "ng-static")) {
                try (Member one = new Member("ng-static-group", "consumer", Map.of("group.instance.id", "ng-i"), "ng-static")) {
                    one.await(2);
                    other.await(2);
                    had = one.owned();
                    try (KafkaConsumer<String, String> twin = new KafkaConsumer<>(settings("ng-static-group", "consumer", "group.instance.id", "ng-i"))) {
                        twin.subscribe(List.of("ng-static"));
                        Report.fails("a twin", UnreleasedInstanceIdException.class, () -> poll(twin, 10));
                    }
                }
                try (Member again = new Member("ng-static-group", "consumer", Map.of("group.instance.id", "ng-i"), "ng-static")) {
                    again.await(2);
                    Report.equal("partitions", had, again.owned());
                }
                Report.equal("the other's", 2, other.owned().size());
            }
        });
        Report.check("members choose among the assignors of the broker", () -> {
            create("ng-ra", 2);
            create("ng-rb", 2);
            brisk("ng-range-group");
            Map<String, String> range = Map.of("group.remote.assignor", "range");
            try (Member one = new Member("ng-range-group", "consumer", range, "ng-ra", "ng-rb");
                 Member two = new Member("ng-range-group", "consumer", range, "ng-ra", "ng-rb")) {
                one.await(2);
                two.await(2);
                Set<Integer> numbers = one.owned().stream().map(TopicPartition::partition).collect(Collectors.toSet());
                Report.equal("one number of both topics", 1, numbers.size());
                Report.equal("assignor", "range", describe("ng-range-group", 2).partitionAssignor());
            }
            try (KafkaConsumer<String, String> bad = new KafkaConsumer<>(settings("ng-bad-group", "consumer", "group.remote.assignor", "sticky"))) {
                bad.subscribe(List.of("ng-ra"));
                Report.fails("another", UnsupportedAssignorException.class, () -> poll(bad, 10));
            }
        });
        Report.check("groups are listed by type and state", () -> {
            create("ng-list", 1);
            brisk("ng-list-group");
            try (Member one = new Member("ng-list-group", "consumer", new ConcurrentSkipListSet<>(), "ng-list");
                 Member two = new Member("ng-list-classic", "classic", new ConcurrentSkipListSet<>(), "ng-list")) {
                one.await(1);
                two.await(1);
                Set<String> consumer = list(new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER)));
                Report.holds("by type", consumer.contains("ng-list-group") && !consumer.contains("ng-list-classic"));
                Set<String> classic = list(new ListGroupsOptions().withTypes(Set.of(GroupType.CLASSIC)));
                Report.holds("by the other", !classic.contains("ng-list-group") && classic.contains("ng-list-classic"));
                Set<String> stable = list(new ListGroupsOptions().inGroupStates(Set.of(GroupState.STABLE)));
                Report.holds("by state", stable.contains("ng-list-group") && stable.contains("ng-list-classic"));
            }
        });
        Report.check("a group changes its protocol and back while it consumes", Groups::migrate);
        Report.done();
    }

    /** Member for member from classic to consumer and back, with records coming all the time. */
    private static void migrate() throws Exception {
        create("ng-migrate", 6);
        brisk("ng-migrate-group");
        Set<String> seen = new ConcurrentSkipListSet<>();
        AtomicBoolean stop = new AtomicBoolean();
        List<String> sent = new ArrayList<>();
        Thread writer = new Thread(() -> {
            try (Producer<String, String> producer = new KafkaProducer<>(producer())) {
                for (int number = 0; !stop.get(); number++) {
                    String value = "r" + number;
                    producer.send(new ProducerRecord<>("ng-migrate", Integer.toString(number), value)).get();
                    synchronized (sent) {
                        sent.add(value);
                    }
                    Thread.sleep(5);
                }
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        });
        writer.start();
        String group = "ng-migrate-group";
        try {
            Member one = new Member(group, "classic", seen, "ng-migrate");
            Member two = new Member(group, "classic", seen, "ng-migrate");
            one.await(3);
            two.await(3);
            Report.equal("type at first", GroupType.CLASSIC, describe(group, 2).type());
            one.close();
            one = new Member(group, "consumer", seen, "ng-migrate");
            one.await(3);
            two.await(3);
            Report.equal("type with both", GroupType.CONSUMER, describe(group, 2).type());
            two.close();
            two = new Member(group, "consumer", seen, "ng-migrate");
            one.await(3);
            two.await(3);
            Report.equal("type upgraded", GroupType.CONSUMER, describe(group, 2).type());
            one.close();
            one = new Member(group, "classic", seen, "ng-migrate");
            one.await(3);
            two.await(3);
            two.close();
            two = new Member(group, "classic", seen, "ng-migrate");
            one.await(3);
            two.await(3);
            Report.equal("type at last", GroupType.CLASSIC, describe(group, 2).type());
            stop.set(true);
            writer.join();
            Report.eventually("every record", 20, () -> seen.containsAll(sent));
            one.close();
            two.close();
        } finally {
            stop.set(true);
        }
    }

    private static Set<String> list(ListGroupsOptions options) throws Exception {
        return admin.listGroups(options).all().get().stream().map(GroupListing::groupId).collect(Collectors.toSet());
    }

    private static ConsumerGroupDescription describe(String group, int members) throws Exception {
        ConsumerGroupDescription[] found = new ConsumerGroupDescription[1];
        Report.eventually(members + " members settle", 20, () -> {
            found[0] = admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get();
            GroupState state = found[0].groupState();
            return found[0].members().size() == members && (state == GroupState.STABLE || state == GroupState.EMPTY);
        });
        return found[0];
    }

    private static void create(String topic, int partitions) throws Exception {
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
    }

    /** Heartbeats as often as the broker allows. */
    private static void brisk(String group) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, group);
        Collection<AlterConfigOp> ops = List.of(new AlterConfigOp(new ConfigEntry("consumer.heartbeat.interval.ms", "5000"), AlterConfigOp.OpType.SET));
        admin.incrementalAlterConfigs(Map.of(resource, ops)).all().get();
    }

    private static void fill(String topic, int count) throws Exception {
        try (Producer<String, String> producer = new KafkaProducer<>(producer())) {
            for (int number = 0; number < count; number++) {
                producer.send(new ProducerRecord<>(topic, Integer.toString(number), "v" + number));
            }
        }
    }

    private static Object poll(KafkaConsumer<String, String> consumer, int seconds) {
        long end = System.nanoTime() + Duration.ofSeconds(seconds).toNanos();
        while (System.nanoTime() < end) {
            consumer.poll(Duration.ofMillis(200));
        }
        return null;
    }

    private static Properties producer() {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", Report.BOOTSTRAP);
        settings.put("key.serializer", StringSerializer.class.getName());
        settings.put("value.serializer", StringSerializer.class.getName());
        return settings;
    }

    private static Properties settings(String group, String protocol, String... pairs) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", Report.BOOTSTRAP);
        settings.put("key.deserializer", StringDeserializer.class.getName());
        settings.put("value.deserializer", StringDeserializer.class.getName());
        settings.put("group.id", group);
        settings.put("group.protocol", protocol);
        settings.put("auto.offset.reset", "earliest");
        settings.put("auto.commit.interval.ms", "500");
        settings.put("metadata.max.age.ms", "1000");
        settings.put("allow.auto.create.topics", "false");
        if (protocol.equals("classic")) {
            settings.put("heartbeat.interval.ms", "300");
            settings.put("session.timeout.ms", "6000");
        }
        for (int at = 0; at < pairs.length; at += 2) {
            settings.put(pairs[at], pairs[at + 1]);
        }
        return settings;
    }

    /** A consumer with a thread of its own. */
    private static final class Member implements AutoCloseable {
        private final AtomicBoolean stop = new AtomicBoolean();
        private final Set<TopicPartition> owned = ConcurrentHashMap.newKeySet();
        private final Thread thread;
        private volatile Throwable failure;
        private volatile int revoked;

        Member(String group, String protocol, Set<String> seen, String... topics) {
            this(settings(group, protocol), seen, consumer -> listener -> consumer.subscribe(List.of(topics), listener));
        }

        Member(String group, String protocol, Set<String> seen, SubscriptionPattern pattern) {
            this(settings(group, protocol), seen, consumer -> listener -> consumer.subscribe(pattern, listener));
        }

        Member(String group, String protocol, Map<String, String> more, String... topics) {
            this(with(settings(group, protocol), more), new ConcurrentSkipListSet<>(), consumer -> listener -> consumer.subscribe(List.of(topics), listener));
        }

        private static Properties with(Properties settings, Map<String, String> more) {
            settings.putAll(more);
            return settings;
        }

        private Member(Properties settings, Set<String> seen, java.util.function.Function<KafkaConsumer<String, String>, java.util.function.Consumer<ConsumerRebalanceListener>> subscribe) {
            thread = new Thread(() -> {
                try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings)) {
                    subscribe.apply(consumer).accept(new ConsumerRebalanceListener() {
                        @Override
                        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                            revoked += partitions.size();
                            owned.removeAll(partitions);
                        }

                        @Override
                        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                            owned.addAll(partitions);
                        }
                    });
                    while (!stop.get()) {
                        consumer.poll(Duration.ofMillis(100)).forEach(record -> seen.add(record.value()));
                    }
                } catch (Throwable error) {
                    failure = error;
                }
            });
            thread.start();
        }

        Set<TopicPartition> owned() {
            return Set.copyOf(owned);
        }

        void await(int partitions) throws Exception {
            Report.eventually(partitions + " partitions", 40, () -> {
                if (failure != null) {
                    throw new IllegalStateException(failure);
                }
                return owned.size() == partitions;
            });
        }

        @Override
        public void close() throws InterruptedException {
            stop.set(true);
            thread.join();
        }
    }
}
