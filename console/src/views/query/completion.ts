import type { Completion, CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import { schemaCompletionSource, sql, SQLDialect, type SQLNamespace } from '@codemirror/lang-sql';
import type { Extension } from '@codemirror/state';
import { useMemo } from 'react';

import { quoteName, statementAt } from '../../lib/sql';
import { useAnswer } from '../../services/useAnswer';
import { type NamedTable, useTables } from '../../services/hooks';

/** The engine's words: those that are offered and coloured. Functions come from the server. */
const Polder = SQLDialect.define({
  keywords:
    'all alter analyze and any array as asc at begin between by case cast column comment commit conflict copy create cross current cube current_date current_time current_timestamp ' +
    'database default delete desc describe distinct do drop else end escape except exclude exists explain extract false fetch filter first following for from full grant group grouping ' +
    'having if ilike in inner insert intersect interval into is join last lateral left like limit matched merge natural not nothing null nulls offset on only or order outer over ' +
    'partition preceding primary qualify range recursive rename replace revoke right rollback rollup row rows savepoint schema select set sets show similar snapshot some start table ' +
    'then timestamp to transaction true truncate unbounded union unique update using values version view when where window with within',
  types: 'bigint blob boolean bytea char date decimal double float int integer json numeric precision real smallint text time timestamptz tinyint uuid varchar',
  doubleQuotedStrings: false,
  doubleDollarQuotedStrings: true,
  operatorChars: '+-*/<>=~!@#%^&|?:',
  identifierQuotes: '"',
});

/** What the editor can complete. */
export interface Completions {
  namespace: SQLNamespace;
  /** Columns by `schema.table`. */
  columns: Map<string, Completion[]>;
  functions: Completion[];
}

const COLUMNS_SQL = 'SELECT schema_name, table_name, column_name, data_type FROM polder.columns ORDER BY schema_name, table_name, ordinal_position';
const FUNCTIONS_SQL = 'SELECT name, kind, signature, description FROM polder.functions ORDER BY name';
const COLUMNS_MAX = 50_000;

/** Names from the catalog; without the system tables, tables alone. */
export function useCompletions(): Completions | null {
  const { tables, query } = useTables();
  const changed = query.data?.snapshot ?? 0;
  const columns = useAnswer(['sample', 'columns', changed], COLUMNS_SQL, COLUMNS_MAX, query.isSuccess).data?.result;
  const functions = useAnswer(['functions'], FUNCTIONS_SQL, COLUMNS_MAX, query.isSuccess).data?.result;
  return useMemo(() => {
    if (tables.length === 0) return null;
    const byTable = new Map<string, Completion[]>();
    if (columns && columns.columns.length === 4) {
      for (let row = 0; row < columns.rows; row += 1) {
        const [schema, table, name, type] = [0, 1, 2, 3].map((column) => columns.text(row, column) ?? '');
        const key = `${schema}.${table}`;
        const list = byTable.get(key) ?? [];
        if (list.length === 0) byTable.set(key, list);
        list.push({ label: name ?? '', apply: quoteName(name ?? ''), detail: type, type: 'property' });
      }
    }
    const named = new Map<string, Completion>();
    if (functions && functions.columns.length === 4) {
      for (let row = 0; row < functions.rows; row += 1) {
        const name = functions.text(row, 0) ?? '';
        named.set(name, { label: name, apply: `${name}(`, detail: functions.text(row, 1) ?? 'function', info: functions.text(row, 3) || functions.text(row, 2) || undefined, type: 'function', boost: -1 });
      }
    }
    return { namespace: namespaceOf(tables, byTable), columns: byTable, functions: [...named.values()] };
    // `tables` is made anew on every render; the catalog's version says when it differs.
  }, [changed, tables.length, columns, functions]);
}

function namespaceOf(tables: NamedTable[], columns: Map<string, Completion[]>): SQLNamespace {
  const schemas: Record<string, Record<string, SQLNamespace>> = {};
  for (const table of tables) {
    const children = (schemas[table.schema] ??= {});
    children[table.name] = { self: { label: table.name, apply: quoteName(table.name), detail: table.kind, type: 'type', boost: 2 }, children: columns.get(`${table.schema}.${table.name}`) ?? [] };
  }
  return schemas;
}

/** The columns of the tables that the statement names, without a prefix, and functions. */
function loose(completions: Completions) {
  return (context: CompletionContext): CompletionResult | null => {
    const word = context.matchBefore(/[\p{L}_][\p{L}\p{N}_]*/u);
    if (!word && !context.explicit) return null;
    const from = word?.from ?? context.pos;
    if (context.state.sliceDoc(from - 1, from) === '.') return null;
    const statement = statementAt(context.state.doc.toString(), context.pos)?.text ?? '';
    const options: Completion[] = [...completions.functions];
    const seen = new Set<string>();
    for (const match of statement.matchAll(/\b(?:from|join|update|into)\s+"?(\w+)"?(?:\."?(\w+)"?)?/gi)) {
      const key = match[2] ? `${match[1]}.${match[2]}` : `public.${match[1]}`;
      if (seen.has(key)) continue;
      seen.add(key);
      options.push(...(completions.columns.get(key) ?? []).map((column) => ({ ...column, boost: 3 })));
    }
    return { from, options, validFor: /^[\p{L}\p{N}_]*$/u };
  };
}

export function sqlLanguage(completions: Completions | null): Extension {
  const support = sql({ dialect: Polder, upperCaseKeywords: true });
  if (!completions) return support;
  return [
    support,
    Polder.language.data.of({ autocomplete: schemaCompletionSource({ dialect: Polder, schema: completions.namespace, defaultSchema: 'public' }) }),
    Polder.language.data.of({ autocomplete: loose(completions) }),
  ];
}
