import { describe, expect, test } from 'vitest';

import { isReadOnly, offsetAt, placeAt, placeInWhole, quoteName, quoteTable, splitStatements, statementAt, wordAt } from './sql';

describe('splitStatements', () => {
  const check = (sql: string, expected: string[]): void => expect(splitStatements(sql).map((item) => item.text)).toEqual(expected);
  test('by semicolons', () => check('SELECT 1; SELECT 2;', ['SELECT 1', 'SELECT 2']));
  test('not in strings', () => check("SELECT 'a;b''c;' ; SELECT 2", ["SELECT 'a;b''c;'", 'SELECT 2']));
  test('not in names', () => check('SELECT "a;b" FROM t', ['SELECT "a;b" FROM t']));
  test('not in comments', () => check('SELECT 1 -- one; two\n, 2; /* a; /* b; */ c; */ SELECT 3', ['SELECT 1 -- one; two\n, 2', 'SELECT 3']));
  test('not in dollar quotes', () => check('SELECT $x$ a; $$ b; $x$; SELECT 2', ['SELECT $x$ a; $$ b; $x$', 'SELECT 2']));
  test('a parameter is no quote', () => check('SELECT $1; SELECT $2', ['SELECT $1', 'SELECT $2']));
  test('nothing', () => check(' ; ; -- only words\n', []));
  test('an open string runs to the end', () => check("SELECT 'open; SELECT 2", ["SELECT 'open; SELECT 2"]));
});

describe('statementAt: | is the cursor', () => {
  const check = (marked: string, expected: string | null): void => {
    const cursor = marked.indexOf('|');
    expect(statementAt(marked.replace('|', ''), cursor)?.text ?? null).toBe(expected);
  };
  test('inside', () => check('SELECT 1; SEL|ECT 2; SELECT 3', 'SELECT 2'));
  test('at its end', () => check('SELECT 1|; SELECT 2', 'SELECT 1'));
  test('after its semicolon, on the same line', () => check('SELECT 1;|\nSELECT 2', 'SELECT 1'));
  test('on the blank line before the next', () => check('SELECT 1;\n|\nSELECT 2', 'SELECT 2'));
  test('after the last', () => check('SELECT 1;\nSELECT 2;\n\n|', 'SELECT 2'));
  test('before the first', () => check('|\n\nSELECT 1', 'SELECT 1'));
  test('in a comment between', () => check('SELECT 1;\n\n-- tw|o\nSELECT 2', 'SELECT 2'));
  test('nothing', () => check('  |  ', null));
});

describe('positions', () => {
  test('line and column', () => expect(offsetAt('SELECT 1\nFROM x', 2, 6)).toBe(14));
  test('beyond the text', () => expect(offsetAt('SELECT 1', 9, 1)).toBe(8));
  test('a column counts characters, not code units', () => expect(offsetAt("SELECT '😀', x", 1, 13)).toBe(13));
  test('the whole word is underlined', () => expect(wordAt('FROM flihgts WHERE', 5)).toEqual({ from: 5, to: 12 }));
  test('a quoted name too', () => expect(wordAt('FROM "a b" x', 5)).toEqual({ from: 5, to: 10 }));
  test('at the end', () => expect(wordAt('SELECT', 6)).toEqual({ from: 5, to: 6 }));
});

describe('the place of an error in a statement that is not the first', () => {
  const sql = 'SELECT 1; SELECT *\nFROM nowhere';
  const start = placeAt(sql, 10);
  test('begins where the statement does', () => expect(start).toEqual({ line: 1, column: 11 }));
  test('in its first line', () => expect(placeInWhole(start, { line: 1, column: 8 })).toEqual({ line: 1, column: 18 }));
  test('in a later line', () => expect(placeInWhole(start, { line: 2, column: 6 })).toEqual({ line: 2, column: 6 }));
  test('of a statement below', () => expect(placeInWhole(placeAt('SELECT 1;\n\nSELECT x', 11), { line: 1, column: 8 })).toEqual({ line: 3, column: 8 }));
});

describe('names', () => {
  const check = (name: string, expected: string): void => expect(quoteName(name)).toBe(expected);
  test('plain', () => check('dep_delay', 'dep_delay'));
  test('capitals', () => check('Amount', '"Amount"'));
  test('reserved', () => check('order', '"order"'));
  test('quotes inside', () => check('a"b', '"a""b"'));
  test('a table outside public', () => expect(quoteTable('raw', 'My t')).toBe('raw."My t"'));
  test('a table of public', () => expect(quoteTable('public', 'flights')).toBe('flights'));
});

describe('isReadOnly', () => {
  const check = (sql: string, expected: boolean): void => expect(isReadOnly(sql)).toBe(expected);
  test('a question', () => check('SELECT 1; SHOW TABLES', true));
  test('a change', () => check('INSERT INTO t SELECT 1', false));
  test('a change behind a question', () => check('SELECT 1; DROP TABLE t', false));
  test('a change inside a WITH', () => check('WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x', false));
  test('EXPLAIN ANALYZE runs', () => check('EXPLAIN ANALYZE SELECT 1', false));
  test('nothing', () => check('', false));
});
