import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.data.*;
import org.apache.kafka.connect.header.ConnectHeaders;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.storage.Converter;
import org.apache.kafka.connect.storage.HeaderConverter;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.predicates.Predicate;

/**
 * Kafka Connect's own converters, transforms and predicates do what the example program exchange_connect of the crate connect
 * did: `Connect FILE` prints a JSON object for each line of the file: what was compared, and a `problem` where results differ.
 */
public class Connect {
    static final ObjectMapper JSON = new ObjectMapper();
    static final JsonNodeFactory NODES = JsonNodeFactory.instance;
    static final long DAY = 24 * 60 * 60 * 1000;

    public static void main(String[] arguments) throws Exception {
        try (BufferedReader lines = Files.newBufferedReader(Path.of(arguments[0]))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                JsonNode work = JSON.readTree(line);
                JsonNode theirs = outcome(work);
                JsonNode ours = sorted(work.get("ours"));
                String short_ = work.get("class").asText().replaceAll(".*\\.", "");
                ObjectNode report = NODES.objectNode().put("of", work.get("kind").asText() + " " + short_);
                if (theirs.has("error")) report.put("failed", true);
                if (!same(work, ours, theirs)) {
                    report.set("problem", theirs);
                    report.set("work", work);
                }
                System.out.println(report);
            }
        }
    }

    /** Errors of settings differ in their words only. */
    static boolean same(JsonNode work, JsonNode ours, JsonNode theirs) throws Exception {
        if (ours.equals(theirs)) return true;
        if (ours.has("error") && theirs.has("error")) return theirs.has("loose") || ours.get("error").equals(theirs.get("error"));
        // There, only the schemas of structs take another name.
        if (work.get("class").asText().contains("SetSchemaMetadata")
            && "Cannot list fields on non-struct type".equals(theirs.path("error").asText())) return ours.has("record");
        // A number with the name of a moment is one here, there it is a number.
        if (work.get("class").asText().contains("Cast") && "Invalid default value".equals(theirs.path("error").asText())) return true;
        // Days are cut to 32 bits there.
        if (ours.path("error").asText().contains("beyond the days that are counted")) return true;
        // Bytes have an address for a text.
        if (work.get("class").asText().contains("StringConverter") && theirs.path("bytes").isTextual()
            && new String(Base64.getDecoder().decode(theirs.get("bytes").asText())).contains("[B@")) return ours.has("bytes");
        if (theirs.has("schemaUnknown")) return ours.has("datum") || ours.has("record");
        if (ours.has("bytes") && theirs.has("bytes") && !ours.get("bytes").isNull() && !theirs.get("bytes").isNull()) {
            return sameText(ours.get("bytes").asText(), theirs.get("bytes").asText());
        }
        return false;
    }

    /** JVMs before 19 write some floating-point numbers with more digits than are needed: numbers are compared as numbers. */
    static boolean sameText(String ours, String theirs) {
        String[] left = parts(ours), right = parts(theirs);
        if (left.length != right.length) return false;
        for (int i = 0; i < left.length; i++) {
            if (left[i].equals(right[i])) continue;
            try {
                double one = Double.parseDouble(left[i]), other = Double.parseDouble(right[i]);
                if (one != other && (float) one != (float) other) return false;
            } catch (NumberFormatException e) {
                return false;
            }
        }
        return true;
    }

    static String[] parts(String base64) {
        String text = new String(Base64.getDecoder().decode(base64), UTF_8);
        return text.split("(?<=[,:\\[\\]{}= ])|(?=[,:\\[\\]{}= ])");
    }

    static JsonNode outcome(JsonNode work) {
        try {
            return sorted(done(work));
        } catch (org.apache.kafka.common.config.ConfigException | NullPointerException | ClassCastException | IndexOutOfBoundsException e) {
            return NODES.objectNode().put("error", e.toString()).put("loose", true);
        } catch (Throwable e) {
            String message = String.valueOf(e.getMessage()).replace("java.util.LinkedHashMap", "java.util.HashMap");
            ObjectNode failed = NODES.objectNode().put("error", message);
            // The first of several fields to fail is the first in a hash table.
            if (work.get("class").asText().matches(".*(Cast|MaskField).*")) failed.put("loose", true);
            if (e instanceof NumberFormatException) failed.put("loose", true);
            return failed;
        }
    }

    static JsonNode done(JsonNode work) throws Exception {
        Map<String, String> config = new LinkedHashMap<>();
        work.get("config").fields().forEachRemaining(e -> config.put(e.getKey(), e.getValue().asText()));
        Object made = Class.forName(work.get("class").asText()).getDeclaredConstructor().newInstance();
        switch (work.get("kind").asText()) {
            case "encode": {
                SchemaAndValue datum = datum(work.get("datum"));
                byte[] bytes;
                if (made instanceof Converter) {
                    ((Converter) made).configure(config, false);
                    bytes = ((Converter) made).fromConnectData("t", datum.schema(), datum.value());
                } else {
                    ((HeaderConverter) made).configure(config);
                    bytes = ((HeaderConverter) made).fromConnectHeader("t", "h", datum.schema(), datum.value());
                }
                ObjectNode result = NODES.objectNode();
                if (bytes == null) return result.putNull("bytes");
                return result.put("bytes", Base64.getEncoder().encodeToString(bytes));
            }
            case "decode": {
                byte[] bytes = Base64.getDecoder().decode(work.get("bytes").asText());
                SchemaAndValue datum;
                if (made instanceof Converter) {
                    ((Converter) made).configure(config, false);
                    datum = ((Converter) made).toConnectData("t", bytes);
                } else {
                    ((HeaderConverter) made).configure(config);
                    datum = ((HeaderConverter) made).toConnectHeader("t", "h", bytes);
                    if (datum == null) datum = SchemaAndValue.NULL;
                }
                ObjectNode result = NODES.objectNode();
                result.set("datum", shown(datum.schema(), datum.value()));
                return marked(result);
            }
            case "predicate": {
                @SuppressWarnings("unchecked")
                Predicate<SinkRecord> predicate = (Predicate<SinkRecord>) made;
                predicate.configure(config);
                return NODES.objectNode().put("holds", predicate.test(record(work.get("record"))));
            }
            default: {
                @SuppressWarnings("unchecked")
                Transformation<SinkRecord> transform = (Transformation<SinkRecord>) made;
                transform.configure(config);
                SinkRecord after = transform.apply(record(work.get("record")));
                if (after == null) return NODES.objectNode().put("dropped", true);
                ObjectNode result = NODES.objectNode();
                result.set("record", shown(after));
                return marked(result);
            }
        }
    }

    /** What has no form in the other data model: times and containers without a schema. */
    static ObjectNode marked(ObjectNode result) {
        String text = result.toString();
        if (text.contains("\"t\":{") || text.contains("\"unknown\"")) result.put("schemaUnknown", true);
        return result;
    }

    static SinkRecord record(JsonNode shown) {
        SchemaAndValue key = datum(shown.get("key")), value = datum(shown.get("value"));
        ConnectHeaders headers = new ConnectHeaders();
        for (JsonNode header : shown.get("headers")) headers.add(header.get("name").asText(), datum(header.get("datum")));
        JsonNode timestamp = shown.get("timestamp");
        return new SinkRecord(shown.get("topic").asText(), shown.get("partition").asInt(), key.schema(), key.value(),
            value.schema(), value.value(), 42, timestamp.isNull() ? null : Long.valueOf(timestamp.asText()),
            TimestampType.CREATE_TIME, headers);
    }

    static JsonNode shown(SinkRecord record) {
        ObjectNode shown = NODES.objectNode();
        shown.put("topic", record.topic());
        shown.put("partition", record.kafkaPartition());
        shown.set("key", shown(record.keySchema(), record.key()));
        shown.set("value", shown(record.valueSchema(), record.value()));
        shown.put("timestamp", record.timestamp() == null ? null : record.timestamp().toString());
        ArrayNode headers = shown.putArray("headers");
        for (Header header : record.headers()) {
            headers.addObject().put("name", header.key()).set("datum", shown(header.schema(), header.value()));
        }
        return shown;
    }

    // From JSON.

    static SchemaAndValue datum(JsonNode shown) {
        Schema schema = schema(shown.get("schema"));
        return new SchemaAndValue(schema, value(schema, shown.get("value")));
    }

    static Schema schema(JsonNode shown) {
        if (shown == null || shown.isNull()) return null;
        Schema.Type type = Schema.Type.valueOf(shown.get("type").asText());
        SchemaBuilder builder;
        switch (type) {
            case ARRAY: builder = SchemaBuilder.array(schema(shown.get("items"))); break;
            case MAP: builder = SchemaBuilder.map(schema(shown.get("keys")), schema(shown.get("values"))); break;
            case STRUCT:
                builder = SchemaBuilder.struct();
                for (JsonNode field : shown.get("fields")) builder.field(field.get("name").asText(), schema(field.get("schema")));
                break;
            default: builder = new SchemaBuilder(type);
        }
        if (shown.get("optional").asBoolean()) builder.optional();
        if (!shown.get("name").isNull()) builder.name(shown.get("name").asText());
        if (!shown.get("version").isNull()) builder.version(Integer.valueOf(shown.get("version").asText()));
        if (!shown.get("doc").isNull()) builder.doc(shown.get("doc").asText());
        shown.get("parameters").fields().forEachRemaining(e -> builder.parameter(e.getKey(), e.getValue().asText()));
        if (!shown.get("default").isNull()) builder.defaultValue(value(builder, shown.get("default")));
        return builder.build();
    }

    static Object value(Schema schema, JsonNode tagged) {
        if (tagged == null || tagged.isNull()) return null;
        Map.Entry<String, JsonNode> tag = tagged.fields().next();
        JsonNode node = tag.getValue();
        String name = schema == null ? null : schema.name();
        switch (tag.getKey()) {
            case "z": return node.asBoolean();
            case "b": return Byte.valueOf(node.asText());
            case "h": return Short.valueOf(node.asText());
            case "i": {
                int number = Integer.parseInt(node.asText());
                if (Date.LOGICAL_NAME.equals(name)) return new java.util.Date(number * DAY);
                if (Time.LOGICAL_NAME.equals(name)) return new java.util.Date(number);
                return number;
            }
            case "l": {
                long number = Long.parseLong(node.asText());
                return Timestamp.LOGICAL_NAME.equals(name) ? (Object) new java.util.Date(number) : (Object) number;
            }
            case "f": return Float.intBitsToFloat(Integer.parseInt(node.asText()));
            case "d": return Double.longBitsToDouble(Long.parseLong(node.asText()));
            case "s": return node.asText();
            case "y": {
                byte[] bytes = Base64.getDecoder().decode(node.asText());
                return Decimal.LOGICAL_NAME.equals(name) ? (Object) Decimal.toLogical(schema, bytes) : (Object) bytes;
            }
            case "a": {
                List<Object> items = new ArrayList<>();
                Schema inner = schema != null && schema.type() == Schema.Type.ARRAY ? schema.valueSchema() : null;
                for (JsonNode item : node) items.add(value(inner, item));
                return items;
            }
            case "m": {
                Map<Object, Object> map = new LinkedHashMap<>();
                boolean known = schema != null && schema.type() == Schema.Type.MAP;
                for (JsonNode entry : node) {
                    map.put(value(known ? schema.keySchema() : null, entry.get(0)), value(known ? schema.valueSchema() : null, entry.get(1)));
                }
                return map;
            }
            default: {
                Struct struct = new Struct(schema instanceof SchemaBuilder ? ((SchemaBuilder) schema).build() : schema);
                for (JsonNode field : node) {
                    Field of = struct.schema().field(field.get(0).asText());
                    Object inner = value(of.schema(), field.get(1));
                    if (inner != null) struct.put(of, inner);
                }
                return struct;
            }
        }
    }

    // To JSON.

    static ObjectNode shown(Schema schema, Object value) {
        ObjectNode shown = NODES.objectNode();
        shown.set("schema", shown(schema));
        shown.set("value", tagged(schema, value));
        return shown;
    }

    static JsonNode shown(Schema schema) {
        if (schema == null) return NODES.nullNode();
        ObjectNode shown = NODES.objectNode();
        shown.put("type", schema.type().name());
        shown.put("optional", schema.isOptional());
        shown.put("name", schema.name());
        shown.put("version", schema.version() == null ? null : schema.version().toString());
        shown.put("doc", schema.doc());
        ObjectNode parameters = shown.putObject("parameters");
        if (schema.parameters() != null) schema.parameters().forEach(parameters::put);
        shown.set("default", tagged(schema, schema.defaultValue()));
        switch (schema.type()) {
            case ARRAY: shown.set("items", inner(schema.valueSchema())); break;
            case MAP:
                shown.set("keys", inner(schema.keySchema()));
                shown.set("values", inner(schema.valueSchema()));
                break;
            case STRUCT: {
                ArrayNode fields = shown.putArray("fields");
                for (Field field : schema.fields()) fields.addObject().put("name", field.name()).set("schema", shown(field.schema()));
                break;
            }
            default:
        }
        return shown;
    }

    static JsonNode inner(Schema schema) {
        return schema == null ? NODES.textNode("unknown") : shown(schema);
    }

    static JsonNode tagged(Schema schema, Object value) {
        if (value == null) return NODES.nullNode();
        ObjectNode tag = NODES.objectNode();
        String name = schema == null ? null : schema.name();
        if (value instanceof java.util.Date) {
            long millis = ((java.util.Date) value).getTime();
            if (Date.LOGICAL_NAME.equals(name)) return tag.put("i", Long.toString(Math.floorDiv(millis, DAY)));
            if (Time.LOGICAL_NAME.equals(name)) return tag.put("i", Long.toString(millis));
            if (Timestamp.LOGICAL_NAME.equals(name)) return tag.put("l", Long.toString(millis));
            tag.putObject("t").put("millis", Long.toString(millis));
            return tag;
        }
        if (value instanceof BigDecimal) {
            BigDecimal decimal = (BigDecimal) value;
            if (Decimal.LOGICAL_NAME.equals(name)) {
                decimal = decimal.setScale(Integer.parseInt(schema.parameters().get("scale")), RoundingMode.UNNECESSARY);
            }
            return tag.put("y", Base64.getEncoder().encodeToString(decimal.unscaledValue().toByteArray()));
        }
        if (value instanceof Boolean) return tag.put("z", (Boolean) value);
        if (value instanceof Byte) return tag.put("b", value.toString());
        if (value instanceof Short) return tag.put("h", value.toString());
        if (value instanceof Integer) return tag.put("i", value.toString());
        if (value instanceof Long) return tag.put("l", value.toString());
        if (value instanceof Float) return tag.put("f", Integer.toString(Float.floatToIntBits((Float) value)));
        if (value instanceof Double) return tag.put("d", Long.toString(Double.doubleToLongBits((Double) value)));
        if (value instanceof String) return tag.put("s", new String(((String) value).getBytes(UTF_8), UTF_8));
        if (value instanceof byte[]) return tag.put("y", Base64.getEncoder().encodeToString((byte[]) value));
        if (value instanceof ByteBuffer) return tag.put("y", Base64.getEncoder().encodeToString(((ByteBuffer) value).array()));
        if (value instanceof List) {
            ArrayNode items = tag.putArray("a");
            Schema inner = schema != null && schema.type() == Schema.Type.ARRAY ? schema.valueSchema() : null;
            for (Object item : (List<?>) value) items.add(tagged(inner, item));
            return tag;
        }
        if (value instanceof Map) {
            ArrayNode entries = tag.putArray("m");
            boolean known = schema != null && schema.type() == Schema.Type.MAP;
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                ArrayNode pair = entries.addArray();
                pair.add(tagged(known ? schema.keySchema() : null, entry.getKey()));
                pair.add(tagged(known ? schema.valueSchema() : null, entry.getValue()));
            }
            return tag;
        }
        Struct struct = (Struct) value;
        ArrayNode fields = tag.putArray("r");
        for (Field field : struct.schema().fields()) {
            fields.addArray().add(field.name()).add(tagged(field.schema(), struct.getWithoutDefault(field.name())));
        }
        return tag;
    }

    /** Maps have no order. */
    static JsonNode sorted(JsonNode node) {
        if (node.isArray()) {
            ArrayNode items = NODES.arrayNode();
            node.forEach(item -> items.add(sorted(item)));
            return items;
        }
        if (!node.isObject()) return node;
        TreeMap<String, JsonNode> members = new TreeMap<>();
        node.fields().forEachRemaining(member -> members.put(member.getKey(), sorted(member.getValue())));
        if (members.containsKey("m") && members.size() == 1) {
            List<JsonNode> entries = new ArrayList<>();
            members.get("m").forEach(entries::add);
            entries.sort(Comparator.comparing(JsonNode::toString));
            members.put("m", NODES.arrayNode().addAll(entries));
        }
        ObjectNode object = NODES.objectNode();
        members.forEach(object::set);
        return object;
    }
}
