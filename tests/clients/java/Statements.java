import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.sql.BatchUpdateException;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;
import org.postgresql.copy.CopyOut;
import org.postgresql.util.PSQLException;

/** Statements: rows in pieces, batches, keys that are made, COPY, errors. */
final class Statements {
    static final Map<String, Probes.Probe> ALL = new LinkedHashMap<>();

    static {
        ALL.put("fetch size", Statements::fetchSize);
        ALL.put("scrolling", Statements::scrolling);
        ALL.put("cursors", Statements::cursors);
        ALL.put("batches", server -> batches(server, "false"));
        ALL.put("batches rewritten", server -> batches(server, "true"));
        ALL.put("broken batches", Statements::brokenBatches);
        ALL.put("generated keys", Statements::generatedKeys);
        ALL.put("several statements", Statements::several);
        ALL.put("prepared", Statements::prepared);
        ALL.put("prepared while tables change", Statements::changing);
        ALL.put("calls", Statements::calls);
        ALL.put("copy", Statements::copy);
        ALL.put("broken copy", Statements::brokenCopy);
        ALL.put("errors", Statements::errors);
    }

    private static Object fetchSize(Probes.Server server) throws Exception {
        String sql = "SELECT x FROM generate_series(1, 1000) AS s(x) WHERE x > ? ORDER BY x";
        try (Connection connection = server.connect("prepareThreshold", "1")) {
            List<Object> told = new ArrayList<>();
            connection.setAutoCommit(false);
            try (PreparedStatement one = connection.prepareStatement(sql); PreparedStatement two = connection.prepareStatement(sql)) {
                for (int round = 0; round < 3; round++) {
                    one.setFetchSize(7);
                    one.setInt(1, 10 * round);
                    two.setFetchSize(100);
                    two.setInt(1, 500);
                    ResultSet first = one.executeQuery();
                    ResultSet second = two.executeQuery();
                    long sum = 0;
                    int taken = 0;
                    // Two portals that are read in turns.
                    while (first.next()) {
                        sum += first.getLong(1);
                        if (second.next()) sum += 1000 * second.getLong(1);
                        taken++;
                    }
                    told.add(List.of(taken, sum));
                    second.close();
                }
                // Left in the middle.
                one.executeQuery().next();
                two.setMaxRows(5);
                told.add(Probes.rows(two.executeQuery()));
            }
            connection.commit();
            told.add(Probes.query(connection, "SELECT 1"));
            return told;
        }
    }

    private static Object scrolling(Probes.Server server) throws Exception {
        try (Connection connection = server.connect();
                Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY)) {
            ResultSet results = statement.executeQuery("SELECT x FROM generate_series(1, 10) AS s(x) ORDER BY x");
            List<Object> told = new ArrayList<>();
            told.add(results.last() ? results.getInt(1) : null);
            told.add(results.absolute(3) ? results.getInt(1) : null);
            told.add(results.previous() ? results.getInt(1) : null);
            return told;
        }
    }

    private static Object cursors(Probes.Server server) throws Exception {
        try (Connection connection = server.connect()) {
            List<Object> told = new ArrayList<>();
            connection.setAutoCommit(false);
            Probes.execute(connection, "DECLARE c NO SCROLL CURSOR FOR SELECT x, x * 2 AS y FROM generate_series(1, 10) AS s(x)");
            told.add(Probes.query(connection, "FETCH 3 FROM c"));
            Probes.execute(connection, "MOVE 2 IN c");
            told.add(Probes.query(connection, "FETCH NEXT FROM c"));
            try (PreparedStatement fetch = connection.prepareStatement("FETCH ALL FROM c")) {
                told.add(fetch.getMetaData().getColumnLabel(2));
                told.add(Probes.rows(fetch.executeQuery()));
            }
            Probes.execute(connection, "CLOSE c");
            told.add(Probes.state(connection, "FETCH 1 FROM c"));
            connection.rollback();
            return told;
        }
    }

    private static Object batches(Probes.Server server, String rewritten) throws Exception {
        try (Connection connection = server.connect("reWriteBatchedInserts", rewritten)) {
            Probes.execute(connection, "DROP TABLE IF EXISTS j_batch", "CREATE TABLE j_batch (id INTEGER, name VARCHAR(20), price NUMERIC(10, 2))");
            List<Object> told = new ArrayList<>();
            for (boolean alone : List.of(true, false)) {
                connection.setAutoCommit(alone);
                try (PreparedStatement insert = connection.prepareStatement("INSERT INTO j_batch (id, name, price) VALUES (?, ?, ?)")) {
                    for (int at = 0; at < 300; at++) {
                        insert.setInt(1, at);
                        insert.setString(2, "name " + at);
                        insert.setBigDecimal(3, new java.math.BigDecimal(at).movePointLeft(2));
                        insert.addBatch();
                    }
                    told.add(Arrays.stream(insert.executeBatch()).distinct().boxed().toList());
                }
                if (!alone) connection.commit();
            }
            connection.setAutoCommit(true);
            told.add(Probes.query(connection, "SELECT count(*), sum(id), sum(price), max(name) FROM j_batch"));
            try (PreparedStatement update = connection.prepareStatement("UPDATE j_batch SET name = ? WHERE id < ?")) {
                for (int at = 1; at <= 3; at++) {
                    update.setString(1, "changed");
                    update.setInt(2, at);
                    update.addBatch();
                }
                told.add(Arrays.stream(update.executeBatch()).boxed().toList());
            }
            try (Statement mixed = connection.createStatement()) {
                mixed.addBatch("DELETE FROM j_batch WHERE id > 10");
                mixed.addBatch("INSERT INTO j_batch VALUES (99, 'x', 1)");
                mixed.addBatch("UPDATE j_batch SET price = price + 1 WHERE id = 99");
                told.add(Arrays.stream(mixed.executeLargeBatch()).boxed().toList());
            }
            Probes.execute(connection, "DROP TABLE j_batch");
            return told;
        }
    }

    private static Object brokenBatches(Probes.Server server) throws Exception {
        List<Object> told = new ArrayList<>();
        try (Connection connection = server.connect()) {
            Probes.execute(connection, "DROP TABLE IF EXISTS j_broken", "CREATE TABLE j_broken (id INTEGER PRIMARY KEY)");
            for (boolean alone : List.of(true, false)) {
                connection.setAutoCommit(alone);
                try (PreparedStatement insert = connection.prepareStatement("INSERT INTO j_broken VALUES (?)")) {
                    for (int id : new int[] {1, 2, 2, 3}) {
                        insert.setInt(1, id);
                        insert.addBatch();
                    }
                    insert.executeBatch();
                    told.add("done");
                } catch (BatchUpdateException error) {
                    told.add(List.of(String.valueOf(error.getSQLState()), Arrays.stream(error.getUpdateCounts()).boxed().toList()));
                }
                if (!alone) connection.rollback();
            }
            connection.setAutoCommit(true);
            told.add(Probes.query(connection, "SELECT count(*) FROM j_broken"));
            Probes.execute(connection, "DROP TABLE j_broken");
        }
        return told;
    }

    /** Which numbers are made is the server's choice; that they are those of the rows is not. */
    private static Object generatedKeys(Probes.Server server) throws Exception {
        try (Connection connection = server.connect()) {
            Probes.execute(connection, "DROP TABLE IF EXISTS j_keys",
                "CREATE TABLE j_keys (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT, at INTEGER DEFAULT 7)");
            List<Object> told = new ArrayList<>();
            List<Long> keys = new ArrayList<>();
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO j_keys (name) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
                insert.setString(1, "one");
                told.add(insert.executeUpdate());
                ResultSet made = insert.getGeneratedKeys();
                while (made.next()) {
                    keys.add(made.getLong("id"));
                    told.add(List.of(made.getMetaData().getColumnCount(), made.getString("name"), made.getInt("at")));
                }
            }
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO j_keys (name) VALUES (?)", new String[] {"id"})) {
                for (String name : List.of("two", "three", "four")) {
                    insert.setString(1, name);
                    insert.addBatch();
                }
                told.add(Arrays.stream(insert.executeBatch()).boxed().toList());
                ResultSet made = insert.getGeneratedKeys();
                while (made.next()) keys.add(made.getLong(1));
            }
            try (Statement insert = connection.createStatement()) {
                insert.executeUpdate("INSERT INTO j_keys (name) VALUES ('five'), ('six')", Statement.RETURN_GENERATED_KEYS);
                ResultSet made = insert.getGeneratedKeys();
                while (made.next()) keys.add(made.getLong("id"));
            }
            for (long key : keys) told.add(Probes.query(connection, "SELECT name FROM j_keys WHERE id = " + key));
            Probes.execute(connection, "DROP TABLE j_keys");
            return told;
        }
    }

    private static Object several(Probes.Server server) throws Exception {
        try (Connection connection = server.connect(); Statement statement = connection.createStatement()) {
            List<Object> told = new ArrayList<>();
            boolean rows = statement.execute("DROP TABLE IF EXISTS j_several; CREATE TABLE j_several (id INTEGER); "
                + "INSERT INTO j_several VALUES (1), (2); SELECT * FROM j_several ORDER BY id; SELECT ';' AS \"a;b\"; DROP TABLE j_several");
            while (rows || statement.getUpdateCount() != -1) {
                told.add(rows ? Probes.rows(statement.getResultSet()) : statement.getUpdateCount());
                rows = statement.getMoreResults();
            }
            told.add(Probes.state(connection, "CREATE TABLE j_undone (id INTEGER); INSERT INTO j_undone VALUES (1); SELECT * FROM nosuch"));
            told.add(Probes.state(connection, "SELECT * FROM j_undone"));
            told.add(statement.execute(""));
            return told;
        }
    }

    private static Object prepared(Probes.Server server) throws Exception {
        try (Connection connection = server.connect("prepareThreshold", "1")) {
            Probes.execute(connection, "DROP TABLE IF EXISTS j_prep", "CREATE TABLE j_prep (id INTEGER, name VARCHAR(20), at DATE)");
            List<Object> told = new ArrayList<>();
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO j_prep VALUES (?, ?, ?)")) {
                told.add(insert.getParameterMetaData().getParameterTypeName(1));
                told.add(insert.getParameterMetaData().getParameterTypeName(2));
                told.add(insert.getParameterMetaData().getParameterTypeName(3));
                for (int at = 1; at <= 12; at++) {
                    insert.setInt(1, at);
                    insert.setString(2, at % 3 == 0 ? null : "name " + at);
                    if (at % 4 == 0) {
                        insert.setNull(3, Types.DATE);
                    } else {
                        insert.setDate(3, java.sql.Date.valueOf("2024-02-" + (10 + at)));
                    }
                    told.add(insert.executeUpdate());
                }
            }
            try (PreparedStatement select = connection.prepareStatement("SELECT id, name, at FROM j_prep WHERE id = ANY(?) AND (name = ? OR ?) ORDER BY id")) {
                told.add(select.getMetaData().getColumnTypeName(2));
                for (int round = 0; round < 3; round++) {
                    select.setArray(1, connection.createArrayOf("int4", new Integer[] {1, 2, 3, 4 + round}));
                    select.setString(2, "name 2");
                    select.setBoolean(3, round == 2);
                    told.add(Probes.rows(select.executeQuery()));
                }
            }
            // The same statement with values of other types.
            try (PreparedStatement any = connection.prepareStatement("SELECT id FROM j_prep WHERE id = ?")) {
                any.setInt(1, 1);
                told.add(Probes.rows(any.executeQuery()));
                any.setLong(1, 2);
                told.add(Probes.rows(any.executeQuery()));
                any.setBigDecimal(1, new java.math.BigDecimal("3"));
                told.add(Probes.rows(any.executeQuery()));
                any.setObject(1, "4", Types.OTHER);
                told.add(Probes.rows(any.executeQuery()));
                told.add(Probes.state(() -> {
                    any.setObject(1, "five", Types.OTHER);
                    return any.executeQuery();
                }));
            }
            Probes.execute(connection, "DROP TABLE j_prep");
            return told;
        }
    }

    /** The driver prepares anew what the server says has changed. */
    private static Object changing(Probes.Server server) throws Exception {
        try (Connection connection = server.connect("prepareThreshold", "1"); Connection other = server.connect()) {
            Probes.execute(connection, "DROP TABLE IF EXISTS j_change", "CREATE TABLE j_change (id INTEGER, name TEXT)", "INSERT INTO j_change VALUES (1, 'a')");
            List<Object> told = new ArrayList<>();
            try (PreparedStatement select = connection.prepareStatement("SELECT * FROM j_change WHERE id > ? ORDER BY id")) {
                for (String change : List.of("INSERT INTO j_change VALUES (2, 'b')", "ALTER TABLE j_change ADD COLUMN more INTEGER DEFAULT 5",
                        "ALTER TABLE j_change DROP COLUMN name", "DROP TABLE j_change; CREATE TABLE j_change (id INTEGER, more TEXT)",
                        "INSERT INTO j_change VALUES (7, 'seven')")) {
                    for (int round = 0; round < 2; round++) {
                        select.setInt(1, 0);
                        told.add(Probes.named(select.executeQuery()));
                    }
                    Probes.execute(other, change);
                }
                told.add(Probes.named(select.executeQuery()));
                Probes.execute(connection, "DEALLOCATE ALL");
                told.add(Probes.named(select.executeQuery()));
            }
            Probes.execute(connection, "DROP TABLE j_change");
            return told;
        }
    }

    private static Object calls(Probes.Server server) throws Exception {
        try (Connection connection = server.connect()) {
            Probes.execute(connection, "DROP FUNCTION IF EXISTS j_twice", "CREATE FUNCTION j_twice(x INTEGER) RETURNS INTEGER AS 'SELECT x * 2' LANGUAGE sql");
            List<Object> told = new ArrayList<>();
            try (CallableStatement call = connection.prepareCall("{? = call j_twice(?)}")) {
                call.registerOutParameter(1, Types.INTEGER);
                call.setInt(2, 21);
                call.execute();
                told.add(call.getInt(1));
            }
            try (PreparedStatement escaped = connection.prepareStatement(
                    "SELECT {fn ucase('a')}, {fn concat('a', 'b')}, {d '2024-02-29'}, {ts '2024-02-29 01:02:03'}, {fn mod(7, 4)}, {fn length('abc')}")) {
                told.add(Probes.rows(escaped.executeQuery()));
            }
            Probes.execute(connection, "DROP FUNCTION j_twice");
            return told;
        }
    }

    private static final String CSV = "1,\"a, \"\"b\"\"\",1.50\n2,,\n3,\"\",0.25\n";

    private static Object copy(Probes.Server server) throws Exception {
        try (Connection connection = server.connect()) {
            Probes.execute(connection, "DROP TABLE IF EXISTS j_copy", "CREATE TABLE j_copy (id INTEGER, name TEXT, price NUMERIC(10, 2))");
            List<Object> told = new ArrayList<>();
            CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
            told.add(copies.copyIn("COPY j_copy FROM STDIN (FORMAT csv)", new StringReader(CSV)));
            told.add(copies.copyIn("COPY j_copy (id, name) FROM STDIN",
                new ByteArrayInputStream("4\ta\\tb\n5\t\\N\n".getBytes(StandardCharsets.UTF_8))));
            CopyIn pieces = copies.copyIn("COPY j_copy (id) FROM STDIN");
            told.add(List.of(pieces.getFormat(), pieces.getFieldCount()));
            for (int at = 10; at < 20; at++) {
                byte[] line = (at + "\n").getBytes(StandardCharsets.UTF_8);
                pieces.writeToCopy(line, 0, 1);
                pieces.writeToCopy(line, 1, line.length - 1);
            }
            told.add(pieces.endCopy());
            StringWriter out = new StringWriter();
            told.add(copies.copyOut("COPY (SELECT * FROM j_copy ORDER BY id) TO STDOUT (FORMAT csv, HEADER)", out));
            told.add(out.toString());
            CopyOut rows = copies.copyOut("COPY j_copy TO STDOUT (FORMAT binary)");
            told.add(rows.getFormat());
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            for (byte[] row = rows.readFromCopy(); row != null; row = rows.readFromCopy()) bytes.write(row);
            told.add(bytes.size());
            connection.setAutoCommit(false);
            told.add(copies.copyIn("COPY j_copy FROM STDIN (FORMAT binary)", new ByteArrayInputStream(bytes.toByteArray())));
            told.add(Probes.query(connection, "SELECT count(*), sum(price) FROM j_copy"));
            connection.rollback();
            told.add(Probes.query(connection, "SELECT count(*) FROM j_copy"));
            connection.setAutoCommit(true);
            Probes.execute(connection, "DROP TABLE j_copy");
            return told;
        }
    }

    private static Object brokenCopy(Probes.Server server) throws Exception {
        try (Connection connection = server.connect()) {
            Probes.execute(connection, "DROP TABLE IF EXISTS j_wrong", "CREATE TABLE j_wrong (id INTEGER, name TEXT)");
            List<Object> told = new ArrayList<>();
            CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
            for (String text : List.of("1\ta\nx\tb\n", "1\ta\n2\n", "1\ta\tb\n")) {
                told.add(Probes.state(() -> copies.copyIn("COPY j_wrong FROM STDIN", new StringReader(text))));
            }
            told.add(Probes.state(() -> copies.copyIn("COPY nosuch FROM STDIN", new StringReader(""))));
            told.add(Probes.state(() -> copies.copyOut("COPY nosuch TO STDOUT", new StringWriter())));
            CopyIn left = copies.copyIn("COPY j_wrong FROM STDIN");
            left.writeToCopy("1\ta\n".getBytes(StandardCharsets.UTF_8), 0, 4);
            left.cancelCopy();
            told.add(Probes.query(connection, "SELECT count(*) FROM j_wrong"));
            Probes.execute(connection, "DROP TABLE j_wrong");
            return told;
        }
    }

    private static Object errors(Probes.Server server) throws Exception {
        try (Connection connection = server.connect()) {
            Probes.execute(connection, "DROP TABLE IF EXISTS j_err",
                "CREATE TABLE j_err (id INTEGER PRIMARY KEY, name VARCHAR(3) NOT NULL, age SMALLINT CHECK (age > 0), price NUMERIC(4, 2))",
                "INSERT INTO j_err VALUES (1, 'a', 1, 1)");
            Map<String, Object> told = new LinkedHashMap<>();
            for (String sql : List.of("SELECT 1 / 0", "SELECT * FROM nosuch", "SELECT nosuch FROM j_err", "SELEC 1", "SELECT nosuch(1)",
                    "SELECT 'x'::integer", "SELECT 300000::smallint", "SELECT '2024-13-01'::date", "SELECT 1 +", "SELECT id, count(*) FROM j_err",
                    "SELECT id FROM j_err a, j_err b", "CREATE TABLE j_err (id INTEGER)", "DROP TABLE nosuch", "CREATE SCHEMA public",
                    "SELECT * FROM nosuch.nosuch", "INSERT INTO j_err VALUES (1, 'b', 1, 1)", "INSERT INTO j_err VALUES (2, NULL, 1, 1)",
                    "INSERT INTO j_err VALUES (2, 'long', 1, 1)", "INSERT INTO j_err VALUES (2, 'b', 0, 1)", "INSERT INTO j_err VALUES (2, 'b', 70000, 1)",
                    "INSERT INTO j_err VALUES (2, 'b', 1, 100)", "INSERT INTO j_err (id, nosuch) VALUES (1, 2)", "INSERT INTO j_err VALUES (1, 'a', 1, 1, 1)",
                    "UPDATE j_err SET nosuch = 1", "SELECT (SELECT x FROM generate_series(1, 2) AS s(x))", "SELECT 1 UNION SELECT 1, 2",
                    "EXECUTE nosuch", "ROLLBACK TO nosuch", "RELEASE nosuch", "FETCH 1 FROM nosuch", "SET nosuch = 1", "SELECT $1",
                    "SELECT 'a' + 1", "SELECT max(id) FROM j_err WHERE max(id) > 1")) {
                told.put(sql, Probes.state(connection, sql));
            }
            try {
                Probes.execute(connection, "SELECT 1,\n  nosuch FROM j_err");
            } catch (PSQLException error) {
                told.put("position", error.getServerErrorMessage() == null ? null : error.getServerErrorMessage().getPosition());
            }
            Probes.execute(connection, "DROP TABLE j_err");
            return told;
        }
    }

    private Statements() {}
}
