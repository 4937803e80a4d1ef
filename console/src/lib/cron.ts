// Schedules in words, for the forms that people write most; the others are shown as they are.

const MACROS: Record<string, string> = { '@hourly': '0 * * * *', '@daily': '0 0 * * *', '@midnight': '0 0 * * *', '@weekly': '0 0 * * 0', '@monthly': '0 0 1 * *', '@yearly': '0 0 1 1 *', '@annually': '0 0 1 1 *' };
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const SHORT = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

const isNumber = (field: string): boolean => /^\d{1,2}$/.test(field);
const two = (field: string): string => field.padStart(2, '0');

/** `every 15 minutes`, `every day at 02:30`, `Monday to Friday at 09:00`; `null` for what has no short words. */
export function inWords(schedule: string): string | null {
  const fields = (MACROS[schedule.trim().toLowerCase()] ?? schedule).trim().split(/\s+/);
  if (fields.length === 6) {
    const [second = '', ...rest] = fields;
    if (second === '0') return inWords(rest.join(' '));
    return rest.every((field) => field === '*') ? every(second, 60, 'second') : null;
  }
  if (fields.length !== 5) return null;
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = fields;
  if (month !== '*') return null;
  const anyDay = day === '*' && weekday === '*';
  if (hour === '*' && anyDay) return isNumber(minute) ? `every hour at :${two(minute)}` : every(minute, 60, 'minute');
  if (!isNumber(minute)) return null;
  if (anyDay && hour.startsWith('*/')) {
    const hours = every(hour, 24, 'hour');
    return hours && (minute === '0' ? hours : `${hours} at :${two(minute)}`);
  }
  if (!isNumber(hour)) return null;
  const at = `at ${two(hour)}:${two(minute)}`;
  if (anyDay) return `every day ${at}`;
  if (day === '*') {
    const days = weekdays(weekday);
    return days && `${days} ${at}`;
  }
  return weekday === '*' && isNumber(day) ? `on day ${Number(day)} of each month ${at}` : null;
}

/** Steps that do not divide the whole evenly are none: after 45 comes 60, not 90. */
function every(field: string, whole: number, unit: string): string | null {
  if (field === '*') return `every ${unit}`;
  const step = /^\*\/(\d+)$/.exec(field);
  const size = Number(step?.[1]);
  if (!step || size < 1 || size >= whole || whole % size !== 0) return null;
  return size === 1 ? `every ${unit}` : `every ${size} ${unit}s`;
}

function weekdays(field: string): string | null {
  const names = field.split('-').map((part) => (isNumber(part) ? DAYS[Number(part) % 7] : DAYS[SHORT.indexOf(part.toUpperCase())]));
  if (names.length > 2 || names.some((name) => name === undefined)) return null;
  return names.length === 2 ? `${names[0]} to ${names[1]}` : `every ${names[0]}`;
}
