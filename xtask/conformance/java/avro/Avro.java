import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.TreeSet;
import org.apache.avro.NameValidator;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.SchemaCompatibility.Incompatibility;

/** What Avro's own library says about schemas: one line of JSON for each line of a file. */
public final class Avro {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws IOException {
        StringBuilder answers = new StringBuilder();
        for (String line : Files.readAllLines(Path.of(arguments[1]))) {
            JsonNode given = JSON.readTree(line);
            ObjectNode answer = JSON.createObjectNode();
            switch (arguments[0]) {
                case "compare" -> compare(given, answer);
                default -> throw new IllegalArgumentException(arguments[0]);
            }
            answers.append(answer).append('\n');
        }
        System.out.print(answers);
    }

    /** Which of two schemas reads the other, and why not. */
    private static void compare(JsonNode given, ObjectNode answer) {
        Schema a = parse(given.get("a"));
        Schema b = parse(given.get("b"));
        answer.set("name", given.get("name"));
        reasons(a, b, answer.putArray("a_reads_b"));
        reasons(b, a, answer.putArray("b_reads_a"));
    }

    private static Schema parse(JsonNode schema) {
        return new Schema.Parser(NameValidator.STRICT_VALIDATOR).setValidateDefaults(true).parse(schema.toString());
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
}
