import classes from './SqlText.module.css';

const PIECES = /(--[^\n]*)|('(?:[^']|'')*')|\b(\d+(?:\.\d+)?)\b|\b(select|from|where|group|by|order|limit|join|left|using|on|as|create|table|view|not|null|default|and|or|case|when|then|else|end|desc|asc|with|having|union|all|insert|into|values|at|version|distinct|over|partition)\b/gi;
const KINDS = ['comment', 'string', 'number', 'keyword'] as const;

/** SQL to read, lightly coloured, or a command as it is; the editor is loaded only where SQL is written. */
export function SqlText({ text, plain = false }: { text: string; plain?: boolean }) {
  const parts: React.ReactNode[] = [];
  let at = 0;
  for (const match of plain ? [] : text.matchAll(PIECES)) {
    const index = match.index;
    if (index > at) parts.push(text.slice(at, index));
    const kind = KINDS[match.slice(1).findIndex((group) => group !== undefined)] ?? 'keyword';
    parts.push(
      <span key={index} className={classes[kind]}>
        {match[0]}
      </span>,
    );
    at = index + match[0].length;
  }
  parts.push(text.slice(at));
  return (
    <pre className={classes.sql} tabIndex={0}>
      <code>{parts}</code>
    </pre>
  );
}
