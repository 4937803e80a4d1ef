import { describe, expect, test } from 'vitest';

import type { ColumnProfile, TableDetail, TableProfile } from '../services/types';
import { firstChart } from './firstChart';

const table = (columns: [string, string][]): TableDetail => ({
  schema: 'public', name: 'sales', kind: 'table', comment: null, rows: 1000, bytes: 1, files: 1, created_at: null, updated_at: null, sql: null,
  columns: columns.map(([name, type], index) => ({ name, type, nullable: true, default: null, comment: null, position: index + 1 })),
});
const profile = (columns: Partial<ColumnProfile>[]): TableProfile => ({ rows: 1000, sampled: false, columns: columns.map((column) => ({ name: '', type: '', missing: 0, distinct: 10, distinct_exact: true, min: null, max: null, mean: null, histogram: null, top: null, ...column })) });
const check = (columns: [string, string][], looked: TableProfile | null, expected: string): void => expect(firstChart(table(columns), looked).sql.replace(/\s+/g, ' ')).toBe(expected);

describe('firstChart', () => {
  test('time and an amount', () =>
    check([['day', 'date'], ['amount', 'double']], profile([{ name: 'day', min: '2013-01-01', max: '2013-12-31', distinct: 365 }, { name: 'amount', distinct: 900 }]), "SELECT CAST(date_trunc('month', day) AS date) AS month, sum(amount) AS total_amount FROM sales WHERE day IS NOT NULL GROUP BY 1 ORDER BY 1"));
  test('a category and no number', () => check([['id', 'bigint'], ['Artist', 'text']], null, 'SELECT "Artist", count(*) AS rows FROM sales GROUP BY "Artist" ORDER BY 2 DESC LIMIT 20'));
  test('a name for every row is no category', () => check([['name', 'text'], ['score', 'double']], profile([{ name: 'name', distinct: 1000 }, { name: 'score', distinct: 800 }]), 'SELECT score FROM sales LIMIT 100000'));
  test('nothing to draw', () => check([['id', 'bigint']], null, 'SELECT count(*) AS rows FROM sales'));
});
