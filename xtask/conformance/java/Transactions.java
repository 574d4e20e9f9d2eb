import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;

import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TransactionalIdNotFoundException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The Java client's transactions, as applications and administrators use them. */
public final class Transactions {
    private static final Duration SHORT = Duration.ofMillis(300);
    private static Admin admin;

    private Transactions() { }

    public static void main(String[] arguments) {
        admin = Admin.create(Map.<String, Object>of("bootstrap.servers", Report.BOOTSTRAP, "default.api.timeout.ms", "20000", "request.timeout.ms", "15000"));
        for (short level : new short[] {2, 1}) {
            Report.check("transaction.version " + level + " can be finalised", () -> finalise(level));
            checks("in version " + level + " ");
        }
        Report.check("transaction.version 2 is finalised again", () -> finalise((short) 2));
        Report.done();
    }

    private static void checks(String version) {
        Report.check(version + "a transaction is seen once it commits", () -> commits(version));
        Report.check(version + "an aborted transaction is never seen", () -> aborts(version));
        Report.check(version + "transactions alternate and interleave", () -> interleaves(version));
        Report.check(version + "a second producer fences the first", () -> fences(version));
        Report.check(version + "a transaction times out", () -> timesOut(version));
        Report.check(version + "offsets are part of a transaction", () -> sendsOffsets(version));
        Report.check(version + "a group moves records exactly once", () -> moves(version));
        Report.check(version + "administrators see and end transactions", () -> administrates(version));
        Report.check(version + "a producer goes on after an abortable error", () -> recovers(version));
    }

    private static void finalise(short level) throws Exception {
        short now = admin.describeFeatures().featureMetadata().get().finalizedFeatures().get("transaction.version").maxVersionLevel();
        if (now != level) {
            var type = level > now ? FeatureUpdate.UpgradeType.UPGRADE : FeatureUpdate.UpgradeType.SAFE_DOWNGRADE;
            admin.updateFeatures(Map.of("transaction.version", new FeatureUpdate(level, type)), new UpdateFeaturesOptions()).all().get();
        }
        Report.equal("level", level, admin.describeFeatures().featureMetadata().get().finalizedFeatures().get("transaction.version").maxVersionLevel());
    }

    private static String topic(String name, int partitions) throws Exception {
        String topic = name.replace(' ', '-');
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
        return topic;
    }

    private static Producer<String, String> producer(String id, String... pairs) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", Report.BOOTSTRAP);
        settings.put("transactional.id", id);
        settings.put("max.block.ms", "20000");
        for (int at = 0; at < pairs.length; at += 2) {
            settings.put(pairs[at], pairs[at + 1]);
        }
        Producer<String, String> made = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
        made.initTransactions();
        return made;
    }

    private static Consumer<String, String> consumer(String group, String isolation) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", Report.BOOTSTRAP);
        settings.put("auto.offset.reset", "earliest");
        settings.put("isolation.level", isolation);
        settings.put("enable.auto.commit", "false");
        settings.put("fetch.max.wait.ms", "100");
        if (group != null) {
            settings.put("group.id", group);
        }
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    private static ProducerRecord<String, String> record(String topic, int partition, String value) {
        return new ProducerRecord<>(topic, partition, null, value);
    }

    /** Everything that a reader of this isolation sees in the whole topic, by partition. */
    private static List<String> read(String topic, int partitions, String isolation) {
        List<String> values = new ArrayList<>();
        try (Consumer<String, String> reader = consumer(null, isolation)) {
            List<TopicPartition> parts = new ArrayList<>();
            for (int at = 0; at < partitions; at++) {
                parts.add(new TopicPartition(topic, at));
            }
            reader.assign(parts);
            reader.seekToBeginning(parts);
            var ends = reader.endOffsets(parts);
            while (parts.stream().anyMatch(part -> reader.position(part) < ends.get(part))) {
                for (ConsumerRecord<String, String> found : reader.poll(SHORT)) {
                    values.add(found.value());
                }
            }
        }
        return values;
    }

    private static void commits(String version) throws Exception {
        String topic = topic(version + "commits", 2);
        try (Producer<String, String> producer = producer(topic)) {
            for (int round = 0; round < 3; round++) {
                producer.beginTransaction();
                for (int at = 0; at < 10; at++) {
                    producer.send(record(topic, at % 2, round + "-" + at));
                }
                producer.flush();
                Report.equal("while it is open", round * 10, read(topic, 2, "read_committed").size());
                Report.equal("uncommitted", round * 10 + 10, read(topic, 2, "read_uncommitted").size());
                producer.commitTransaction();
                eventually("committed", () -> read(topic, 2, "read_committed").size() == 10 * producerRounds(topic));
            }
            Report.equal("all", 30, read(topic, 2, "read_committed").size());
        }
    }

    /** How many rounds of ten records are in the log. */
    private static int producerRounds(String topic) {
        return read(topic, 2, "read_uncommitted").size() / 10;
    }

    private interface Condition {
        boolean holds() throws Exception;
    }

    private static void eventually(String what, Condition condition) throws Exception {
        long deadline = System.nanoTime() + 20_000_000_000L;
        while (!condition.holds()) {
            Report.holds(what + " in time", System.nanoTime() < deadline);
            Thread.sleep(20);
        }
    }

    private static void aborts(String version) throws Exception {
        String topic = topic(version + "aborts", 1);
        try (Producer<String, String> producer = producer(topic)) {
            for (int round = 0; round < 4; round++) {
                producer.beginTransaction();
                producer.send(record(topic, 0, "kept-" + round));
                producer.commitTransaction();
                producer.beginTransaction();
                producer.send(record(topic, 0, "lost-" + round)).get();
                producer.abortTransaction();
            }
            // A transaction without records, of both ends.
            producer.beginTransaction();
            producer.commitTransaction();
            producer.beginTransaction();
            producer.abortTransaction();
        }
        eventually("all ended", () -> read(topic, 1, "read_committed").size() == 4);
        Report.equal("committed", List.of("kept-0", "kept-1", "kept-2", "kept-3"), read(topic, 1, "read_committed"));
        Report.equal("uncommitted", 8, read(topic, 1, "read_uncommitted").size());
    }

    private static void interleaves(String version) throws Exception {
        String topic = topic(version + "interleaves", 1);
        try (Producer<String, String> one = producer(topic + "-one"); Producer<String, String> two = producer(topic + "-two")) {
            one.beginTransaction();
            one.send(record(topic, 0, "one")).get();
            two.beginTransaction();
            two.send(record(topic, 0, "two")).get();
            one.send(record(topic, 0, "one more")).get();
            two.commitTransaction();
            Report.equal("the first holds back", List.of(), read(topic, 1, "read_committed"));
            two.beginTransaction();
            two.send(record(topic, 0, "lost")).get();
            one.commitTransaction();
            two.abortTransaction();
        }
        eventually("ended", () -> read(topic, 1, "read_committed").size() == 3);
        Report.equal("order", List.of("one", "two", "one more"), read(topic, 1, "read_committed"));
    }

    private static void fences(String version) throws Exception {
        String topic = topic(version + "fences", 1);
        try (Producer<String, String> old = producer(topic)) {
            old.beginTransaction();
            old.send(record(topic, 0, "old")).get();
            try (Producer<String, String> young = producer(topic)) {
                boolean fenced = false;
                try {
                    old.send(record(topic, 0, "late")).get();
                    old.commitTransaction();
                } catch (ExecutionException failure) {
                    fenced = failure.getCause() instanceof ProducerFencedException || failure.getCause() instanceof InvalidProducerEpochException;
                } catch (ProducerFencedException | InvalidProducerEpochException failure) {
                    fenced = true;
                }
                Report.holds("the old producer is fenced", fenced);
                young.beginTransaction();
                young.send(record(topic, 0, "young")).get();
                young.commitTransaction();
            }
        } catch (ProducerFencedException closing) {
            Report.holds("closing a fenced producer", true);
        }
        eventually("ended", () -> !read(topic, 1, "read_committed").isEmpty());
        Report.equal("seen", List.of("young"), read(topic, 1, "read_committed"));
    }

    private static void timesOut(String version) throws Exception {
        String topic = topic(version + "times out", 1);
        try (Producer<String, String> producer = producer(topic, "transaction.timeout.ms", "1000")) {
            producer.beginTransaction();
            producer.send(record(topic, 0, "too late")).get();
            long before = System.nanoTime();
            // A record behind an open transaction is held back, until the coordinator aborts that.
            try (Producer<String, String> other = producer(topic + "-other")) {
                other.beginTransaction();
                other.send(record(topic, 0, "behind")).get();
                other.commitTransaction();
            }
            eventually("aborted", () -> read(topic, 1, "read_committed").equals(List.of("behind")));
            double seconds = (System.nanoTime() - before) / 1e9;
            Report.holds("within the timeout and 10 s, not " + seconds, seconds < 12);
            try {
                producer.commitTransaction();
                Report.holds("a transaction that timed out does not commit", false);
            } catch (KafkaException expected) {
                Report.holds("refused", true);
            }
        } catch (KafkaException closing) {
            Report.holds("closing a fenced producer", true);
        }
        try {
            producer(topic + "-long", "transaction.timeout.ms", "86400000").close();
            Report.holds("a day is too long", false);
        } catch (KafkaException expected) {
            Report.holds("the reason, not " + expected, expected.toString().contains("transaction.max.timeout.ms"));
        }
    }

    private static void sendsOffsets(String version) throws Exception {
        String topic = topic(version + "offsets", 1);
        TopicPartition part = new TopicPartition(topic, 0);
        try (Producer<String, String> producer = producer(topic); Consumer<String, String> consumer = consumer(topic, "read_committed")) {
            for (boolean commit : new boolean[] {false, true}) {
                producer.beginTransaction();
                producer.send(record(topic, 0, "record"));
                producer.sendOffsetsToTransaction(Map.of(part, new OffsetAndMetadata(commit ? 7 : 5)), new ConsumerGroupMetadata(topic));
                Map<TopicPartition, OffsetAndMetadata> pending = admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get();
                Report.holds("not visible while it is open, but " + pending, pending.get(part) == null);
                if (commit) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
            eventually("committed", () -> {
                OffsetAndMetadata found = consumer.committed(Set.of(part)).get(part);
                return found != null && found.offset() == 7;
            });
        }
    }

    private static void moves(String version) throws Exception {
        String from = topic(version + "from", 3);
        String into = topic(version + "into", 3);
        Set<String> sent = new TreeSet<>();
        try (Producer<String, String> filling = producer(from)) {
            for (int batch = 0; batch < 5; batch++) {
                filling.beginTransaction();
                for (int at = 0; at < 40; at++) {
                    String value = batch + "-" + at;
                    filling.send(record(from, at % 3, value));
                    if (batch % 2 == 0) {
                        sent.add(value);
                    }
                }
                if (batch % 2 == 0) {
                    filling.commitTransaction();
                } else {
                    filling.abortTransaction();
                }
            }
        }
        int moved = 0;
        int restarts = 0;
        while (moved < sent.size()) {
            try (Producer<String, String> producer = producer(from + "-mover"); Consumer<String, String> consumer = consumer(from, "read_committed")) {
                consumer.subscribe(List.of(from));
                int polls = 0;
                while (moved < sent.size()) {
                    var records = consumer.poll(SHORT);
                    if (records.isEmpty()) {
                        continue;
                    }
                    producer.beginTransaction();
                    Map<TopicPartition, OffsetAndMetadata> offsets = new java.util.HashMap<>();
                    for (ConsumerRecord<String, String> found : records) {
                        producer.send(record(into, found.partition(), found.value()));
                        offsets.put(new TopicPartition(from, found.partition()), new OffsetAndMetadata(found.offset() + 1));
                    }
                    producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
                    polls++;
                    if (polls == 1 && restarts < 2) {
                        // Dies with an open transaction; the next one fences it and begins at the last commit.
                        producer.flush();
                        restarts++;
                        break;
                    }
                    producer.commitTransaction();
                    moved += records.count();
                }
            }
        }
        Report.equal("restarts", 2, restarts);
        eventually("moved", () -> read(into, 3, "read_committed").size() >= sent.size());
        List<String> found = read(into, 3, "read_committed");
        Report.equal("no record twice", sent.size(), found.size());
        Report.equal("every record", sent, new TreeSet<>(found));
    }

    private static void administrates(String version) throws Exception {
        String topic = topic(version + "administrates", 1);
        TopicPartition part = new TopicPartition(topic, 0);
        try (Producer<String, String> producer = producer(topic)) {
            producer.beginTransaction();
            producer.send(record(topic, 0, "open")).get();
            TransactionDescription described = admin.describeTransactions(List.of(topic)).description(topic).get();
            Report.equal("state", TransactionState.ONGOING, described.state());
            Report.equal("partitions", Set.of(part), described.topicPartitions());
            Report.equal("timeout", 60000L, described.transactionTimeoutMs());
            ListTransactionsOptions filter = new ListTransactionsOptions().filterStates(Set.of(TransactionState.ONGOING));
            Set<String> listed = new TreeSet<>();
            for (TransactionListing listing : admin.listTransactions(filter).all().get()) {
                listed.add(listing.transactionalId());
            }
            Report.holds("listed in " + listed, listed.contains(topic));
            Set<String> matched = new TreeSet<>();
            for (TransactionListing listing : admin.listTransactions(new ListTransactionsOptions().filterOnTransactionalIdPattern(topic.substring(0, topic.length() - 1) + ".")).all().get()) {
                matched.add(listing.transactionalId());
            }
            Report.equal("matched", Set.of(topic), matched);
            List<ProducerState> states = admin.describeProducers(List.of(part)).partitionResult(part).get().activeProducers();
            Report.equal("producers", 1, states.size());
            ProducerState state = states.get(0);
            Report.equal("producer", described.producerId(), state.producerId());
            Report.equal("begins", 0L, state.currentTransactionStartOffset().orElse(-1));
            // As an administrator ends a hanging transaction.
            short epoch = version.contains("2") ? (short) (state.producerEpoch() + 1) : (short) state.producerEpoch();
            admin.abortTransaction(new AbortTransactionSpec(part, state.producerId(), epoch, state.coordinatorEpoch().orElse(0))).all().get();
            eventually("ended there", () -> admin.describeProducers(List.of(part)).partitionResult(part).get().activeProducers().get(0).currentTransactionStartOffset().isEmpty());
            Report.equal("seen", List.of(), read(topic, 1, "read_committed"));
            producer.close(Duration.ZERO);
        }
        admin.fenceProducers(List.of(topic)).all().get();
        try {
            admin.describeTransactions(List.of("no-such-id")).description("no-such-id").get();
            Report.holds("an unknown id is not described", false);
        } catch (ExecutionException failure) {
            Report.holds("the code, not " + failure, failure.getCause() instanceof TransactionalIdNotFoundException);
        }
    }

    private static void recovers(String version) throws Exception {
        String topic = topic(version + "recovers", 1);
        try (Producer<String, String> producer = producer(topic, "max.request.size", "5000000")) {
            producer.beginTransaction();
            producer.send(record(topic, 0, "before")).get();
            try {
                producer.send(record(topic, 0, "x".repeat(3_000_000))).get();
                Report.holds("too large", false);
            } catch (ExecutionException expected) {
                producer.abortTransaction();
            }
            producer.beginTransaction();
            producer.send(record(topic, 0, "after")).get();
            producer.commitTransaction();
        }
        eventually("ended", () -> !read(topic, 1, "read_committed").isEmpty());
        Report.equal("seen", List.of("after"), read(topic, 1, "read_committed"));
    }
}
