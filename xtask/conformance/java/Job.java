import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The main job, on a whole: events of a shop, written by kcat and by the Java client under every codec, read by a group of
 * two Java members and one kcat, which is killed midway; the broker restarts in between. Nothing is lost and the events of
 * a customer stay in order.
 */
public final class Job {
    private static final String TOPIC = "job-events";
    private static final int PARTITIONS = 6;
    private static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    private static final int EVENTS = Integer.parseInt(System.getenv().getOrDefault("EVENTS", "100000"));
    private static final long SEED = 20_250_601;

    /** Where an event was found. */
    private record Place(int partition, long offset) { }

    private final List<String[]> events = new ArrayList<>(EVENTS);
    private final Map<Place, String> found = new HashMap<>();
    private final List<Reader> readers = new ArrayList<>();

    public static void main(String[] arguments) {
        Job job = new Job();
        Report.check("events are made from seed " + SEED, job::make);
        Report.check("the topic and the group of three come into being", job::begin);
        Report.check("kcat writes half of the events under every codec", () -> job.writeAll(0, Job::writeWithKcat));
        Report.check("the broker restarts under the group", () -> Report.equal("answer", "ok", Report.server("restart")));
        Report.check("a member is killed midway", job::killOne);
        Report.check("the Java client writes the other half under every codec", () -> job.writeAll(CODECS.size(), Job::writeWithJava));
        Report.check("the group reads everything", job::readAll);
        Report.check("nothing is lost", job::nothingLost);
        Report.check("the events of each customer are in order", job::inOrder);
        Report.check("each member saw rising offsets between its assignments", job::rising);
        Report.done();
    }

    private void make() {
        Random random = new Random(SEED);
        String[] kinds = {"view", "search", "cart", "order", "payment", "return"};
        String[] cities = {"Praha", "Brno", "Plzeň", "České Budějovice", "Ústí nad Labem", "Kraków", "København"};
        Map<String, Integer> numbers = new HashMap<>();
        Instant time = Instant.parse("2025-06-01T06:00:00Z");
        for (int at = 0; at < EVENTS; at++) {
            // Few customers make most of the events, as in life.
            String customer = "customer-" + (int) Math.abs(random.nextGaussian() * 300);
            int number = numbers.merge(customer, 1, Integer::sum);
            time = time.plusMillis(random.nextInt(40));
            StringBuilder items = new StringBuilder();
            for (int item = random.nextInt(4); item > 0; item--) {
                items.append(items.isEmpty() ? "" : ",").append("{\"sku\":\"").append(Integer.toHexString(random.nextInt(1 << 20)))
                    .append("\",\"count\":").append(1 + random.nextInt(3)).append(",\"cents\":").append(random.nextInt(100_000)).append('}');
            }
            String event = "{\"id\":" + at + ",\"customer\":\"" + customer + "\",\"number\":" + number + ",\"kind\":\"" + kinds[random.nextInt(kinds.length)]
                + "\",\"at\":\"" + time + "\",\"city\":\"" + cities[random.nextInt(cities.length)] + "\",\"items\":[" + items + "]}";
            events.add(new String[] {customer, event});
        }
    }

    private void begin() throws Exception {
        try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", Report.BOOTSTRAP))) {
            admin.createTopics(List.of(new NewTopic(TOPIC, PARTITIONS, (short) 1))).all().get();
        }
        readers.add(new JavaReader());
        readers.add(new JavaReader());
        readers.add(new KcatReader());
        writeWithJava(events.subList(0, 0), "none");
        Report.eventually("all have partitions", 40, () -> readers.get(0).assigned() && readers.get(1).assigned() && readers.get(2).assigned());
    }

    /** Writes a part of the events with some client. */
    private interface Writer {
        void write(List<String[]> part, String codec) throws Exception;
    }

    private void writeAll(int first, Writer writer) throws Exception {
        int parts = 2 * CODECS.size();
        for (int at = 0; at < CODECS.size(); at++) {
            long from = (long) (first + at) * EVENTS / parts;
            long end = (long) (first + at + 1) * EVENTS / parts;
            writer.write(events.subList((int) from, (int) end), CODECS.get(at));
        }
    }

    private static void writeWithKcat(List<String[]> part, String codec) throws Exception {
        StringBuilder lines = new StringBuilder();
        part.forEach(event -> lines.append(event[0]).append('\t').append(event[1]).append('\n'));
        Path file = Path.of("events-" + codec);
        Files.writeString(file, lines);
        // The partitioner of the Java client, so that a customer stays on one partition whoever writes.
        Process kcat = new ProcessBuilder("kcat", "-P", "-b", Report.BOOTSTRAP, "-t", TOPIC, "-K", "\t", "-z", codec, "-X", "partitioner=murmur2_random",
            "-X", "enable.idempotence=true").redirectInput(file.toFile()).redirectErrorStream(true).redirectOutput(new File("kcat-" + codec + ".log")).start();
        Report.holds("kcat ends", kcat.waitFor(60, TimeUnit.SECONDS));
        Report.equal("status of kcat, which said " + Files.readString(Path.of("kcat-" + codec + ".log")), 0, kcat.exitValue());
    }

    private static void writeWithJava(List<String[]> part, String codec) throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", Report.BOOTSTRAP, "compression.type", codec, "linger.ms", "5", "batch.size", "65536");
        List<java.util.concurrent.Future<RecordMetadata>> sent = new ArrayList<>(part.size());
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (String[] event : part) {
                sent.add(producer.send(new ProducerRecord<>(TOPIC, event[0], event[1])));
            }
        }
        for (java.util.concurrent.Future<RecordMetadata> future : sent) {
            future.get();
        }
    }

    private void killOne() throws Exception {
        KcatReader victim = (KcatReader) readers.get(2);
        Report.eventually("it has read something", 40, () -> victim.count() > 0);
        victim.process.destroyForcibly().waitFor();
    }

    private void readAll() throws Exception {
        Report.eventually("all events are read", 90, () -> {
            Set<Place> places = new HashSet<>();
            for (Reader reader : readers) {
                places.addAll(reader.places());
            }
            return places.size() >= EVENTS;
        });
        for (Reader reader : readers) {
            reader.end();
        }
    }

    private void nothingLost() throws IOException {
        Map<String, Integer> times = new HashMap<>();
        for (Reader reader : readers) {
            for (Read read : reader.reads()) {
                String before = found.put(read.place, read.value);
                Report.holds("one offset has one value", before == null || before.equals(read.value));
            }
        }
        found.values().forEach(value -> times.merge(value, 1, Integer::sum));
        for (String[] event : events) {
            Report.equal("places of " + event[1], 1, times.get(event[1]));
        }
        Report.equal("events in the topic", EVENTS, found.size());
    }

    private void inOrder() {
        Map<String, Integer> partitions = new HashMap<>();
        Map<String, Integer> last = new HashMap<>();
        Map<Integer, TreeMap<Long, String>> logs = new HashMap<>();
        found.forEach((place, value) -> logs.computeIfAbsent(place.partition, none -> new TreeMap<>()).put(place.offset, value));
        Report.equal("partitions used", PARTITIONS, logs.size());
        logs.forEach((partition, log) -> {
            Report.equal("offsets without a gap", (long) log.size() - 1, log.lastKey());
            log.values().forEach(value -> {
                String customer = field(value, "\"customer\":\"", '"');
                int number = Integer.parseInt(field(value, "\"number\":", ','));
                Report.equal("the partition of " + customer, partition, partitions.computeIfAbsent(customer, none -> partition));
                Report.equal("the next number of " + customer, last.getOrDefault(customer, 0) + 1, number);
                last.put(customer, number);
            });
        });
    }

    /** Within one reader an offset comes again only after a rebalance, and then everything after it too: never a jump ahead. */
    private void rising() throws IOException {
        for (Reader reader : readers) {
            Map<Integer, Long> highest = new HashMap<>();
            Set<Place> seen = new HashSet<>();
            for (Read read : reader.reads()) {
                Long before = highest.get(read.place.partition);
                boolean next = before == null || read.place.offset <= before + 1 || !reader.kept(read.place.partition);
                Report.holds("no jump at " + read.place, next);
                highest.merge(read.place.partition, read.place.offset, Math::max);
                seen.add(read.place);
            }
        }
    }

    private static String field(String event, String before, char end) {
        int from = event.indexOf(before) + before.length();
        return event.substring(from, event.indexOf(end, from));
    }

    private record Read(Place place, String value) { }

    /** A member of the group. */
    private interface Reader {
        boolean assigned();

        List<Read> reads() throws IOException;

        /** Whether the member had this partition all the time. */
        boolean kept(int partition);

        void end() throws Exception;

        default Set<Place> places() throws IOException {
            Set<Place> places = new HashSet<>();
            reads().forEach(read -> places.add(read.place));
            return places;
        }
    }

    private static final class JavaReader implements Reader {
        private final List<Read> reads = new ArrayList<>();
        private final Map<Integer, Integer> assignments = new HashMap<>();
        private final Thread thread = new Thread(this::run, "reader");
        private volatile boolean stopped;
        private volatile boolean assigned;

        JavaReader() {
            thread.start();
        }

        private void run() {
            try (Consumer<String, String> consumer = Clients.consumer("job-group", "auto.commit.interval.ms", "300")) {
                consumer.subscribe(List.of(TOPIC), new org.apache.kafka.clients.consumer.ConsumerRebalanceListener() {
                    @Override
                    public void onPartitionsRevoked(java.util.Collection<org.apache.kafka.common.TopicPartition> partitions) { }

                    @Override
                    public void onPartitionsAssigned(java.util.Collection<org.apache.kafka.common.TopicPartition> partitions) {
                        assigned = !partitions.isEmpty();
                        synchronized (reads) {
                            partitions.forEach(partition -> assignments.merge(partition.partition(), 1, Integer::sum));
                        }
                    }
                });
                while (!stopped) {
                    for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                        synchronized (reads) {
                            reads.add(new Read(new Place(record.partition(), record.offset()), record.value()));
                        }
                    }
                }
            }
        }

        @Override
        public boolean assigned() {
            return assigned;
        }

        @Override
        public List<Read> reads() {
            synchronized (reads) {
                return List.copyOf(reads);
            }
        }

        @Override
        public boolean kept(int partition) {
            synchronized (reads) {
                return assignments.getOrDefault(partition, 0) <= 1;
            }
        }

        @Override
        public void end() throws InterruptedException {
            stopped = true;
            thread.join(20_000);
        }
    }

    private static final class KcatReader implements Reader {
        private final Path output = Path.of("kcat-member");
        private final Path notes = Path.of("kcat-member.log");
        private final Process process;

        KcatReader() throws IOException {
            process = new ProcessBuilder("kcat", "-b", Report.BOOTSTRAP, "-G", "job-group", "-u", "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000",
                "-X", "partition.assignment.strategy=range", "-X", "heartbeat.interval.ms=300", "-f", "%p\t%o\t%s\n", TOPIC)
                .redirectOutput(output.toFile()).redirectError(notes.toFile()).start();
        }

        int count() throws IOException {
            return reads().size();
        }

        @Override
        public boolean assigned() {
            try {
                return Files.readString(notes).contains("assigned: " + TOPIC);
            } catch (IOException failure) {
                return false;
            }
        }

        @Override
        public List<Read> reads() throws IOException {
            List<Read> reads = new ArrayList<>();
            String text = Files.readString(output, StandardCharsets.UTF_8);
            // What the kill cut off is no line.
            for (String line : text.substring(0, text.lastIndexOf('\n') + 1).split("\n")) {
                String[] columns = line.split("\t", 3);
                if (columns.length == 3) {
                    reads.add(new Read(new Place(Integer.parseInt(columns[0]), Long.parseLong(columns[1])), columns[2]));
                }
            }
            return reads;
        }

        @Override
        public boolean kept(int partition) {
            return false;
        }

        @Override
        public void end() {
            process.destroyForcibly();
        }
    }
}
