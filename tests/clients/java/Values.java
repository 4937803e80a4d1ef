import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.postgresql.util.PGInterval;
import org.postgresql.util.PGobject;

/** Values of all types, there and back. */
final class Values {
    static final Map<String, Probes.Probe> ALL = new LinkedHashMap<>();

    static {
        // In the three ways that the driver sends and takes them.
        ALL.put("values in text", server -> values(server, "binaryTransfer", "false"));
        ALL.put("values in binary", server -> values(server, "prepareThreshold", "-1"));
        ALL.put("values in simple queries", server -> values(server, "preferQueryMode", "simple"));
        ALL.put("json", server -> {
            try (Connection connection = server.connect()) {
                return cast(connection, List.of(new Sample("json", object("json", "{\"a\":  [1, null]}"))));
            }
        });
        ALL.put("wide numbers", server -> {
            try (Connection connection = server.connect()) {
                return cast(connection, List.of(new Sample("numeric(37, 0)", new BigDecimal("9999999999999999999999999999999999999")),
                    new Sample("numeric(37, 20)", new BigDecimal("0.00000000000000000001"))));
            }
        });
        ALL.put("types of literals", Values::literals);
        ALL.put("columns in text", server -> columns(server, "binaryTransfer", "false"));
        ALL.put("columns in binary", server -> columns(server, "prepareThreshold", "-1"));
        ALL.put("large values", Values::large);
        ALL.put("moments", Values::moments);
    }

    record Sample(String type, Object value) {}

    private static PGobject object(String type, String value) throws SQLException {
        PGobject object = new PGobject();
        object.setType(type);
        object.setValue(value);
        return object;
    }

    private static List<Sample> samples(Connection connection) throws SQLException {
        List<Sample> samples = new ArrayList<>(List.of(
            new Sample("boolean", true),
            new Sample("boolean", false),
            new Sample("smallint", (short) -32768),
            new Sample("integer", Integer.MIN_VALUE),
            new Sample("bigint", Long.MAX_VALUE),
            new Sample("real", 1.1f),
            new Sample("real", Float.MIN_NORMAL),
            new Sample("double precision", 0.1),
            new Sample("double precision", 1e300),
            new Sample("double precision", Double.NaN),
            new Sample("double precision", Double.NEGATIVE_INFINITY),
            new Sample("numeric(12, 4)", new BigDecimal("-12345.6700")),
            new Sample("numeric(10, 9)", new BigDecimal("0.000000001")),
            new Sample("text", "it's \\ \"x\" \u00e9 \ud83d\ude00"),
            new Sample("text", ""),
            new Sample("varchar(10)", "abc"),
            new Sample("char(5)", "abcde"),
            new Sample("bytea", new byte[] {0, -1, '\\', '\''}),
            new Sample("bytea", new byte[0]),
            new Sample("date", LocalDate.of(2024, 2, 29)),
            new Sample("date", LocalDate.of(1, 1, 1)),
            new Sample("date", LocalDate.of(9999, 12, 31)),
            new Sample("time", LocalTime.of(23, 59, 59, 999_999_000)),
            new Sample("timestamp", LocalDateTime.of(2024, 2, 29, 1, 2, 3, 456_000_000)),
            new Sample("timestamp", LocalDateTime.of(1800, 1, 1, 0, 0)),
            new Sample("timestamptz", OffsetDateTime.parse("2024-02-29T01:02:03.000001+05:30")),
            new Sample("interval", new PGInterval(1, 2, -3, 4, 5, 6.7)),
            new Sample("interval", new PGInterval(0, 0, 0, 0, 0, 0)),
            new Sample("uuid", UUID.fromString("00010203-0405-0607-0809-0a0b0c0d0e0f")),
            new Sample("jsonb", object("jsonb", "{\"b\": \"x\", \"a\": 1.50}")),
            new Sample("bigint[]", connection.createArrayOf("int8", new Long[] {1L, null, 3L})),
            new Sample("integer[]", connection.createArrayOf("int4", new Integer[0])),
            new Sample("integer[]", connection.createArrayOf("int4", new Integer[][] {{1, 2}, {3, 4}})),
            new Sample("text[]", connection.createArrayOf("text", new String[] {"a", null, "b,\"c\"", "", "NULL", "\\"})),
            new Sample("double precision[]", connection.createArrayOf("float8", new Double[] {1.5, -0.25})),
            new Sample("boolean[]", connection.createArrayOf("bool", new Boolean[] {true, false})),
            new Sample("numeric[]", connection.createArrayOf("numeric", new BigDecimal[] {new BigDecimal("1.5000000000")})),
            new Sample("date[]", connection.createArrayOf("date", new java.sql.Date[] {java.sql.Date.valueOf("2024-01-01")})),
            new Sample("uuid[]", connection.createArrayOf("uuid", new UUID[] {new UUID(1, 2)}))));
        return samples;
    }

    private static Object values(Probes.Server server, String setting, String value) throws Exception {
        try (Connection connection = server.connect(setting, value)) {
            return cast(connection, samples(connection));
        }
    }

    /** Each value as a parameter that is cast to its type. */
    private static Object cast(Connection connection, List<Sample> samples) throws SQLException {
        Map<String, Object> told = new LinkedHashMap<>();
        for (int at = 0; at < samples.size(); at++) {
            Sample sample = samples.get(at);
            Object came;
            try (PreparedStatement select = connection.prepareStatement("SELECT CAST((?) AS " + sample.type() + ") AS v, CAST(NULL AS " + sample.type() + ") AS n")) {
                select.setObject(1, sample.value());
                ResultSet results = select.executeQuery();
                results.next();
                came = List.of(shown(results, 1), results.getObject(2) == null, about(results.getMetaData(), 1));
            } catch (SQLException error) {
                came = error.getSQLState();
            }
            told.put(sample.type() + " " + at, came);
        }
        return told;
    }

    private static Object about(ResultSetMetaData about, int column) throws SQLException {
        return Probes.map("type", about.getColumnTypeName(column), "number", about.getColumnType(column), "class", about.getColumnClassName(column),
            "precision", about.getPrecision(column), "scale", about.getScale(column), "size", about.getColumnDisplaySize(column),
            "signed", about.isSigned(column), "case", about.isCaseSensitive(column));
    }

    /** A value as its class and as texts that say all of it. */
    private static Object shown(ResultSet results, int column) throws SQLException {
        Object value = results.getObject(column);
        if (value == null) return "null";
        List<Object> shown = new ArrayList<>();
        shown.add(value.getClass().getName());
        // Bytes that came in binary have no text of their own.
        if (!(value instanceof byte[])) shown.add(results.getString(column));
        if (value instanceof byte[] bytes) {
            shown.add(HexFormat.of().formatHex(bytes));
        } else if (value instanceof Array array) {
            shown.add(array.getBaseTypeName());
            shown.add(Arrays.deepToString((Object[]) array.getArray()));
        } else {
            shown.add(value.toString());
        }
        return shown;
    }

    private static Object literals(Probes.Server server) throws Exception {
        try (Connection connection = server.connect()) {
            Map<String, Object> told = new LinkedHashMap<>();
            for (String sql : List.of("1", "2147483648", "9223372036854775808", "1.5", "1e3", "'a'", "NULL", "true", "1 + 1.5", "1 / 2", "7 % 4", "2 * 3::bigint",
                    "avg(x) FROM generate_series(1, 2) AS s(x)", "sum(x) FROM generate_series(1, 2) AS s(x)", "count(*)", "now() > '2000-01-01'", "current_date - 1 > '2000-01-01'",
                    "date '2024-03-01' - date '2024-02-01'", "timestamp '2024-03-01' - timestamp '2024-02-01'", "interval '1 day' * 2", "'a' || 'b'", "length('abc')",
                    "round(1.25, 1)", "extract(year FROM date '2024-02-01')", "date_trunc('month', timestamp '2024-02-29 01:02:03')", "ARRAY[1, 2]", "ARRAY['a', NULL]",
                    "coalesce(NULL, 1)", "CASE WHEN true THEN 1 ELSE 2.5 END", "'{\"a\": 1}'::jsonb -> 'a'", "'{\"a\": 1}'::jsonb ->> 'a'", "string_agg(x::text, ',') FROM generate_series(1, 2) AS s(x)",
                    "array_agg(x) FROM generate_series(1, 2) AS s(x)", "'abc' LIKE 'a%'", "power(2, 10)", "abs(-1.50)", "to_char(1234.5, '9,999.99')", "md5('a')",
                    "x FROM generate_series(1, 1) AS s(x)", "row_number() OVER ()", "upper('a'::varchar)", "current_user", "session_user", "version() LIKE '%'")) {
                Object came;
                try (var statement = connection.createStatement(); ResultSet results = statement.executeQuery("SELECT " + sql)) {
                    results.next();
                    came = List.of(shown(results, 1), results.getMetaData().getColumnLabel(1), results.getMetaData().getColumnTypeName(1));
                } catch (SQLException error) {
                    came = error.getSQLState();
                }
                told.put(sql, came);
            }
            return told;
        }
    }

    private static final String COLUMNS = "a BOOLEAN, b SMALLINT, c INTEGER, d BIGINT, e REAL, f DOUBLE PRECISION, g NUMERIC(12, 3), h TEXT, i VARCHAR(10), j CHAR(5), "
        + "k BYTEA, l DATE, m TIME, n TIMESTAMP, o TIMESTAMPTZ, p INTERVAL, q UUID, r JSON, s JSONB, t INTEGER[], u TEXT[]";

    /** All types as columns of a table, filled by the driver's setters. */
    private static Object columns(Probes.Server server, String setting, String value) throws Exception {
        try (Connection connection = server.connect(setting, value)) {
            Probes.execute(connection, "DROP TABLE IF EXISTS j_types", "CREATE TABLE j_types (id INTEGER, " + COLUMNS + ")");
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO j_types VALUES (" + "?, ".repeat(21) + "?)")) {
                insert.setInt(1, 1);
                insert.setBoolean(2, true);
                insert.setShort(3, (short) 2);
                insert.setInt(4, 3);
                insert.setLong(5, 4);
                insert.setFloat(6, 5.5f);
                insert.setDouble(7, 6.25);
                insert.setBigDecimal(8, new BigDecimal("7.125"));
                insert.setString(9, "eight");
                insert.setString(10, "nine");
                insert.setString(11, "tenth");
                insert.setBytes(12, new byte[] {11, 0});
                insert.setDate(13, java.sql.Date.valueOf("2012-12-12"));
                insert.setTime(14, java.sql.Time.valueOf("13:13:13"));
                insert.setTimestamp(15, Timestamp.valueOf("2014-01-02 03:04:05.678"));
                insert.setTimestamp(16, Timestamp.valueOf("2014-01-02 03:04:05.678"));
                insert.setObject(17, new PGInterval("1 day 02:03:04"));
                insert.setObject(18, UUID.fromString("00010203-0405-0607-0809-0a0b0c0d0e0f"));
                insert.setObject(19, "{\"a\":1}", Types.OTHER);
                insert.setObject(20, object("jsonb", "[1, 2]"));
                insert.setArray(21, connection.createArrayOf("int4", new Integer[] {1, 2}));
                insert.setArray(22, connection.createArrayOf("text", new String[] {"a", "b"}));
                insert.executeUpdate();
                insert.setInt(1, 2);
                int[] types = {Types.BOOLEAN, Types.SMALLINT, Types.INTEGER, Types.BIGINT, Types.REAL, Types.DOUBLE, Types.NUMERIC, Types.VARCHAR, Types.VARCHAR,
                    Types.CHAR, Types.BINARY, Types.DATE, Types.TIME, Types.TIMESTAMP, Types.TIMESTAMP_WITH_TIMEZONE, Types.OTHER, Types.OTHER, Types.OTHER, Types.OTHER,
                    Types.ARRAY, Types.ARRAY};
                for (int at = 0; at < types.length; at++) insert.setNull(at + 2, types[at]);
                insert.executeUpdate();
            }
            List<Object> told = new ArrayList<>();
            try (PreparedStatement select = connection.prepareStatement("SELECT * FROM j_types ORDER BY id")) {
                ResultSet results = select.executeQuery();
                while (results.next()) {
                    Map<String, Object> row = new LinkedHashMap<>();
                    for (int at = 1; at <= 22; at++) row.put(results.getMetaData().getColumnLabel(at), shown(results, at));
                    told.add(row);
                }
                for (int at = 1; at <= 22; at++) told.add(about(select.getMetaData(), at));
            }
            Probes.execute(connection, "DROP TABLE j_types");
            return told;
        }
    }

    private static Object large(Probes.Server server) throws Exception {
        try (Connection connection = server.connect()) {
            byte[] bytes = new byte[3_000_000];
            for (int at = 0; at < bytes.length; at++) bytes[at] = (byte) (at * 31);
            String text = "\u00e9 0123456789".repeat(100_000);
            Probes.execute(connection, "DROP TABLE IF EXISTS j_large", "CREATE TABLE j_large (a BYTEA, b TEXT)");
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO j_large VALUES (?, ?)")) {
                insert.setBytes(1, bytes);
                insert.setString(2, text);
                insert.executeUpdate();
            }
            List<Object> told = new ArrayList<>();
            try (PreparedStatement select = connection.prepareStatement("SELECT a, b, length(a), length(b) FROM j_large")) {
                ResultSet results = select.executeQuery();
                results.next();
                told.add(Arrays.equals(bytes, results.getBytes(1)));
                told.add(Arrays.equals(bytes, results.getBinaryStream(1).readAllBytes()));
                told.add(text.equals(results.getString(2)));
                told.add(new String(results.getAsciiStream(2).readNBytes(5), StandardCharsets.UTF_8).length() > 0);
                told.add(List.of(results.getInt(3), results.getInt(4)));
            }
            Probes.execute(connection, "DROP TABLE j_large");
            return told;
        }
    }

    /** The zone is the one that this program runs in; the driver tells the server. */
    private static Object moments(Probes.Server server) throws Exception {
        try (Connection connection = server.connect()) {
            List<Object> told = new ArrayList<>();
            told.add(Probes.query(connection, "SHOW timezone"));
            try (PreparedStatement select = connection.prepareStatement("SELECT ?::timestamptz, ?::timestamp, ?::date, ?::time, '2024-07-01 12:00:00+00'::timestamptz")) {
                Timestamp moment = Timestamp.from(java.time.Instant.parse("2024-02-29T23:30:00.125Z"));
                for (int round = 0; round < 6; round++) {
                    select.setTimestamp(1, moment);
                    select.setObject(2, LocalDateTime.of(2024, 2, 29, 23, 30));
                    select.setObject(3, LocalDate.of(2024, 2, 29));
                    select.setObject(4, LocalTime.of(1, 2, 3));
                    ResultSet results = select.executeQuery();
                    results.next();
                    told.add(List.of(results.getString(1), results.getTimestamp(1).toInstant().toString(), results.getObject(1, OffsetDateTime.class).toString(),
                        results.getObject(2, LocalDateTime.class).toString(), results.getTimestamp(2).toString(), results.getObject(3, LocalDate.class).toString(),
                        results.getDate(3).toString(), results.getObject(4, LocalTime.class).toString(), results.getTime(4).toString(), results.getString(5)));
                }
            }
            return told;
        }
    }

    private Values() {}
}
