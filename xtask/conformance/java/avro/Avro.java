import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.TreeSet;
import org.apache.avro.NameValidator;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.SchemaCompatibility.Incompatibility;
import org.apache.avro.SchemaCompatibility.SchemaCompatibilityType;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/**
 * What Avro's own library says: one line of JSON for each line of a file.
 *
 * <p>{@code compare} judges the pairs of a table. {@code exchange} judges random pairs with data, and answers what differs.
 */
public final class Avro {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws IOException {
        try (BufferedReader lines = Files.newBufferedReader(Path.of(arguments[1]))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                JsonNode given = JSON.readTree(line);
                System.out.println(arguments[0].equals("compare") ? compare(given) : exchange(given));
            }
        }
    }

    /** Which of two schemas reads the other, and why not. */
    private static ObjectNode compare(JsonNode given) {
        Schema a = parse(given.get("a").toString());
        Schema b = parse(given.get("b").toString());
        ObjectNode answer = JSON.createObjectNode();
        answer.set("name", given.get("name"));
        reasons(a, b, answer.putArray("a_reads_b"));
        reasons(b, a, answer.putArray("b_reads_a"));
        return answer;
    }

    private static Schema parse(String schema) {
        return new Schema.Parser(NameValidator.STRICT_VALIDATOR).setValidateDefaults(true).parse(schema);
    }

    private static void reasons(Schema reader, Schema writer, ArrayNode answer) {
        TreeSet<String> reasons = new TreeSet<>();
        try {
            var outcome = SchemaCompatibility.checkReaderWriterCompatibility(reader, writer);
            for (Incompatibility reason : outcome.getResult().getIncompatibilities()) {
                reasons.add(reason.getType() + " " + reason.getLocation());
            }
        } catch (RuntimeException error) {
            reasons.add("ERROR " + error.getClass().getSimpleName());
        }
        reasons.forEach(answer::add);
    }

    /** Whether verdict, canonical text and bytes are the same here. */
    private static ObjectNode exchange(JsonNode given) {
        ObjectNode answer = JSON.createObjectNode();
        answer.set("seed", given.get("seed"));
        try {
            String problem = problem(given);
            if (problem != null) {
                answer.put("problem", problem);
            }
        } catch (IOException | RuntimeException error) {
            answer.put("problem", error.toString());
        }
        return answer;
    }

    private static String problem(JsonNode given) throws IOException {
        Schema writer = parse(given.get("writer").textValue());
        Schema reader = parse(given.get("reader").textValue());
        if (!writer.toString().equals(given.get("canonical").textValue())) {
            return "the text here is " + writer;
        }
        var outcome = SchemaCompatibility.checkReaderWriterCompatibility(reader, writer);
        boolean fits = outcome.getType() == SchemaCompatibilityType.COMPATIBLE;
        if (fits != given.get("fits").booleanValue()) {
            return "here it is " + outcome.getResult().getIncompatibilities();
        }
        for (JsonNode value : given.get("values")) {
            String written = value.get("written").textValue();
            String again = copy(written, writer, writer);
            if (!again.equals(written)) {
                return "what was written as " + written + " is " + again + " here";
            }
            if (fits) {
                String read = copy(written, writer, reader);
                if (!read.equals(value.get("read").textValue())) {
                    return "what was written as " + written + " is read as " + read + " here";
                }
            }
        }
        return null;
    }

    /** Reads data and writes it again as the reader sees it. */
    private static String copy(String written, Schema writer, Schema reader) throws IOException {
        byte[] bytes = HexFormat.of().parseHex(written);
        var decoder = DecoderFactory.get().binaryDecoder(bytes, null);
        Object datum = new GenericDatumReader<>(writer, reader).read(null, decoder);
        ByteArrayOutputStream copy = new ByteArrayOutputStream();
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(copy, null);
        new GenericDatumWriter<>(reader).write(datum, encoder);
        encoder.flush();
        return HexFormat.of().formatHex(copy.toByteArray());
    }
}
