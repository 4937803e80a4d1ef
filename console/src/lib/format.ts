// Numbers and times as people read them. All pure; the clock is handed in.

const LOCALE = 'en-GB';
const GROUPED = new Intl.NumberFormat(LOCALE);
const COMPACT = new Intl.NumberFormat(LOCALE, { notation: 'compact', maximumFractionDigits: 1 });

/** A count with thousands separators: `336,776`. */
export function count(value: number): string {
  return GROUPED.format(value);
}

/** `1 row`, `336,776 rows`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A short form for axes and tiles: `337K`, `1.2M`. */
export function compact(value: number): string {
  return COMPACT.format(value);
}

const BYTE_UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];

/** Decimal units, as disks and clouds count: `9.2 MB`. */
export function bytes(value: number): string {
  let unit = 0;
  let rest = value;
  while (rest >= 999.5 && unit < BYTE_UNITS.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || rest >= 100 ? 0 : 1;
  return `${rest.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}

/** `8 ms`, `1.4 s`, `2 min 05 s`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** `just now`, `3 min ago`, `2 days ago`; a plain date after a month. */
export function ago(iso: string, now: number): string {
  const then = Date.parse(iso);
  if (Number.isNaN(then)) return iso;
  const seconds = Math.max(0, Math.round((now - then) / 1000));
  if (seconds < 45) return 'just now';
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.round(minutes / 60);
  if (hours < 24) return `${hours} h ago`;
  const days = Math.round(hours / 24);
  if (days < 31) return days === 1 ? 'yesterday' : `${days} days ago`;
  return new Date(then).toLocaleDateString(LOCALE, { day: 'numeric', month: 'short', year: 'numeric' });
}

/** The exact local time, to the second, with its zone. */
export function exactTime(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  return date.toLocaleString(LOCALE, { dateStyle: 'medium', timeStyle: 'medium' }) + ' ' + zoneOf(date);
}

/** The local time of a day, to the second: `14:03:09`. */
export function clockTime(at: number): string {
  return new Date(at).toLocaleTimeString(LOCALE);
}

function zoneOf(date: Date): string {
  const parts = new Intl.DateTimeFormat(LOCALE, { timeZoneName: 'short' }).formatToParts(date);
  return parts.find((part) => part.type === 'timeZoneName')?.value ?? '';
}

/** A share in percent: `0 %`, `<0.1 %`, `2.4 %`, `97 %`; never 100 when something is left out. */
export function percent(part: number, whole: number): string {
  if (whole <= 0) return '0 %';
  const share = (part / whole) * 100;
  if (share === 0) return '0 %';
  if (share < 0.1) return '<0.1 %';
  if (share > 99.9 && part < whole) return '>99.9 %';
  return share < 10 ? `${share.toFixed(1)} %` : `${Math.round(share)} %`;
}

/** A number for a tile, a tooltip or a profile: up to `digits` significant decimals, grouped. */
export function number(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e15)) return value.toExponential(digits);
  const decimals = size >= 1000 ? 1 : digits;
  return new Intl.NumberFormat(LOCALE, { maximumFractionDigits: Number.isInteger(value) ? 0 : decimals }).format(value);
}
