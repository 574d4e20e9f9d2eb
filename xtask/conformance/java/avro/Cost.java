import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/**
 * What the core of the Java serializer costs: a record, read from the bytes in a file, is encoded and decoded over and over.
 * Encoder, decoder and their readers are used again, as that serializer does. Prints nanoseconds for one round.
 *
 * <p>Arguments: a file with the schema, one with the record, seconds to warm up, seconds to measure.
 */
public final class Cost {
    private static final int ROUNDS = 10_000;

    public static void main(String[] arguments) throws IOException {
        Schema schema = new Schema.Parser().parse(Files.readString(Path.of(arguments[0])));
        byte[] bytes = Files.readAllBytes(Path.of(arguments[1]));
        var writer = new GenericDatumWriter<GenericRecord>(schema);
        var reader = new GenericDatumReader<GenericRecord>(schema);
        GenericRecord value = reader.read(null, DecoderFactory.get().binaryDecoder(bytes, null));
        measure(writer, reader, value, Double.parseDouble(arguments[2]));
        System.out.println(measure(writer, reader, value, Double.parseDouble(arguments[3])));
    }

    private static double measure(
            GenericDatumWriter<GenericRecord> writer,
            GenericDatumReader<GenericRecord> reader,
            GenericRecord value,
            double seconds) throws IOException {
        BinaryEncoder encoder = null;
        BinaryDecoder decoder = null;
        long start = System.nanoTime();
        long rounds = 0;
        int sum = 0;
        while (System.nanoTime() - start < seconds * 1e9) {
            for (int round = 0; round < ROUNDS; round++) {
                ByteArrayOutputStream output = new ByteArrayOutputStream();
                encoder = EncoderFactory.get().directBinaryEncoder(output, encoder);
                writer.write(value, encoder);
                encoder.flush();
                byte[] written = output.toByteArray();
                decoder = DecoderFactory.get().binaryDecoder(written, decoder);
                sum += reader.read(null, decoder).getSchema().getFields().size() + written.length;
            }
            rounds += ROUNDS;
        }
        if (sum == 0) {
            throw new IllegalStateException("nothing was read");
        }
        return (double) (System.nanoTime() - start) / rounds;
    }
}
