import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/**
 * What a small record costs in Java: it is read from the bytes in a file, and encoded and decoded over and over. Prints the
 * nanoseconds of one round.
 *
 * <p>{@code serializer} does what the common serializer of records with schemas does when everything is remembered: it names
 * the subject, looks up the id of the schema there and the writer, and writes the id before the payload; then it reads the id,
 * and looks up the schema and the reader. {@code core} leaves all that out, and uses encoder and decoder again, which that
 * serializer does not.
 *
 * <p>Arguments: {@code serializer} or {@code core}, a file with the schema, one with the record, seconds to warm up, seconds
 * to measure.
 */
public final class Cost {
    private static final int ROUNDS = 10_000;
    private static final byte MAGIC = 0;
    private static final int PREFIX = 5;

    /** Encodes and decodes, and returns something of both. */
    private interface Round {
        int run(GenericRecord value) throws IOException;
    }

    public static void main(String[] arguments) throws IOException {
        Schema schema = new Schema.Parser().parse(Files.readString(Path.of(arguments[1])));
        byte[] bytes = Files.readAllBytes(Path.of(arguments[2]));
        GenericRecord value = new GenericDatumReader<GenericRecord>(schema)
                .read(null, DecoderFactory.get().binaryDecoder(bytes, null));
        Round round = arguments[0].equals("core") ? new Core(schema) : new Serializer(schema, "orders");
        measure(round, value, Double.parseDouble(arguments[3]));
        System.out.println(measure(round, value, Double.parseDouble(arguments[4])));
    }

    private static double measure(Round round, GenericRecord value, double seconds) throws IOException {
        long start = System.nanoTime();
        long rounds = 0;
        int sum = 0;
        while (System.nanoTime() - start < seconds * 1e9) {
            for (int turn = 0; turn < ROUNDS; turn++) {
                sum += round.run(value);
            }
            rounds += ROUNDS;
        }
        if (sum == 0) {
            throw new IllegalStateException("nothing was read");
        }
        return (double) (System.nanoTime() - start) / rounds;
    }

    private static final class Core implements Round {
        private final GenericDatumWriter<GenericRecord> writer;
        private final GenericDatumReader<GenericRecord> reader;
        private BinaryEncoder encoder;
        private BinaryDecoder decoder;

        Core(Schema schema) {
            writer = new GenericDatumWriter<>(schema);
            reader = new GenericDatumReader<>(schema);
        }

        @Override
        public int run(GenericRecord value) throws IOException {
            ByteArrayOutputStream output = new ByteArrayOutputStream();
            encoder = EncoderFactory.get().directBinaryEncoder(output, encoder);
            writer.write(value, encoder);
            encoder.flush();
            byte[] written = output.toByteArray();
            decoder = DecoderFactory.get().binaryDecoder(written, decoder);
            return reader.read(null, decoder).getSchema().getFields().size() + written.length;
        }
    }

    private static final class Serializer implements Round {
        private final Map<String, Map<Schema, Integer>> ids = new ConcurrentHashMap<>();
        private final Map<Integer, Schema> schemas = new ConcurrentHashMap<>();
        private final Map<Schema, GenericDatumWriter<GenericRecord>> writers = new ConcurrentHashMap<>();
        private final Map<Schema, GenericDatumReader<GenericRecord>> readers = new ConcurrentHashMap<>();
        private final String topic;

        Serializer(Schema schema, String topic) {
            this.topic = topic;
            ids.put(topic + "-value", new ConcurrentHashMap<>(Map.of(schema, 1)));
            schemas.put(1, schema);
        }

        @Override
        public int run(GenericRecord value) throws IOException {
            byte[] written = serialize(value);
            return deserialize(written).getSchema().getFields().size() + written.length;
        }

        private byte[] serialize(GenericRecord value) throws IOException {
            Schema schema = value.getSchema();
            int id = ids.get(topic + "-value").get(schema);
            ByteArrayOutputStream output = new ByteArrayOutputStream();
            output.write(MAGIC);
            output.write(ByteBuffer.allocate(PREFIX - 1).putInt(id).array());
            BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(output, null);
            writers.computeIfAbsent(schema, GenericDatumWriter::new).write(value, encoder);
            encoder.flush();
            return output.toByteArray();
        }

        private GenericRecord deserialize(byte[] written) throws IOException {
            ByteBuffer buffer = ByteBuffer.wrap(written);
            if (buffer.get() != MAGIC) {
                throw new IOException("no id");
            }
            Schema schema = schemas.get(buffer.getInt());
            BinaryDecoder decoder =
                    DecoderFactory.get().binaryDecoder(written, PREFIX, written.length - PREFIX, null);
            return readers.computeIfAbsent(schema, GenericDatumReader::new).read(null, decoder);
        }
    }
}
