import { typeFamily } from '../../components/TypeIcon';
import { number } from '../../lib/format';
import type { ColumnProfile } from '../../services/types';

/** A value of a profile, short enough for a cell. Numbers come as text, so that none loses digits. */
export function shortValue(value: string | number | boolean | null, type = 'text'): string {
  if (value === null) return 'null';
  if (typeof value === 'number') return number(value);
  const text = typeFamily(type) === 'number' ? String(value).replace(/\.0$/, '') : String(value);
  return text === '' ? '(empty)' : /^\d{4}-\d\d-\d\d[ T]00:00:00/.test(text) ? text.slice(0, 10) : text;
}

/** The smallest and the largest value; of times their days, unless both are of one day. */
export function extremes(profile: ColumnProfile): [string, string] {
  const [low, high] = [shortValue(profile.min, profile.type), shortValue(profile.max, profile.type)];
  if (typeFamily(profile.type) !== 'time' || low.slice(0, 10) === high.slice(0, 10)) return [low, high];
  return [low.slice(0, 10), high.slice(0, 10)];
}
