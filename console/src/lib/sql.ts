// SQL text as the editor needs it: where statements begin and end, and how names are quoted.

export interface Statement {
  /** Offset of the first character that is not blank or comment-only. */
  from: number;
  /** Offset after the last character, without the semicolon. */
  to: number;
  text: string;
}

/** The end of a quoted piece that starts at `at`; a doubled quote stays inside. */
function afterQuoted(sql: string, at: number, quote: string): number {
  let index = at + 1;
  while (index < sql.length) {
    if (sql[index] === quote) {
      if (sql[index + 1] !== quote) return index + 1;
      index += 1;
    }
    index += 1;
  }
  return sql.length;
}

/** The end of a block comment that starts at `at`; comments nest, as in PostgreSQL. */
function afterBlockComment(sql: string, at: number): number {
  let depth = 1;
  let index = at + 2;
  while (index < sql.length && depth > 0) {
    if (sql.startsWith('/*', index)) {
      depth += 1;
      index += 2;
    } else if (sql.startsWith('*/', index)) {
      depth -= 1;
      index += 2;
    } else index += 1;
  }
  return index;
}

/** The end of `$tag$ … $tag$`, or `null` when there is no such quote at `at`. */
function afterDollarQuoted(sql: string, at: number): number | null {
  const tag = /^\$([A-Za-z_][A-Za-z_0-9]*)?\$/.exec(sql.slice(at, at + 64))?.[0];
  if (!tag) return null;
  const end = sql.indexOf(tag, at + tag.length);
  return end < 0 ? sql.length : end + tag.length;
}

/** The end of a comment, a string or a quoted name at `at`; `at` itself when there is none. */
function skip(sql: string, at: number): { end: number; blank: boolean } {
  const char = sql[at];
  if (char === '-' && sql[at + 1] === '-') {
    const end = sql.indexOf('\n', at);
    return { end: end < 0 ? sql.length : end, blank: true };
  }
  if (char === '/' && sql[at + 1] === '*') return { end: afterBlockComment(sql, at), blank: true };
  if (char === "'" || char === '"') return { end: afterQuoted(sql, at, char), blank: false };
  if (char === '$') {
    const end = afterDollarQuoted(sql, at);
    if (end !== null) return { end, blank: false };
  }
  return { end: at, blank: false };
}

/** Cuts a script at its semicolons, not at those in strings, names or comments. Pieces of comments alone are left out. */
export function splitStatements(sql: string): Statement[] {
  const statements: Statement[] = [];
  let from = -1;
  let to = 0;
  const close = (): void => {
    if (from >= 0) statements.push({ from, to, text: sql.slice(from, to) });
    from = -1;
  };
  let index = 0;
  while (index < sql.length) {
    const { end, blank } = skip(sql, index);
    if (end > index) {
      if (!blank) {
        if (from < 0) from = index;
        to = end;
      }
      index = end;
      continue;
    }
    const char = sql[index] ?? '';
    if (char === ';') close();
    else if (!/\s/.test(char)) {
      if (from < 0) from = index;
      to = index + 1;
    }
    index += 1;
  }
  close();
  return statements;
}

/** The statement that the cursor is in: the one around it, else the one before it, else the first. */
export function statementAt(sql: string, cursor: number): Statement | null {
  const statements = splitStatements(sql);
  let before: Statement | null = null;
  for (const statement of statements) {
    if (cursor >= statement.from && cursor <= statement.to) return statement;
    if (statement.to < cursor) before = statement;
  }
  if (before && !sql.slice(before.to, cursor).includes('\n\n')) {
    const next = statements.find((statement) => statement.from > cursor);
    const sameLine = !sql.slice(before.to, cursor).includes('\n');
    return sameLine || !next ? before : next;
  }
  return statements.find((statement) => statement.from > cursor) ?? before;
}

/** The offset in `sql` of a line and column that count from 1; columns count characters. */
export function offsetAt(sql: string, line: number, column: number): number {
  let offset = 0;
  for (let current = 1; current < line; current += 1) {
    const next = sql.indexOf('\n', offset);
    if (next < 0) return sql.length;
    offset = next + 1;
  }
  const lineEnd = sql.indexOf('\n', offset);
  const text = sql.slice(offset, lineEnd < 0 ? sql.length : lineEnd);
  const units = [...text].slice(0, Math.max(0, column - 1)).join('').length;
  return offset + units;
}

export interface Place {
  line: number;
  column: number;
}

/** The line and the column of an offset, both from 1. */
export function placeAt(sql: string, offset: number): Place {
  const lines = sql.slice(0, offset).split('\n');
  return { line: lines.length, column: [...(lines.at(-1) ?? '')].length + 1 };
}

/** A place in a part of a text as a place in the whole, by where the part begins. */
export function placeInWhole(start: Place, place: Place): Place {
  return { line: start.line + place.line - 1, column: place.line === 1 ? start.column + place.column - 1 : place.column };
}

/** The word that an error points at, so that more than one character is underlined. */
export function wordAt(sql: string, offset: number): { from: number; to: number } {
  const from = Math.min(offset, Math.max(0, sql.length - 1));
  const quoted = sql[from] === '"' || sql[from] === "'" ? afterQuoted(sql, from, sql[from] ?? '') : null;
  if (quoted !== null) return { from, to: quoted };
  const word = /^[\p{L}\p{N}_$.]+/u.exec(sql.slice(from))?.[0];
  return { from, to: Math.min(sql.length, from + (word?.length ?? 1)) };
}

const PLAIN = /^[a-z_][a-z0-9_]*$/;
const RESERVED = new Set(
  ('all and any as asc between by case cast column create cross current_date delete desc distinct drop else end except exists false from full group having in inner ' +
    'insert intersect into is join left like limit natural not null offset on or order outer over partition primary right select set some table then to true union ' +
    'unique update user using values view when where window with').split(' '),
);

/** A name as SQL reads it back: quoted only when it must be. */
export function quoteName(name: string): string {
  return PLAIN.test(name) && !RESERVED.has(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** A text as SQL writes it. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** `flights`, or `raw.flights` outside the default schema. */
export function quoteTable(schema: string, table: string): string {
  return schema === 'public' ? quoteName(table) : `${quoteName(schema)}.${quoteName(table)}`;
}

/** True for text that only asks: safe to run again by itself. */
export function isReadOnly(sql: string): boolean {
  const statements = splitStatements(sql);
  return statements.length > 0 && statements.every((statement) => /^(select|with|values|table|show|describe|explain(?!\s+analyze))\b/i.test(statement.text) && !/\b(insert|update|delete|merge|create|drop|copy)\b/i.test(statement.text));
}
