import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Exit;

/** Kafka's command line tools, run one after another in this process: starting a JVM for each would cost most of the time. */
public final class Tools {
    private static final String TOOLS = "org.apache.kafka.tools.";
    private static final String GROUPS = TOOLS + "consumer.group.ConsumerGroupCommand";

    /** What a tool printed on both outputs, and the status it ended with. */
    record Outcome(int status, String text) {
        String ok() {
            Report.equal("status of the tool, which printed " + text, 0, status);
            return text;
        }

        String failed() {
            Report.holds("the tool fails; it printed " + text, status != 0 || text.contains("Exception") || text.contains("rror"));
            return text;
        }
    }

    /** Thrown in place of ending the process. */
    private static final class Ended extends Error {
        static final String MESSAGE = "the tool ended";

        Ended() {
            super(MESSAGE, null, false, false);
        }
    }

    private static int status;
    private static boolean ended;
    private static final List<Runnable> HOOKS = new ArrayList<>();

    public static void main(String[] arguments) {
        exits();
        clusterChecks();
        topicChecks();
        configChecks();
        recordChecks();
        groupChecks();
        consumerGroupChecks();
        transactionChecks();
        loadChecks();
        if (!Report.DATA.isEmpty()) {
            dumpChecks();
        }
        Report.done();
    }

    /** From here on a tool that ends its process ends its main method instead. */
    static void exits() {
        Exit.Procedure procedure = (code, message) -> {
            if (!ended) {
                status = code;
                ended = true;
            }
            throw new Ended();
        };
        Exit.setExitProcedure(procedure);
        Exit.setHaltProcedure(procedure);
        Exit.setShutdownHookAdder((name, hook) -> HOOKS.add(hook));
    }

    static Outcome tool(String name, String... arguments) throws Exception {
        return run("", text -> true, name, arguments);
    }

    private static Outcome toolWithInput(String input, String name, String... arguments) throws Exception {
        return run(input, text -> true, name, arguments);
    }

    /**
     * Runs the main method of a tool. Its shutdown hooks are run after it, as they would be at the end of its process.
     * A tool whose main method returns before its work is done is waited for until what it printed is {@code complete}.
     */
    private static Outcome run(String input, Predicate<String> complete, String name, String... arguments) throws Exception {
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        PrintStream capture = new PrintStream(printed, true, StandardCharsets.UTF_8);
        status = 0;
        ended = false;
        HOOKS.clear();
        System.setOut(capture);
        System.setErr(capture);
        System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
        try {
            Class.forName(name.startsWith("kafka.") || name.startsWith("org.") ? name : TOOLS + name).getMethod("main", String[].class).invoke(null, (Object) arguments);
            List.copyOf(HOOKS).forEach(Runnable::run);
            Report.eventually("the end of its work", 30, () -> complete.test(printed.toString(StandardCharsets.UTF_8)));
        } catch (java.lang.reflect.InvocationTargetException failure) {
            if (!(failure.getCause() instanceof Ended)) {
                status = 1;
                failure.getCause().printStackTrace(capture);
            }
            List.copyOf(HOOKS).forEach(Runnable::run);
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
        // Some tools print whatever ends them.
        String text = printed.toString(StandardCharsets.UTF_8).lines().filter(line -> !line.contains(Ended.MESSAGE)).collect(Collectors.joining("\n"));
        return new Outcome(status, text);
    }

    /** As {@link #tool}, with the address of the server. */
    private static Outcome ask(String name, String... arguments) throws Exception {
        return tool(name, with(arguments, "--bootstrap-server", Report.BOOTSTRAP));
    }

    private static String[] with(String[] arguments, String... more) {
        return Stream.concat(Stream.of(more), Stream.of(arguments)).toArray(String[]::new);
    }

    private static void create(String topic, int partitions, String... more) throws Exception {
        ask("TopicCommand", with(more, "--create", "--topic", topic, "--partitions", "" + partitions)).ok();
    }

    private static void produce(String topic, List<String> lines, String... more) throws Exception {
        toolWithInput(String.join("\n", lines) + "\n", "ConsoleProducer",
            with(more, "--bootstrap-server", Report.BOOTSTRAP, "--topic", topic)).ok();
    }

    private static List<String> consume(String topic, int count, String... more) throws Exception {
        String text = ask("consumer.ConsoleConsumer", with(more, "--topic", topic, "--max-messages", "" + count, "--timeout-ms", "20000")).ok();
        return text.lines().filter(line -> !line.startsWith("Processed a total") && !line.contains("KIP-848")).collect(Collectors.toList());
    }

    private static List<String> numbers(int from, int end) {
        return IntStream.range(from, end).mapToObj(Integer::toString).collect(Collectors.toList());
    }

    private static void clusterChecks() {
        Report.check("kafka-broker-api-versions knows every version", () -> {
            String text = ask("BrokerApiVersionsCommand").ok();
            Report.contains(text, "^" + Report.BOOTSTRAP + " \\(id: 1 rack: null");
            for (String api : List.of("Produce\\(0\\): 0 to 13", "Fetch\\(1\\): 4 to 18", "ListOffsets\\(2\\): 1 to 11", "Metadata\\(3\\): 0 to 13",
                    "OffsetCommit\\(8\\): 2 to 10", "OffsetFetch\\(9\\): 1 to 10", "FindCoordinator\\(10\\): 0 to 6", "JoinGroup\\(11\\): 0 to 9",
                    "ApiVersions\\(18\\): 0 to [45]", "CreateTopics\\(19\\): 2 to 7", "DescribeLogDirs\\(35\\): 1 to 5", "DeleteGroups\\(42\\): 0 to [23]")) {
                Report.contains(text, api + " \\[usable: \\d+\\]");
            }
        });
        Report.check("kafka-cluster prints the id and the endpoints", () -> {
            Report.contains(tool("ClusterTool", "cluster-id", "--bootstrap-server", Report.BOOTSTRAP).ok(), "Cluster ID: [A-Za-z0-9_-]{22}");
            Report.contains(tool("ClusterTool", "list-endpoints", "--bootstrap-server", Report.BOOTSTRAP).ok(), "^1 +127\\.0\\.0\\.1 +" + Report.BOOTSTRAP.split(":")[1]);
        });
        Report.check("kafka-features describes levels", () -> {
            String text = ask("FeatureCommand", "describe").ok();
            Report.contains(text, "Feature: metadata.version\\s+SupportedMinVersion: 3\\.3-IV3\\s+SupportedMaxVersion: (4\\.|UNKNOWN)");
            Report.contains(text, "Feature: metadata.version .*FinalizedVersionLevel: (4\\.|UNKNOWN)");
        });
        Report.check("kafka-metadata-quorum describes status and replication", () -> {
            String text = ask("MetadataQuorumCommand", "describe", "--status").ok();
            Report.contains(text, "^LeaderId: +1$");
            Report.contains(text, "^LeaderEpoch: +[1-9]\\d*$");
            Report.contains(text, "^HighWatermark: +[1-9]\\d*$");
            Report.contains(text, "^CurrentVoters: +\\[\\{\"id\": 1");
            Report.contains(ask("MetadataQuorumCommand", "describe", "--replication").ok(), "^1\\s+\\S+\\s+\\d+\\s+0\\s+.*Leader");
        });
        Report.check("kafka-log-dirs lists sizes", () -> {
            create("tools-dirs", 2);
            produce("tools-dirs", numbers(0, 10));
            String text = ask("LogDirsCommand", "--describe", "--broker-list", "1", "--topic-list", "tools-dirs").ok();
            Report.contains(text, "\"broker\":1");
            Report.contains(text, "\"partition\":\"tools-dirs-[01]\"");
            Report.contains(text, "\"size\":[1-9]\\d*");
            Report.contains(text, "\"error\":null");
        });
    }

    private static void topicChecks() {
        Report.check("kafka-topics creates lists and describes", () -> {
            create("tools-topic", 3, "--config", "retention.ms=100000", "--config", "cleanup.policy=compact");
            Report.contains(ask("TopicCommand", "--list").ok(), "^tools-topic$");
            String text = ask("TopicCommand", "--describe", "--topic", "tools-topic").ok();
            Report.contains(text, "Topic: tools-topic\\s+TopicId: \\S{22}\\s+PartitionCount: 3\\s+ReplicationFactor: 1\\s+Configs: ");
            Report.contains(text, "retention.ms=100000");
            Report.contains(text, "cleanup.policy=compact");
            Report.contains(text, "Topic: tools-topic\\s+Partition: 2\\s+Leader: 1\\s+Replicas: 1\\s+Isr: 1\\s+Elr:\\s+LastKnownElr:");
        });
        Report.check("kafka-topics refuses what is wrong and says why", () -> {
            create("tools-twice", 1);
            Report.contains(ask("TopicCommand", "--create", "--topic", "tools-twice").failed(), "Topic 'tools-twice' already exists");
            ask("TopicCommand", "--create", "--topic", "tools-twice", "--if-not-exists").ok();
            Report.contains(ask("TopicCommand", "--create", "--topic", "tools bad").failed(), "Topic name is invalid: 'tools bad' contains");
            Report.contains(ask("TopicCommand", "--create", "--topic", "tools-many", "--replication-factor", "3").failed(), "[Rr]eplication factor");
            Report.contains(ask("TopicCommand", "--create", "--topic", "tools-config", "--config", "retention.ms=soon").failed(), "retention.ms");
            Report.contains(ask("TopicCommand", "--describe", "--topic", "tools-never").failed(), "Topic 'tools-never' does not exist as expected");
        });
        Report.check("kafka-topics adds partitions and deletes", () -> {
            create("tools-grow", 1);
            ask("TopicCommand", "--alter", "--topic", "tools-grow", "--partitions", "4").ok();
            Report.contains(ask("TopicCommand", "--describe", "--topic", "tools-grow").ok(), "PartitionCount: 4");
            Report.contains(ask("TopicCommand", "--alter", "--topic", "tools-grow", "--partitions", "2").failed(), "currently has 4 partition");
            ask("TopicCommand", "--delete", "--topic", "tools-grow").ok();
            Report.holds("it is gone", !ask("TopicCommand", "--list").ok().contains("tools-grow"));
        });
        Report.check("kafka-topics filters by state", () -> {
            for (String filter : List.of("--under-replicated-partitions", "--unavailable-partitions", "--under-min-isr-partitions")) {
                Report.equal(filter, "", ask("TopicCommand", "--describe", filter).ok().strip());
            }
        });
    }

    private static void configChecks() {
        String command = "kafka.admin.ConfigCommand";
        Report.check("kafka-configs alters and describes a topic", () -> {
            create("tools-configs", 1);
            ask(command, "--alter", "--topic", "tools-configs", "--add-config", "retention.ms=4242,cleanup.policy=[compact,delete]").ok();
            String text = ask(command, "--describe", "--topic", "tools-configs").ok();
            Report.contains(text, "retention.ms=4242 sensitive=false synonyms=\\{DYNAMIC_TOPIC_CONFIG:retention.ms=4242");
            Report.contains(text, "cleanup.policy=compact,delete");
            Report.contains(ask(command, "--describe", "--all", "--topic", "tools-configs").ok(), "segment.bytes=1073741824 sensitive=false synonyms=\\{");
            ask(command, "--alter", "--topic", "tools-configs", "--delete-config", "retention.ms").ok();
            Report.holds("it is deleted", !ask(command, "--describe", "--topic", "tools-configs").ok().contains("retention.ms"));
        });
        Report.check("kafka-configs refuses what is wrong", () -> {
            Report.contains(ask(command, "--alter", "--topic", "tools-configs", "--add-config", "no.such=1").failed(), "no.such");
            Report.contains(ask(command, "--alter", "--topic", "tools-configs", "--add-config", "retention.ms=soon").failed(), "retention.ms");
            ask(command, "--alter", "--topic", "tools-never", "--add-config", "retention.ms=1").failed();
        });
        Report.check("kafka-configs alters a broker and the default", () -> {
            ask(command, "--alter", "--broker", "1", "--add-config", "log.cleaner.threads=2").ok();
            seen("log.cleaner.threads=2 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:log.cleaner.threads=2", "--broker", "1");
            ask(command, "--alter", "--broker-defaults", "--add-config", "message.max.bytes=2000000").ok();
            seen("message.max.bytes=2000000", "--broker-defaults");
            seen("message.max.bytes=2000000 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG", "--all", "--broker", "1");
            ask(command, "--alter", "--broker-defaults", "--delete-config", "message.max.bytes").ok();
            ask(command, "--alter", "--broker", "1", "--delete-config", "log.cleaner.threads").ok();
        });
        Report.check("kafka-configs refuses a read-only broker key", () ->
            Report.contains(ask(command, "--alter", "--broker", "1", "--add-config", "node.id=7").failed(), "node.id|[Cc]annot update"));
        Report.check("kafka-configs alters a group", () -> {
            ask(command, "--alter", "--entity-type", "groups", "--entity-name", "tools-configured", "--add-config", "consumer.session.timeout.ms=46000").ok();
            seen("consumer.session.timeout.ms=46000", "--entity-type", "groups", "--entity-name", "tools-configured");
        });
    }

    /** Waits until the configs that {@code of} describe have {@code text}: a broker sees a change a moment after it is made. */
    private static void seen(String text, String... of) throws Exception {
        Report.eventually(text, 10, () -> ask("kafka.admin.ConfigCommand", with(of, "--describe")).ok().contains(text));
    }

    private static void recordChecks() {
        Report.check("console producer and consumer carry keys headers and partitions", () -> {
            create("tools-console", 1);
            produce("tools-console", List.of("h:1,g:2\tkey\tvalue", "h:3\tother\tlast"), "--reader-property", "parse.key=true", "--reader-property", "parse.headers=true");
            Report.equal("records", List.of("Partition:0\tOffset:0\th:1,g:2\tkey\tvalue", "Partition:0\tOffset:1\th:3\tother\tlast"),
                consume("tools-console", 2, "--from-beginning", "--formatter-property", "print.key=true", "--formatter-property", "print.headers=true",
                    "--formatter-property", "print.offset=true", "--formatter-property", "print.partition=true"));
        });
        Report.check("console producer speaks every codec and the consumer reads them", () -> {
            create("tools-codecs", 1);
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                produce("tools-codecs", List.of(codec), "--compression-codec", codec);
            }
            Report.equal("records", List.of("none", "gzip", "snappy", "lz4", "zstd"), consume("tools-codecs", 5, "--from-beginning"));
            Report.equal("from an offset", List.of("lz4"), consume("tools-codecs", 1, "--partition", "0", "--offset", "3"));
        });
        Report.check("kafka-get-offsets finds ends and times", () -> {
            create("tools-offsets", 2);
            produce("tools-offsets", numbers(0, 25));
            int sum = 0;
            for (String line : ask("GetOffsetShell", "--topic", "tools-offsets").ok().strip().split("\n")) {
                sum += Integer.parseInt(line.split(":")[2]);
            }
            Report.equal("sum of the ends", 25, sum);
            for (String time : List.of("-2", "earliest", "earliest-local")) {
                Report.contains(ask("GetOffsetShell", "--topic", "tools-offsets", "--time", time).ok(), "^tools-offsets:0:0$");
            }
            Report.contains(ask("GetOffsetShell", "--topic-partitions", "tools-offsets:0-1", "--time", "latest").ok(), "^tools-offsets:0:");
            ask("GetOffsetShell", "--topic", "tools-offsets", "--time", "-3").ok();
            ask("GetOffsetShell", "--topic", "tools-never").failed();
        });
        Report.check("kafka-delete-records raises the start", () -> {
            create("tools-delete", 1);
            produce("tools-delete", numbers(0, 10));
            Path file = Files.writeString(Path.of("delete.json"), "{\"partitions\":[{\"topic\":\"tools-delete\",\"partition\":0,\"offset\":4}],\"version\":1}");
            Report.contains(ask("DeleteRecordsCommand", "--offset-json-file", file.toString()).ok(), "partition: tools-delete-0\tlow_watermark: 4");
            Report.contains(ask("GetOffsetShell", "--topic", "tools-delete", "--time", "-2").ok(), "tools-delete:0:4");
            Report.equal("records", numbers(4, 10), consume("tools-delete", 6, "--from-beginning"));
        });
    }

    private static void groupChecks() {
        String topic = "tools-group";
        String[] group = {"--group", "tools-readers"};
        Report.check("kafka-consumer-groups lists and describes", () -> {
            create(topic, 2);
            produce(topic, numbers(0, 20));
            Report.equal("records", 20, consume(topic, 20, "--group", "tools-readers", "--from-beginning").size());
            Report.contains(ask(GROUPS, "--list").ok(), "^tools-readers$");
            Report.contains(ask(GROUPS, "--list", "--state").ok(), "^tools-readers\\s+Empty");
            Report.contains(ask(GROUPS, "--list", "--type").ok(), "^tools-readers\\s+Classic");
            String text = ask(GROUPS, with(group, "--describe")).ok();
            Report.contains(text, "Consumer group 'tools-readers' has no active members");
            Report.contains(text, "^tools-readers\\s+tools-group\\s+0\\s+\\d+\\s+\\d+\\s+0");
            Report.contains(ask(GROUPS, with(group, "--describe", "--state")).ok(), "^tools-readers\\s+" + Report.BOOTSTRAP + " +\\(1\\)\\s+\\S*\\s*Empty\\s+0");
        });
        Report.check("kafka-consumer-groups shows members while they live", () -> {
            try (var consumer = Clients.consumer("tools-live", "client.id", "tools-client")) {
                consumer.subscribe(List.of(topic));
                Report.eventually("an assignment", 20, () -> {
                    consumer.poll(java.time.Duration.ofMillis(100));
                    return consumer.assignment().size() == 2;
                });
                Report.contains(ask(GROUPS, "--describe", "--members", "--verbose", "--group", "tools-live").ok(), "^tools-live\\s+tools-client-\\S+\\s+/127.0.0.1\\s+tools-client\\s+2\\s+");
                Report.contains(ask(GROUPS, "--describe", "--state", "--group", "tools-live").ok(), "range\\s+Stable\\s+1");
                Report.contains(ask(GROUPS, "--reset-offsets", "--to-earliest", "--execute", "--topic", topic, "--group", "tools-live").failed(), "inactive|Stable");
                Report.contains(ask(GROUPS, "--delete", "--group", "tools-live").failed(), "not empty|NonEmpty|GroupNotEmpty");
            }
        });
        Report.check("kafka-consumer-groups resets offsets in every way", () -> {
            String[] reset = with(group, "--reset-offsets", "--topic", topic, "--execute");
            Report.contains(ask(GROUPS, with(reset, "--to-earliest")).ok(), "tools-readers\\s+tools-group\\s+0\\s+0");
            ask(GROUPS, with(reset, "--to-latest")).ok();
            ask(GROUPS, with(reset, "--shift-by", "-3")).ok();
            ask(GROUPS, with(reset, "--to-datetime", "2020-01-01T00:00:00.000")).ok();
            ask(GROUPS, with(reset, "--by-duration", "PT1H")).ok();
            Report.contains(ask(GROUPS, with(reset, "--to-offset", "5")).ok(), "tools-readers\\s+tools-group\\s+[01]\\s+5");
            ask(GROUPS, with(reset, "--to-current")).ok();
            String exported = ask(GROUPS, with(group, "--reset-offsets", "--topic", topic, "--to-current", "--dry-run", "--export")).ok();
            Path file = Files.writeString(Path.of("offsets.csv"), exported);
            ask(GROUPS, with(group, "--reset-offsets", "--from-file", file.toString(), "--execute")).ok();
            Report.contains(ask(GROUPS, with(group, "--describe", "--offsets")).ok(), "tools-group\\s+[01]\\s+5\\s+\\d+\\s+\\d+");
        });
        Report.check("kafka-consumer-groups deletes offsets and groups", () -> {
            Report.contains(ask(GROUPS, with(group, "--delete-offsets", "--topic", topic)).ok(), "Request succeed");
            Report.holds("no offsets are left", !ask(GROUPS, with(group, "--describe")).text().contains("tools-group "));
            Report.contains(ask(GROUPS, with(group, "--delete")).text(), "successful|tools-readers");
            Report.contains(ask(GROUPS, with(group, "--describe")).failed(), "does not exist|not found");
        });
        Report.check("kafka-groups lists every kind", () -> {
            consume(topic, 1, "--group", "tools-listed", "--from-beginning");
            Report.contains(ask("GroupsCommand", "--list").ok(), "^tools-listed\\s+Classic\\s+consumer");
            Report.contains(ask("GroupsCommand", "--list", "--consumer").ok(), "^tools-listed\\s");
            Report.contains(ask("GroupsCommand", "--list", "--group-type", "classic", "--protocol", "consumer").ok(), "^tools-listed\\s");
        });
    }

    /** The same tool on a group of the consumer protocol. */
    private static void consumerGroupChecks() {
        String topic = "tools-next";
        String[] group = {"--group", "tools-next-readers"};
        Report.check("kafka-consumer-groups shows a group of the consumer protocol", () -> {
            create(topic, 2);
            produce(topic, numbers(0, 20));
            try (var consumer = nextGeneration("tools-next-readers")) {
                consumer.subscribe(List.of(topic));
                int[] read = new int[1];
                Report.eventually("all records", 30, () -> (read[0] += consumer.poll(java.time.Duration.ofMillis(100)).count()) == 20);
                consumer.commitSync();
                String state = ask(GROUPS, with(group, "--describe", "--state", "--verbose")).ok();
                Report.contains(state, "^tools-next-readers\\s+" + Report.BOOTSTRAP + " +\\(1\\)\\s+uniform\\s+Stable\\s+\\d+\\s+\\d+\\s+1");
                String members = ask(GROUPS, with(group, "--describe", "--members", "--verbose")).ok();
                Report.contains(members, "^tools-next-readers\\s+\\S+\\s+tools-next-instance\\s+/127.0.0.1\\s+tools-next-client\\s+2\\s+\\d+\\s+tools-next:0,1\\s+\\d+\\s+tools-next:0,1");
                Report.contains(ask(GROUPS, with(group, "--describe", "--offsets", "--verbose")).ok(), "^tools-next-readers\\s+tools-next\\s+0\\s+\\S+\\s+\\d+\\s+\\d+\\s+0\\s+");
                Report.contains(ask(GROUPS, "--list", "--type", "consumer").ok(), "^tools-next-readers\\s+Consumer");
                Report.holds("not among the others", !ask(GROUPS, "--list", "--type", "classic").ok().contains("tools-next-readers"));
                Report.contains(ask(GROUPS, "--list", "--state", "stable").ok(), "^tools-next-readers\\s+Stable");
                Report.contains(ask("GroupsCommand", "--list", "--group-type", "consumer").ok(), "^tools-next-readers\\s+Consumer\\s+consumer");
                Report.contains(ask(GROUPS, with(group, "--reset-offsets", "--to-earliest", "--execute", "--topic", topic)).failed(), "inactive|Stable");
                Report.contains(ask(GROUPS, with(group, "--delete-offsets", "--topic", topic)).text(), "subscribed|GroupSubscribedToTopic");
                Report.contains(ask(GROUPS, with(group, "--delete")).failed(), "not empty|NonEmpty|GroupNotEmpty");
                consumer.close(CloseOptions.groupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
            }
        });
        Report.check("kafka-consumer-groups resets and deletes the offsets of such a group", () -> {
            Report.eventually("it is empty", 20, () -> ask(GROUPS, with(group, "--describe", "--state")).ok().contains("Empty"));
            String[] reset = with(group, "--reset-offsets", "--topic", topic, "--execute");
            Report.contains(ask(GROUPS, with(reset, "--to-earliest")).ok(), "tools-next-readers\\s+tools-next\\s+0\\s+0");
            Report.contains(ask(GROUPS, with(reset, "--to-offset", "5")).ok(), "tools-next-readers\\s+tools-next\\s+[01]\\s+5");
            ask(GROUPS, with(reset, "--shift-by", "-2")).ok();
            Report.contains(ask(GROUPS, with(group, "--describe", "--offsets")).ok(), "tools-next\\s+[01]\\s+\\S*\\s*3\\s+\\d+\\s+\\d+");
            Report.contains(ask(GROUPS, with(group, "--delete-offsets", "--topic", topic)).ok(), "Request succeed");
            Report.contains(ask(GROUPS, with(group, "--delete")).text(), "successful|tools-next-readers");
            Report.contains(ask(GROUPS, with(group, "--describe")).failed(), "does not exist|not found");
        });
        Report.check("kafka-consumer-groups knows good and bad regular expressions", () -> {
            ask(GROUPS, "--validate-regex", "tools-.*").ok();
            Report.contains(ask(GROUPS, "--validate-regex", "tools-(").text(), "nvalid|not valid|missing");
        });
    }

    private static KafkaConsumer<String, String> nextGeneration(String group) {
        return new KafkaConsumer<>(java.util.Map.of("bootstrap.servers", Report.BOOTSTRAP, "group.id", group, "group.protocol", "consumer", "auto.offset.reset", "earliest",
            "client.id", "tools-next-client", "group.instance.id", "tools-next-instance"), new StringDeserializer(), new StringDeserializer());
    }

    private static void transactionChecks() {
        String topic = "tools-transactions";
        String tool = "TransactionsCommand";
        Report.check("kafka-transactions lists, describes and aborts", () -> {
            create(topic, 1);
            try (var producer = transactional("tools-open")) {
                producer.initTransactions();
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(topic, 0, null, "open")).get();
                Report.contains(transactions("list"), "^tools-open\\s+\\d+\\s+\\d+\\s+Ongoing");
                Report.contains(transactions("list", "--transactional-id-pattern", "tools-o.*"), "^tools-open\\s");
                Report.holds("not by another name", !transactions("list", "--transactional-id-pattern", "other.*").contains("tools-open"));
                Report.holds("not so old", !transactions("list", "--duration-filter", "3600000").contains("tools-open"));
                Report.contains(transactions("describe", "--transactional-id", "tools-open"), "^\\d+\\s+tools-open\\s+\\d+\\s+\\d+\\s+Ongoing\\s+60000\\s+\\S+\\s+\\d+\\s+tools-transactions-0");
                Report.contains(transactions("describe-producers", "--topic", topic, "--partition", "0"), "^\\d+\\s+\\d+\\s+\\S+\\s+0\\s+\\d+\\s+0\\s*$");
                transactions("abort", "--topic", topic, "--partition", "0", "--start-offset", "0");
                Report.contains(transactions("describe-producers", "--topic", topic, "--partition", "0"), "\\sNone\\s*$");
                producer.close(java.time.Duration.ZERO);
            }
            transactions("forceTerminateTransaction", "--transactionalId", "tools-open");
            Report.eventually("it is ended", 20, () -> Pattern.compile("\\s(CompleteAbort|Empty)\\s").matcher(transactions("describe", "--transactional-id", "tools-open")).find());
            Report.contains(ask(tool, "describe", "--transactional-id", "tools-never").failed(), "TransactionalIdNotFound|could not be found|not found");
        });
        Report.check("kafka-transactions finds what hangs and nothing else", () -> {
            create("tools-hanging", 1);
            try (var producer = transactional("tools-slow")) {
                producer.initTransactions();
                producer.beginTransaction();
                // So old that it is looked into; its coordinator knows of it.
                producer.send(new ProducerRecord<>("tools-hanging", 0, System.currentTimeMillis() - 3_600_000, null, "slow")).get();
                String[] find = {"find-hanging", "--topic", "tools-hanging", "--partition", "0", "--max-transaction-timeout", "1"};
                Report.holds("an open transaction does not hang", !transactions(find).contains("tools-hanging"));
                producer.commitTransaction();
                Report.holds("a committed one does not", !transactions(find).contains("tools-hanging"));
                Report.holds("nor on the whole broker", !transactions("find-hanging", "--broker-id", "1", "--max-transaction-timeout", "1").contains("tools-hanging"));
            }
        });
    }

    private static String transactions(String... arguments) throws Exception {
        return tool("TransactionsCommand", with(arguments, "--bootstrap-server", Report.BOOTSTRAP)).ok();
    }

    private static KafkaProducer<String, String> transactional(String id) {
        return new KafkaProducer<>(java.util.Map.of("bootstrap.servers", Report.BOOTSTRAP, "transactional.id", id, "max.block.ms", "20000"), new StringSerializer(), new StringSerializer());
    }

    private static void loadChecks() {
        Report.check("producer and consumer perf move 50000 records", () -> {
            create("tools-perf", 2, "--config", "segment.bytes=1048576");
            String text = tool("ProducerPerformance", "--topic", "tools-perf", "--num-records", "50000", "--record-size", "200", "--throughput", "-1",
                "--bootstrap-server", Report.BOOTSTRAP, "--command-property", "compression.type=lz4").ok();
            Report.contains(text, "^50000 records sent, [0-9.]+ records/sec");
            text = ask("ConsumerPerformance", "--topic", "tools-perf", "--num-records", "50000", "--timeout", "30000", "--hide-header").ok();
            String[] columns = text.strip().lines().reduce((first, second) -> second).orElseThrow().split(", ");
            Report.holds("50000 records in " + text, Integer.parseInt(columns[4]) >= 50000);
        });
        Report.check("verifiable producer and consumer agree", () -> {
            create("tools-verifiable", 1);
            Predicate<String> complete = text -> text.contains("\"value\":\"1999\"");
            String sent = run("", complete, "VerifiableProducer", "--bootstrap-server", Report.BOOTSTRAP, "--topic", "tools-verifiable", "--max-messages", "2000", "--acks", "-1").ok();
            Report.equal("acknowledged", 2000L, sent.lines().filter(line -> line.contains("producer_send_success")).count());
            String read = tool("VerifiableConsumer", "--bootstrap-server", Report.BOOTSTRAP, "--topic", "tools-verifiable", "--group-id", "tools-verifiable",
                "--max-messages", "2000", "--reset-policy", "earliest", "--enable-autocommit").ok();
            Report.contains(read, "\"name\":\"partitions_assigned\"");
            Matcher batch = Pattern.compile("\"name\":\"records_consumed\",\"count\":(\\d+)").matcher(read);
            Report.equal("consumed", 2000, batch.results().mapToInt(found -> Integer.parseInt(found.group(1))).sum());
        });
    }

    private static void dumpChecks() {
        Report.check("kafka-dump-log reads the segments deeply", () -> {
            String text = tool("DumpLogSegments", "--deep-iteration", "--print-data-log", "--files", files("tools-codecs-0", ".log")).ok();
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                Report.contains(text, "compresscodec: " + codec + " .*isvalid: true");
                Report.contains(text, "payload: " + codec + "$");
            }
            intact(tool("DumpLogSegments", "--deep-iteration", "--files", files("tools-perf-0", ".log")).ok());
        });
        Report.check("kafka-dump-log finds the indexes sane", () -> {
            for (String option : List.of("--index-sanity-check", "--verify-index-only")) {
                intact(tool("DumpLogSegments", option, "--files", files("tools-perf-0", ".index")).ok());
            }
            intact(tool("DumpLogSegments", "--files", files("tools-perf-0", ".timeindex")).ok());
            Report.contains(tool("DumpLogSegments", "--files", files("tools-perf-0", ".index")).ok(), "^offset: \\d+ position: \\d+$");
        });
        Report.check("kafka-dump-log decodes the metadata log", () -> {
            String text = tool("DumpLogSegments", "--cluster-metadata-decoder", "--files", files("__cluster_metadata-0", ".log")).ok();
            intact(text);
            for (String record : List.of("REGISTER_BROKER_RECORD", "FEATURE_LEVEL_RECORD", "TOPIC_RECORD", "PARTITION_RECORD", "CONFIG_RECORD")) {
                Report.contains(text, "\"type\":\"" + record + "\"");
            }
            Report.contains(text, "\"name\":\"tools-codecs\"");
        });
        Report.check("kafka-dump-log decodes the offsets log", () -> {
            String text = "";
            for (File folder : new File(Report.DATA).listFiles((parent, name) -> name.startsWith("__consumer_offsets-"))) {
                text += tool("DumpLogSegments", "--offsets-decoder", "--files", files(folder.getName(), ".log")).ok();
            }
            intact(text);
            Report.contains(text, "\"group\":\"tools-listed\"");
            Report.contains(text, "\"topic\":\"tools-group\",\"partition\":\\d+");
            Report.contains(text, "\"protocolType\":\"consumer\"");
        });
    }

    static String files(String partition, String extension) {
        File[] found = new File(Report.DATA, partition).listFiles((folder, name) -> name.endsWith(extension));
        Report.holds(partition + " has files that end in " + extension, found != null && found.length > 0);
        return Arrays.stream(found).map(File::getPath).sorted().collect(Collectors.joining(","));
    }

    private static void intact(String printed) {
        // The tool takes a segment that does not begin at offset 0 for a gap after -1.
        String text = printed.replaceAll("Non-consecutive offsets in \\S+\\s+-1 is followed by \\d+\\s*", "");
        for (String bad : List.of("isvalid: false", "Mismatches in", "Non-consecutive", "corrupt", "Exception", "Found timestamp mismatch", "Found out of order")) {
            Report.holds("nothing is wrong: " + bad, !text.contains(bad));
        }
    }
}
