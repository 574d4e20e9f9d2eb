import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.state.BuiltInDslStoreSuppliers;
import org.apache.kafka.tools.StreamsResetter;

/** Kafka Streams: a word count, a windowed join, and the reset of an application. */
public final class Streams {
    private static final String WORDS = "streams-words";
    private static final String COUNTS = "streams-counts";
    private static final int PARTITIONS = 3;
    private static final int LINES = 2_000;
    private static final long JOIN_WINDOW_MS = 1_000;
    private static final long SEED = 4;

    public static void main(String[] arguments) {
        List<String> lines = lines();
        Report.check("a word count counts every word", () -> countWords(lines, 1));
        Report.check("kafka-streams-application-reset lets an application start over", () -> {
            String printed = reset("words", WORDS);
            Report.contains(printed, "(?i)deleted|deleting");
            Report.holds("the internal topics are gone", internalTopics("words").isEmpty());
            countWords(lines, 2);
        });
        Report.check("a windowed join finds the pairs that are close in time", Streams::join);
        Report.done();
    }

    private static List<String> lines() {
        Random random = new Random(SEED);
        List<String> lines = new ArrayList<>();
        for (int number = 0; number < LINES; number++) {
            List<String> words = new ArrayList<>();
            for (int word = random.nextInt(6); word >= 0; word--) {
                words.add("word" + random.nextInt(50));
            }
            lines.add(String.join(" ", words));
        }
        return lines;
    }

    /** The output holds a count for each word and update; the last one of each round is the number of its occurrences. */
    private static void countWords(List<String> lines, int round) throws Exception {
        if (round == 1) {
            create(WORDS, COUNTS);
            List<ProducerRecord<String, String>> records = new ArrayList<>();
            for (int number = 0; number < lines.size(); number++) {
                records.add(new ProducerRecord<>(WORDS, number % PARTITIONS, null, lines.get(number)));
            }
            send(records);
        }
        Map<String, Long> expected = new HashMap<>();
        for (String line : lines) {
            Arrays.stream(line.split(" ")).forEach(word -> expected.merge(word, 1L, Long::sum));
        }
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(WORDS, Consumed.with(Serdes.String(), Serdes.String()))
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.with(Serdes.String(), Serdes.String()))
            .count(Materialized.as("counts"))
            .toStream()
            .mapValues((word, count) -> count + "/" + round)
            .to(COUNTS, Produced.with(Serdes.String(), Serdes.String()));
        Map<String, Long> found = new HashMap<>();
        run("words", StreamsConfig.AT_LEAST_ONCE, builder.build(), () -> {
            try (Consumer<String, String> consumer = reader(COUNTS, false)) {
                Report.eventually("every count of round " + round, 60, () -> {
                    for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                        if (record.value().endsWith("/" + round)) {
                            found.put(record.key(), Long.parseLong(record.value().split("/")[0]));
                        }
                    }
                    return found.equals(expected);
                });
            }
        });
        Report.holds("there are a changelog and a repartition topic", internalTopics("words").size() == 2);
    }

    private static String reset(String application, String input) throws Exception {
        java.io.ByteArrayOutputStream printed = new java.io.ByteArrayOutputStream();
        java.io.PrintStream before = System.out;
        System.setOut(new java.io.PrintStream(printed, true));
        int status;
        try {
            status = new StreamsResetter().execute(new String[] {
                "--application-id", application, "--bootstrap-server", Report.BOOTSTRAP, "--input-topics", input, "--force"});
        } finally {
            System.setOut(before);
        }
        Report.equal("status of the tool, which printed " + printed, 0, status);
        return printed.toString();
    }

    private static Set<String> internalTopics(String application) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", Report.BOOTSTRAP))) {
            Set<String> names = new HashSet<>(admin.listTopics().names().get());
            names.removeIf(name -> !name.startsWith(application + "-"));
            return names;
        }
    }

    private static void join() throws Exception {
        create("streams-left", "streams-right", "streams-joined");
        Random random = new Random(SEED);
        long start = System.currentTimeMillis() - 3_600_000;
        Map<String, List<Long>> left = new TreeMap<>();
        Map<String, List<Long>> right = new TreeMap<>();
        List<ProducerRecord<String, String>> records = new ArrayList<>();
        for (int number = 0; number < 600; number++) {
            String key = "key" + random.nextInt(20);
            // In the order of time, so that nothing comes when its window is closed.
            long time = start + number * 100L + random.nextInt(50);
            boolean isLeft = random.nextBoolean();
            (isLeft ? left : right).computeIfAbsent(key, none -> new ArrayList<>()).add(time);
            int partition = Math.floorMod(key.hashCode(), PARTITIONS);
            records.add(new ProducerRecord<>(isLeft ? "streams-left" : "streams-right", partition, time, key, "" + (time - start)));
        }
        Set<String> expected = new HashSet<>();
        left.forEach((key, times) -> {
            for (long one : times) {
                for (long other : right.getOrDefault(key, List.of())) {
                    if (Math.abs(one - other) <= JOIN_WINDOW_MS) {
                        expected.add(key + ":" + (one - start) + "+" + (other - start));
                    }
                }
            }
        });
        Report.holds("some pairs are close and some are not", expected.size() > 20 && expected.size() < 5_000);
        send(records);
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, String> one = builder.stream("streams-left", Consumed.with(Serdes.String(), Serdes.String()));
        KStream<String, String> other = builder.stream("streams-right", Consumed.with(Serdes.String(), Serdes.String()));
        one.join(other, (a, b) -> a + "+" + b, JoinWindows.ofTimeDifferenceAndGrace(Duration.ofMillis(JOIN_WINDOW_MS), Duration.ofHours(2)),
                StreamJoined.with(Serdes.String(), Serdes.String(), Serdes.String()))
            .to("streams-joined", Produced.with(Serdes.String(), Serdes.String()));
        List<String> found = new ArrayList<>();
        run("join", StreamsConfig.AT_LEAST_ONCE, builder.build(), () -> {
            try (Consumer<String, String> consumer = reader("streams-joined", false)) {
                Report.eventually("all " + expected.size() + " pairs", 60, () -> {
                    consumer.poll(Duration.ofMillis(200)).forEach(record -> found.add(record.key() + ":" + record.value()));
                    return found.size() >= expected.size();
                });
            }
        });
        Report.equal("pairs", expected, new HashSet<>(found));
    }

    // What StreamsExactlyOnce uses as well.

    static void create(String... topics) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", Report.BOOTSTRAP))) {
            admin.createTopics(Arrays.stream(topics).map(name -> new NewTopic(name, PARTITIONS, (short) 1)).toList()).all().get();
        }
    }

    static void send(List<ProducerRecord<String, String>> records) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", Report.BOOTSTRAP, "linger.ms", 5);
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            List<java.util.concurrent.Future<?>> sent = new ArrayList<>();
            records.forEach(record -> sent.add(producer.send(record)));
            for (java.util.concurrent.Future<?> each : sent) {
                each.get();
            }
        }
    }

    static Consumer<String, String> reader(String topic, boolean committed) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", Report.BOOTSTRAP);
        config.put("isolation.level", committed ? "read_committed" : "read_uncommitted");
        config.put("auto.offset.reset", "earliest");
        Consumer<String, String> consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
        List<TopicPartition> partitions = new ArrayList<>();
        for (int partition = 0; partition < PARTITIONS; partition++) {
            partitions.add(new TopicPartition(topic, partition));
        }
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        return consumer;
    }

    static KafkaStreams application(String name, String guarantee, Topology topology, String directory) {
        Properties config = new Properties();
        config.put("bootstrap.servers", Report.BOOTSTRAP);
        config.put("application.id", name);
        config.put("processing.guarantee", guarantee);
        config.put("default.key.serde", Serdes.StringSerde.class);
        config.put("default.value.serde", Serdes.StringSerde.class);
        config.put("dsl.store.suppliers.class", BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers.class);
        config.put("state.dir", directory);
        config.put("commit.interval.ms", 100);
        config.put("statestore.cache.max.bytes", 0);
        config.put("num.stream.threads", 2);
        config.put("consumer.session.timeout.ms", 3_000);
        config.put("consumer.heartbeat.interval.ms", 500);
        config.put("consumer.auto.offset.reset", "earliest");
        config.put("producer.transaction.timeout.ms", 10_000);
        config.put("reconnect.backoff.max.ms", 200);
        config.put("request.timeout.ms", 5_000);
        return new KafkaStreams(topology, config);
    }

    /** Runs an application while {@code body} looks at what it does. */
    private static void run(String name, String guarantee, Topology topology, Report.Body body) throws Exception {
        String directory = System.getenv("WORK") + "/" + name;
        try (KafkaStreams application = application(name, guarantee, topology, directory)) {
            application.cleanUp();
            application.start();
            body.run();
            Report.holds("the application runs", application.state().isRunningOrRebalancing());
            Report.holds("the application stops", application.close(new KafkaStreams.CloseOptions().timeout(Duration.ofSeconds(20)).leaveGroup(true)));
        }
    }
}
