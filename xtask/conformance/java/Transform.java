import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;

import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The roles of the exactly-once workload; {@code xtask/src/conformance/eos} plays them together. Each tells what it does as
 * lines of a history ({@code xtask/src/history/read.rs}) on its standard output.
 *
 * <p>{@code feed RECORDS} writes the input. {@code work NAME SEED SLOTS} moves records from the input to the output, a
 * transaction for each few, in so many threads. {@code read} reads what is committed while it is written. {@code drain}
 * reads everything once.
 */
public final class Transform {
    private static final String IN = "eos-in";
    private static final String OUT = "eos-out";
    private static final int PARTITIONS = 8;
    private static final String BOOTSTRAP = System.getenv("BOOTSTRAP");
    private static final int RECORDS_OF_TRANSACTION_MAX = 2;
    /** One in so many transactions is aborted on purpose. */
    private static final int ABORT_ONE_IN = 20;

    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "feed" -> feed(Integer.parseInt(arguments[1]));
            case "work" -> work(arguments[1], Long.parseLong(arguments[2]), Integer.parseInt(arguments[3]));
            case "read" -> read();
            case "drain" -> drain();
            default -> throw new IllegalArgumentException(arguments[0]);
        }
        System.out.flush();
        // A client that cannot be closed must not hold the process.
        Runtime.getRuntime().halt(0);
    }

    // Telling.

    private static void tell(String line) {
        byte[] bytes = (line + "\n").getBytes(StandardCharsets.UTF_8);
        synchronized (System.out) {
            System.out.write(bytes, 0, bytes.length);
            System.out.flush();
        }
    }

    private static long now() {
        return System.nanoTime();
    }

    private static String quoted(Object value) {
        return "\"" + value + "\"";
    }

    private static String array(List<String> elements) {
        return "[" + String.join(",", elements) + "]";
    }

    private static String line(Object... elements) {
        List<String> texts = new ArrayList<>();
        for (Object element : elements) {
            texts.add(String.valueOf(element));
        }
        return array(texts);
    }

    private static String reads(Iterable<ConsumerRecord<String, String>> records) {
        List<String> texts = new ArrayList<>();
        for (ConsumerRecord<String, String> record : records) {
            texts.add(line(quoted(record.topic() + "-" + record.partition()), record.offset(), quoted(record.value())));
        }
        return array(texts);
    }

    // Feeding.

    private static void feed(int records) throws Exception {
        Map<String, Object> config = clients();
        config.put("enable.idempotence", true);
        config.put("delivery.timeout.ms", 120_000);
        config.put("linger.ms", 1);
        try (Producer<String, String> producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            for (int number = 0; number < records; number++) {
                int partition = number % PARTITIONS;
                String value = "i" + number;
                long since = now();
                producer.send(new ProducerRecord<>(IN, partition, null, value), (placed, failure) ->
                    tell(line(quoted("send"), quoted("feeder" + partition), now(), since, quoted(IN + "-" + partition), quoted(value),
                        failure == null ? placed.offset() : null, quoted(failure == null ? "ok" : "info"))));
            }
            producer.flush();
        }
    }

    // Working.

    private static void work(String name, long seed, int slots) throws Exception {
        CountDownLatch ended = new CountDownLatch(slots);
        for (int slot = 0; slot < slots; slot++) {
            int number = slot;
            Thread thread = new Thread(() -> {
                try {
                    new Worker(name, number, new Random(seed + number)).run();
                } catch (Throwable failure) {
                    tell("worker " + name + "/" + number + " ends: " + failure);
                } finally {
                    ended.countDown();
                }
            });
            thread.start();
        }
        ended.await();
    }

    /** One consumer and one transactional producer. */
    private static final class Worker {
        private final String who;
        private final Random random;
        private final Producer<String, String> producer;
        private final Consumer<String, String> consumer;
        private int transactions;

        Worker(String name, int slot, Random random) {
            this.who = name + "/" + slot;
            this.random = random;
            Map<String, Object> config = clients();
            config.put("transactional.id", "eos-" + name.substring(0, name.indexOf('.')) + "-" + slot);
            config.put("transaction.timeout.ms", 10_000);
            config.put("delivery.timeout.ms", 30_000);
            config.put("linger.ms", 0);
            producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
            config = clients();
            config.put("group.id", "eos-group");
            config.put("enable.auto.commit", false);
            config.put("auto.offset.reset", "earliest");
            config.put("isolation.level", "read_committed");
            config.put("max.poll.records", RECORDS_OF_TRANSACTION_MAX);
            String protocol = System.getenv().getOrDefault("GROUP_PROTOCOL", "classic");
            config.put("group.protocol", protocol);
            // A member that waits for its transaction holds up a rebalance for so long.
            config.put("max.poll.interval.ms", 15_000);
            if (protocol.equals("classic")) {
                config.put("session.timeout.ms", 1_500);
                config.put("heartbeat.interval.ms", 300);
            }
            consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
        }

        void run() throws Exception {
            try {
                move();
            } finally {
                // A member that is over must not hold its partitions by its heartbeats.
                consumer.close(CloseOptions.timeout(Duration.ofSeconds(2)));
            }
        }

        private void move() throws Exception {
            producer.initTransactions();
            consumer.subscribe(List.of(IN), new ConsumerRebalanceListener() {
                @Override public void onPartitionsRevoked(Collection<TopicPartition> partitions) { }

                @Override public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    tell(line(quoted("assign"), quoted(who), now()));
                }
            });
            while (true) {
                ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
                if (!records.isEmpty()) {
                    transact(records);
                }
            }
        }

        private void transact(ConsumerRecords<String, String> records) throws Exception {
            String id = quoted(++transactions);
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            List<ProducerRecord<String, String>> outputs = new ArrayList<>();
            List<String> sends = new ArrayList<>();
            for (ConsumerRecord<String, String> record : records) {
                String value = record.value() + "@" + who + ":" + transactions;
                outputs.add(new ProducerRecord<>(OUT, record.partition(), null, value));
                sends.add(line(quoted(OUT + "-" + record.partition()), quoted(value)));
                offsets.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
            }
            List<String> commits = new ArrayList<>();
            offsets.forEach((partition, offset) -> commits.add(line(quoted(partition), offset.offset())));
            tell(line(quoted("begin"), quoted(who), now(), id, reads(records), array(sends), array(commits)));
            try {
                producer.beginTransaction();
                List<Future<RecordMetadata>> placed = new ArrayList<>();
                for (ProducerRecord<String, String> output : outputs) {
                    placed.add(producer.send(output));
                }
                producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
                if (random.nextInt(ABORT_ONE_IN) == 0) {
                    tell(line(quoted("ending"), quoted(who), now(), id, false));
                    abort(id);
                    return;
                }
                tell(line(quoted("ending"), quoted(who), now(), id, true));
                commit();
                List<String> places = new ArrayList<>();
                for (int number = 0; number < placed.size(); number++) {
                    places.add(line(quoted(outputs.get(number).value()), placed.get(number).get().offset()));
                }
                tell(line(quoted("end"), quoted(who), now(), id, quoted("ok"), array(places)));
            } catch (KafkaException failure) {
                tell(who + " failed: " + failure);
                // It throws when the failure was final; then the worker is over, and the transaction's end unknown.
                abort(id);
            }
        }

        /** A commit that takes too long is asked for again: it cannot be taken back. */
        private void commit() {
            for (int tries = 0; ; tries++) {
                try {
                    producer.commitTransaction();
                    return;
                } catch (TimeoutException failure) {
                    if (tries == 5) {
                        throw new IllegalStateException("no commit", failure);
                    }
                }
            }
        }

        private void abort(String id) {
            producer.abortTransaction();
            tell(line(quoted("end"), quoted(who), now(), id, quoted("fail"), "[]"));
            // What was read is read again.
            tell(line(quoted("assign"), quoted(who), now()));
            Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
            committed.forEach((partition, offset) -> consumer.seek(partition, offset == null ? 0 : offset.offset()));
        }
    }

    // Reading.

    private static Consumer<String, String> reader(boolean committed, String topic) {
        Map<String, Object> config = clients();
        config.put("isolation.level", committed ? "read_committed" : "read_uncommitted");
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", false);
        Consumer<String, String> consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
        List<TopicPartition> partitions = new ArrayList<>();
        for (int partition = 0; partition < PARTITIONS; partition++) {
            partitions.add(new TopicPartition(topic, partition));
        }
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        return consumer;
    }

    private static void poll(Consumer<String, String> consumer, String who, boolean committed, boolean drain) {
        long since = now();
        ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
        if (!records.isEmpty()) {
            tell(line(quoted("poll"), quoted(who), now(), since, committed, drain, reads(records)));
        }
    }

    private static void read() {
        Consumer<String, String> consumer = reader(true, OUT);
        while (true) {
            poll(consumer, "reader", true, false);
        }
    }

    private static void drain() {
        drain("drain-in", true, IN);
        drain("drain-out", true, OUT);
        drain("drain-all", false, OUT);
    }

    private static void drain(String who, boolean committed, String topic) {
        try (Consumer<String, String> consumer = reader(committed, topic)) {
            Map<TopicPartition, Long> ends = consumer.endOffsets(consumer.assignment());
            while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
                poll(consumer, who, committed, true);
            }
        }
    }

    private static Map<String, Object> clients() {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", BOOTSTRAP);
        config.put("reconnect.backoff.ms", 20);
        config.put("reconnect.backoff.max.ms", 200);
        config.put("retry.backoff.ms", 20);
        config.put("retry.backoff.max.ms", 200);
        config.put("request.timeout.ms", 5_000);
        config.put("default.api.timeout.ms", 30_000);
        config.put("metadata.max.age.ms", 5_000);
        return config;
    }
}
