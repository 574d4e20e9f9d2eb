import java.util.Objects;
import java.util.concurrent.Callable;

/** How a Java suite reports its checks to {@code cargo xtask conformance}, and what its checks assert with. */
final class Report {
    static final String BOOTSTRAP = System.getenv("BOOTSTRAP");
    static final String DATA = System.getenv().getOrDefault("DATA", "");
    private static final String ONLY = System.getenv().getOrDefault("ONLY", "");
    private static final java.io.PrintStream OUT = System.out;
    private static final java.io.InputStream IN = System.in;

    private Report() { }

    /** The body of a check; it fails when it throws. */
    interface Body {
        void run() throws Exception;
    }

    static void check(String name, Body body) {
        if (!name.contains(ONLY)) {
            return;
        }
        say("@begin " + name);
        try {
            body.run();
            say("@ok");
        } catch (Throwable failure) {
            failure.printStackTrace(OUT);
            say("@fail " + brief(failure.toString().replace('\n', ' ')));
        }
    }

    /** Ends the program: every check was run. */
    static void done() {
        say("@done");
        Runtime.getRuntime().halt(0);
    }

    private static synchronized void say(String line) {
        OUT.println(line);
        OUT.flush();
    }

    /** Asks the runner to do something with the server, as {@code restart}. */
    static String server(String verb) throws java.io.IOException {
        say("@server " + verb);
        StringBuilder line = new StringBuilder();
        for (int next = IN.read(); next >= 0 && next != '\n'; next = IN.read()) {
            line.append((char) next);
        }
        return line.toString();
    }

    static void equal(String what, Object expected, Object got) {
        if (!Objects.equals(expected, got)) {
            throw new AssertionError(what + ": expected " + brief(expected) + ", got " + brief(got));
        }
    }

    static void holds(String what, boolean condition) {
        if (!condition) {
            throw new AssertionError(what + " does not hold");
        }
    }

    static void contains(String text, String pattern) {
        if (!java.util.regex.Pattern.compile(pattern, java.util.regex.Pattern.MULTILINE).matcher(text).find()) {
            throw new AssertionError("no match for " + pattern + " in: " + brief(text));
        }
    }

    /** Runs {@code body}, which must throw {@code expected} or wrap it. */
    static Throwable fails(String what, Class<? extends Throwable> expected, Callable<?> body) {
        Object got;
        try {
            got = body.call();
        } catch (Throwable failure) {
            for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
                if (expected.isInstance(cause)) {
                    return cause;
                }
            }
            throw new AssertionError(what + ": expected " + expected.getSimpleName() + ", got " + failure, failure);
        }
        throw new AssertionError(what + ": expected " + expected.getSimpleName() + ", got the answer " + brief(got));
    }

    static void eventually(String what, int seconds, Callable<Boolean> condition) throws Exception {
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        while (!condition.call()) {
            holds(what + " within " + seconds + " s", System.nanoTime() < end);
            Thread.sleep(30);
        }
    }

    private static String brief(Object value) {
        String text = String.valueOf(value);
        return text.length() <= 1000 ? text : text.substring(0, 1000) + " ...";
    }
}
