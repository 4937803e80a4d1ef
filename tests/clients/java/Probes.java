import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Does the same at several servers by pgjdbc, and prints what came of it as one JSON object: server, probe, result.
 *
 * <p>Arguments come in fours: a name for the server, its JDBC address, the user, the password (may be empty).
 */
public final class Probes {
    /** One question to a server. What it gives is made of maps, lists, texts, numbers, booleans and nulls. */
    interface Probe {
        Object run(Server server) throws Exception;
    }

    /** Where to connect to. */
    record Server(String url, String user, String password) {
        /** A new connection. `settings`: names and values of the driver's properties, one after the other. */
        Connection connect(String... settings) throws SQLException {
            Properties properties = new Properties();
            properties.setProperty("user", user);
            // An answer that never comes is told by the place that waits for it.
            properties.setProperty("socketTimeout", Integer.toString(ANSWER_SECONDS));
            if (!password.isEmpty()) properties.setProperty("password", password);
            for (int at = 0; at < settings.length; at += 2) properties.setProperty(settings[at], settings[at + 1]);
            return DriverManager.getConnection(url, properties);
        }
    }

    private static final List<Map<String, Probe>> ALL = List.of(Sessions.ALL, Statements.ALL, Values.ALL, Catalog.ALL);

    private static final int PROBE_SECONDS = 60;

    private static final int ANSWER_SECONDS = 45;

    /** Where a failure is looked for. */
    private static final List<String> FILES = List.of("Sessions.java", "Statements.java", "Values.java", "Catalog.java");

    public static void main(String[] arguments) throws Exception {
        ExecutorService pool = Executors.newCachedThreadPool();
        Map<String, Future<Object>> running = new LinkedHashMap<>();
        for (int at = 0; at + 3 < arguments.length; at += 4) {
            Server server = new Server(arguments[at + 1], arguments[at + 2], arguments[at + 3]);
            running.put(arguments[at], pool.submit(() -> all(server)));
        }
        Map<String, Object> told = new LinkedHashMap<>();
        for (Map.Entry<String, Future<Object>> one : running.entrySet()) told.put(one.getKey(), one.getValue().get());
        pool.shutdown();
        StringBuilder out = new StringBuilder();
        json(told, out);
        System.out.println(out);
    }

    private static Object all(Server server) {
        Map<String, Object> told = new LinkedHashMap<>();
        for (Map<String, Probe> group : ALL) {
            for (Map.Entry<String, Probe> one : group.entrySet()) told.put(one.getKey(), outcome(one.getValue(), server));
        }
        return told;
    }

    private static Object outcome(Probe probe, Server server) {
        ExecutorService alone = Executors.newSingleThreadExecutor(work -> {
            Thread thread = new Thread(work);
            thread.setDaemon(true);
            return thread;
        });
        try {
            // What is not answered must not hold up the rest.
            return alone.submit(() -> probe.run(server)).get(PROBE_SECONDS, TimeUnit.SECONDS);
        } catch (TimeoutException late) {
            return map("failed", "no answer within " + PROBE_SECONDS + " s");
        } catch (InterruptedException | ExecutionException wrapped) {
            Throwable failure = wrapped.getCause() == null ? wrapped : wrapped.getCause();
            StringBuilder text = new StringBuilder(failure.toString());
            if (failure instanceof SQLException error) text.append(" [").append(error.getSQLState()).append("]");
            for (StackTraceElement place : failure.getStackTrace()) {
                if (place.getFileName() != null && FILES.contains(place.getFileName())) {
                    text.append(" at ").append(place.getFileName()).append(':').append(place.getLineNumber());
                    break;
                }
            }
            return map("failed", text.toString());
        } finally {
            alone.shutdownNow();
        }
    }

    /** A map in the order given: names and values, one after the other. */
    static Map<String, Object> map(Object... pairs) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (int at = 0; at < pairs.length; at += 2) map.put((String) pairs[at], pairs[at + 1]);
        return map;
    }

    /** The rows as texts, as the driver gives them. */
    static List<Object> rows(ResultSet results) throws SQLException {
        List<Object> rows = new ArrayList<>();
        int columns = results.getMetaData().getColumnCount();
        while (results.next()) {
            List<Object> row = new ArrayList<>();
            for (int at = 1; at <= columns; at++) row.add(results.getString(at));
            rows.add(row);
        }
        return rows;
    }

    /** The rows as maps of their columns, but for those named. */
    static List<Object> named(ResultSet results, String... without) throws SQLException {
        List<Object> rows = new ArrayList<>();
        ResultSetMetaData about = results.getMetaData();
        while (results.next()) {
            Map<String, Object> row = new LinkedHashMap<>();
            for (int at = 1; at <= about.getColumnCount(); at++) {
                String name = about.getColumnLabel(at);
                if (Arrays.stream(without).noneMatch(name::equalsIgnoreCase)) row.put(name, results.getString(at));
            }
            rows.add(row);
        }
        return rows;
    }

    /** The rows of a query. */
    static List<Object> query(Connection connection, String sql) throws SQLException {
        try (var statement = connection.createStatement()) {
            return rows(statement.executeQuery(sql));
        }
    }

    static void execute(Connection connection, String... texts) throws SQLException {
        try (var statement = connection.createStatement()) {
            for (String sql : texts) statement.execute(sql);
        }
    }

    /** The SQLSTATE that something fails with; "none" if it does not. */
    static String state(Callable<?> work) throws Exception {
        try {
            work.call();
            return "none";
        } catch (SQLException error) {
            return String.valueOf(error.getSQLState());
        }
    }

    static String state(Connection connection, String sql) throws Exception {
        return state(() -> {
            execute(connection, sql);
            return null;
        });
    }

    private static void json(Object value, StringBuilder out) {
        if (value == null || value instanceof Boolean || value instanceof Number) {
            out.append(value);
        } else if (value instanceof Map<?, ?> map) {
            String before = "{";
            for (Map.Entry<?, ?> one : map.entrySet()) {
                text(before, one.getKey(), out);
                out.append(':');
                json(one.getValue(), out);
                before = ",";
            }
            out.append(map.isEmpty() ? "{}" : "}");
        } else if (value instanceof List<?> list) {
            out.append('[');
            for (int at = 0; at < list.size(); at++) {
                if (at > 0) out.append(',');
                json(list.get(at), out);
            }
            out.append(']');
        } else {
            text("", value, out);
        }
    }

    private static void text(String before, Object value, StringBuilder out) {
        out.append(before).append('"');
        String text = String.valueOf(value);
        for (int at = 0; at < text.length(); at++) {
            char letter = text.charAt(at);
            if (letter == '"' || letter == '\\') {
                out.append('\\').append(letter);
            } else if (letter < ' ' || letter > '~') {
                out.append(String.format("\\u%04x", (int) letter));
            } else {
                out.append(letter);
            }
        }
        out.append('"');
    }

    private Probes() {}
}
