// A plan as EXPLAIN writes it, one operator a line and two blanks a level, as a tree. What is not surely a plan is none.

export interface Metric {
  name: string;
  value: string;
}

export interface PlanNode {
  /** Its place in the plan, from the top. */
  index: number;
  level: number;
  parent: number | null;
  children: number[];
  /** The operator: `HashJoinExec`. */
  name: string;
  /** What is said of it, whole; empty when nothing is. */
  detail: string;
  /** What it took, as EXPLAIN ANALYZE says it. */
  metrics: Metric[];
  rows: RowCount | null;
  /** Its own work, over all threads, without that of the operators below it. */
  nanos: number | null;
  /** Its part of the work of all operators, 0 to 1. */
  share: number | null;
  /** Among the few that took most. */
  heavy: boolean;
}

export interface RowCount {
  value: number;
  /** The server rounds what is over a thousand. */
  rounded: boolean;
}

export interface Plan {
  /** From the top down, each before its children. */
  nodes: PlanNode[];
  /** The work of all operators; `null` without metrics. */
  nanos: number | null;
}

/** A line of a plan: every operator's name ends so, but one. */
const OPERATOR = /^( *)((?:[A-Z]\w*Exec)|PiecewiseMergeJoin)(?:: (.*)|(, (?:metrics|statistics|schema)=\[.*))?$/;
/** A line that may be of an operator that is not known here. */
const MAYBE_OPERATOR = /^( *)[A-Z]\w*(?:: .*|, .*)?$/;
const METRICS_END = /, metrics=\[.*\]$/s;

/**
 * Reads a physical plan, with the metrics of EXPLAIN ANALYZE or without; `null` when it is anything else. A text in a
 * condition may break its line.
 */
export function parsePlan(text: string, withMetrics: boolean): Plan | null {
  const lines = text.replace(/\s+$/, '').split('\n');
  const nodes: PlanNode[] = [];
  const above: PlanNode[] = [];
  for (const line of lines) {
    const last = nodes[nodes.length - 1];
    // With metrics an operator's text ends with them, so that what follows before is more of it.
    const open = withMetrics && last && !METRICS_END.test(`, ${last.detail}`);
    const found = open ? null : placed(line, OPERATOR, last);
    if (found) {
      const level = (found[1]?.length ?? 0) / 2;
      above.length = level;
      const parent = above[level - 1] ?? null;
      const node: PlanNode = { index: nodes.length, level, parent: parent?.index ?? null, children: [], name: found[2] ?? '', detail: found[3] ?? found[4]?.slice(2) ?? '', metrics: [], rows: null, nanos: null, share: null, heavy: false };
      parent?.children.push(node.index);
      above.push(node);
      nodes.push(node);
    } else if (!last || (!open && (OPERATOR.test(line) || placed(line, MAYBE_OPERATOR, last)))) return null;
    else last.detail += `\n${line}`;
  }
  if (withMetrics) nodes.forEach(readMetrics);
  return weighed(nodes);
}

/** The line when it is one of these and where an operator may be: under the last one, or beside one above it. */
function placed(line: string, pattern: RegExp, last: PlanNode | undefined): RegExpExecArray | null {
  const found = pattern.exec(line);
  if (!found) return null;
  const blanks = found[1]?.length ?? 0;
  if (!last) return blanks === 0 ? found : null;
  // There is one root.
  return blanks > 0 && blanks % 2 === 0 && blanks / 2 <= last.level + 1 ? found : null;
}

function readMetrics(node: PlanNode): void {
  const text = `, ${node.detail}`;
  const at = text.lastIndexOf(', metrics=[');
  if (at < 0 || !text.endsWith(']')) return;
  node.metrics = splitTop(text.slice(at + ', metrics=['.length, -1)).flatMap((piece) => {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(piece) ?? [];
    return name && value !== undefined ? [{ name, value }] : [];
  });
  node.detail = text.slice(2, Math.max(2, at));
  node.rows = rowCount(metricOf(node, 'output_rows'));
  node.nanos = work(node);
}

const metricOf = (node: PlanNode, name: string): string | undefined => node.metrics.find((metric) => metric.name === name)?.value;

/**
 * What an operator did itself. A scan counts the reading and decoding of its files apart from `elapsed_compute`, and a
 * repartition the spreading of its rows; `fetch_time`, `send_time` and `time_elapsed_scanning_total` are mostly waiting for others.
 */
function work(node: PlanNode): number | null {
  const time = (name: string): number | null => nanosOf(metricOf(node, name));
  const parts = [time('elapsed_compute'), time('time_elapsed_processing'), time('repartition_time')];
  const known = parts.filter((part) => part !== null);
  return known.length === 0 ? null : known.reduce((sum, part) => sum + part, 0);
}

const COUNT_UNITS: Record<string, number> = { K: 1e3, M: 1e6, B: 1e9, T: 1e12 };

function rowCount(text: string | undefined): RowCount | null {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(?: ([KMBT]))?$/.exec(text ?? '') ?? [];
  if (!digits) return null;
  return { value: Math.round(Number(digits) * (COUNT_UNITS[unit ?? ''] ?? 1)), rounded: unit !== undefined };
}

const TIME_UNITS: Record<string, number> = { ns: 1, µs: 1e3, μs: 1e3, us: 1e3, ms: 1e6, s: 1e9 };

export function nanosOf(text: string | undefined): number | null {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(ns|[µμu]s|ms|s)$/.exec(text ?? '') ?? [];
  return digits && unit ? Number(digits) * (TIME_UNITS[unit] ?? 1) : null;
}

/** An operator is heavy from this part of all work on, when it also has half of what the heaviest has. */
const HEAVY_SHARE_MIN = 0.1;

function weighed(nodes: PlanNode[]): Plan {
  const times = nodes.flatMap((node) => (node.nanos === null ? [] : [node.nanos]));
  if (times.length === 0) return { nodes, nanos: null };
  const total = times.reduce((sum, time) => sum + time, 0);
  const most = Math.max(...times);
  for (const node of nodes) {
    if (node.nanos === null || total === 0) continue;
    node.share = node.nanos / total;
    node.heavy = node.share >= HEAVY_SHARE_MIN && node.nanos >= most / 2;
  }
  return { nodes, nanos: total };
}

const OPENING = '([{';
const CLOSING = ')]}';

/** Splits at the commas that are in no bracket; not at all where brackets do not match. */
export function splitTop(text: string): string[] {
  if (text === '') return [];
  const pieces: string[] = [];
  const open: number[] = [];
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const letter = text.charAt(at);
    if (OPENING.includes(letter)) open.push(OPENING.indexOf(letter));
    else if (CLOSING.includes(letter)) {
      if (open.pop() !== CLOSING.indexOf(letter)) return [text];
    } else if (letter === ',' && open.length === 0 && text.charAt(at + 1) === ' ') {
      pieces.push(text.slice(from, at));
      from = at + 2;
    }
  }
  return open.length > 0 ? [text] : [...pieces, text.slice(from)];
}

/** One thing that is said of an operator; the first may have no name. */
export interface Property {
  name: string | null;
  value: string;
}

/** An operator's detail in its parts: `mode=Partial, gby=[…]`. */
export function propertiesOf(detail: string): Property[] {
  const properties: Property[] = [];
  for (const piece of splitTop(detail)) {
    const [, name, value] = /^([a-z][a-z_]*)=(.*)$/s.exec(piece) ?? [];
    const last = properties[properties.length - 1];
    if (name && value !== undefined) properties.push({ name, value });
    else if (last) last.value += `, ${piece}`;
    else properties.push({ name: null, value: piece });
  }
  return properties;
}

/** The nodes that show while these are folded. */
export function unfolded(nodes: PlanNode[], folded: ReadonlySet<number>): PlanNode[] {
  const hidden = new Set<number>();
  return nodes.filter((node) => {
    if (node.parent === null || (!hidden.has(node.parent) && !folded.has(node.parent))) return true;
    hidden.add(node.index);
    return false;
  });
}
