import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;

/** Connections: what they know, transactions, time. */
final class Sessions {
    static final Map<String, Probes.Probe> ALL = new LinkedHashMap<>();

    /** Work that takes far longer than any of these tests. */
    static final String LONG = "SELECT count(*) FROM generate_series(1, 100000) AS a(x), generate_series(1, 100000) AS b(y) WHERE (x + y) % 7 = 3";

    static {
        ALL.put("connect", Sessions::connect);
        ALL.put("settings", Sessions::settings);
        ALL.put("transactions", Sessions::transactions);
        ALL.put("savepoints", Sessions::savepoints);
        ALL.put("autosave", Sessions::autosave);
        ALL.put("read only", Sessions::readOnly);
        ALL.put("isolation", Sessions::isolation);
        ALL.put("cancel", Sessions::cancel);
        ALL.put("timeouts", Sessions::timeouts);
        ALL.put("listen", server -> {
            try (Connection connection = server.connect()) {
                return Probes.state(connection, "LISTEN x");
            }
        });
    }

    private static Object connect(Probes.Server server) throws Exception {
        try (Connection connection = server.connect("ApplicationName", "probe", "tcpKeepAlive", "true")) {
            Map<String, String> told = new TreeMap<>(connection.unwrap(PGConnection.class).getParameterStatuses());
            boolean named = told.remove("server_version") != null;
            return Probes.map(
                "product", connection.getMetaData().getDatabaseProductName(),
                "major", connection.getMetaData().getDatabaseMajorVersion(),
                "catalog", connection.getCatalog().isEmpty(),
                "schema", connection.getSchema(),
                "valid", connection.isValid(5),
                "auto commit", connection.getAutoCommit(),
                "isolation", connection.getTransactionIsolation(),
                "read only", connection.isReadOnly(),
                "client", connection.getClientInfo("ApplicationName"),
                "user", connection.getMetaData().getUserName(),
                "version told", named,
                "told", told);
        }
    }

    private static Object settings(Probes.Server server) throws Exception {
        String options = "-c search_path=information_schema -c statement_timeout=7s";
        try (Connection connection = server.connect("options", options)) {
            List<Object> told = new ArrayList<>();
            told.add(Probes.query(connection, "SHOW search_path"));
            told.add(Probes.query(connection, "SHOW statement_timeout"));
            connection.setSchema("public");
            told.add(connection.getSchema());
            told.add(Probes.query(connection, "SHOW search_path"));
            connection.setClientInfo("ApplicationName", "it's");
            told.add(Probes.query(connection, "SHOW application_name"));
            // PostgreSQL names the column as it names the setting, however that was spelled.
            for (String name : List.of("datestyle", "TIMEZONE", "Client_Encoding", "transaction_isolation", "max_identifier_length")) {
                try (Statement statement = connection.createStatement(); ResultSet results = statement.executeQuery("SHOW " + name)) {
                    told.add(results.getMetaData().getColumnLabel(1));
                }
            }
            Probes.execute(connection, "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "SET extra_float_digits = 3", "RESET ALL");
            told.add(Probes.state(connection, "SET nosuch = 1"));
            told.add(Probes.state(connection, "SET datestyle = 'nosuch'"));
            return told;
        }
    }

    private static Object transactions(Probes.Server server) throws Exception {
        try (Connection connection = server.connect()) {
            Probes.execute(connection, "DROP TABLE IF EXISTS j_tx", "CREATE TABLE j_tx (id INTEGER PRIMARY KEY, name TEXT)");
            List<Object> told = new ArrayList<>();
            connection.setAutoCommit(false);
            Probes.execute(connection, "INSERT INTO j_tx VALUES (1, 'a'), (2, 'b')");
            connection.rollback();
            told.add(Probes.query(connection, "SELECT count(*) FROM j_tx"));
            Probes.execute(connection, "INSERT INTO j_tx VALUES (1, 'a'), (2, 'b')");
            connection.commit();
            told.add(Probes.state(connection, "INSERT INTO j_tx VALUES (1, 'again')"));
            told.add(Probes.state(connection, "SELECT 1"));
            told.add(Probes.state(() -> {
                connection.commit();
                return null;
            }));
            connection.rollback();
            told.add(Probes.query(connection, "SELECT * FROM j_tx ORDER BY id"));
            connection.setAutoCommit(true);
            told.add(Probes.state(connection, "BEGIN; INSERT INTO j_tx VALUES (3, 'c'); ROLLBACK"));
            told.add(Probes.query(connection, "SELECT count(*) FROM j_tx"));
            Probes.execute(connection, "DROP TABLE j_tx");
            return told;
        }
    }

    private static Object savepoints(Probes.Server server) throws Exception {
        try (Connection connection = server.connect()) {
            Probes.execute(connection, "DROP TABLE IF EXISTS j_save", "CREATE TABLE j_save (id INTEGER)");
            List<Object> told = new ArrayList<>();
            connection.setAutoCommit(false);
            Probes.execute(connection, "INSERT INTO j_save VALUES (1)");
            Savepoint unnamed = connection.setSavepoint();
            Probes.execute(connection, "INSERT INTO j_save VALUES (2)");
            Savepoint named = connection.setSavepoint("it's \"named\"");
            told.add(Probes.state(connection, "SELECT * FROM nosuch"));
            connection.rollback(named);
            told.add(Probes.query(connection, "SELECT count(*) FROM j_save"));
            connection.rollback(unnamed);
            Probes.execute(connection, "INSERT INTO j_save VALUES (3)");
            connection.releaseSavepoint(unnamed);
            told.add(Probes.state(() -> {
                connection.rollback(named);
                return null;
            }));
            connection.rollback();
            told.add(Probes.query(connection, "SELECT * FROM j_save"));
            connection.commit();
            connection.setAutoCommit(true);
            Probes.execute(connection, "DROP TABLE j_save");
            return told;
        }
    }

    private static Object autosave(Probes.Server server) throws Exception {
        try (Connection connection = server.connect("autosave", "always")) {
            Probes.execute(connection, "DROP TABLE IF EXISTS j_auto", "CREATE TABLE j_auto (id INTEGER)");
            List<Object> told = new ArrayList<>();
            connection.setAutoCommit(false);
            Probes.execute(connection, "INSERT INTO j_auto VALUES (1)");
            told.add(Probes.state(connection, "INSERT INTO nosuch VALUES (2)"));
            Probes.execute(connection, "INSERT INTO j_auto VALUES (3)");
            connection.commit();
            told.add(Probes.query(connection, "SELECT * FROM j_auto ORDER BY id"));
            connection.setAutoCommit(true);
            Probes.execute(connection, "DROP TABLE j_auto");
            return told;
        }
    }

    private static Object readOnly(Probes.Server server) throws Exception {
        try (Connection connection = server.connect()) {
            Probes.execute(connection, "DROP TABLE IF EXISTS j_read", "CREATE TABLE j_read (id INTEGER)");
            List<Object> told = new ArrayList<>();
            connection.setReadOnly(true);
            connection.setAutoCommit(false);
            told.add(Probes.query(connection, "SELECT count(*) FROM j_read"));
            told.add(Probes.state(connection, "INSERT INTO j_read VALUES (1)"));
            connection.rollback();
            connection.setReadOnly(false);
            told.add(Probes.state(connection, "INSERT INTO j_read VALUES (1)"));
            connection.commit();
            connection.setAutoCommit(true);
            Probes.execute(connection, "DROP TABLE j_read");
            return told;
        }
    }

    private static Object isolation(Probes.Server server) throws Exception {
        try (Connection connection = server.connect()) {
            List<Object> told = new ArrayList<>();
            for (int level : List.of(Connection.TRANSACTION_READ_UNCOMMITTED, Connection.TRANSACTION_READ_COMMITTED,
                    Connection.TRANSACTION_REPEATABLE_READ)) {
                told.add(Probes.state(() -> {
                    connection.setTransactionIsolation(level);
                    return null;
                }));
            }
            told.add(connection.getTransactionIsolation());
            return told;
        }
    }

    private static Object cancel(Probes.Server server) throws Exception {
        try (Connection connection = server.connect(); Statement statement = connection.createStatement()) {
            // Again and again: before its statement has begun the driver sends none, and then it sends one. Late, since PostgreSQL
            // passes over a request that comes before the statement does, as it may on a busy machine.
            ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor(work -> {
                Thread thread = new Thread(work);
                // A probe that is given up must not keep the program.
                thread.setDaemon(true);
                return thread;
            });
            timer.scheduleWithFixedDelay(() -> {
                try {
                    statement.cancel();
                } catch (SQLException error) {
                    // One that did not get through ends nothing; an exception would end those that follow.
                    System.err.println("a request to cancel failed: " + error);
                }
            }, 4_000, 300, TimeUnit.MILLISECONDS);
            String state = Probes.state(() -> statement.executeQuery(LONG));
            timer.shutdown();
            timer.awaitTermination(1, TimeUnit.MINUTES);
            try (Connection other = server.connect()) {
                return List.of(state, connection.isValid(10), Probes.query(other, "SELECT 1"));
            }
        }
    }

    private static Object timeouts(Probes.Server server) throws Exception {
        try (Connection connection = server.connect(); Statement statement = connection.createStatement()) {
            List<Object> told = new ArrayList<>();
            statement.setQueryTimeout(1);
            told.add(Probes.state(() -> statement.executeQuery(LONG)));
            statement.setQueryTimeout(0);
            Probes.execute(connection, "SET statement_timeout = 300");
            told.add(Probes.state(() -> statement.executeQuery(LONG)));
            Probes.execute(connection, "RESET statement_timeout");
            told.add(Probes.query(connection, "SELECT 1"));
            return told;
        }
    }

    private Sessions() {}
}
