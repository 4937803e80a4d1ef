import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What tools ask to look around: DatabaseMetaData, and what a result says of where its columns come from. */
final class Catalog {
    static final Map<String, Probes.Probe> ALL = new LinkedHashMap<>();

    /** Asks one thing of a schema of its own, which has a table with everything, a plain one, views and a function. */
    private interface Question {
        Object ask(Connection connection, DatabaseMetaData data) throws Exception;
    }

    static {
        put("catalogs", (connection, data) -> {
            // A server of many databases has others beside it.
            List<Object> own = new ArrayList<>();
            for (Object row : Probes.rows(data.getCatalogs())) {
                if (row instanceof List<?> list && connection.getCatalog().equals(list.get(0))) own.add("there");
            }
            return own;
        });
        put("schemas", (connection, data) -> List.of(Probes.named(data.getSchemas(null, "j\\_meta")), Probes.rows(data.getSchemas()).size() > 1));
        put("tables", (connection, data) -> Probes.named(data.getTables(null, "j_meta", "%", null)));
        put("tables of some kinds", (connection, data) -> List.of(
            Probes.named(data.getTables(connection.getCatalog(), "j\\_meta", "par%", new String[] {"TABLE"})),
            Probes.named(data.getTables(null, null, "j_names", new String[] {"VIEW", "MATERIALIZED VIEW"})),
            Probes.named(data.getTables(null, "j_meta", null, new String[] {"SYSTEM TABLE"})),
            Probes.named(data.getTables(null, "information_schema", "tables", null))));
        put("columns", (connection, data) -> Probes.named(data.getColumns(null, "j_meta", "pa%", null)));
        put("columns of some names", (connection, data) -> List.of(
            Probes.named(data.getColumns(null, "j\\_meta", "parent", "na%")), Probes.named(data.getColumns(null, null, "nosuch", "%"))));
        put("primary keys", (connection, data) -> List.of(
            Probes.named(data.getPrimaryKeys(null, "j_meta", "parent")), Probes.named(data.getPrimaryKeys(null, "j_meta", "pairs")),
            Probes.named(data.getPrimaryKeys(null, null, "nosuch"))));
        // How many rows and pages an index has is an estimate.
        put("indexes", (connection, data) -> List.of(
            Probes.named(data.getIndexInfo(null, "j_meta", "parent", false, true), "CARDINALITY", "PAGES"),
            Probes.named(data.getIndexInfo(null, "j_meta", "pairs", true, true), "CARDINALITY", "PAGES")));
        put("foreign keys", (connection, data) -> List.of(
            Probes.named(data.getImportedKeys(null, "j_meta", "parent")), Probes.named(data.getExportedKeys(null, "j_meta", "parent")),
            Probes.named(data.getImportedKeys(null, "j_meta", "refers")), Probes.named(data.getExportedKeys(null, "j_meta", "pairs")),
            Probes.named(data.getCrossReference(null, "j_meta", "parent", null, "j_meta", "pairs")),
            Probes.named(data.getCrossReference(null, "j_meta", "parent", null, "j_meta", "refers"))));
        put("best row identifier", (connection, data) -> Probes.named(
            data.getBestRowIdentifier(null, "j_meta", "pairs", DatabaseMetaData.bestRowSession, false)));
        put("types", Catalog::types);
        // The name behind the last underscore is a number of the server's.
        put("functions", (connection, data) -> List.of(
            Probes.named(data.getFunctions(null, "j_meta", "%"), "SPECIFIC_NAME"),
            Probes.named(data.getFunctionColumns(null, "j_meta", "j_half", "%"), "SPECIFIC_NAME")));
        put("procedures", (connection, data) -> Probes.named(data.getProcedures(null, "j_meta", "%"), "SPECIFIC_NAME"));
        put("privileges", (connection, data) -> List.of(
            Probes.named(data.getTablePrivileges(null, "j_meta", "parent")), Probes.named(data.getColumnPrivileges(null, "j_meta", "pairs", "a"))));
        put("types of one's own", (connection, data) -> Probes.named(data.getUDTs(null, "j_meta", "%", null)));
        put("limits", (connection, data) -> Probes.map("keywords", data.getSQLKeywords().contains("analyze"), "names", data.getMaxTableNameLength(),
            "columns of an index", data.getMaxColumnsInIndex()));
        put("where columns come from", Catalog::sources);
        put("rows that are changed in place", Catalog::updatable);
    }

    private static void put(String name, Question question) {
        ALL.put(name, server -> {
            try (Connection connection = server.connect()) {
                prepare(connection);
                try {
                    return without(connection.getCatalog(), question.ask(connection, connection.getMetaData()));
                } finally {
                    Probes.execute(connection, "DROP SCHEMA IF EXISTS j_meta CASCADE");
                }
            }
        });
    }

    private static void prepare(Connection connection) throws SQLException {
        Probes.execute(connection,
            "DROP SCHEMA IF EXISTS j_meta CASCADE",
            "CREATE SCHEMA j_meta",
            "CREATE TABLE j_meta.parent (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name VARCHAR(20) NOT NULL UNIQUE, price NUMERIC(10, 2) DEFAULT 1.50, "
                + "amount INTEGER DEFAULT 7, note TEXT DEFAULT 'it''s', code CHAR(3), at TIMESTAMPTZ, day DATE, clock TIME, local TIMESTAMP, span INTERVAL, "
                + "half REAL, whole DOUBLE PRECISION, tiny SMALLINT, flag BOOLEAN, body BYTEA, key UUID, doc JSON, docb JSONB, numbers INTEGER[], words TEXT[], "
                + "free NUMERIC, \"Mixed Case\" TEXT)",
            "CREATE TABLE j_meta.pairs (a INTEGER, b TEXT, c INTEGER, PRIMARY KEY (b, a))",
            "CREATE TABLE j_meta.refers (id INTEGER, parent BIGINT REFERENCES j_meta.parent ON DELETE CASCADE ON UPDATE RESTRICT, pa INTEGER, pb TEXT, "
                + "CONSTRAINT of_pairs FOREIGN KEY (pa, pb) REFERENCES j_meta.pairs (a, b) ON UPDATE SET NULL)",
            "CREATE INDEX parent_amount ON j_meta.parent (amount, note)",
            "COMMENT ON TABLE j_meta.parent IS 'has everything'",
            "COMMENT ON COLUMN j_meta.parent.name IS 'what it is called'",
            "CREATE VIEW j_meta.j_names AS SELECT id, name FROM j_meta.parent",
            "CREATE MATERIALIZED VIEW j_meta.j_sums AS SELECT a, count(*) AS pairs FROM j_meta.pairs GROUP BY a",
            "CREATE FUNCTION j_meta.j_half(x INTEGER) RETURNS INTEGER AS 'SELECT x / 2' LANGUAGE sql");
    }

    private static final List<String> CATALOGS = List.of("TABLE_CAT", "TABLE_CATALOG", "PKTABLE_CAT", "FKTABLE_CAT", "FUNCTION_CAT", "PROCEDURE_CAT", "TYPE_CAT");

    /** The database's name is not the same everywhere. */
    private static Object without(String database, Object value) {
        if (value instanceof List<?> list) {
            List<Object> changed = new ArrayList<>();
            for (Object one : list) changed.add(without(database, one));
            return changed;
        }
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> changed = new LinkedHashMap<>();
            map.forEach((name, one) -> {
                boolean names = CATALOGS.contains(String.valueOf(name).toUpperCase(Locale.ROOT)) && database.equals(one);
                changed.put((String) name, names ? "(database)" : without(database, one));
            });
            return changed;
        }
        return value;
    }

    private static final List<String> TYPES = List.of("bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "bpchar", "bytea", "uuid", "json",
        "jsonb", "date", "time", "timestamp", "timestamptz", "interval", "_int4", "_text", "name", "oid", "serial");

    private static Object types(Connection connection, DatabaseMetaData data) throws SQLException {
        Map<String, Object> told = new LinkedHashMap<>();
        for (Object row : Probes.named(data.getTypeInfo())) {
            if (row instanceof Map<?, ?> map && TYPES.contains(map.get("TYPE_NAME"))) told.put((String) map.get("TYPE_NAME"), row);
        }
        Map<String, Object> sorted = new LinkedHashMap<>();
        for (String name : TYPES) sorted.put(name, told.get(name));
        return sorted;
    }

    private static Object sources(Connection connection, DatabaseMetaData data) throws SQLException {
        List<Object> told = new ArrayList<>();
        String sql = "SELECT p.id, p.name AS called, p.price + 1 AS more, q.a, count(*) OVER () FROM j_meta.parent p LEFT JOIN j_meta.pairs q ON p.amount = q.a";
        try (PreparedStatement select = connection.prepareStatement(sql)) {
            ResultSetMetaData about = select.getMetaData();
            for (int at = 1; at <= about.getColumnCount(); at++) {
                told.add(Probes.map("label", about.getColumnLabel(at), "table", about.getTableName(at), "null", about.isNullable(at),
                    "auto", about.isAutoIncrement(at), "base", ((org.postgresql.PGResultSetMetaData) about).getBaseColumnName(at),
                    "schema", ((org.postgresql.PGResultSetMetaData) about).getBaseSchemaName(at)));
            }
        }
        return told;
    }

    private static Object updatable(Connection connection, DatabaseMetaData data) throws SQLException {
        Probes.execute(connection, "INSERT INTO j_meta.pairs VALUES (1, 'one', 10), (2, 'two', 20), (3, 'three', 30)");
        try (Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            ResultSet results = statement.executeQuery("SELECT a, b, c FROM j_meta.pairs ORDER BY a");
            results.next();
            results.updateInt("c", 11);
            results.updateRow();
            results.next();
            results.deleteRow();
            results.moveToInsertRow();
            results.updateInt("a", 4);
            results.updateString("b", "four");
            results.insertRow();
        }
        return Probes.query(connection, "SELECT * FROM j_meta.pairs ORDER BY a");
    }

    private Catalog() {}
}
