import java.io.File;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Kafka Streams with {@code exactly_once_v2}: an application that counts is killed over and over, and the broker once, yet
 * its output counts every input once. {@code StreamsExactlyOnce application DIRECTORY} is the application.
 */
public final class StreamsExactlyOnce {
    private static final String IN = "once-in";
    private static final String OUT = "once-out";
    private static final int RECORDS = 6_000;
    private static final int KEYS = 30;
    private static final int KILLS = 3;
    private static final String WORK = System.getenv("WORK");

    private static Process application;
    private static int started;

    public static void main(String[] arguments) throws Exception {
        if (arguments.length > 0) {
            count(arguments[1]);
            return;
        }
        Map<String, List<Long>> counts = new TreeMap<>();
        Report.check("an application that is killed counts every record once", () -> killed(counts));
        Report.check("every count came out once, in order", () -> {
            for (int key = 0; key < KEYS; key++) {
                List<Long> expected = new ArrayList<>();
                for (long count = 1; count <= RECORDS / KEYS; count++) {
                    expected.add(count);
                }
                Report.equal("counts of key" + key, expected, counts.get("key" + key));
            }
        });
        Report.done();
    }

    private static void killed(Map<String, List<Long>> counts) throws Exception {
        Streams.create(IN, OUT);
        start();
        int sent = 0;
        int seen = 0;
        try (Consumer<String, String> consumer = Streams.reader(OUT, true)) {
            // In the middle of each part of the input something dies: what was sent is still on its way.
            for (int part = 0; part <= KILLS; part++) {
                int until = RECORDS * (part + 1) / (KILLS + 1);
                sent = send(sent, until);
                seen = look(consumer, counts, seen, until - RECORDS / (KILLS + 1) / 2);
                if (part == KILLS) {
                    break;
                }
                if (part == 1) {
                    Report.equal("answer", "ok", Report.server("kill"));
                    Report.equal("answer", "ok", Report.server("start"));
                }
                application.destroyForcibly().waitFor();
                Report.holds("something was left to do", seen < RECORDS);
                start();
            }
            seen = look(consumer, counts, seen, RECORDS);
            // Nothing more may come.
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(3);
            while (System.nanoTime() < end) {
                seen = take(consumer, counts, seen);
            }
            Report.equal("records that came out", RECORDS, seen);
        } finally {
            application.destroyForcibly().waitFor();
        }
    }

    private static int send(int from, int until) throws Exception {
        List<ProducerRecord<String, String>> records = new ArrayList<>();
        for (int number = from; number < until; number++) {
            records.add(new ProducerRecord<>(IN, "key" + number % KEYS, "" + number));
        }
        Streams.send(records);
        return until;
    }

    /** Reads until so many counts have been seen. */
    private static int look(Consumer<String, String> consumer, Map<String, List<Long>> counts, int seen, int wanted) throws Exception {
        int[] sum = {seen};
        Report.eventually(wanted + " counts", 100, () -> {
            sum[0] = take(consumer, counts, sum[0]);
            if (!application.isAlive()) {
                start();
            }
            return sum[0] >= wanted;
        });
        return sum[0];
    }

    private static int take(Consumer<String, String> consumer, Map<String, List<Long>> counts, int seen) {
        int sum = seen;
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
            counts.computeIfAbsent(record.key(), none -> new ArrayList<>()).add(Long.parseLong(record.value()));
            sum++;
        }
        return sum;
    }

    /** Another life of the application, in a process and a folder of its own. */
    private static void start() throws Exception {
        started++;
        String java = ProcessHandle.current().info().command().orElse("java");
        application = new ProcessBuilder(java, "-Xmx256M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
            System.getProperty("java.class.path"), "StreamsExactlyOnce", "application", WORK + "/once-" + started)
            .redirectErrorStream(true)
            .redirectOutput(new File(WORK, "once-" + started + ".log"))
            .start();
    }

    private static void count(String directory) throws Exception {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(IN, Consumed.with(Serdes.String(), Serdes.String()))
            .groupByKey(Grouped.with(Serdes.String(), Serdes.String()))
            .count(Materialized.as("once"))
            .toStream()
            .mapValues(count -> "" + count)
            .to(OUT, Produced.with(Serdes.String(), Serdes.String()));
        Topology topology = builder.build();
        KafkaStreams streams = Streams.application("once", StreamsConfig.EXACTLY_ONCE_V2, topology, directory);
        streams.setUncaughtExceptionHandler(failure -> StreamThreadExceptionResponse.REPLACE_THREAD);
        streams.start();
        new CountDownLatch(1).await();
    }
}
