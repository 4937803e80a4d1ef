/** A line of a run's log: when, and what. Lines that carry no time go on from the one before. */
export interface LogLine {
  time: string | null;
  text: string;
  bad: boolean;
}

const LINE = /^(\d{4}-\d\d-\d\dT\S+Z) (.*)$/;

export function logLines(text: string): LogLine[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => {
    const [, time = null, rest = line] = LINE.exec(line) ?? [];
    return { time, text: rest, bad: /^(failed|interrupted|timed out)\b/.test(rest) };
  });
}

/** The id of the statement that the log names last. */
export function lastQuery(text: string): string | null {
  return [...text.matchAll(/ query ([0-9a-f-]{36})$/gm)].at(-1)?.[1] ?? null;
}
