import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.jar.JarFile;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;

/**
 * Kafka's own message classes as an oracle for bytes.
 *
 * <p>{@code generate SEED COUNT FILE} writes COUNT random messages of every class and version that Kafka's jars hold;
 * {@code verify FILE} reads messages that somebody else wrote, and each must be written again byte by byte. A file is a
 * row of entries: class name (length in two bytes), version (two bytes), length (four bytes), bytes.
 */
public final class Messages {
    private static final int ELEMENTS_MAX = 3;

    private final Random random;

    private Messages(long seed) {
        this.random = new Random(seed);
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, Class<?>> classes = classes();
        if (arguments[0].equals("generate")) {
            long seed = Long.parseLong(arguments[1]);
            new Messages(seed).generate(classes, Integer.parseInt(arguments[2]), arguments[3]);
        } else if (arguments[0].equals("verify")) {
            verify(classes, arguments[1]);
        } else {
            throw new IllegalArgumentException(arguments[0]);
        }
    }

    /** All generated classes of the class path's Kafka jars that have a version, by their names. */
    private static Map<String, Class<?>> classes() throws Exception {
        Map<String, Class<?>> found = new TreeMap<>();
        for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
            if (!new File(path).getName().matches("kafka[-_].*\\.jar")) {
                continue;
            }
            try (JarFile jar = new JarFile(path)) {
                for (var entry : (Iterable<java.util.jar.JarEntry>) jar.stream()::iterator) {
                    String name = entry.getName();
                    if (name.matches(".*/(message|generated|metadata)/[A-Za-z0-9]+\\.class")) {
                        add(found, name.substring(0, name.length() - 6).replace('/', '.'));
                    }
                }
            }
        }
        return found;
    }

    private static void add(Map<String, Class<?>> found, String name) throws Exception {
        Class<?> type;
        try {
            type = Class.forName(name, false, Messages.class.getClassLoader());
        } catch (LinkageError missing) {
            return;
        }
        boolean generated = Message.class.isAssignableFrom(type) && !type.isInterface()
            && Arrays.stream(type.getFields()).anyMatch(field -> field.getName().equals("SCHEMAS"));
        if (generated && highest(type) >= lowest(type) && found.put(type.getSimpleName(), type) != null) {
            throw new IllegalStateException("two classes are called " + type.getSimpleName());
        }
    }

    private static short lowest(Class<?> type) throws Exception {
        return type.getField("LOWEST_SUPPORTED_VERSION").getShort(null);
    }

    private static short highest(Class<?> type) throws Exception {
        return type.getField("HIGHEST_SUPPORTED_VERSION").getShort(null);
    }

    private static byte[] bytesOf(Message message, short version) {
        ByteBuffer buffer = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes;
    }

    private void generate(Map<String, Class<?>> classes, int count, String file) throws Exception {
        try (var out = new DataOutputStream(new BufferedOutputStream(new FileOutputStream(file)))) {
            for (var entry : classes.entrySet()) {
                Class<?> type = entry.getValue();
                Schema[] schemas = (Schema[]) type.getField("SCHEMAS").get(null);
                for (short version = lowest(type); version <= highest(type); version++) {
                    for (int round = 0; round < count; round++) {
                        Message message = (Message) structure(type, schemas[version], 0);
                        byte[] bytes = bytesOf(message, version);
                        byte[] name = entry.getKey().getBytes(StandardCharsets.UTF_8);
                        out.writeShort(name.length);
                        out.write(name);
                        out.writeShort(version);
                        out.writeInt(bytes.length);
                        out.write(bytes);
                    }
                    System.out.println(entry.getKey() + " " + version);
                }
            }
        }
    }

    /** An object whose fields are random where {@code schema}, its form in one version, has them. */
    private Object structure(Class<?> type, Schema schema, int depth) throws Exception {
        Object object = type.getDeclaredConstructor().newInstance();
        Map<String, Type> inVersion = new HashMap<>();
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields tagged) {
                tagged.fields().values().forEach(one -> {
                    if (random.nextBoolean()) {
                        inVersion.put(plain(one.name), one.type);
                    }
                });
            } else {
                inVersion.put(plain(field.def.name), field.def.type);
            }
        }
        for (Field field : type.getDeclaredFields()) {
            Type known = inVersion.remove(plain(field.getName()));
            if (known != null && !Modifier.isStatic(field.getModifiers())) {
                field.setAccessible(true);
                field.set(object, value(field, known, depth));
            }
        }
        if (!inVersion.isEmpty()) {
            throw new IllegalStateException(type + " has no fields " + inVersion.keySet());
        }
        return object;
    }

    private static String plain(String name) {
        return name.replace("_", "").toLowerCase(Locale.ROOT);
    }

    private Object value(Field field, Type known, int depth) throws Exception {
        if (known.isNullable() && random.nextInt(4) == 0) {
            return null;
        }
        Class<?> type = field.getType();
        if (!Collection.class.isAssignableFrom(type)) {
            return single(type, known, depth);
        }
        Class<?> element;
        Collection<Object> collection;
        if (type == List.class) {
            element = (Class<?>) ((ParameterizedType) field.getGenericType()).getActualTypeArguments()[0];
            collection = new ArrayList<>();
        } else {
            element = (Class<?>) ((ParameterizedType) type.getGenericSuperclass()).getActualTypeArguments()[0];
            @SuppressWarnings("unchecked")
            Collection<Object> own = (Collection<Object>) type.getDeclaredConstructor().newInstance();
            collection = own;
        }
        Type elementType = known.arrayElementType().orElseThrow();
        int count = depth < 2 && random.nextInt(40) == 0 ? 150 : random.nextInt(ELEMENTS_MAX + 1);
        for (int i = 0; i < count; i++) {
            collection.add(single(element, elementType, depth + 1));
        }
        return collection;
    }

    private Object single(Class<?> type, Type known, int depth) throws Exception {
        if (known instanceof Schema schema) {
            return structure(type, schema, depth + 1);
        }
        if (type == boolean.class || type == Boolean.class) {
            return random.nextBoolean();
        } else if (type == byte.class || type == Byte.class) {
            return (byte) number();
        } else if (type == short.class || type == Short.class) {
            return (short) number();
        } else if (type == int.class || type == Integer.class) {
            boolean unsigned = known.toString().equals("UINT16");
            return unsigned ? (int) (number() & 0xffff) : (int) number();
        } else if (type == long.class || type == Long.class) {
            boolean unsigned = known.toString().equals("UINT32");
            return unsigned ? number() & 0xffffffffL : number();
        } else if (type == double.class) {
            return random.nextInt(1000) / 8.0;
        } else if (type == String.class) {
            return text();
        } else if (type == Uuid.class) {
            return random.nextInt(4) == 0 ? Uuid.ZERO_UUID : new Uuid(random.nextLong(), random.nextLong());
        } else if (type == byte[].class) {
            return content();
        } else if (type == ByteBuffer.class) {
            return ByteBuffer.wrap(content());
        } else if (type.isAssignableFrom(MemoryRecords.class)) {
            return MemoryRecords.readableRecords(ByteBuffer.wrap(content()));
        }
        throw new IllegalStateException("no values of " + type);
    }

    private long number() {
        return switch (random.nextInt(6)) {
            case 0 -> 0;
            case 1 -> -1;
            case 2 -> Long.MAX_VALUE;
            case 3 -> 1L << 63 | 1L << 31 | 1L << 15 | 1L << 7;
            case 4 -> random.nextInt(300);
            default -> random.nextLong();
        };
    }

    private String text() {
        String[] alphabet = {"a", "Z", "-", "7", "ž", "λ", "火", "🌊"};
        int length = random.nextInt(20) == 0 ? 200 : random.nextInt(10);
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < length; i++) {
            text.append(alphabet[random.nextInt(alphabet.length)]);
        }
        return text.toString();
    }

    private byte[] content() {
        byte[] bytes = new byte[random.nextInt(20) == 0 ? 3000 : random.nextInt(20)];
        random.nextBytes(bytes);
        return bytes;
    }

    private static void verify(Map<String, Class<?>> classes, String file) throws Exception {
        Map<String, Integer> seen = new TreeMap<>();
        int failures = 0;
        try (var in = new DataInputStream(new BufferedInputStream(new FileInputStream(file)))) {
            while (true) {
                String name;
                try {
                    name = new String(in.readNBytes(in.readUnsignedShort()), StandardCharsets.UTF_8);
                } catch (EOFException end) {
                    break;
                }
                short version = in.readShort();
                byte[] bytes = in.readNBytes(in.readInt());
                String problem = problem(classes, name, version, bytes);
                if (problem != null && failures++ < 20) {
                    System.err.println(name + " " + version + ": " + problem + "\n  " + HexFormat.of().formatHex(bytes));
                }
                seen.put(name + " " + version, 1);
            }
        }
        seen.keySet().forEach(System.out::println);
        if (failures > 0) {
            System.err.println(failures + " messages differ");
            System.exit(1);
        }
    }

    /** Why these bytes are not what Kafka would write, or null. */
    private static String problem(Map<String, Class<?>> classes, String name, short version, byte[] bytes) {
        Class<?> type = classes.containsKey(name) ? classes.get(name) : classes.get(name + "Data");
        if (type == null) {
            return "Kafka has no such class";
        }
        try {
            Message message = (Message) type.getDeclaredConstructor().newInstance();
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            message.read(new ByteBufferAccessor(buffer), version);
            if (buffer.hasRemaining()) {
                return buffer.remaining() + " bytes are left";
            }
            byte[] again = bytesOf(message, version);
            return Arrays.equals(bytes, again) ? null : "written as " + HexFormat.of().formatHex(again);
        } catch (Exception failure) {
            return failure.toString();
        }
    }
}
