import { number } from '../../lib/format';

/** A value of a profile, short enough for a cell. */
export function shortValue(value: string | number | boolean | null): string {
  if (value === null) return 'null';
  if (typeof value === 'number') return number(value);
  const text = String(value);
  return text === '' ? '(empty)' : /^\d{4}-\d\d-\d\d[ T]00:00:00/.test(text) ? text.slice(0, 10) : text;
}
