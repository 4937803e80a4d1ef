import { describe, expect, test } from 'vitest';

import { explained, isExplained, isNothing, rowsText, shortTime, telling, tidy, wholeText } from './explain';
import { parsePlan, propertiesOf, splitTop, unfolded } from './plan';
import recorded from './plan.fixtures.txt?raw';

/** What the server answered to a statement that begins so: rows of kind and text. */
function answerTo(statement: string): [string, string][] {
  const part = recorded.split(/^### /m).find((item) => item.startsWith(statement)) ?? '';
  const rows = part.split(/^\[([\w ]+)\]\n/m).slice(1);
  return Array.from({ length: rows.length / 2 }, (_, index) => [rows[index * 2] ?? '', rows[index * 2 + 1] ?? '']);
}

function explain(statement: string) {
  const rows = answerTo(statement);
  expect(rows.length).toBeGreaterThan(0);
  return explained({ columns: [], rows: rows.length, text: (row, column) => rows[row]?.[column] ?? null });
}

/** The tree as lines: level, operator, telling part. */
const drawn = (statement: string): string[] | undefined => explain(statement).plan?.nodes.map((node) => `${' '.repeat(node.level)}${[node.name, telling(node)].join(' ').trim()}`);

describe('plans of the server', () => {
  const check = (statement: string, expected: string[]): void => expect(drawn(statement)).toEqual(expected);
  test('a join, measured', () =>
    check('EXPLAIN ANALYZE SELECT a.name', [
      'SortPreservingMergeExec n DESC · first 10',
      ' ProjectionExec name, count(*) as n, avg(f.dep_delay) as avg',
      '  SortExec TopK(fetch=10) · count(*) DESC',
      '   AggregateExec final, partitioned · by name · count(*), avg(f.dep_delay)',
      '    RepartitionExec Hash([name], 2)',
      '     AggregateExec partial · by name · count(*), avg(f.dep_delay)',
      '      CooperativeExec',
      '       HashJoinExec Inner · carrier = carrier',
      '        FilterExec name < B',
      '         TableScanExec public.airlines',
      '          DataSourceExec 1 file · carrier, name',
      '        FilterExec dep_delay > 30',
      '         TableScanExec public.flights',
      '          DataSourceExec 2 files · carrier, dep_delay · where DynamicFilter [ carrier >= AA AND carrier <= FL AND hash_lookup ]',
    ]));
  test('a union', () =>
    check('EXPLAIN SELECT origin', [
      'AggregateExec final, partitioned · by origin',
      ' RepartitionExec Hash([origin], 2)',
      '  AggregateExec partial · by origin',
      '   UnionExec',
      '    TableScanExec public.flights',
      '     DataSourceExec 2 files · origin',
      '    TableScanExec public.airports',
      '     DataSourceExec 1 file · faa as origin',
      '    ProjectionExec CAST(x AS Utf8View) as origin',
      '     PlaceholderRowExec',
    ]));
  test('an indexed column, and a text that looks like metrics', () => {
    // On the line it is taken for something that is said of the operator; its whole detail has it.
    check('EXPLAIN SELECT count(*) FROM stock', [
      'ProjectionExec count(*) as count',
      ' AggregateExec final · count(*)',
      '  CoalescePartitionsExec',
      '   AggregateExec partial · count(*)',
      "    FilterExec name = it's, a [name] 5",
      '     TableScanExec public.stock',
      '      DeletedRowsExec in 1 file',
      "       DataSourceExec 1 file · name · where name = it's, a [name] 5",
    ]);
    expect(explain('EXPLAIN SELECT count(*) FROM stock').plan?.nodes.find((node) => node.name === 'FilterExec')?.detail).toContain("name@0 = it's, a [name] 5, metrics=[x=1]");
  });
  test('a text of two lines', () =>
    check('EXPLAIN SELECT id FROM stock', ['FilterExec name = two lines', ' TableScanExec public.stock', '  DeletedRowsExec in 1 file', '   DataSourceExec 1 file · id, name · where name = two lines']));
  test('UPDATE', () => {
    check('EXPLAIN UPDATE', ['ProjectionExec id as value 0, name as value 1, 0 as value 2, rowid', ' FilterExec id = 1', '  TableScanExec public.stock', '   DeletedRowsExec in 1 file', '    RowLineageExec', '     DataSourceExec 1 file · id, name · where id = 1']);
    expect(explain('EXPLAIN UPDATE').change).toBe('UPDATE of public.stock, of the rows that this query finds');
  });
  test('MERGE: two children of one join', () => {
    const nodes = explain('EXPLAIN MERGE').plan?.nodes ?? [];
    const join = nodes.find((node) => node.name === 'HashJoinExec');
    expect(join?.children.map((index) => nodes[index]?.name)).toEqual(['ProjectionExec', 'TableScanExec']);
    expect(join && telling(join)).toBe('Inner · id = id');
  });
  test('a subquery beside the query', () => {
    const nodes = explain('EXPLAIN SELECT p.tailnum').plan?.nodes ?? [];
    expect(nodes[0]?.children.map((index) => nodes[index]?.name)).toEqual(['CooperativeExec', 'AggregateExec']);
  });
  test('a window', () => {
    const window = explain('EXPLAIN ANALYZE SELECT name, rank()').plan?.nodes.find((node) => node.name === 'BoundedWindowAggExec');
    expect(window && telling(window)).toBe('rank() PARTITION BY [stock.amount] ORDER BY [stock.id ASC NULLS LAST] RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW');
  });
  test('VERBOSE: the plan with metrics, of all that is there', () => {
    const { plan, texts } = explain('EXPLAIN ANALYZE VERBOSE');
    expect(plan?.nodes.map((node) => node.name)).toEqual(['ProjectionExec', 'PlaceholderRowExec']);
    expect(texts.map((item) => item.kind)).toEqual(['Plan with Metrics', 'Plan with Full Metrics', 'Output Rows', 'Duration']);
  });
  test('FORMAT tree is a picture, not a plan to read', () => expect(explain('EXPLAIN FORMAT tree').plan).toBeNull());
});

describe('metrics', () => {
  const { plan, change } = explain('EXPLAIN ANALYZE UPDATE');
  const node = (name: string) => plan?.nodes.find((item) => item.name === name);
  test('of the change', () => expect(change).toBe('UPDATE of public.stock: 1 row'));
  test('rows are rounded by the server above a thousand', () => expect([node('FilterExec')?.rows, node('DataSourceExec')?.rows]).toEqual([{ value: 1, rounded: false }, { value: 20_480, rounded: true }]));
  test('none is none', () => expect([node('TableScanExec')?.rows, node('TableScanExec')?.nanos, node('TableScanExec')?.share]).toEqual([null, null, null]));
  test('reading files is the work of a scan, not only what it computed', () => {
    const scan = node('DataSourceExec');
    const computed = Number.parseFloat(scan?.metrics.find((metric) => metric.name === 'elapsed_compute')?.value ?? '') * 1000;
    expect(scan?.nanos).toBeGreaterThan(computed * 10);
  });
  test('the parts make the whole', () => expect(plan?.nodes.reduce((sum, item) => sum + (item.share ?? 0), 0)).toBeCloseTo(1));
  test('what stands out', () => expect(plan?.nodes.filter((item) => item.heavy).map((item) => item.name)).toEqual(['DataSourceExec']));
  test('values with commas and blanks', () => {
    const scan = node('DataSourceExec');
    expect(scan?.metrics.find((metric) => metric.name === 'page_index_pages_pruned')?.value).toMatch(/^\d+ total → \d+ matched$/);
    expect(scan?.metrics.find((metric) => metric.name === 'scan_efficiency_ratio')?.value).toMatch(/^[\d.]+% \(.+\)$/);
    expect(scan?.detail).not.toContain('metrics=');
  });
});

describe('what is no plan', () => {
  const check = (text: string): void => expect(parsePlan(text, false)).toBeNull();
  test('nothing', () => check(''));
  test('words', () => check('a plan\nof words'));
  test('JSON', () => check('[\n  {\n    "Plan": {}\n  }\n]'));
  test('two roots', () => check('UnionExec\nUnionExec'));
  test('begins further in', () => check('  UnionExec'));
  test('an operator with a name that tells nothing', () => check('UnionExec\n  Mystery: x=1'));
  test('a level left out', () => check('UnionExec\n    EmptyExec'));
  test('a condition whose text is an operator, where the metrics tell', () =>
    expect(parsePlan('FilterExec: a = x\n  EmptyExec, metrics=[output_rows=1]\n  EmptyExec, metrics=[]', true)?.nodes.map((node) => node.detail)).toEqual(['a = x\n  EmptyExec', '']));
});

test('isExplained', () => {
  const columns = [{ name: 'plan_type', kind: 'text' }, { name: 'plan', kind: 'text' }];
  const check = (expected: boolean, command: string | null, sql: string, of = columns): void => expect(isExplained(of, command, sql)).toBe(expected);
  check(true, 'EXPLAIN', 'EXPLAIN SELECT 1');
  check(true, null, 'SELECT 1; -- first\nexplain analyze SELECT 1');
  check(false, 'SELECT', 'SELECT plan_type, plan FROM subscriptions');
  check(false, null, 'SELECT plan_type, plan FROM subscriptions');
  check(false, 'EXPLAIN', 'EXPLAIN REFRESH MATERIALIZED VIEW v', [{ name: 'refresh', kind: 'text' }, { name: 'because', kind: 'text' }]);
});

test('propertiesOf: names, brackets, and commas in texts', () => {
  const check = (detail: string, expected: [string | null, string][]): void => expect(propertiesOf(detail).map(({ name, value }) => [name, value])).toEqual(expected);
  check('mode=Partial, gby=[a@0 as a, b@1 as b], aggr=[]', [['mode', 'Partial'], ['gby', '[a@0 as a, b@1 as b]'], ['aggr', '[]']]);
  check("name@1 = it's, as it is, projection=[id@0]", [[null, "name@1 = it's, as it is"], ['projection', '[id@0]']]);
  check('name@1 = (, projection=[id@0]', [[null, 'name@1 = (, projection=[id@0]']]);
  check('', []);
});

test('splitTop leaves brackets that do not match alone', () => {
  expect(splitTop('a, (b, c), [d]')).toEqual(['a', '(b, c)', '[d]']);
  expect(splitTop('a, (b], c)')).toEqual(['a, (b], c)']);
});

test('unfolded leaves out what is under a folded node', () => {
  const nodes = explain('EXPLAIN SELECT origin').plan?.nodes ?? [];
  expect(unfolded(nodes, new Set([3])).map((node) => node.name)).toEqual(['AggregateExec', 'RepartitionExec', 'AggregateExec', 'UnionExec']);
  expect(unfolded(nodes, new Set([4])).map((node) => node.index)).toEqual([0, 1, 2, 3, 4, 6, 7, 8, 9]);
});

test('tidy', () => {
  const check = (text: string, expected: string): void => expect(tidy(text)).toBe(expected);
  check('dep_delay@1 > 30', 'dep_delay > 30');
  check('name@0 as name, names@1 as name', 'name, names as name');
  check('count(Int64(1))@1 as n', 'count(*) as n');
  check('a@0 as a.b', 'a as a.b');
});

test('wholeText: each plan under its kind', () => {
  expect(wholeText([{ kind: 'physical_plan', text: 'UnionExec\n' }])).toBe('UnionExec\n');
  expect(wholeText([{ kind: 'a', text: 'x\n' }, { kind: 'b', text: 'y' }])).toBe('[a]\nx\n\n[b]\ny\n');
});

test('short numbers', () => {
  expect([0, 398, 999.6, 22_230, 999_600, 3.57e6, 9.96e6, 412e6, 2.52e9].map(shortTime)).toEqual(['0 ns', '398 ns', '1.0 µs', '22 µs', '1.0 ms', '3.6 ms', '10 ms', '412 ms', '2.5 s']);
  expect([rowsText({ value: 999, rounded: false }), rowsText({ value: 48_290, rounded: true })]).toEqual(['999', '48.3k']);
  expect(['0', '0.0 B', '0%', '0% (0/1.89 K)', '0 total → 0 matched'].every(isNothing)).toBe(true);
  expect(['10', '1 total → 0 matched', '0.07% (32/48.29 K)', '2ns'].some(isNothing)).toBe(false);
});
