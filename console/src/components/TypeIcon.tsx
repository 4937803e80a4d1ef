import { IconCalendar, IconCode, IconLetterT, IconNumber123, IconToggleLeft } from './icons';

/** The family of a SQL type: number, time, truth, nested or text. */
export function typeFamily(type: string): 'number' | 'time' | 'boolean' | 'nested' | 'text' {
  const name = type.toLowerCase();
  if (/\[\]$|^(struct|list|map|row|array|json)/.test(name)) return 'nested';
  if (/^(u?(tiny|small|big|huge)?int|integer|double|float|real|decimal|numeric|serial)/.test(name)) return 'number';
  if (/^(date|time|interval)/.test(name)) return 'time';
  if (/^bool/.test(name)) return 'boolean';
  return 'text';
}

const ICONS = { number: IconNumber123, time: IconCalendar, boolean: IconToggleLeft, nested: IconCode, text: IconLetterT };

export function TypeIcon({ type }: { type: string }) {
  const Icon = ICONS[typeFamily(type)];
  return <Icon size={16} stroke={1.6} color="var(--text-3)" style={{ flex: 'none' }} aria-hidden="true" />;
}
